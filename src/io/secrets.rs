//! Secrets that are known on this machine, and text without them.

use crate::{io::env::Env, model::text};

/// Shorter secrets are not looked for: they would hide half of a message.
const SECRET_BYTES_MIN: usize = 8;

/// Secrets that are known here and are never printed.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// No secrets.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// These values, as long as they are.
    pub(super) fn values(values: &[String]) -> Self {
        let mut secrets = Self(values.iter().filter(|value| value.len() >= SECRET_BYTES_MIN).cloned().collect());
        secrets.sort();
        secrets
    }

    /// Adds others.
    pub(super) fn add(&mut self, others: &Self) {
        self.0.extend_from_slice(&others.0);
        self.sort();
    }

    /// The longest first: one may be a part of another.
    fn sort(&mut self) {
        self.0.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        self.0.dedup();
    }

    /// Those of the environment, of URLs, and others as they are.
    pub(super) fn of(env: &Env, urls: &[String], others: &[String]) -> Self {
        let mut found: Vec<String> =
            env.secrets().chain(others.iter().map(String::as_str)).map(str::to_owned).collect();
        for url in urls.iter().chain(others) {
            let user_info = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next()?.rsplit_once('@'));
            let Some((user_info, _)) = user_info else { continue };
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            // A user alone may be a token; one with a password is a name.
            let secret = if password.is_empty() { user } else { password };
            found.extend([secret.to_owned(), decoded(secret)]);
        }
        found.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        let mut secrets = Self(found);
        secrets.sort();
        secrets
    }

    /// Text for a message.
    pub(super) fn shown(&self, text: &str) -> String {
        text::shown(&self.masked(text))
    }

    /// Text without secrets, not escaped.
    pub(super) fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.as_str(), "***");
        }
        parameters(&headers(&urls(&text)))
    }
}

/// `%41` as `A`; what is not UTF-8 then stays as it was.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let byte = std::str::from_utf8(more.get(..2).unwrap_or_default())
            .ok()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Masks who logs in, in every URL. The user of an ssh URL is no secret.
pub(super) fn urls(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once("://") {
        // A quote, an angle bracket or a control character can be part of a password: only what ends a URL for certain
        // ends it here.
        let ends = |c: char| (c.is_whitespace() && !text::is_harmful(c)) || "/?#\n".contains(c);
        let end = after.find(ends).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        out.push_str(before);
        out.push_str("://");
        match authority.rsplit_once('@') {
            Some((user, host)) if before.ends_with("ssh") && !user.contains(':') => {
                out.push_str(user);
                out.push('@');
                out.push_str(host);
            }
            Some((_, host)) => {
                out.push_str("***@");
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = tail;
    }
    out + rest
}

/// Masks what follows `Authorization:`.
fn headers(text: &str) -> String {
    let Some(at) = text.to_ascii_lowercase().find("authorization:") else { return text.to_owned() };
    format!("{} ***", &text[..at + "authorization:".len()])
}

/// Masks values of `token=` and the like, in a query or anywhere.
fn parameters(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["token=", "password=", "secret=", "api_key="] {
        let mut from = 0;
        while let Some(at) = text[from..].to_ascii_lowercase().find(name) {
            let start = from + at + name.len();
            let length = text[start..].find(|c: char| c.is_whitespace() || "&'\";,)".contains(c));
            let end = length.map_or(text.len(), |length| start + length);
            text.replace_range(start..end, "***");
            from = start + 3;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let vars = [("FORGE_TOKEN", "abcdef0123456789"), ("PATH", "/usr/bin:/bin")];
        let env = Env::of(vars.map(|(name, value)| (name.into(), value.into())), "/".into());
        let urls =
            ["https://ola:s%33cr%65t-word@forge.example/a.git".to_owned(), "https://glpat-99887766@forge/a".to_owned()];
        Secrets::of(&env, &urls, &["b2xhOnNlY3JldA==".to_owned(), "https://oauth2:rewritten-to@forge/".to_owned()])
    }

    /// Attack: a server or git repeats a token in an error message.
    /// Defence: URLs are printed without user and password, and every known secret is masked before anything is printed.
    #[test]
    fn known_secrets_are_masked() {
        let secrets = secrets();
        let shown = |text: &str| secrets.shown(text);
        assert_eq!(
            shown("fatal: unable to access 'https://u:p@forge/a.git/': x"),
            "fatal: unable to access 'https://***@forge/a.git/': x"
        );
        assert_eq!(
            shown("https://ghp_x@a/b and ssh://git@c/d ssh://git:pw@e"),
            "https://***@a/b and ssh://git@c/d ssh://***@e"
        );
        assert_eq!(shown("https://a/b@c?x=1"), "https://a/b@c?x=1", "that is a path");
        assert_eq!(shown("no abcdef0123456789 here"), "no *** here");
        assert_eq!(shown("s3cret-word s%33cr%65t-word glpat-99887766"), "*** *** ***");
        assert_eq!(shown("> Authorization: Basic b2xhOnNlY3JldA=="), "> Authorization: ***");
        assert_eq!(shown("basic b2xhOnNlY3JldA== x"), "basic *** x");
        assert_eq!(
            shown("GET /a?private_token=12&b=3&access_token=45"),
            "GET /a?private_token=***&b=3&access_token=***"
        );
        assert_eq!(shown("rewritten-to"), "***");
        assert_eq!(shown("/usr/bin:/bin"), "/usr/bin:/bin");
    }

    /// Attack: a password in a URL has a quote, an angle bracket or a control character in it, and git repeats the URL.
    /// Defence: only a blank, a line break or a `/`, `?` or `#` ends the part of a URL that is searched for a login.
    #[test]
    fn a_quote_in_a_password_does_not_end_the_search() {
        for (text, shown) in [
            ("fatal: 'https://ola:pa'ss@forge/a.git'", "fatal: 'https://***@forge/a.git'"),
            ("https://ola:pa\"s<s>@forge", "https://***@forge"),
            ("https://\u{b}ola:pass@forge/", "https://***@forge/"),
            ("see <https://forge>, ask ola@example.org", "see <https://forge>, ask ola@example.org"),
            ("'https://forge/a.git': no", "'https://forge/a.git': no"),
        ] {
            assert_eq!(urls(text), shown);
        }
    }
}
