//! The API of Forgejo (and of Gitea, which answers the same questions), for one repository.
//!
//! Pull requests are found by number or by merge result, never by paging through them. What the server prints is
//! foreign text, and a 401 of Forgejo repeats the token in it: everything is masked before it is shown or kept.

mod answers;
mod failures;

use std::{cell::OnceCell, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::{
    io::{
        clock,
        env::Env,
        http::{Http, NoReply, Question, Reply},
        secrets::Secrets,
        token::{self, Token},
    },
    model::{
        forge::{Account, Comment, ForgeUrl, NewStatus, Pull, Repository, Review, Status},
        ids::Oid,
        refusal::Code,
        text::shown,
    },
    port::{Answer, Forge, PortError},
};

pub use failures::{FAILURES, Failure};

/// How often a question is asked again, and for how long at most a server is waited for that asks for patience.
const TRIES: u32 = 3;
const PATIENCE_S: u64 = 20;
/// How many reviews or statuses are asked for at once; a server may send fewer.
const PAGE: usize = 50;
/// More pages are refused: no pull request has so many.
const PAGES_MAX: usize = 40;

/// The API of one repository.
pub struct Forgejo {
    url: ForgeUrl,
    env: Env,
    git_dir: PathBuf,
    http: Http,
    /// Found when the first question is asked.
    token: OnceCell<Option<Token>>,
    secrets: Secrets,
}

impl Forgejo {
    /// The API at an address, with the credential that this environment and the repository at `git_dir` have for it.
    /// Nothing is asked yet.
    pub fn new(url: ForgeUrl, git_dir: PathBuf, env: &Env) -> Self {
        let deadline = env.get("PLATFORMCTL_FORGEJO_TIMEOUT_S").and_then(|s| s.parse().ok()).map(Duration::from_secs);
        let secrets = Secrets::of(env, &[], &[]);
        Self { url, env: env.clone(), git_dir, http: Http::new(deadline), token: OnceCell::new(), secrets }
    }

    fn token(&self) -> Answer<Option<&Token>> {
        if self.token.get().is_none() {
            let found = token::find(&self.env, &self.git_dir, self.url.server())?;
            // Nobody else sets it: this runs on one thread.
            drop(self.token.set(found));
        }
        Ok(self.token.get().and_then(Option::as_ref))
    }

    fn secrets(&self) -> Secrets {
        let mut secrets = self.secrets.clone();
        if let Some(token) = self.token.get().and_then(Option::as_ref) {
            secrets.add(&Secrets::values(&[token.reveal().to_owned()]));
        }
        secrets
    }

    /// `/api/v1/repos/{owner}/{name}` and more.
    fn path(&self, more: &str) -> String {
        format!("/repos/{}{more}", self.url.repository())
    }

    /// Asks once. The token goes to the forge's own server and nowhere else.
    fn once(&self, method: &'static str, path: &str, json: Option<&[u8]>) -> Answer<Result<Reply, NoReply>> {
        let token = self.token()?.filter(|token| token.origin() == self.url.server());
        // A JWT is accepted as a bearer only, and older servers know `token` for the others.
        let authorization = token.map(|token| {
            let kind = if token.reveal().matches('.').count() == 2 { "Bearer" } else { "token" };
            format!("{kind} {}", token.reveal())
        });
        let url = format!("{}/api/v1{path}", self.url.server());
        Ok(self.http.ask(&Question { method, url: &url, authorization: authorization.as_deref(), json }))
    }

    /// Asks, and again where a server that is busy asks for patience or did not answer. What writes is asked once: an
    /// answer that was lost does not tell what was done.
    fn ask(&self, method: &'static str, path: &str, json: Option<&Value>) -> Answer<Reply> {
        let body = json.map(|json| json.to_string().into_bytes());
        let tries = if method == "GET" { TRIES } else { 1 };
        let mut patience_s = PATIENCE_S;
        let mut tried = 1;
        loop {
            let pause_s = match self.once(method, path, body.as_deref())? {
                Ok(reply) if matches!(reply.status, 429 | 502 | 503 | 504) && tried < tries => {
                    let pause_s = reply.retry_after_s.unwrap_or(1);
                    if pause_s > patience_s {
                        return Err(failures::of_reply(self, &reply));
                    }
                    pause_s
                }
                Ok(reply) => return Ok(reply),
                Err(NoReply::Unreachable(_)) if tried < tries => 1.min(patience_s),
                Err(no_reply) => return Err(failures::of_silence(self, &no_reply)),
            };
            patience_s -= pause_s;
            tried += 1;
            clock::pause(Duration::from_secs(pause_s));
        }
    }

    /// The JSON of a good answer; `None` for one that is not there, where the repository is.
    fn get(&self, path: &str) -> Answer<Option<(Value, Option<u64>)>> {
        let reply = self.ask("GET", path, None)?;
        if reply.status == 404 {
            // Splits "there is no such thing" from "the repository is invisible", by one question.
            self.repository()?;
            return Ok(None);
        }
        self.json(&reply).map(|json| Some((json, reply.total)))
    }

    fn json(&self, reply: &Reply) -> Answer<Value> {
        if !(200..300).contains(&reply.status) {
            return Err(failures::of_reply(self, reply));
        }
        let json = if reply.is_json { serde_json::from_slice(&reply.body).ok() } else { None };
        json.ok_or_else(|| failures::no_json(self, reply))
    }

    /// Every item of a list that comes in pages; `None` if there is no such list.
    fn pages<T>(&self, what: &str, path: &str, read: fn(&Value) -> Option<Vec<T>>) -> Answer<Option<Vec<T>>> {
        let mut items = Vec::new();
        for page in 1..=PAGES_MAX {
            let path = self.path(&format!("{path}?limit={PAGE}&page={page}"));
            let Some((json, total)) = self.get(&path)? else { return Ok(None) };
            let more = self.read(what, read(&json))?;
            let empty = more.is_empty();
            items.extend(more);
            match total {
                Some(total) if (items.len() as u64) < total && !empty => {}
                // Fewer than there are: one was deleted meanwhile, or the server hides some.
                Some(total) if (items.len() as u64) < total => return Err(self.strange(what)),
                Some(_) | None => return Ok(Some(items)),
            }
        }
        Err(self.strange(what))
    }

    fn send(&self, method: &'static str, path: &str, json: &Value) -> Answer<Value> {
        let reply = self.ask(method, path, Some(json))?;
        if reply.status == 404 {
            return Err(failures::not_written(self, &self.repository()?));
        }
        self.json(&reply)
    }

    /// The error for an answer whose shape is not the published one.
    fn strange(&self, what: &str) -> PortError {
        let fact = format!("the API of {} answered without a usable `{what}`", shown(self.url.host()));
        PortError::new(Code::ForgeAnswer, fact, "see that the address is that of Forgejo, or of Gitea 1.22 or newer")
    }

    fn read<T>(&self, what: &str, value: Option<T>) -> Answer<T> {
        value.ok_or_else(|| self.strange(what))
    }
}

impl Forge for Forgejo {
    fn url(&self) -> &ForgeUrl {
        &self.url
    }

    fn credential(&self) -> Option<&str> {
        // A source that cannot be used is reported by the first question.
        self.token().ok().flatten().map(Token::source)
    }

    fn version(&self) -> Answer<String> {
        let reply = self.ask("GET", "/version", None)?;
        let json = self.json(&reply)?;
        self.read("version", json.get("version").and_then(Value::as_str).map(str::to_owned))
    }

    fn repository(&self) -> Answer<Repository> {
        let reply = self.ask("GET", &self.path(""), None)?;
        let json = self.json(&reply)?;
        self.read("repository", answers::repository(&json))
    }

    fn pull(&self, pr: u64) -> Answer<Option<Pull>> {
        let Some((json, _)) = self.get(&self.path(&format!("/pulls/{pr}")))? else { return Ok(None) };
        let pull = self.read("pull request", answers::pull(&json))?;
        if pull.number == pr { Ok(Some(pull)) } else { Err(self.strange("number")) }
    }

    fn merged_as(&self, commit: Oid) -> Answer<Option<Pull>> {
        let Some((json, _)) = self.get(&self.path(&format!("/commits/{commit}/pull")))? else { return Ok(None) };
        self.read("pull request", answers::pull(&json)).map(Some)
    }

    fn reviews(&self, pr: u64) -> Answer<Vec<Review>> {
        let found = self.pages("reviews", &format!("/pulls/{pr}/reviews"), answers::reviews)?;
        found.ok_or_else(|| self.strange("reviews"))
    }

    fn statuses(&self, commit: Oid) -> Answer<Vec<Status>> {
        let found = self.pages("statuses", &format!("/commits/{commit}/status"), answers::statuses)?;
        Ok(found.unwrap_or_default())
    }

    fn account(&self) -> Answer<Option<Account>> {
        let Some(token) = self.token()? else { return Ok(None) };
        if let Some(account) = token.account() {
            return Ok(Some(account));
        }
        let reply = self.ask("GET", "/user", None)?;
        if matches!(reply.status, 403 | 404) {
            return Ok(None);
        }
        let json = self.json(&reply)?;
        self.read("account", answers::account(&json)).map(Some)
    }

    fn comments(&self, pr: u64) -> Answer<Vec<Comment>> {
        let Some((json, _)) = self.get(&self.path(&format!("/issues/{pr}/comments")))? else { return Ok(Vec::new()) };
        self.read("comments", answers::comments(&json))
    }

    fn comment(&self, pr: u64, body: &str) -> Answer<Comment> {
        let json = self.send("POST", &self.path(&format!("/issues/{pr}/comments")), &json!({ "body": body }))?;
        self.read("comment", answers::comment(&json))
    }

    fn edit_comment(&self, id: u64, body: &str) -> Answer<Comment> {
        let json = self.send("PATCH", &self.path(&format!("/issues/comments/{id}")), &json!({ "body": body }))?;
        self.read("comment", answers::comment(&json))
    }

    fn set_status(&self, commit: Oid, status: &NewStatus) -> Answer<Option<Account>> {
        let json = json!({
            "context": status.context,
            "state": status.state.as_str(),
            "description": status.description,
            "target_url": status.target_url.as_deref().unwrap_or_default(),
        });
        let json = self.send("POST", &self.path(&format!("/statuses/{commit}")), &json)?;
        Ok(json.get("creator").and_then(answers::account))
    }

    fn look_up(&self, path: &str) -> Answer<Option<Value>> {
        let more = if path.is_empty() { String::new() } else { format!("/{path}") };
        let reply = self.ask("GET", &self.path(&more), None)?;
        if matches!(reply.status, 403 | 404) {
            return Ok(None);
        }
        self.json(&reply).map(Some)
    }
}
