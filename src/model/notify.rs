//! `notify:` of the policy: who is told, and of what. No token is part of it: the policy names the variable that has one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    as_text::as_text,
    names::{NtfyTopic, TokenVar},
    text::shown,
};

/// `notify:`. Without a channel nobody is told anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NotifyPolicy {
    /// A topic of an ntfy server.
    pub ntfy: Option<NtfyPolicy>,
    /// An address that takes JSON (`schema/notice.json`).
    pub webhook: Option<WebhookPolicy>,
    /// What is told beside alarms.
    pub on: Vec<Also>,
}

impl NotifyPolicy {
    /// The channels, in order.
    pub fn channels(&self) -> Vec<Channel<'_>> {
        self.ntfy.iter().map(Channel::Ntfy).chain(self.webhook.iter().map(Channel::Webhook)).collect()
    }

    /// Whether this is told although it is no alarm.
    pub fn tells(&self, also: Also) -> bool {
        self.on.contains(&also)
    }
}

/// `notify.ntfy:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NtfyPolicy {
    /// The root of the server, for instance `https://ntfy.example.org`.
    pub url: NotifyUrl,
    /// The topic.
    pub topic: NtfyTopic,
    /// The environment variable that has the access token (or with `_FILE` after its name, the path of a file that has
    /// it); its name begins with PLATFORMCTL_NOTIFY_.
    #[serde(default)]
    pub token_env: Option<TokenVar>,
}

/// `notify.webhook:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookPolicy {
    /// Where each notice is posted.
    pub url: NotifyUrl,
    /// As for ntfy: the variable with the token, which is sent as `Authorization: Bearer`.
    #[serde(default)]
    pub token_env: Option<TokenVar>,
}

/// What may be told that is no alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Also {
    /// A change that ended well.
    Applied,
}

/// One way to tell people, with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel<'a> {
    /// An ntfy topic.
    Ntfy(&'a NtfyPolicy),
    /// A webhook.
    Webhook(&'a WebhookPolicy),
}

impl Channel<'_> {
    /// Which one it is.
    pub const fn kind(self) -> ChannelKind {
        match self {
            Self::Ntfy(_) => ChannelKind::Ntfy,
            Self::Webhook(_) => ChannelKind::Webhook,
        }
    }

    /// Its address.
    pub const fn url(&self) -> &NotifyUrl {
        match self {
            Self::Ntfy(ntfy) => &ntfy.url,
            Self::Webhook(webhook) => &webhook.url,
        }
    }

    /// The variable that has its token.
    pub const fn token_env(&self) -> Option<&TokenVar> {
        match self {
            Self::Ntfy(ntfy) => ntfy.token_env.as_ref(),
            Self::Webhook(webhook) => webhook.token_env.as_ref(),
        }
    }
}

/// A channel by name, as the record has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// `ntfy`.
    Ntfy,
    /// `webhook`.
    Webhook,
}

impl ChannelKind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ntfy => "ntfy",
            Self::Webhook => "webhook",
        }
    }
}

/// Where notices go: `https://host[:port][/path]`, or `http` on this machine itself. A login, a query or a fragment
/// could hold a secret, and is refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotifyUrl(String);

/// Not such an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an https address without login, query and fragment (http is for 127.0.0.1, ::1 and localhost only)"
)]
pub struct NoNotifyUrl(String);

/// Longest address, in bytes.
const URL_BYTES_MAX: usize = 500;

impl NotifyUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `name`, without a port, is this machine itself.
fn is_loopback(name: &str) -> bool {
    name == "localhost" || name == "[::1]" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether `name` is a host by name or address, without a port.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(label),
    }
}

impl FromStr for NotifyUrl {
    type Err = NoNotifyUrl;

    fn from_str(text: &str) -> Result<Self, NoNotifyUrl> {
        let no = || NoNotifyUrl(shown(text));
        let (scheme, rest) = text.split_once("://").ok_or_else(no)?;
        let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            Some(_) | None => (authority, None),
        };
        let fits_path = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b))
            && path.split('/').all(|part| part != "." && part != "..");
        let fits = (scheme == "https" || scheme == "http" && is_loopback(host))
            && text.len() <= URL_BYTES_MAX
            && is_host(host)
            && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port))
            && fits_path;
        if fits { Ok(Self(text.to_owned())) } else { Err(no()) }
    }
}

impl fmt::Display for NotifyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
as_text!(NotifyUrl);

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: the policy sends notices, and the token for them, in clear over the network, or has a token in an address.
    /// Defence: an address is https (http for this machine only), and has no login, query or fragment.
    #[test]
    fn notices_go_to_https_or_to_this_machine() {
        for good in [
            "https://ntfy.example.org",
            "https://ntfy.example.org/",
            "https://hooks.example.org:8443/a/b-c_d~e.f",
            "https://[2001:db8::1]:8443/x",
            "http://127.0.0.1:2586",
            "http://127.9.9.9",
            "http://[::1]:80/x",
            "http://localhost:2586",
        ] {
            assert_eq!(good.parse::<NotifyUrl>().map(|url| url.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "ntfy.example.org",
            "http://ntfy.example.org",
            "http://10.0.0.1",
            "http://localhost.example.org",
            "http://127.0.0.1.example.org",
            "http://127.0.0.1@example.org",
            "http://localhost:80@example.org",
            "ftp://127.0.0.1",
            "HTTPS://example.org",
            "https://me:secret@example.org",
            "https://example.org/hook?token=secret",
            "https://example.org/hook#x",
            "https://example.org/../x",
            "https://example.org:99999",
            "https://example.org:",
            "https://example.org\\@evil.test",
            "https://-x.example.org",
            "https://exa mple.org",
            "https://example.org/a\nb",
            "https://ex\u{202e}ample.org",
            "https://",
            "https:///x",
        ] {
            assert!(bad.parse::<NotifyUrl>().is_err(), "{bad}");
        }
    }
}
