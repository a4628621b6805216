//! Git over HTTP: `git http-backend`, with the answers of Forgejo where it refuses.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
};

use super::{
    http::{Auth, Request, Response},
    world::{Role, Scope, World},
};

/// The hook that says what Forgejo's says.
const PRE_RECEIVE: &str = r#"#!/bin/sh
if [ "$FORGE_ROLE" = reader ]; then
    cat >&2 <<END

Forgejo: User '$REMOTE_USER' is not allowed to push to branch '' in '$FORGE_REPOSITORY'.
If you instead wanted to create a pull request to the branch '', please use:
git push origin HEAD:refs/for//choose-a-descriptor

END
    exit 1
fi
while read -r old new name; do
    if [ "$name" = "$FORGE_PROTECTED" ]; then
        printf '\nForgejo: Not allowed to push to protected branch %s\n\n' "${name#refs/heads/}" >&2
        exit 1
    fi
done
"#;

/// Writes the hooks into a folder.
pub(super) fn hooks(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(folder.join("pre-receive"), PRE_RECEIVE).unwrap();
    fs::set_permissions(folder.join("pre-receive"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn plain(status: u16, text: &str) -> Response {
    Response::new(status, "text/plain; charset=utf-8", text)
}

fn unauthorized(text: &str) -> Response {
    plain(401, text).with("WWW-Authenticate", "Basic realm=\"Gitea\"")
}

/// Answers a request below `/OWNER/NAME[.git]/`; None is a path that git does not ask for.
pub(super) fn answer(world: &Mutex<World>, request: &Request) -> Option<Response> {
    let parts: Vec<&str> = request.path().trim_start_matches('/').splitn(3, '/').collect();
    let [owner, name, rest] = parts.as_slice() else { return None };
    let rest = *rest;
    if !matches!(rest, "info/refs" | "git-upload-pack" | "git-receive-pack" | "HEAD") {
        return None;
    }
    let name = name.trim_end_matches(".git");
    let write = rest == "git-receive-pack" || request.query("service").as_deref() == Some("git-receive-pack");
    let command = {
        let mut world = world.lock().unwrap();
        world.follow();
        if *owner == world.owner && world.former.iter().any(|former| former == name) {
            let target = request.target.replacen(parts[1], &format!("{}.git", world.name), 1);
            return Some(plain(301, "").with("Location", format!("{}{target}", world.base)));
        }
        match allowed(&world, owner, name, &request.auth(), write) {
            Ok(login) => backend(&world, request, rest, &login),
            Err(refused) => return Some(refused),
        }
    };
    let response = run(command, &request.body);
    if write {
        world.lock().unwrap().follow();
    }
    Some(response)
}

/// Whom the server lets in, empty for a stranger; or how it refuses.
fn allowed(world: &World, owner: &str, name: &str, auth: &Auth, write: bool) -> Result<String, Response> {
    let here = owner == world.owner && name == world.name;
    let Some(secret) = auth.secret() else {
        return if here && !world.private && !write { Ok(String::new()) } else { Err(unauthorized("")) };
    };
    let Some(token) = world.tokens.get(secret) else {
        let words = "Credentials are incorrect or have expired. Retry your command or see \
                     https://codeberg.org/forgejo/forgejo/issues/2809 for more information";
        return Err(unauthorized(words));
    };
    let account = world.account(&token.login);
    if !here || (world.private && account.role < Role::Reader) {
        return Err(plain(404, "Repository not found"));
    }
    let needed = if write { Scope::WriteRepository } else { Scope::ReadRepository };
    if token.scopes.as_ref().is_some_and(|scopes| !scopes.iter().any(|scope| scope.gives(needed))) {
        return Err(plain(403, "Forbidden"));
    }
    if write && world.archived {
        let words = "This repo is archived. You can view files and clone it, but cannot push or open \
                     issues/pull-requests.";
        return Err(plain(403, words));
    }
    Ok(token.login.clone())
}

fn backend(world: &World, request: &Request, rest: &str, login: &str) -> Command {
    let mut command = Command::new("git");
    let settings = [
        ("safe.directory", "*".to_owned()),
        ("safe.bareRepository", "all".to_owned()),
        ("http.receivepack", "true".to_owned()),
        ("receive.hideRefs", "refs/pull/".to_owned()),
        ("uploadpack.allowAnySHA1InWant", "true".to_owned()),
        ("core.hooksPath", world.hooks.display().to_string()),
    ];
    let reader = world.accounts.get(login).is_none_or(|account| account.role < Role::Writer);
    let closed = world.rule.as_ref().is_some_and(|rule| rule["enable_push"] != true);
    command
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", &world.hooks)
        .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C"), ("GIT_HTTP_EXPORT_ALL", "1")])
        .env("GIT_PROJECT_ROOT", &world.bare)
        .env("PATH_INFO", format!("/{rest}"))
        .env("QUERY_STRING", request.target.split_once('?').map_or("", |(_, query)| query))
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", request.header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding").unwrap_or_default())
        .env("GIT_PROTOCOL", request.header("git-protocol").unwrap_or_default())
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("FORGE_ROLE", if reader { "reader" } else { "writer" })
        .env("FORGE_REPOSITORY", world.full_name())
        .env("GIT_CONFIG_COUNT", settings.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if !login.is_empty() {
        command.env("REMOTE_USER", login);
    }
    if closed {
        command.env("FORGE_PROTECTED", format!("refs/heads/{}", world.branch));
    }
    for (index, (key, value)) in settings.into_iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{index}"), key).env(format!("GIT_CONFIG_VALUE_{index}"), value);
    }
    command
}

fn run(mut command: Command, body: &[u8]) -> Response {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = body.to_vec();
    let feed = std::thread::spawn(move || drop(stdin.write_all(&body)));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    let end = output.stdout.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        return plain(500, &String::from_utf8_lossy(&output.stderr));
    };
    let head = String::from_utf8_lossy(&output.stdout[..end]).into_owned();
    let mut response = Response { status: 200, headers: vec![], body: output.stdout[end + 4..].to_vec() };
    for (name, value) in head.split("\r\n").filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("status") {
            response.status = value.trim().split(' ').next().unwrap().parse().unwrap();
        } else {
            response.headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    response
}
