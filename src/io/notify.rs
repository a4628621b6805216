//! Messages to people, over HTTP: to an ntfy server and to webhooks.

use std::{cell::OnceCell, time::Duration};

use serde_json::Value;

use crate::{
    io::{
        env::Env,
        file,
        http::{Http, Question, Reply},
        log,
        secrets::Secrets,
    },
    model::{
        message::Message,
        names::TokenVar,
        notify::{Channel, ChannelKind},
        refusal::Code,
        text::shown,
    },
    port::{Answer, Notify, PortError},
};

/// How long one message may take.
const SEND: Duration = Duration::from_secs(5);
/// Larger files are no token.
const TOKEN_BYTES_MAX: u64 = 16 << 10;

/// Sends messages with the tokens of an environment.
pub struct Notifier {
    env: Env,
    secrets: Secrets,
    http: OnceCell<Http>,
}

/// It has tokens: this shows none.
impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notifier")
    }
}

impl Notifier {
    /// Nothing is read or asked before the first message.
    pub fn new(env: &Env) -> Self {
        Self { env: env.clone(), secrets: Secrets::of(env, &[], &[]), http: OnceCell::new() }
    }

    /// The token of a channel, from its variable or from the file that the variable with `_FILE` names.
    fn token(&self, name: &TokenVar) -> Result<String, String> {
        let file_name = format!("{name}_FILE");
        let value = match (self.env.get(name.as_str()), self.env.get(&file_name)) {
            (Some(value), _) => value.to_owned(),
            (None, Some(path)) => match file::read(&self.env.cwd().join(path), TOKEN_BYTES_MAX) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(_) => return Err(format!("{file_name} names the file {}, which cannot be read", shown(path))),
            },
            (None, None) => return Err(format!("neither {name} nor {file_name} is set")),
        };
        let value = value.trim();
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!("the token from {name} is empty, or has spaces or line breaks in it"));
        }
        log::never(&Secrets::values(&[value.to_owned()]));
        Ok(value.to_owned())
    }
}

impl Notify for Notifier {
    fn send(&self, channel: Channel<'_>, message: &Message) -> Answer<()> {
        let (kind, address) = (channel.kind(), channel.url().as_str());
        let failed = |why: String| {
            let fix = "correct `notify:` in platform.yaml, or look at that server";
            Err(PortError::new(
                Code::NotTold,
                format!("{} at {address} did not take a message: {why}", kind.as_str()),
                fix,
            ))
        };
        let token = match channel.token_env().map(|name| self.token(name)).transpose() {
            Ok(token) => token,
            Err(why) => return failed(why),
        };
        let message = message.clone().worded(|text| self.secrets.masked(text));
        let own = Secrets::values(&token.iter().cloned().collect::<Vec<_>>());
        let message = message.worded(|text| own.masked(text));
        let (url, body) = match channel {
            Channel::Ntfy(ntfy) => (format!("{}/", address.trim_end_matches('/')), message.ntfy(&ntfy.topic)),
            Channel::Webhook(_) => (address.to_owned(), message.notice()),
        };
        let bearer = token.map(|token| format!("Bearer {token}"));
        let question = Question { method: "POST", url: &url, authorization: bearer.as_deref(), json: Some(&body) };
        match self.http.get_or_init(|| Http::new(Some(SEND))).ask(&question) {
            Ok(reply) => refused(kind, &reply).map_or(Ok(()), failed),
            Err(error) => failed(log::masked(&error.to_string())),
        }
    }
}

/// Why an answer does not say that the message was taken.
fn refused(kind: ChannelKind, reply: &Reply) -> Option<String> {
    let status = reply.status;
    Some(match (status, kind) {
        // A page of a login or a proxy is no answer of an ntfy server.
        (200..=299, ChannelKind::Ntfy) if !is_published(reply) => "the answer is not that of an ntfy server".to_owned(),
        (200..=299, _) => return None,
        (300..=399, _) => format!("it redirects to another address ({status}), which is not followed"),
        (401 | 403, _) => format!("it refuses the token, or asks for one ({status})"),
        (404, _) => format!("there is nothing at this address ({status})"),
        (413, _) => format!("the message is too long for it ({status})"),
        (429, _) => format!("it takes no more messages for a while ({status})"),
        _ => format!("it answered with {status}"),
    })
}

fn is_published(reply: &Reply) -> bool {
    let object: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    reply.is_json && object["event"] == "message" && object["id"].is_string()
}
