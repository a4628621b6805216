//! What a runner of Actions says of the run that this is a step of. It is the runner's word: a workflow can set every
//! variable, so nothing is proven by it.

use crate::{
    io::env::Env,
    model::via::{self, Via},
};

/// The account that acts where a runner does not say who started the run.
const AUTOMATIC: &str = "forgejo-actions";
/// Longer names are no accounts of a forge.
const LOGIN_BYTES_MAX: usize = 100;

/// A value of the runner by its Forgejo name, or else by the one that every runner has.
fn of<'a>(env: &'a Env, name: &str) -> Option<&'a str> {
    ["FORGEJO", "GITHUB"].into_iter().find_map(|prefix| env.get(&format!("{prefix}_{name}")))
}

/// The run, if this is a step of one and it is described in the form that a record takes.
pub(super) fn via(env: &Env) -> Option<Via> {
    let run = env.is_runner();
    let (server, repository) = (of(env, "SERVER_URL")?, of(env, "REPOSITORY")?);
    Via::new(server, repository, of(env, "RUN_ID")?).ok().filter(|_| run)
}

/// Name and e-mail of the person who started the run, if this is a step of one: the account, and its noreply address on
/// the server. Of a run that names nobody, or somebody whose name is none, it is the automatic account.
pub(super) fn person(env: &Env) -> Option<(String, String)> {
    if !env.is_runner() {
        return None;
    }
    // `renovate[bot]` is an account as well.
    let is_login = |login: &&str| {
        login.len() <= LOGIN_BYTES_MAX
            && login.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && login.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.[]".contains(&b))
    };
    let login = of(env, "ACTOR").filter(is_login).unwrap_or(AUTOMATIC);
    let host = of(env, "SERVER_URL").and_then(via::host).filter(|host| !host.starts_with('[')).unwrap_or("localhost");
    Some((login.to_owned(), format!("{login}@noreply.{host}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: [(&str, &str); 5] = [
        ("FORGEJO_ACTIONS", "true"),
        ("FORGEJO_SERVER_URL", "https://git.example.org:3000"),
        ("FORGEJO_REPOSITORY", "ops/platform"),
        ("FORGEJO_RUN_ID", "42"),
        ("FORGEJO_ACTOR", "kim"),
    ];

    fn env(vars: &[(&str, &str)]) -> Env {
        Env::of(vars.iter().map(|(name, value)| (name.into(), value.into())), "/".into())
    }

    fn told(vars: &[(&str, &str)]) -> String {
        let env = env(vars);
        let person = person(&env).map_or_else(|| "nobody".to_owned(), |(name, email)| format!("{name} <{email}>"));
        format!("{person}; {}", via(&env).map_or_else(|| "no run".to_owned(), |via| via.to_string()))
    }

    #[test]
    fn a_run_says_who_started_it() {
        const WHOLE: &str = "kim <kim@noreply.git.example.org>; run 42 of ops/platform on https://git.example.org:3000";
        assert_eq!(told(&RUN), WHOLE);
        let older = RUN.map(|(name, value)| (name.replace("FORGEJO", "GITHUB"), value));
        let older: Vec<(&str, &str)> = older.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(told(&older), WHOLE, "a runner before 7 sets GITHUB_* alone");
        assert_eq!(told(&RUN[1..]), "nobody; no run", "the variables mean nothing outside of a run");
        assert_eq!(told(&RUN[..1]), "forgejo-actions <forgejo-actions@noreply.localhost>; no run");
        let with = |name, value| told(&[&RUN[..], &[(name, value)]].concat());
        assert!(with("FORGEJO_ACTOR", "renovate[bot]").starts_with("renovate[bot] <renovate[bot]@noreply."));
        let long = "k".repeat(101);
        for name in ["kim <root@example.org>", "a b", "-x", "a\nb", "\u{202e}kim", "[2J", &long] {
            assert!(with("FORGEJO_ACTOR", name).starts_with("forgejo-actions <"), "{name:?}");
        }
        assert!(with("FORGEJO_RUN_ID", "42; rm").ends_with("; no run"));
        assert_eq!(with("FORGEJO_SERVER_URL", "https://u:p@h"), "kim <kim@noreply.localhost>; no run");
    }
}
