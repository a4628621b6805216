//! The credential of the forge, handed to a git that transfers and has none of its own for that remote.
//!
//! The token is in the environment of that git alone, under a name that nothing else reads; a credential helper on git's
//! command line names the variable. It never stands in an argument, in a URL or in a file: git offers what a server
//! accepted to every configured helper, and some of them write it down, so git knows no other helper then.

use std::{path::Path, process::Command};

use crate::{
    io::{
        env::Env,
        process::{self, Limits},
        secrets::Secrets,
        token::{self, Token},
    },
    model::{
        forge::{ForgeUrl, is_loopback},
        text::shown,
    },
    port::Answer,
};

/// The variable that git's helper reads.
const VARIABLE: &str = "PLATFORMCTL_GIT_TOKEN";
/// What git runs as a credential helper. Forgejo and Gitea take a token as the password of any user.
const HELPER: &str =
    "!f() { test \"$1\" = get && printf 'username=x-access-token\\npassword=%s\\n' \"$PLATFORMCTL_GIT_TOKEN\"; }; f";
/// How long git's own helpers may take, in seconds.
const HELPERS_S: u64 = 20;

/// What git is handed for a remote.
#[derive(Debug)]
pub(super) enum Hand {
    /// Nothing: there is no credential here, git has one of its own, or the remote needs none.
    Nothing,
    /// There is a credential, and it does not go there.
    Withheld {
        /// Why, in words that follow "the token".
        why: String,
        /// What helps.
        fix: String,
    },
    /// This.
    Given(Given),
}

/// A credential for one server.
#[derive(Debug)]
pub(super) struct Given {
    token: Token,
    /// Scheme, host and port.
    origin: String,
}

impl Given {
    /// Hands it over.
    pub(super) fn to(&self, command: &mut Command) {
        // An empty value forgets the helpers that were configured before.
        for value in ["", HELPER] {
            command.arg("-c").arg(format!("credential.{}.helper={value}", self.origin));
        }
        command.env(VARIABLE, self.token.reveal());
    }

    /// Where it comes from, in words.
    pub(super) fn source(&self) -> &str {
        self.token.source()
    }

    /// What is never printed.
    pub(super) fn secrets(&self) -> Secrets {
        Secrets::values(&[self.token.reveal().to_owned()])
    }
}

/// Whether a credential is named in this environment.
pub(super) fn is_here(env: &Env) -> bool {
    [token::VARIABLE, token::FILE_VARIABLE, token::AUDIENCE_VARIABLE].iter().any(|name| env.get(name).is_some())
}

/// Whether a remote is reached over http.
pub(super) fn is_http(url: &str) -> bool {
    Place::of(url).is_some()
}

/// Decides what git is handed for the remote `remote` at `url`. `forge` is where the policy says that the forge is; `asks` says
/// that a program of the user's answers git's questions.
///
/// # Errors
/// A credential that is named, and cannot be used.
pub(super) fn hand(
    env: &Env,
    git_dir: &Path,
    (remote, url): (&str, &str),
    forge: Option<&ForgeUrl>,
    asks: bool,
) -> Answer<Hand> {
    let Some(place) = Place::of(url) else { return Ok(Hand::Nothing) };
    let token = match token::named(env, &place.origin)? {
        Some(token) => Some(token),
        None => token::automatic(env, &place.origin)?,
    };
    let Some(token) = token.filter(|_| !place.has_password) else { return Ok(Hand::Nothing) };
    let to = |url: &str| format!("git remote set-url {} {url}, or set up a credential helper", shown(remote));
    if !place.is_private {
        let why = format!("is not sent over plain http to {}", place.origin);
        let url = forge.map_or_else(|| shown(&place.over_tls), ForgeUrl::to_string);
        return Ok(Hand::Withheld { why, fix: to(&url) });
    }
    // The automatic token is for the server of the run, which was compared.
    let named = forge.filter(|_| token.account().is_none()).map(ForgeUrl::to_string);
    if let Some(url) = named {
        let at = Place::of(&url).map(|forge| forge.origin);
        if let Some(at) = at.filter(|at| *at != place.origin) {
            let why = format!("is for the forge at {at}, not for {}", place.origin);
            return Ok(Hand::Withheld { why, fix: to(&url) });
        }
    }
    if asks || env.get("GIT_ASKPASS").is_some() {
        let why = "is not used, because GIT_ASKPASS or core.askPass answers git's questions".to_owned();
        return Ok(Hand::Withheld { why, fix: "unset GIT_ASKPASS and core.askPass, or let them answer".to_owned() });
    }
    if has_own(env, git_dir, url) {
        return Ok(Hand::Nothing);
    }
    Ok(Hand::Given(Given { token, origin: place.origin }))
}

/// Whether git's own helpers have a credential for a URL.
fn has_own(env: &Env, git_dir: &Path, url: &str) -> bool {
    let mut command = env.transfer("git");
    command.env("SSH_ASKPASS", "").arg(format!("--git-dir={}", git_dir.display())).args(["credential", "fill"]);
    let question = format!("url={url}\n\n").into_bytes();
    let limits = Limits { deadline_s: HELPERS_S, output_bytes: 64 << 10 };
    process::run_with(command, question, &limits).is_ok_and(|done| {
        done.rc == Some(0) && String::from_utf8_lossy(&done.stdout).lines().any(|line| line.starts_with("password="))
    })
}

/// The server of an http URL.
struct Place {
    /// Scheme, host in lower case, and a port that is not the usual one.
    origin: String,
    /// The same URL without a login and with TLS.
    over_tls: String,
    /// Whether nobody on the way reads what is sent.
    is_private: bool,
    has_password: bool,
}

impl Place {
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "https" => ":443",
            "http" => ":80",
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let host = host.to_ascii_lowercase();
        let fits = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
        let host = host.strip_suffix(usual).unwrap_or(&host);
        fits.then(|| Self {
            origin: format!("{scheme}://{host}"),
            over_tls: format!("https://{host}{}", &rest[authority.len()..]),
            is_private: scheme == "https" || is_loopback(host),
            has_password: user.is_some_and(|user| user.contains(':')),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Env {
        let here = Env::read();
        let base = [("PATH", here.get("PATH").unwrap()), ("GIT_CONFIG_NOSYSTEM", "1"), ("HOME", "/nonexistent")];
        let vars = base.iter().chain(vars).map(|(name, value)| (name.into(), value.into()));
        Env::of(vars.collect::<Vec<_>>(), std::env::temp_dir())
    }

    fn handed(vars: &[(&str, &str)], url: &str, forge: Option<&str>, asks: bool) -> String {
        let dir = tempfile::tempdir().unwrap();
        let forge: Option<ForgeUrl> = forge.map(|forge| forge.parse().unwrap());
        match hand(&env(vars), dir.path(), ("origin", url), forge.as_ref(), asks).unwrap() {
            Hand::Nothing => "nothing".to_owned(),
            Hand::Withheld { why, fix } => format!("withheld: it {why}; {fix}"),
            Hand::Given(given) => format!("given for {}: {}", given.origin, given.source()),
        }
    }

    /// Attack: the remote is at another server than the forge, or is reached over plain http, and git is handed the token
    /// for it.
    /// Defence: the token is handed over for the forge's own server alone, and only where nobody on the way can read it.
    #[test]
    fn token_is_handed_over_for_the_forges_own_server_alone() {
        const TOKEN: (&str, &str) = ("PLATFORMCTL_FORGEJO_TOKEN", "a-token-of-the-forge");
        const URL: &str = "https://git.example.org/ops/platform.git";
        let forge = Some("https://git.example.org/ops/platform");
        let of = |url: &str| handed(&[TOKEN], url, forge, false);
        assert_eq!(of(URL), "given for https://git.example.org: PLATFORMCTL_FORGEJO_TOKEN");
        assert_eq!(handed(&[TOKEN], URL, None, false), of(URL), "without a policy the remote names the forge");
        assert_eq!(
            of("https://mirror.example.com/ops/platform"),
            "withheld: it is for the forge at https://git.example.org, not for https://mirror.example.com; \
             git remote set-url origin https://git.example.org/ops/platform, or set up a credential helper"
        );
        assert_eq!(
            handed(&[TOKEN], "http://ola@forgejo:3000/ops/platform", None, false),
            "withheld: it is not sent over plain http to http://forgejo:3000; git remote set-url origin \
             https://forgejo:3000/ops/platform, or set up a credential helper"
        );
        for url in ["ssh://git@git.example.org/a", "/srv/remote.git", "https://ola:own-password@git.example.org/a"] {
            assert_eq!(of(url), "nothing", "{url}");
        }
        let run = [
            ("FORGEJO_ACTIONS", "true"),
            ("FORGEJO_SERVER_URL", "https://git.example.org"),
            ("FORGEJO_TOKEN", "automatic-token"),
        ];
        let automatic = "given for https://git.example.org: the automatic token of the run (FORGEJO_TOKEN)";
        assert_eq!(handed(&run, URL, None, false), automatic);
        assert_eq!(handed(&run, "https://other.example.org/a", None, false), "nothing");
        assert_eq!(handed(&run[1..], URL, None, false), "nothing");
    }

    #[test]
    fn what_git_has_itself_comes_first() {
        const TOKEN: (&str, &str) = ("PLATFORMCTL_FORGEJO_TOKEN", "a-token-of-the-forge");
        const URL: &str = "https://git.example.org/ops/platform.git";
        let helper = |key: &'static str, value: &'static str| {
            handed(
                &[TOKEN, ("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", key), ("GIT_CONFIG_VALUE_0", value)],
                URL,
                None,
                false,
            )
        };
        let knows = "!f() { echo username=x; echo password=own; }; f";
        assert_eq!(helper("credential.helper", knows), "nothing");
        assert_eq!(helper("credential.https://git.example.org.helper", knows), "nothing");
        assert!(helper("credential.https://other.example.org.helper", knows).starts_with("given"));
        assert!(helper("credential.helper", "!f() { :; }; f").starts_with("given"));
        let asked = handed(&[TOKEN], URL, None, true);
        assert!(asked.starts_with("withheld: it is not used, because GIT_ASKPASS or core.askPass answers"), "{asked}");
        assert_eq!(handed(&[TOKEN, ("GIT_ASKPASS", "/bin/echo")], URL, None, false), asked);
    }

    #[test]
    fn places_are_compared_as_a_browser_compares_them() {
        let of = |url: &str| Place::of(url).map(|place| (place.origin, place.is_private, place.has_password));
        let place = |origin: &str, private, password| Some((origin.to_owned(), private, password));
        for (url, is) in [
            ("https://Git.Example.org:443/ops/a.git", place("https://git.example.org", true, false)),
            ("https://git.example.org:3000/ops/a", place("https://git.example.org:3000", true, false)),
            ("https://ola@git.example.org/a", place("https://git.example.org", true, false)),
            ("https://ola:pw@git.example.org", place("https://git.example.org", true, true)),
            ("https://git.example.org@evil.test/a", place("https://evil.test", true, false)),
            ("http://127.0.0.1:3000/a", place("http://127.0.0.1:3000", true, false)),
            ("http://[::1]/a", place("http://[::1]", true, false)),
            ("http://forgejo:3000/a", place("http://forgejo:3000", false, false)),
            ("ssh://git@git.example.org/a", None),
            ("git@git.example.org:a", None),
            ("../remote.git", None),
            ("https://a b/c", None),
        ] {
            assert_eq!(of(url), is, "{url}");
        }
    }
}
