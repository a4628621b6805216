//! The API: which request gets which answer.

use serde_json::{Value, json};

use super::{
    http::{Auth, Request, Response, decoded},
    world::{Account, Comment, Role, Scope, Status, World},
};

/// What `page` and `limit` do: 30 unless told, 50 at most.
const PAGE: usize = 30;
const MOST: usize = 50;

/// An answer, or how it is refused.
type Answer = Result<Response, Response>;

fn refused(world: &World, status: u16, message: &str) -> Response {
    Response::json(status, &json!({"message": message, "url": format!("{}/api/swagger", world.base)}))
}

fn not_found(world: &World, message: &str) -> Response {
    let url = format!("{}/api/swagger", world.base);
    Response::json(404, &json!({"message": message, "url": url, "errors": []}))
}

fn missing(world: &World) -> Response {
    not_found(world, "The target couldn't be found.")
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}

/// Who asks, and whether a token of theirs limits them.
struct Caller {
    account: Option<Account>,
    scopes: Option<Vec<Scope>>,
}

impl Caller {
    fn of(world: &World, auth: &Auth) -> Result<Self, Response> {
        let Some(secret) = auth.secret() else { return Ok(Self { account: None, scopes: None }) };
        let Some(token) = world.tokens.get(secret) else {
            // Forgejo repeats what it was sent.
            return Err(refused(world, 401, &format!("access token does not exist [sha: {secret}]")));
        };
        Ok(Self { account: Some(world.account(&token.login).clone()), scopes: token.scopes.clone() })
    }

    fn scope(&self, world: &World, needed: Scope) -> Result<(), Response> {
        if self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|scope| scope.gives(needed))) {
            return Ok(());
        }
        let message = format!("token does not have at least one of required scope(s): [{}]", needed.word());
        Err(refused(world, 403, &message))
    }

    fn known(&self, world: &World) -> Result<&Account, Response> {
        self.account.as_ref().ok_or_else(|| refused(world, 401, "token is required"))
    }

    fn is(&self, role: Role) -> bool {
        self.account.as_ref().is_some_and(|account| account.role >= role)
    }
}

/// Answers a request below `/api/v1`.
pub(super) fn answer(world: &mut World, request: &Request) -> Response {
    world.follow();
    let path = request.path().trim_start_matches("/api/v1").to_owned();
    let parts: Vec<String> = path.trim_matches('/').split('/').map(decoded).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let answer = Caller::of(world, &request.auth()).and_then(|caller| match (request.method.as_str(), &parts[..]) {
        ("GET", ["version"]) => Ok(Response::json(200, &json!({"version": world.version}))),
        ("GET", ["settings", "api"]) => Ok(Response::json(200, &world.template("settings-api"))),
        ("GET", ["signing-key.ssh"]) => key(world),
        ("GET", ["user"]) => {
            caller.known(world)?;
            caller.scope(world, Scope::ReadUser)?;
            Ok(Response::json(200, &world.user_json(caller.known(world)?)))
        }
        (method, ["repos", owner, name, rest @ ..]) => {
            caller.scope(world, scope(method, rest))?;
            visible(world, request, &caller, owner, name)?;
            match method {
                "GET" => read(world, request, &caller, rest),
                _ => write(world, request, &caller, method, rest),
            }
        }
        _ => Err(missing(world)),
    });
    answer.unwrap_or_else(|refused| refused)
}

/// What a token needs. It is asked before the repository is looked at.
fn scope(method: &str, rest: &[&str]) -> Scope {
    match (method, rest.first()) {
        ("GET", Some(&"issues")) => Scope::ReadIssue,
        ("GET", _) => Scope::ReadRepository,
        (_, Some(&"issues")) => Scope::WriteIssue,
        _ => Scope::WriteRepository,
    }
}

fn visible(world: &World, request: &Request, caller: &Caller, owner: &str, name: &str) -> Result<(), Response> {
    if owner == world.owner && world.former.iter().any(|former| former == name) {
        let was = format!("/api/v1/repos/{owner}/{name}");
        let location = request.target.replacen(&was, &format!("/api/v1/repos/{}", world.full_name()), 1);
        let page = format!("<a href=\"{location}\">Moved Permanently</a>.\n\n");
        return Err(Response::new(301, "text/html; charset=utf-8", page).with("Location", location));
    }
    let here = owner == world.owner && name == world.name;
    if here && (!world.private || caller.is(Role::Reader)) { Ok(()) } else { Err(missing(world)) }
}

fn key(world: &World) -> Answer {
    let key = world.signing.as_ref().and_then(|key| std::fs::read_to_string(key.with_extension("pub")).ok());
    key.map(|key| Response::new(200, "text/plain; charset=utf-8", key)).ok_or_else(|| missing(world))
}

fn number(world: &World, text: &str) -> Result<u64, Response> {
    let number = text.parse().ok().filter(|number| world.pulls.contains_key(number));
    number.ok_or_else(|| missing(world))
}

/// The items of the page that was asked for, and how many there are in all.
fn page<T: Copy>(request: &Request, all: &[T]) -> (Vec<T>, usize) {
    let asked = |name: &str| request.query(name).and_then(|text| text.parse().ok());
    let limit = asked("limit").filter(|limit| *limit > 0).unwrap_or(PAGE).min(MOST);
    let skipped = asked("page").unwrap_or(1).max(1).saturating_sub(1) * limit;
    (all.iter().copied().skip(skipped).take(limit).collect(), all.len())
}

fn read(world: &World, request: &Request, caller: &Caller, rest: &[&str]) -> Answer {
    let viewer = caller.account.as_ref();
    let body = match rest {
        [] => world.repo_json(viewer),
        ["pulls", n] => world.pull_json(number(world, n)?, viewer),
        ["pulls", n, "merge"] => {
            let merged = world.pulls[&number(world, n)?].merged.is_some();
            return Ok(Response { status: if merged { 204 } else { 404 }, headers: vec![], body: vec![] });
        }
        ["pulls", n, "reviews"] => {
            let n = number(world, n)?;
            let all: Vec<_> = world.reviews.iter().filter(|review| review.pull == n).collect();
            let (page, count) = page(request, &all);
            let page: Value = page.into_iter().map(|review| world.review_json(review)).collect();
            return Ok(Response::json(200, &page).with("X-Total-Count", count));
        }
        ["commits", commit, "pull"] => return Ok(of_commit(world, commit, viewer)),
        ["commits", rest @ .., "status"] => {
            let (commit, all) = statuses(world, &rest.join("/"))?;
            let (page, count) = page(request, &all);
            let body = world.combined_json(&commit, &all, &page, viewer);
            let response = Response::json(200, &body);
            // Measured: an empty answer has no count.
            return Ok(if all.is_empty() { response } else { response.with("X-Total-Count", count) });
        }
        ["issues", n, "comments"] => {
            let n = number(world, n)?;
            let all: Vec<_> = world.comments.iter().filter(|comment| comment.pull == n).collect();
            let body: Value = all.iter().map(|comment| world.comment_json(comment)).collect();
            return Ok(Response::json(200, &body).with("X-Total-Count", all.len()));
        }
        ["issues", "comments", id] => {
            let comment = world.comments.iter().find(|comment| comment.id.to_string() == *id);
            world.comment_json(comment.ok_or_else(|| missing(world))?)
        }
        ["branches", name @ ..] => {
            let name = name.join("/");
            let tip = world.rev(&format!("refs/heads/{name}")).ok_or_else(|| missing(world))?;
            world.branch_json(&name, &tip, viewer)
        }
        ["branch_protections"] => {
            caller.known(world)?;
            if !caller.is(Role::Admin) {
                let words = "user should be an owner or a collaborator with admin write of a repository";
                return Err(refused(world, 403, words));
            }
            world.rule.iter().cloned().collect()
        }
        ["git", "refs", name @ ..] => refs(world, &name.join("/"))?,
        ["collaborators", login, "permission"] => permission(world, caller, login)?,
        _ => return Err(missing(world)),
    };
    Ok(Response::json(200, &body))
}

/// Only the merge result finds its pull request: the whole id, in lower case.
fn of_commit(world: &World, commit: &str, viewer: Option<&Account>) -> Response {
    let number = world.pulls.iter().find(|(_, pull)| world.merge_commit(pull).as_deref() == Some(commit));
    if let Some((number, _)) = number {
        return Response::json(200, &world.pull_json(*number, viewer));
    }
    if world.rev(commit).is_none_or(|whole| whole != commit) {
        return Response::json(404, &Value::Null);
    }
    let words = "pull request does not exist [id: 0, issue_id: 0, head_repo_id: 0, base_repo_id: ID, head_branch: , base_branch: ]";
    refused(world, 404, &words.replace("ID", &world.id.to_string()))
}

/// The newest status of each context of a rev, oldest context first.
fn statuses<'a>(world: &'a World, rev: &str) -> Result<(String, Vec<&'a Status>), Response> {
    let commit = world.rev(rev).or_else(|| world.rev(&format!("refs/heads/{rev}"))).ok_or_else(|| missing(world))?;
    let of = world.statuses.iter().filter(|status| status.commit == commit);
    let newest = |status: &&Status| {
        !world.statuses.iter().any(|s| s.commit == commit && s.context == status.context && s.id > status.id)
    };
    Ok((commit.clone(), of.filter(newest).collect()))
}

/// All refs that begin so: Forgejo compares the beginnings of names, and always answers with an array.
fn refs(world: &World, name: &str) -> Found {
    let all = world.git(&["for-each-ref", "--format=%(objectname) %(refname)"]).unwrap_or_default();
    let begins = format!("refs/{name}");
    let found = all.lines().filter_map(|line| line.split_once(' ')).filter(|(_, name)| name.starts_with(&begins));
    let found: Vec<_> = found.map(|(sha, name)| world.ref_json(name, sha)).collect();
    if found.is_empty() { Err(missing(world)) } else { Ok(found.into()) }
}

type Found = Result<Value, Response>;

fn permission(world: &World, caller: &Caller, login: &str) -> Found {
    let asks = caller.known(world)?;
    if asks.login != login && !caller.is(Role::Admin) {
        return Err(refused(
            world,
            403,
            "Only admins can query all permissions, repo admins can query all repo permissions, collaborators can query only their own",
        ));
    }
    let account = world.accounts.get(login).ok_or_else(|| missing(world))?;
    let word = match account.role {
        Role::Reader => "read",
        Role::Writer => "write",
        Role::Admin if account.login == world.owner => "owner",
        Role::Admin => "admin",
    };
    Ok(json!({"permission": word, "role_name": word, "user": world.user_json(account)}))
}

fn write(world: &mut World, request: &Request, caller: &Caller, method: &str, rest: &[&str]) -> Answer {
    let account = caller.known(world)?.clone();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match (method, rest) {
        ("POST", ["issues", n, "comments"]) => {
            unarchived(world)?;
            let n = number(world, n)?;
            if world.pulls[&n].locked && account.role < Role::Writer {
                return Err(refused(world, 403, "You cannot comment on a locked issue."));
            }
            let id = world.comment(n, &account.login, &text(&body, "body"));
            let comment = world.comments.iter().find(|comment| comment.id == id).unwrap();
            Ok(Response::json(201, &world.comment_json(comment)))
        }
        ("PATCH", ["issues", "comments", id]) => {
            unarchived(world)?;
            let now = world.tick();
            let Some(index) = world.comments.iter().position(|comment| comment.id.to_string() == *id) else {
                return Err(missing(world));
            };
            if world.comments[index].poster != account.login && account.role < Role::Writer {
                return Err(Response { status: 403, headers: vec![], body: vec![] });
            }
            world.comments[index].body = text(&body, "body");
            world.comments[index].updated = now;
            Ok(Response::json(200, &world.comment_json(&world.comments[index])))
        }
        // Measured: that the repository is archived is not looked at before the commit is.
        ("POST", ["statuses", commit]) => {
            if account.role < Role::Writer {
                return Err(refused(world, 403, "user should have a permission to write to a repo"));
            }
            let commit = world.rev(commit).ok_or_else(|| not_found(world, commit))?;
            let (id, at) = (world.id(), world.tick());
            let [state, context, description, target] =
                ["state", "context", "description", "target_url"].map(|name| text(&body, name));
            let status = Status { id, commit, context, state, description, target, by: account.login, at };
            let json = world.status_json(&status);
            world.statuses.push(status);
            Ok(Response::json(201, &json))
        }
        _ => Err(missing(world)),
    }
}

fn unarchived(world: &World) -> Result<(), Response> {
    if !world.archived {
        return Ok(());
    }
    Err(refused(world, 423, &format!("<Repository {}:{}> is archived", world.id, world.full_name())))
}

impl World {
    pub(super) fn comment(&mut self, pull: u64, poster: &str, body: &str) -> i64 {
        let (id, at) = (self.id(), self.tick());
        let (poster, body) = (poster.to_owned(), body.to_owned());
        self.comments.push(Comment { id, pull, poster, body, created: at, updated: at });
        id
    }
}
