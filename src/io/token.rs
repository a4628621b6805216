//! The credential for the forge: found in a fixed order, shown nowhere.

use std::{
    collections::BTreeSet,
    fmt,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    sync::Mutex,
};

use crate::{
    io::{
        env::Env,
        file,
        http::{Http, Question},
        log, process,
        secrets::Secrets,
    },
    model::{forge::Account, refusal::Code, text::shown},
    port::{Answer, PortError},
};

/// The variable with the token, and the one with the path of a file that has it.
pub(super) const VARIABLE: &str = "PLATFORMCTL_FORGEJO_TOKEN";
pub(super) const FILE_VARIABLE: &str = "PLATFORMCTL_FORGEJO_TOKEN_FILE";
/// The variable with the audience of an Authorized Integration.
pub(super) const AUDIENCE_VARIABLE: &str = "PLATFORMCTL_FORGEJO_AUDIENCE";
/// What a runner of Forgejo or Gitea sets for every step, by the name that newer ones prefer.
const AUTOMATIC: [&str; 3] = ["FORGEJO_TOKEN", "GITEA_TOKEN", "GITHUB_TOKEN"];
/// The account of the automatic token, as Forgejo and Gitea number it.
const AUTOMATIC_ID: i64 = -2;
const AUTOMATIC_LOGIN: &str = "forgejo-actions";
/// Larger files are no token. A JWT of an Authorized Integration has a few thousand characters.
const TOKEN_BYTES_MAX: u64 = 16 << 10;

/// A token. It cannot be printed, compared or serialised; [`Token::reveal`] is for the one header that carries it.
#[derive(Clone)]
pub(super) struct Token {
    value: String,
    /// Where it comes from, in words.
    source: String,
    /// The server that it is for.
    origin: String,
    /// Whether it is the one that a runner has for the time of a run.
    is_automatic: bool,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(from {})", self.source)
    }
}

impl Token {
    /// Where it comes from.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The server (scheme, host and port) that it may be sent to, and no other.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Its value, for a header of a request to its server.
    pub(super) fn reveal(&self) -> &str {
        &self.value
    }

    /// Whose it is, where that is known without asking: the automatic account of Actions.
    pub(super) fn account(&self) -> Option<Account> {
        self.is_automatic.then(|| Account { id: AUTOMATIC_ID, login: AUTOMATIC_LOGIN.to_owned() })
    }

    fn new(value: &str, source: impl Into<String>, origin: &str) -> Answer<Self> {
        let (value, source) = (value.trim(), source.into());
        let fits =
            !value.is_empty() && value.len() as u64 <= TOKEN_BYTES_MAX && value.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            return Err(PortError::new(
                Code::CredentialsMissing,
                format!("the token from {source} is empty, too long, or has spaces or line breaks in it"),
                "store the token alone, as the forge showed it",
            ));
        }
        log::never(&Secrets::values(&[value.to_owned()]));
        Ok(Self { value: value.to_owned(), source, origin: origin.to_owned(), is_automatic: false })
    }
}

/// The credential for the server at `origin` (`https://git.example.org`): the one that is named, else that of git's
/// credential helper for that server, else the automatic one.
///
/// # Errors
/// A source that is named, and gives nothing usable.
pub(super) fn find(env: &Env, git_dir: &Path, origin: &str) -> Answer<Option<Token>> {
    if let Some(token) = named(env, origin)? {
        return Ok(Some(token));
    }
    if let Some(token) = helper(env, git_dir, origin)? {
        return Ok(Some(token));
    }
    automatic(env, origin)
}

/// The JWT that the runner's server signs for this run, for the audience that `PLATFORMCTL_FORGEJO_AUDIENCE` names: an
/// Authorized Integration of Forgejo 16 accepts it for the API and for git. Without the variable nothing is asked.
///
/// # Errors
/// It was asked for, and there is none.
fn signed(env: &Env, origin: &str) -> Answer<Option<Token>> {
    let Some(audience) = env.get(AUDIENCE_VARIABLE) else { return Ok(None) };
    let missing = |why: &str| {
        let what = format!("{AUDIENCE_VARIABLE} is set, and no token of the run can be had: {why}");
        PortError::new(Code::CredentialsMissing, what, "set enable-openid-connect: true in the workflow")
    };
    let url = env.get("ACTIONS_ID_TOKEN_REQUEST_URL").ok_or_else(|| missing("this run has none to ask for"))?;
    let bearer = env.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN").ok_or_else(|| missing("this run has none to ask for"))?;
    log::never(&Secrets::values(&[bearer.to_owned()]));
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/".contains(&b));
    if !plain(audience) || !(url.starts_with("https://") || url.starts_with("http://127.0.0.1:")) {
        return Err(missing("the audience or the runner's address is not valid"));
    }
    let url = format!("{url}{}audience={audience}", if url.contains('?') { '&' } else { '?' });
    let authorization = format!("Bearer {bearer}");
    let question = Question { method: "GET", url: &url, authorization: Some(&authorization), json: None };
    let reply = Http::new(None).ask(&question).map_err(|error| missing(&error.to_string()))?;
    let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    match json.get("value").and_then(serde_json::Value::as_str).filter(|_| reply.status == 200) {
        Some(jwt) => Token::new(jwt, "the run's own identity (OpenID Connect)", origin).map(Some),
        None => Err(missing(&format!("the runner's server answered with status {}", reply.status))),
    }
}

/// The credential of `PLATFORMCTL_FORGEJO_TOKEN` or `…_FILE`, or the run's own identity where that is asked for.
///
/// # Errors
/// A source that is named, and gives nothing usable.
pub(super) fn named(env: &Env, origin: &str) -> Answer<Option<Token>> {
    if let Some(value) = env.get(VARIABLE) {
        return Token::new(value, VARIABLE, origin).map(Some);
    }
    let Some(path) = env.get(FILE_VARIABLE) else { return signed(env, origin) };
    let bytes = file::read(&env.cwd().join(path), TOKEN_BYTES_MAX).map_err(|error| {
        let what = format!("{FILE_VARIABLE} names the file {}, which cannot be used", shown(path));
        PortError::new(Code::CredentialsMissing, what, "name a readable file that has the token and nothing else")
            .because(error)
    })?;
    Token::new(&String::from_utf8_lossy(&bytes), FILE_VARIABLE, origin).map(|token| Some(masked(env, token)))
}

/// The automatic token of Actions, which is for the runner's own server alone.
///
/// # Errors
/// The runner gave a token that no header can have.
pub(super) fn automatic(env: &Env, origin: &str) -> Answer<Option<Token>> {
    let server = ["FORGEJO_SERVER_URL", "GITHUB_SERVER_URL"].iter().find_map(|name| env.get(name));
    let own = server
        .is_some_and(|server| server.trim_end_matches('/') == origin || server.starts_with(&format!("{origin}/")));
    let found = AUTOMATIC.iter().find_map(|name| env.get(name).map(|value| (name, value)));
    let Some((name, value)) = found.filter(|_| env.is_runner() && own) else { return Ok(None) };
    let token = Token::new(value, format!("the automatic token of the run ({name})"), origin)?;
    Ok(Some(Token { is_automatic: true, ..token }))
}

/// What git's own helpers have for a server; nobody is asked at a terminal.
fn helper(env: &Env, git_dir: &Path, origin: &str) -> Answer<Option<Token>> {
    let Some((protocol, host)) = origin.split_once("://") else { return Ok(None) };
    let mut command = env.transfer("git");
    command.env("GIT_ASKPASS", "").env("SSH_ASKPASS", "");
    command.arg(format!("--git-dir={}", git_dir.display())).args(["-c", "core.askPass=", "credential", "fill"]);
    let question = format!("protocol={protocol}\nhost={host}\n\n");
    let limits = process::Limits { deadline_s: 20, output_bytes: 64 << 10 };
    let Ok(done) = process::run_with(command, question.into_bytes(), &limits) else { return Ok(None) };
    if done.rc != Some(0) {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let Some(password) = said.lines().find_map(|line| line.strip_prefix("password=")).filter(|value| !value.is_empty())
    else {
        return Ok(None);
    };
    Token::new(password, "git's credential helper", origin).map(|token| Some(masked(env, token)))
}

/// Tells a runner to mask a token that it did not give itself, once, before it is used. The runner takes the line away:
/// it is printed in a run alone, on a standard error that is no terminal, so that nothing but a runner reads it.
fn masked(env: &Env, token: Token) -> Token {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let in_a_run = env.is_runner() && ["FORGEJO_RUN_ID", "GITHUB_RUN_ID"].iter().any(|name| env.get(name).is_some());
    let mut err = io::stderr().lock();
    if in_a_run && !err.is_terminal() && TOLD.lock().is_ok_and(|mut told| told.insert(token.value.clone())) {
        // The one sign of a token that a command to the runner would be read wrongly with.
        drop(writeln!(err, "::add-mask::{}", token.value.replace('%', "%25")).and_then(|()| err.flush()));
    }
    token
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

    fn found(vars: &[(&str, &str)]) -> Option<(String, String)> {
        let dir = tempfile::tempdir().unwrap();
        let token = find(&env(vars), dir.path(), "https://git.example.org").unwrap()?;
        Some((token.reveal().to_owned(), token.source().to_owned()))
    }

    #[test]
    fn sources_are_tried_in_order() {
        const RUN: (&str, &str) = ("FORGEJO_ACTIONS", "true");
        const SERVER: (&str, &str) = ("FORGEJO_SERVER_URL", "https://git.example.org");
        const AUTO: (&str, &str) = ("FORGEJO_TOKEN", "automatic-token");
        const HELPER: [(&str, &str); 3] = [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "credential.https://git.example.org.helper"),
            ("GIT_CONFIG_VALUE_0", "!f() { echo username=x; echo password=from-helper; }; f"),
        ];
        let of = |more: &[(&str, &str)]| found(&[&[RUN, SERVER, AUTO], more].concat()).map(|(value, _)| value).unwrap();
        assert_eq!(of(&[]), "automatic-token");
        assert_eq!(of(&HELPER), "from-helper");
        assert_eq!(of(&[&HELPER[..], &[("PLATFORMCTL_FORGEJO_TOKEN", "own-token")]].concat()), "own-token");
        // Outside of a run the automatic token means nothing.
        assert_eq!(found(&[SERVER, AUTO]), None);
    }

    /// Attack: the policy or the remote names another server, and a run's automatic token is sent there.
    /// Defence: the automatic token is used for the runner's own server only.
    #[test]
    fn automatic_token_is_for_the_runners_server_only() {
        for server in ["https://git.example.org.evil.test", "https://evil.test", "http://git.example.org"] {
            let run =
                [("FORGEJO_ACTIONS", "true"), ("FORGEJO_SERVER_URL", server), ("FORGEJO_TOKEN", "automatic-token")];
            assert_eq!(found(&run), None, "{server}");
        }
    }

    #[test]
    fn tokens_that_would_break_a_header_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for value in ["a b", "a\nb: c", "ä", " "] {
            let error = find(&env(&[(VARIABLE, value)]), dir.path(), "https://x").unwrap_err();
            assert_eq!(error.code, Code::CredentialsMissing);
            assert!(!error.what.contains(value.trim()) || value.trim().is_empty(), "{}", error.what);
        }
        let error = find(&env(&[(FILE_VARIABLE, "/nonexistent/token")]), dir.path(), "https://x").unwrap_err();
        assert_eq!(error.code, Code::CredentialsMissing);
    }

    /// A server of the runner that gives a JWT for one audience.
    fn runner() -> (String, std::thread::JoinHandle<String>) {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/idtoken?placeholder=true", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap();
            let body = r#"{"value":"aaaa.bbbb.cccc"}"#;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
            stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
            String::from_utf8_lossy(&bytes[..read]).into_owned()
        });
        (url, asked)
    }

    #[test]
    fn identity_of_the_run_is_asked_for_where_an_audience_is_named() {
        let (url, asked) = runner();
        let vars = [
            ("PLATFORMCTL_FORGEJO_AUDIENCE", "u:ops"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token"),
        ];
        let (value, source) = found(&vars).unwrap();
        assert_eq!((value.as_str(), source.as_str()), ("aaaa.bbbb.cccc", "the run's own identity (OpenID Connect)"));
        let asked = asked.join().unwrap().to_ascii_lowercase();
        assert!(asked.starts_with("get /idtoken?placeholder=true&audience=u:ops "), "{asked}");
        assert!(asked.contains("authorization: bearer request-token"), "{asked}");
        let dir = tempfile::tempdir().unwrap();
        let error = find(&env(&vars[..1]), dir.path(), "https://x").unwrap_err();
        assert!(error.fix.contains("enable-openid-connect"), "{error:?}");
    }

    #[test]
    fn token_cannot_be_printed() {
        let token = Token::new("very-secret-token", VARIABLE, "https://x").unwrap();
        assert_eq!(format!("{token:?}"), "Token(from PLATFORMCTL_FORGEJO_TOKEN)");
    }
}
