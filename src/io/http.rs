//! HTTP: one request, one answer, bounded in time and size. Redirects are never followed: a token that goes along with a
//! request would go with the redirect as well.

use std::time::Duration;

use ureq::{
    Agent, Error,
    config::Config,
    http::{Request, Uri},
    tls::{RootCerts, TlsConfig},
};

use crate::io::log::{self, Name};

/// How long a connection may take, and a whole answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30);
/// Larger answers are refused.
const BODY_BYTES_MAX: u64 = 8 << 20;

/// The one that asks.
#[derive(Debug, Clone)]
pub(super) struct Http {
    agent: Agent,
}

/// What is sent.
pub(super) struct Question<'a> {
    /// `GET`, `POST`, `PATCH`.
    pub method: &'static str,
    /// The whole address.
    pub url: &'a str,
    /// The value of `Authorization`.
    pub authorization: Option<&'a str>,
    /// A JSON body.
    pub json: Option<&'a [u8]>,
}

/// An answer, whatever its status.
pub(super) struct Reply {
    /// The status.
    pub status: u16,
    /// Where a redirect leads to.
    pub location: Option<String>,
    /// After how many seconds the server wants to be asked again.
    pub retry_after_s: Option<u64>,
    /// Whether the body is JSON by its own header.
    pub is_json: bool,
    /// How many items there are in all, where the body is one page of them.
    pub total: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoReply {
    /// Nobody answered.
    #[error("{0}")]
    Unreachable(String),
    /// The certificate is not trusted, or TLS failed.
    #[error("{0}")]
    Tls(String),
    /// It is too large.
    #[error("the answer is larger than {} MiB", BODY_BYTES_MAX >> 20)]
    TooLarge,
}

impl Http {
    /// With the proxies and certificate authorities of this machine (`https_proxy`, `no_proxy`, `SSL_CERT_FILE`).
    pub(super) fn new(answer: Option<Duration>) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config: Config = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(answer.unwrap_or(ANSWER)))
            .user_agent(concat!("platformctl/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self { agent: config.into() }
    }

    /// Asks once.
    ///
    /// # Errors
    /// No answer, or one that is too large.
    pub(super) fn ask(&self, question: &Question<'_>) -> Result<Reply, NoReply> {
        let uri: Uri = question.url.parse().map_err(|_| NoReply::Unreachable("the address is not valid".to_owned()))?;
        log::about_to("http", |words| words.with("method", &question.method).with("path", &Name(uri.path())));
        let mut request = Request::builder().method(question.method).uri(uri).header("Accept", "application/json");
        if let Some(authorization) = question.authorization {
            request = request.header("Authorization", authorization);
        }
        if question.json.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let wrong = |_| NoReply::Unreachable("the request is not valid".to_owned());
        let mut reply = match question.json {
            Some(json) => self.agent.run(request.body(json).map_err(wrong)?),
            None => self.agent.run(request.body(()).map_err(wrong)?),
        }
        .map_err(no_reply)?;
        let headers = reply.headers();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let number = |name: &str| header(name).and_then(|value| value.trim().parse().ok());
        let (location, retry_after_s, total) = (header("location"), number("retry-after"), number("x-total-count"));
        let is_json =
            header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json"));
        let status = reply.status().as_u16();
        let body = reply.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec().map_err(no_reply)?;
        Ok(Reply { status, location, retry_after_s, is_json, total, body })
    }
}

fn no_reply(error: Error) -> NoReply {
    match error {
        Error::BodyExceedsLimit(_) | Error::LargeResponseHeader(..) => NoReply::TooLarge,
        Error::HostNotFound => NoReply::Unreachable("its name cannot be resolved".to_owned()),
        Error::Timeout(_) | Error::BodyStalled => NoReply::Unreachable("it did not answer in time".to_owned()),
        Error::Rustls(error) => NoReply::Tls(error.to_string()),
        Error::Tls(text) => NoReply::Tls(text.to_owned()),
        Error::ConnectProxyFailed(text) => NoReply::Unreachable(format!("the proxy refused to connect: {text}")),
        Error::InvalidProxyUrl => NoReply::Unreachable("the address of the proxy is not valid".to_owned()),
        Error::Io(error) if error.to_string().contains("certificate") => NoReply::Tls(error.to_string()),
        // The enum grows with the crate: whatever else it is, there is no answer.
        other @ (Error::StatusCode(_) | _) => NoReply::Unreachable(other.to_string()),
    }
}
