//! People are told: by a real ntfy server, and by webhooks that answer as they like.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use platformctl::{
    io::notify::Notifier,
    ledger::event::{Event, Kind},
    model::{
        alarm::{AlarmStep, Condition, Telling},
        digest::Digest,
        ending::Ending,
        evidence::Evidence,
        ids::Deployment,
        message::{About, Links, Message, News, TEXT_BYTES_MAX},
        notify::{Channel, ChannelKind, NotifyPolicy},
        status::{Difference, Finding},
        time::Timestamp,
    },
    port::{Ledger as _, Notify as _, Sign},
    record::{Record, append::Append},
};
use serde_json::{Value, json};

use crate::support::{
    ntfy::{Hook, Ntfy, TOKEN},
    site::Site,
};

/// A day, in minutes.
const DAY: i64 = 24 * 60;

/// A site whose pull request 1 is applied; what an apply of a later one does is in its manifest.
fn site(notify: &str) -> Site {
    let site = Site::empty(&format!("    activate: [[\"false\"]]\n{notify}"));
    site.activating(1, "one\n", "");
    site.repo.merge(1, "pr1");
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    site
}

/// `notify:` with an ntfy server.
fn by(ntfy: &Ntfy) -> String {
    format!("notify: {{ntfy: {{url: '{}', topic: ops}}}}\n", ntfy.url())
}

/// Merges pull request `n`, whose apply fails.
fn broken(site: &Site, n: u64) {
    site.activating(n, &format!("page {n}\n"), ", activate: [[\"false\"]]");
    site.repo.merge(n, &format!("pr{n}"));
}

/// Merges pull request `n`, whose apply works.
fn fixed(site: &Site, n: u64) {
    site.activating(n, &format!("page {n}\n"), "");
    site.repo.merge(n, &format!("pr{n}"));
}

fn clone(site: &Site, name: &str) -> PathBuf {
    site.repo.git_in(".", &["clone", "-q", "remote.git", name]);
    site.repo.path(name)
}

fn in_clone(site: &Site, dir: &Path, minutes: i64, args: &str) -> Output {
    let args: Vec<&str> = args.split(' ').collect();
    site.binary(dir, minutes, &args).output().unwrap()
}

/// The steps of alarms in the record, the oldest first.
fn steps(site: &Site) -> Vec<String> {
    let mut log: Vec<String> =
        site.log().iter().filter_map(|line| line.strip_prefix("observe: site on box, ").map(str::to_owned)).collect();
    log.reverse();
    log
}

/// The life of an alarm: it is told once, by whoever sees it first; it is told again each day; and when it is over, that
/// is told.
#[test]
fn held_release_is_told_once_and_recovery_as_well() {
    let ntfy = Ntfy::start();
    let site = site(&format!("{}approval: {{forge: 'https://git.example.org/ops/platform'}}\n", by(&ntfy)));
    assert_eq!(ntfy.messages("ops"), [] as [Value; 0], "what went well is told only if the policy asks for it");
    broken(&site, 2);
    let said = site.run(1, "apply site --pr 2");
    assert!(said.starts_with("exit 11\n") && !said.contains("warning"), "{said}");
    let [message] = &ntfy.messages("ops")[..] else { panic!("{:?}", ntfy.messages("ops")) };
    assert_eq!(message["title"], "HELD: site on box, PR #2");
    assert_eq!((&message["priority"], &message["tags"]), (&json!(4), &json!(["warning"])));
    let text = message["message"].as_str().unwrap();
    assert!(text.starts_with("PR #2 failed on box at 2026-09-21T14:14:20Z, and it was left as it is.\n"), "{text}");
    assert!(text.contains("host_failed: ") && text.ends_with("\nplatformctl show site"), "{text}");
    assert_eq!(message["click"], "https://git.example.org/ops/platform/pulls/2");
    assert_eq!(steps(&site), ["telling: held", "told by ntfy: held"]);

    // Nobody tells it again: neither this clone nor another one, whatever they run, also if it fails again.
    let other = clone(&site, "other");
    assert!(site.run(2, "resume").starts_with("exit 0\n"));
    assert_eq!(in_clone(&site, &other, 3, "resume").status.code(), Some(0));
    assert!(site.run(4, "apply site --pr 2 --retry").starts_with("exit 11\n"));
    assert_eq!(in_clone(&site, &other, DAY, "resume").status.code(), Some(0));
    assert_eq!(ntfy.titles("ops").len(), 1);

    assert_eq!(in_clone(&site, &other, DAY + 2, "resume").status.code(), Some(0));
    assert_eq!(ntfy.titles("ops")[1..], ["Still held: site on box, PR #2"]);
    assert!(site.run(DAY + 3, "resume").starts_with("exit 0\n"));

    // Another release that fails is another alarm.
    broken(&site, 3);
    assert!(site.run(DAY + 4, "apply site --pr 3 --retry").starts_with("exit 11\n"));
    assert_eq!(ntfy.titles("ops")[2..], ["HELD: site on box, PR #3"]);

    fixed(&site, 4);
    assert!(site.run(DAY + 5, "apply site --pr 4").starts_with("exit 0\n"));
    assert_eq!(ntfy.titles("ops")[3..], ["Over (held): site on box, PR #3"]);
    let last = ntfy.messages("ops").pop().unwrap();
    assert!(last["message"].as_str().unwrap().contains("Now PR #4 runs, since 2026-09-22T"), "{last}");
    assert_eq!(in_clone(&site, &other, DAY + 6, "resume").status.code(), Some(0));
    assert_eq!(ntfy.titles("ops").len(), 4);
    assert!(site.run(DAY + 7, "verify").starts_with("exit 0\n"));
    let ids: Vec<_> = ntfy.messages("ops").iter().map(|message| message["sequence_id"].clone()).collect();
    assert!(ids[0] == ids[1] && ids[1] != ids[2] && ids[2] == ids[3], "one alarm has one id: {ids:?}");
}

/// The binary in a folder, by the clock of this machine: what several processes do at once is not made equal.
fn now(site: &Site, dir: &Path, args: &str) -> Command {
    let args: Vec<&str> = args.split(' ').collect();
    let mut command = site.binary(dir, 0, &args);
    command.env_remove("PLATFORMCTL_TEST_CLOCK");
    command
}

/// Attack: ten runners see the same alarm at the same time, and a phone rings ten times.
/// Defence: a step in the record claims the telling, no two claims are equal, and the record takes one of them.
#[test]
fn ten_runners_tell_an_alarm_once() {
    let ntfy = Ntfy::start();
    let site = Site::empty("    activate: [[\"false\"]]\n");
    broken(&site, 1);
    assert_eq!(now(&site, &site.repo.work(), "apply site --pr 1").output().unwrap().status.code(), Some(11));
    told_from(&site, 2, &by(&ntfy));
    let clones: Vec<PathBuf> = (0..10).map(|n| clone(&site, &format!("runner{n}"))).collect();
    let together = || {
        let resume = |dir: &PathBuf| now(&site, dir, "resume").stdout(Stdio::null()).spawn().unwrap();
        let mut running: Vec<_> = clones.iter().map(resume).collect();
        assert!(running.iter_mut().all(|child| child.wait().unwrap().success()));
        ntfy.titles("ops")
    };
    for _ in 0..2 {
        assert_eq!(together(), ["HELD: site on box, PR #1"]);
    }
    // Nobody is to be told while it ends; then ten runners see that it is over.
    told_from(&site, 3, "");
    fixed(&site, 4);
    assert_eq!(now(&site, &site.repo.work(), "apply site --pr 4").output().unwrap().status.code(), Some(0));
    told_from(&site, 5, &by(&ntfy));
    assert_eq!(together()[1..], ["Over (held): site on box, PR #1"]);
    assert_eq!(
        steps(&site),
        ["telling: held", "told by ntfy: held", "telling that it is over: held", "over and told by ntfy: held"]
    );
}

/// A server that is down when an alarm is due is asked again after a quarter of an hour, not by each command.
#[test]
fn unreachable_server_is_asked_again_later() {
    let mut ntfy = Ntfy::start();
    let site = site(&by(&ntfy));
    broken(&site, 2);
    ntfy.stop();
    let said = site.run(1, "apply site --pr 2");
    assert!(said.starts_with("exit 11\n") && said.replace('\n', " ").contains("warning: ntfy at"), "{said}");
    ntfy.again();
    let other = clone(&site, "other");
    for (minutes, told) in [(2, 0), (15, 0), (16, 1), (40, 1)] {
        assert_eq!(in_clone(&site, &other, minutes, "resume").status.code(), Some(0));
        assert_eq!(ntfy.titles("ops").len(), told, "after {minutes} minutes");
    }
    assert_eq!(steps(&site), ["telling: held", "not told yet: held", "telling: held", "told by ntfy: held"]);
}

/// Merges a pull request by which `notify:` is what is given.
fn told_from(site: &Site, n: u64, notify: &str) {
    site.repo.branch(&format!("pr{n}"), "main");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    let before: Vec<&str> = policy.lines().filter(|line| !line.starts_with("notify:")).collect();
    site.repo.write("platform.yaml", &format!("{}\n{notify}", before.join("\n")));
    site.repo.commit("tell us");
    site.repo.propose(n);
    site.repo.merge(n, &format!("pr{n}"));
}

/// The record of the site's clone.
fn append(site: &Site, event: impl FnOnce(Event) -> Event) -> u64 {
    let real = site.real();
    let record = Record {
        source: &real.git,
        ledger: &real.git,
        remote: Some(&real.remote),
        clock: &real.clock,
        pinned: None,
        sign: Sign::IfConfigured,
    };
    let mut draft = event(record.draft(Kind::Observe).unwrap());
    (draft.module, draft.host) = (Some("site".parse().unwrap()), Some("box".parse().unwrap()));
    match record.append(&draft, None).unwrap() {
        Append::Done(done) => done.seq,
        Append::Moved(why) => panic!("{why}"),
    }
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_unix_s(1_790_000_000 + minutes * 60)
}

/// Attack: a runner is killed after it claimed an alarm and before it told anybody, so that nobody ever is.
/// Defence: a claim that is not answered within two minutes is taken over by whoever comes next.
#[test]
fn unanswered_claim_is_taken_over() {
    let ntfy = Ntfy::start();
    let site = site("");
    broken(&site, 2);
    assert!(site.run(1, "apply site --pr 2").starts_with("exit 11\n"));
    told_from(&site, 3, &by(&ntfy));
    let status = site.json(2, "show site")["status"].clone();
    let failed = status["hosts"]["box"]["failed"][0].clone();
    append(&site, |event| Event {
        time: at(2),
        alarm: Some(Telling {
            condition: Condition::Held,
            about: serde_json::from_value(failed["effective"].clone()).unwrap(),
            pr: Some(2),
            since: serde_json::from_value(failed["at"].clone()).unwrap(),
            step: AlarmStep::Telling,
            after: None,
            nonce: "0123456789abcdef".repeat(2),
            delivered: Vec::new(),
        }),
        ..event
    });
    assert!(site.run(3, "resume").starts_with("exit 0\n"));
    assert_eq!(ntfy.titles("ops"), [] as [String; 0], "the other one may be about to tell it");
    assert!(site.run(5, "resume").starts_with("exit 0\n"));
    assert_eq!(ntfy.titles("ops"), ["HELD: site on box, PR #2"]);
    assert_eq!(steps(&site), ["telling: held", "telling: held", "told by ntfy: held"]);
}

/// A channel that fails is a warning: the exit code, the change and the other channel are as without it. It is tried again
/// later, alone.
#[test]
fn failing_channel_is_a_warning() {
    let (mut ntfy, hook) = (Ntfy::start(), Hook::start());
    let notify = format!(
        "notify: {{ntfy: {{url: '{}', topic: ops}}, webhook: {{url: '{}/hook'}}, on: [applied]}}\n",
        ntfy.url(),
        hook.url()
    );
    let site = site(&notify);
    assert_eq!(ntfy.titles("ops"), ["Applied: site on box, PR #1"]);
    ntfy.stop();
    broken(&site, 2);
    let said = site.json(1, "apply site --pr 2");
    assert_eq!((&said["exit"], &said["outcome"]), (&json!(11), &json!("held")));
    let [warning] = &said["warnings"].as_array().unwrap()[..] else { panic!("{said}") };
    assert!(
        warning.as_str().unwrap().starts_with(&format!("ntfy at {} did not take a message: ", ntfy.url())),
        "{warning}"
    );
    assert_eq!(hook.posts().len(), 2);
    ntfy.again();
    let before = ntfy.titles("ops").len();
    assert!(site.run(10, "resume").starts_with("exit 0\n"));
    assert!(site.run(17, "resume").starts_with("exit 0\n"));
    assert_eq!(ntfy.titles("ops")[before..], ["HELD: site on box, PR #2"]);
    assert_eq!(hook.posts().len(), 2, "the one that took it is not asked again");
    // Both are told that it is over, and what ended it.
    fixed(&site, 3);
    assert_eq!(site.json(18, "apply site --pr 3")["exit"], 0);
    let titles = ["Over (held): site on box, PR #2", "Applied: site on box, PR #3"];
    assert_eq!(ntfy.titles("ops")[before + 1..], titles);
    let schema: Value = serde_json::from_str(include_str!("../../schema/notice.json")).unwrap();
    let mut schema = schema;
    schema["additionalProperties"] = false.into();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let notices: Vec<Value> = hook.posts().iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    for notice in &notices {
        assert!(validator.is_valid(notice), "{:?}", validator.iter_errors(notice).next());
    }
    let told: Vec<_> =
        notices.iter().map(|notice| (notice["news"].as_str().unwrap(), notice["condition"].clone())).collect();
    let held = json!("held");
    assert_eq!(told, [("applied", Value::Null), ("raised", held.clone()), ("over", held), ("applied", Value::Null)]);
    assert_eq!(
        (&notices[1]["module"], &notices[1]["host"], &notices[1]["pr"]),
        (&json!("site"), &json!("box"), &json!(2))
    );
    assert_eq!(notices[1]["links"], json!({"pull": null, "comment": null}), "which forge this is, is not known");
    assert!(hook.posts()[1].0.starts_with("POST /hook HTTP/1.1\r\n"), "{}", hook.posts()[1].0);
}

/// Attack: the server of a channel hangs, answers with megabytes, or with a page of a login, so that an apply hangs, fails, or takes an
/// alarm for delivered.
/// Defence: a message has five seconds and a bound on its answer, an answer of ntfy must be one of ntfy, and what fails is a warning.
#[test]
fn channel_cannot_delay_or_fail_an_apply() {
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>log in</html>\n";
    let json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"status\": \"ok\"}";
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}", "x".repeat(9 << 20));
    let to = |hook: &Hook| format!("ntfy: {{url: '{}', topic: ops}}", hook.url());
    let plain = Site::new();
    for (answer, why) in [
        (page, "the answer is not that of an ntfy server"),
        (json, "the answer is not that of an ntfy server"),
        (&endless, "the answer is larger than"),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "it refuses the token, or asks for one (401)"),
        ("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", "it takes no more messages for a while (429)"),
        ("junk", "did not take a message: "),
    ] {
        let hook = Hook::answering(answer);
        let said = send(&plain, &[], &to(&hook), &message("t", "x"));
        assert!(said.contains(why), "{why}: {said}");
        assert!(hook.posts()[0].0.starts_with("POST / HTTP/1.1"), "{:?}", hook.posts());
    }
    for (answer, why) in [("", "it did not answer in time"), (page, "the answer is not that of an ntfy server")] {
        let hook = Hook::answering(answer);
        let site = site(&format!("notify: {{{}}}\n", to(&hook)));
        broken(&site, 2);
        let begun = Instant::now();
        let said = site.json(1, "apply site --pr 2");
        assert!(begun.elapsed() < Duration::from_secs(15), "{why}: {:?}", begun.elapsed());
        assert_eq!((&said["exit"], &said["outcome"]), (&json!(11), &json!("held")), "{said}");
        let warnings = said["warnings"].to_string();
        assert!(warnings.contains("did not take a message: ") && warnings.contains(why), "{warnings}");
        assert_eq!(steps(&site), ["telling: held", "not told yet: held"], "{why}");
    }
}

/// Attack: the server of a channel redirects to another one, to get the token or the message there.
/// Defence: redirects are not followed.
#[test]
fn redirected_message_is_not_sent_on() {
    let other = Hook::start();
    let redirect =
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {}/x\r\nContent-Length: 0\r\n\r\n", other.url());
    let hook = Hook::answering(&redirect);
    let site = Site::new();
    let notify = format!("webhook: {{url: '{}/hook', token_env: PLATFORMCTL_NOTIFY_HOOK}}", hook.url());
    let said = send(&site, &[("PLATFORMCTL_NOTIFY_HOOK", "very-secret-token")], &notify, &message("t", "x"));
    assert!(said.contains("it redirects to another address (307)"), "{said}");
    assert!(hook.posts()[0].0.to_ascii_lowercase().contains("authorization: bearer very-secret-token"));
    assert_eq!(other.posts(), []);
}

fn message(title: &str, text: &str) -> Message {
    let site: Deployment = "site@box".parse().unwrap();
    let about = About {
        news: News::Raised,
        condition: Some(Condition::Held),
        genesis: None,
        deployment: Some(&site),
        pr: Some(7),
        which: Digest::of(b"x"),
        since: at(0),
        at: at(0),
    };
    Message::new(&about, title, text, Links::of(&"https://git.example.org/o/r".parse().unwrap(), 7, None))
}

/// Sends a message by the one channel of a `notify:`; what the notifier says.
fn send(site: &Site, vars: &[(&str, &str)], notify: &str, message: &Message) -> String {
    let policy: NotifyPolicy = serde_yaml::from_str(&format!("{{{notify}}}")).unwrap();
    let notifier = Notifier::new(&site.repo.env_with(vars));
    let [channel]: [Channel<'_>; 1] = policy.channels().try_into().unwrap();
    match notifier.send(channel, message) {
        Ok(()) => "delivered".to_owned(),
        Err(error) => format!("{error}"),
    }
}

/// The longest texts that are sent are taken by a real server, as text and not as an attachment, and they show what was sent.
#[test]
fn real_server_takes_the_longest_texts() {
    let (ntfy, site) = (Ntfy::start(), Site::new());
    let to = format!("ntfy: {{url: '{}/', topic: ops}}", ntfy.url());
    let texts = [
        "x".repeat(9_000),
        "€".repeat(3_000),
        "\"\n".repeat(3_000),
        "🚨é\u{1b}".repeat(700),
        "*b* [x](javascript:y) `c`".to_owned(),
    ];
    for text in &texts {
        assert_eq!(send(&site, &[], &to, &message(&"Ä".repeat(100), text)), "delivered");
    }
    let messages = ntfy.messages("ops");
    for (message, text) in messages.iter().zip(&texts) {
        assert_eq!(
            (&message["attachment"], &message["content_type"]),
            (&Value::Null, &Value::Null),
            "it is plain text"
        );
        let shown = message["message"].as_str().unwrap();
        assert!(shown.chars().next() == text.chars().next(), "{shown}");
        assert_eq!(text.len() > TEXT_BYTES_MAX, shown.ends_with("… (cut)"), "{shown}");
        assert_eq!(message["title"].as_str().unwrap(), format!("{}…", "Ä".repeat(59)));
        assert_eq!(message["click"], "https://git.example.org/o/r/pulls/7");
        assert_eq!(message["actions"][0]["url"], "https://git.example.org/o/r/pulls/7");
    }
    assert_eq!(messages[4]["message"], texts[4].as_str());
}

/// A guarded server takes the token from the variable that the policy names, or from the file that the variable with
/// `_FILE` names.
#[test]
fn token_comes_from_a_variable_or_a_file() {
    let (ntfy, site) = (Ntfy::guarded(), Site::new());
    let to = format!("ntfy: {{url: '{}', topic: ops, token_env: PLATFORMCTL_NOTIFY_NTFY}}", ntfy.url());
    let file = site.repo.path("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let file = file.display().to_string();
    let said = |vars: &[(&str, &str)]| send(&site, vars, &to, &message("t", "x"));
    assert_eq!(said(&[("PLATFORMCTL_NOTIFY_NTFY", TOKEN)]), "delivered");
    assert_eq!(said(&[("PLATFORMCTL_NOTIFY_NTFY_FILE", &file)]), "delivered");
    assert!(said(&[]).contains("neither PLATFORMCTL_NOTIFY_NTFY nor PLATFORMCTL_NOTIFY_NTFY_FILE is set"));
    assert!(said(&[("PLATFORMCTL_NOTIFY_NTFY_FILE", "/nonexistent")]).contains("cannot be read"));
    assert!(said(&[("PLATFORMCTL_NOTIFY_NTFY", "a b\r\nX: y")]).contains("spaces or line breaks"));
    let wrong = said(&[("PLATFORMCTL_NOTIFY_NTFY", "tk_wrongwrongwrongwrongwrongwron")]);
    assert!(wrong.contains("it refuses the token, or asks for one (401)") && !wrong.contains("tk_wrong"), "{wrong}");
    let open = format!("ntfy: {{url: '{}', topic: ops}}", ntfy.url());
    assert!(send(&site, &[], &open, &message("t", "x")).contains("(403)"));
    assert_eq!(ntfy.messages("ops").len(), 2);
}

/// Attack: a token of a channel, or another secret of the environment, gets into a message, the output, the log or the record.
/// Defence: tokens are read where they are sent and nowhere else, and every message is masked.
#[test]
fn secrets_are_in_no_message_output_or_record() {
    const SECRET: &str = "s3cret-of-the-runner";
    let (hook, site) = (Hook::start(), Site::new());
    let to = format!("webhook: {{url: '{}', token_env: PLATFORMCTL_NOTIFY_HOOK}}", hook.url());
    let vars = [("PLATFORMCTL_NOTIFY_HOOK", TOKEN), ("MY_PASSWORD", SECRET)];
    let text = format!("host_failed: login with {SECRET} or {TOKEN}");
    assert_eq!(send(&site, &vars, &to, &message(SECRET, &text)), "delivered");
    let (head, body) = hook.posts().remove(0);
    assert!(!body.contains(SECRET) && !body.contains(TOKEN) && body.contains("login with *** or ***"), "{body}");
    assert_eq!(head.matches(TOKEN).count(), 1, "in its header alone: {head}");
    // The same where a file has it, which no variable shows.
    let file = site.repo.path("token").display().to_string();
    fs::write(&file, TOKEN).unwrap();
    let vars = [("PLATFORMCTL_NOTIFY_HOOK_FILE", file.as_str())];
    assert_eq!(send(&site, &vars, &to, &message("t", &text)), "delivered");
    let (_, body) = hook.posts().remove(1);
    assert!(!body.contains(TOKEN), "{body}");

    let hook = Hook::answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    let site =
        self::site(&format!("notify: {{webhook: {{url: '{}', token_env: PLATFORMCTL_NOTIFY_HOOK}}}}\n", hook.url()));
    broken(&site, 2);
    let mut command = site.binary(&site.repo.work(), 1, &["apply", "site", "--pr", "2", "-vv"]);
    let output = command.env("PLATFORMCTL_NOTIFY_HOOK", TOKEN).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("it answered with 500") && !said.contains(TOKEN), "{said}");
    let record = site.repo.git_in("remote.git", &["log", "-p", "--all", "--format=%B"]);
    assert!(record.contains("PLATFORMCTL_NOTIFY_HOOK") && !record.contains(TOKEN), "the policy names the variable");
}

/// Attack: a child of the program, git with its helpers and hooks for instance, reads the token of a channel from its environment.
/// Defence: no child inherits variables for notices.
#[test]
fn children_do_not_inherit_tokens_for_notices() {
    let site = Site::new();
    let ssh = site.repo.path("ssh");
    let seen = site.repo.path("seen");
    fs::write(&ssh, format!("#!/bin/sh\nenv >'{}'\nexit 1\n", seen.display())).unwrap();
    assert!(Command::new("chmod").arg("755").arg(&ssh).status().unwrap().success());
    site.repo.git(&["remote", "set-url", "origin", "ssh://git@nowhere.invalid/x.git"]);
    let mut command = site.binary(&site.repo.work(), 0, &["resume"]);
    let vars = [("PLATFORMCTL_NOTIFY_HOOK", TOKEN), ("GIT_SSH_COMMAND", ssh.to_str().unwrap())];
    assert_eq!(command.envs(vars).output().unwrap().status.code(), Some(9));
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("GIT_SSH_COMMAND=") && !seen.contains("PLATFORMCTL_NOTIFY_"), "{seen}");
}

/// Attack: someone pushes a policy to the base without a review, which sends alarms elsewhere, or nowhere.
/// Defence: the channels are those of the policy in force.
#[test]
fn unreviewed_policy_does_not_change_who_is_told() {
    let (ntfy, hook) = (Ntfy::start(), Hook::start());
    let site = site(&by(&ntfy));
    broken(&site, 2);
    site.repo.git(&["checkout", "-q", "main"]);
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    let mut child =
        site.binary(&site.repo.work(), 1, &["apply", "site", "--pr", "2"]).stdout(Stdio::null()).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(11));
    assert_eq!(ntfy.titles("ops").len(), 1);
    for notify in [format!("notify: {{webhook: {{url: '{}'}}}}\n", hook.url()), String::new()] {
        site.repo.write("platform.yaml", &policy.replace(&by(&ntfy), &notify));
        site.repo.commit("quietly");
        site.repo.publish();
        let minutes = 2 + DAY * i64::try_from(ntfy.titles("ops").len()).unwrap();
        assert!(site.run(minutes, "resume").starts_with("exit 0\n"));
    }
    assert_eq!(ntfy.titles("ops")[1..], ["Still held: site on box, PR #2"; 2]);
    assert_eq!(hook.posts(), []);
}

/// Attack: someone rewinds or replaces the record on the remote, while nobody looks at a terminal.
/// Defence: whoever was told of alarms before is told at once, once, and when it is valid again.
#[test]
fn tampered_record_is_told_once_by_a_clone() {
    let ntfy = Ntfy::start();
    let site = site(&by(&ntfy));
    let (tip, older) =
        (site.repo.git(&["rev-parse", "refs/platform/state"]), site.repo.git(&["rev-parse", "refs/platform/state~1"]));
    let put = |id: &str| site.repo.git_in("remote.git", &["update-ref", "refs/platform/state", id]);
    put(&older);
    for (minutes, command) in
        [(1, "apply site --pr 1"), (2, "resume"), (3, "verify"), (4, "apply site --pr 1"), (DAY, "verify")]
    {
        let said = site.run(minutes, command);
        assert!(said.starts_with("exit 20\n") && !said.contains("warning"), "{command}: {said}");
        assert_eq!(ntfy.titles("ops"), ["TAMPERED: state_rewound on origin"], "{command}");
    }
    let message = ntfy.messages("ops").remove(0);
    assert_eq!(message["priority"], 5);
    let text = message["message"].as_str().unwrap();
    assert!(text.contains(&tip) && text.contains(&older), "{text}");
    assert!(site.run(DAY + 2, "abandon 20261122T101530Z-1a2b3c4d --reason x").starts_with("exit 20\n"));
    assert_eq!(ntfy.titles("ops").len(), 2, "it lasts: told again after a day");
    put(&tip);
    assert!(site.run(DAY + 3, "apply site --pr 1").starts_with("exit 0\n"));
    assert_eq!(ntfy.titles("ops")[2..], ["Over (tampered): the record on origin"]);
    assert!(site.run(DAY + 4, "apply site --pr 1").starts_with("exit 0\n"));
    assert_eq!(ntfy.titles("ops").len(), 3);
}

/// A clone that saw no record before, like that of a CI job, knows whom to tell by the records up to the one that is not
/// valid. Only what the base has too counts.
#[test]
fn new_clone_tells_of_a_record_that_is_not_valid() {
    let (ntfy, hook) = (Ntfy::start(), Hook::start());
    let site = site(&by(&ntfy));
    let tip = site.repo.git(&["rev-parse", "refs/platform/state"]);
    let tree = site.repo.git(&["rev-parse", "refs/platform/state^{tree}"]);
    let junk = site.repo.git_in("remote.git", &["commit-tree", &tree, "-p", &tip, "-m", "apply ok: site on box"]);
    site.repo.git_in("remote.git", &["update-ref", "refs/platform/state", &junk]);
    let fresh = |name: &str| in_clone(&site, &clone(&site, name), 1, "resume").status.code();
    assert_eq!((fresh("one"), ntfy.titles("ops")), (Some(20), vec!["TAMPERED: state_invalid on origin".to_owned()]));
    assert_eq!(fresh("two"), Some(20));
    let messages = ntfy.messages("ops");
    assert_eq!(messages.len(), 2, "a clone that is thrown away forgets");
    assert_eq!(messages[0]["sequence_id"], messages[1]["sequence_id"], "a phone shows one of them");
    site.repo.git(&["checkout", "-q", "main"]);
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    let notify = format!("notify: {{webhook: {{url: '{}'}}}}\n", hook.url());
    site.repo.write("platform.yaml", &policy.replace(&by(&ntfy), &notify));
    site.repo.commit("quietly");
    site.repo.publish();
    assert_eq!(fresh("three"), Some(20));
    assert_eq!(
        (hook.posts().len(), ntfy.messages("ops").len()),
        (0, 2),
        "nobody is told by what only one of the two has"
    );
}

/// A change whose outcome the remote does not take is told at once, although the record cannot say that it was.
#[test]
fn unrecorded_change_is_told_at_once() {
    let ntfy = Ntfy::start();
    let site = site(&by(&ntfy));
    fixed(&site, 2);
    // The intent of the second apply is taken, and its outcome is not.
    let hook = site.repo.path("remote.git/hooks/pre-receive");
    let script =
        "#!/bin/sh\nread old new ref\ngit log -1 --format=%s \"$new\" | grep -q '^apply ok: .*#2' && exit 1\nexit 0\n";
    fs::write(&hook, script).unwrap();
    assert!(Command::new("chmod").arg("755").arg(&hook).status().unwrap().success());
    let said = site.run(1, "apply site --pr 2");
    assert!(said.starts_with("exit 15\n"), "{said}");
    assert_eq!(ntfy.titles("ops"), ["Unrecorded: site on box, PR #2"]);
    let text = ntfy.messages("ops")[0]["message"].as_str().unwrap().to_owned();
    let run = site.json(1, "status")["open_runs"][0]["run"].as_str().unwrap().to_owned();
    assert!(
        text.starts_with("PR #2 was applied on box and is healthy, but that is not recorded on the remote yet."),
        "{text}"
    );
    assert!(text.ends_with(&format!("\nplatformctl resume {run}")), "{text}");
    fs::remove_file(&hook).unwrap();
    assert!(site.run(2, "resume").starts_with("exit 0\n"));
    assert_eq!(ntfy.titles("ops")[1..], ["Over (unrecorded): site on box, PR #2"]);
    assert!(site.run(3, "resume").starts_with("exit 0\n"));
    assert_eq!(ntfy.titles("ops").len(), 2);
}

/// A run that nobody ended is told by whoever comes next, once its time is over: a killed runner tells nothing.
#[test]
fn unfinished_run_is_told_by_the_next_command() {
    let ntfy = Ntfy::start();
    let site = Site::empty(&format!("    activate: [[sleep, \"4\"]]\n{}", by(&ntfy)));
    site.activating(1, "one\n", ", activate: [[sleep, \"4\"]]");
    site.repo.merge(1, "pr1");
    let mut child = site
        .binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1", "--json"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..400 {
        if site.live() == "one\n" {
            break;
        }
        sleep(Duration::from_millis(25));
    }
    assert_eq!(site.live(), "one\n");
    child.kill().unwrap();
    child.wait().unwrap();
    let other = clone(&site, "other");
    let run = site.json(1, "status")["open_runs"][0]["run"].as_str().unwrap().to_owned();
    assert_eq!(in_clone(&site, &other, 1, "resume").status.code(), Some(8));
    assert_eq!(ntfy.titles("ops"), [] as [String; 0], "it may be going on");
    // An apply that finds it is refused, and tells it.
    assert_eq!(in_clone(&site, &other, 61, "apply site --pr 1").status.code(), Some(8));
    assert_eq!(ntfy.titles("ops"), ["Unfinished: site on box"]);
    assert!(ntfy.messages("ops")[0]["message"].as_str().unwrap().ends_with(&format!("\nplatformctl resume {run}")));
    sleep(Duration::from_secs(4));
    let said = site.told(&in_clone(&site, &other, 62, "resume"));
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!(ntfy.titles("ops")[1..], ["Over (unfinished): site on box"]);
}

/// Drift is told after two looks that are ten minutes apart and found it, and not by one.
#[test]
fn drift_is_told_after_ten_minutes() {
    let ntfy = Ntfy::start();
    let site = site(&by(&ntfy));
    let found = |minutes: i64, subjects: &[&str]| {
        let finding =
            |subject: &&str| Finding { subject: (*subject).to_owned(), difference: Difference::Missing, seen: None };
        let findings = Some(subjects.iter().map(finding).collect());
        append(&site, |event| Event { time: at(minutes), findings, ..event });
        assert!(site.run(minutes, "resume").starts_with("exit 0\n"));
        ntfy.titles("ops").len()
    };
    assert_eq!(found(1, &["index.html"]), 0);
    assert_eq!(found(8, &["index.html"]), 0);
    assert_eq!(found(9, &[]), 0, "it was as recorded in between");
    assert_eq!(found(12, &["index.html"]), 0);
    assert_eq!(found(21, &["index.html"]), 0);
    assert_eq!(found(22, &["a\u{200b}", "index.html"].map(|it| it.trim_end_matches('\u{200b}'))), 1);
    assert_eq!(found(40, &["index.html"]), 1);
    assert_eq!(ntfy.titles("ops"), ["Drift: site on box, PR #1"]);
    let text = ntfy.messages("ops")[0]["message"].as_str().unwrap().to_owned();
    assert!(text.contains("since 2026-09-21T14:25:20Z:\na is gone\nindex.html is gone\n"), "{text}");
    assert_eq!(found(41, &[]), 2);
    assert_eq!(ntfy.titles("ops")[1..], ["Over (drift): site on box, PR #1"]);
    assert_eq!(
        steps(&site).iter().filter(|step| step.contains("drift")).count(),
        4,
        "claimed and answered, twice: {:?}",
        steps(&site)
    );
}

/// A release that was rolled back is told as that: what runs is the one before it.
#[test]
fn rolled_back_release_is_told() {
    let ntfy = Ntfy::start();
    let site = site(&by(&ntfy));
    let intent = site.json(1, "show 2")["records"][0]["event"].clone();
    let intent: Event = serde_json::from_value(intent).unwrap();
    assert_eq!(intent.kind, Kind::ApplyIntent);
    let real = site.real();
    let record = Record {
        source: &real.git,
        ledger: &real.git,
        remote: Some(&real.remote),
        clock: &real.clock,
        pinned: None,
        sign: Sign::IfConfigured,
    };
    let append = |event: &Event| match record.append(event, None).unwrap() {
        Append::Done(done) => done.commit,
        Append::Moved(why) => panic!("{why}"),
    };
    let run = Some("20260922T101530Z-00000002".parse().unwrap());
    let opened = Event { run, effective: Some(Digest::of(b"another release")), time: at(1), ..intent };
    let id = append(&opened);
    let evidence =
        Evidence { failed: Some("probe_failed".into()), why: Some("no\u{1b}[2J answer".into()), ..Evidence::default() };
    let draft = Event::draft(Kind::ApplyOutcome, at(2), opened.actor.clone());
    append(&draft.answering(id, &opened, Ending::RolledBack, evidence));
    assert!(site.run(3, "resume").starts_with("exit 0\n"));
    assert_eq!(ntfy.titles("ops"), ["Rolled back: site on box, PR #1"]);
    let text = ntfy.messages("ops")[0]["message"].as_str().unwrap().to_owned();
    let words = "and the release before it runs again.\nprobe_failed: no\\u{1b}[2J answer\nplatformctl show site";
    assert!(text.ends_with(words), "{text}");
}

/// Break-glass is told at once, before the change is over, with who did it and why; and once.
#[test]
fn broken_glass_is_told_at_once() {
    let ntfy = Ntfy::start();
    let site = site(&by(&ntfy));
    // A direct push, which no review covers.
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.write("modules/site/public/index.html", "direct\n");
    site.repo.commit("direct push");
    site.repo.publish();
    fixed(&site, 2);
    let args = ["apply", "site", "--pr", "2", "--break-glass", "--reason", "the shop is down"];
    let said = site.told(&site.binary(&site.repo.work(), 1, &args).output().unwrap());
    assert!(said.starts_with("exit 0\n") && !said.contains("warning: ntfy"), "{said}");
    assert_eq!(ntfy.titles("ops"), ["Break-glass: site on box, PR #2"]);
    let text = ntfy.messages("ops")[0]["message"].as_str().unwrap().to_owned();
    assert!(
        text.starts_with("Ola applies PR #2 on box past reviews: the shop is down\nA merged pull request should"),
        "{text}"
    );
    let log = site.log();
    let order = [
        "apply ok: site on box, PR #2",
        "observe: site on box, told by ntfy: break-glass",
        "observe: site on box, telling: break-glass",
        "apply intent: site on box, PR #2",
    ];
    for (line, begin) in log.iter().zip(order) {
        assert!(line.starts_with(begin), "{begin}: {log:?}");
    }
    assert!(site.run(2, "resume").starts_with("exit 0\n"));
    assert_eq!(ntfy.titles("ops").len(), 1);
    assert!(site.run(DAY + 2, "resume").starts_with("exit 0\n"));
    assert_eq!(
        ntfy.titles("ops")[1..],
        ["Still break-glass: site on box, PR #2"],
        "no merged pull request contains it yet"
    );
}

/// What a runner leaves to a person is told once for each pull request; that it no longer waits is not told.
#[test]
fn waiting_pull_request_is_told_once() {
    let ntfy = Ntfy::start();
    let site = site(&by(&ntfy));
    fixed(&site, 2);
    let auto = |minutes| {
        let said = site.run(minutes, "apply --pending --auto");
        assert!(said.starts_with("exit 0\n"), "{said}");
        ntfy.titles("ops").len()
    };
    let alarms = || site.repo.git_in("remote.git", &["ls-tree", "--name-only", "-r", "refs/platform/state", "alarms"]);
    assert_eq!((auto(1), auto(2)), (1, 1));
    assert_eq!(ntfy.titles("ops"), ["Waits for you: site on box, PR #2"]);
    let message = ntfy.messages("ops").remove(0);
    let text = message["message"].as_str().unwrap();
    let words = "PR #2 is not applied on box by itself: site is applied by a person: its module.yaml says so\nplatformctl apply site --pr 2";
    assert_eq!((text, &message["priority"]), (words, &json!(3)), "nothing is broken");
    // A command that did not look leaves it alone.
    assert!(site.run(3, "resume").starts_with("exit 0\n"));
    assert_eq!(alarms(), "alarms/site@box.json");
    fixed(&site, 3);
    assert_eq!(auto(4), 2, "another pull request");
    // Applied by a person: it is over by the record itself.
    assert!(site.run(5, "apply site --pr 3").starts_with("exit 0\n"));
    assert_eq!((ntfy.titles("ops").len(), alarms().as_str()), (2, ""));
    fixed(&site, 4);
    assert_eq!((auto(6), alarms().as_str()), (3, "alarms/site@box.json"));
    assert_eq!(auto(6 + DAY), 4);
    assert_eq!(ntfy.titles("ops")[3..], ["Still waits for you: site on box, PR #4"]);
}

#[test]
fn nothing_is_recorded_where_nobody_is_to_be_told() {
    let site = site("");
    broken(&site, 2);
    assert!(site.run(1, "apply site --pr 2").starts_with("exit 11\n"));
    assert_eq!(steps(&site), [] as [String; 0]);
    assert_eq!(site.repo.open().note("alarms.json").unwrap(), None);
    assert_eq!(ChannelKind::Ntfy.as_str(), "ntfy");
}
