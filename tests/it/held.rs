//! Watching a change on a real engine: when it ends, and what an operator is told when it does not end well.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use crate::support::stack::{Stack, until};

/// Healthy for some seconds, and from then on unhealthy.
const TURNS: &str = "command: [sh, -c, 'sleep 4; touch /tmp/bad; sleep 600']\n\
     healthcheck: {test: [CMD, test, '!', -e, /tmp/bad], interval: 1s, timeout: 1s, retries: 2}";
/// Never healthy.
const NEVER: &str =
    "healthcheck: {test: [CMD, test, -e, /nowhere], interval: 1s, timeout: 1s, retries: 2, start_period: 2s}";

/// Attack: an unhealthy release keeps receiving requests for minutes until the deadline passes
/// Defence: a container that Docker reports as unhealthy is held immediately
#[test]
fn unhealthy_container_is_held_immediately() {
    let stack = Stack::new();
    for (n, service) in [(1, TURNS), (2, NEVER)] {
        stack.change(n, |stack| {
            stack.compose(&[("app", service)]);
            stack.manifest("health: {settle_s: 40, deadline_s: 100}\n");
        });
        let begun = Instant::now();
        let said = stack.run(n as i64, &format!("apply app --pr {n}"));
        let took_s = begun.elapsed().as_secs();
        assert!(said.contains("HELD probe_failed (11)") && said.contains("app is unhealthy"), "{said}");
        assert!(took_s < 30, "{took_s} s");
    }
}

/// A window of N seconds lasts N seconds, and the plan says what it does not see.
#[test]
fn settle_window_has_the_configured_length() {
    let stack = Stack::new();
    let verify_ms = |args: &str| {
        let applied = stack.json(1, args);
        assert_eq!(applied["exit"], 0, "{applied}");
        applied["durations_ms"]["verify"].as_u64().unwrap()
    };
    // Without a window it is one look, which takes its time on a busy machine.
    stack.change(1, |stack| {
        stack.compose(&[("app", "restart: always")]);
        stack.manifest("health: {settle_s: 0, deadline_s: 60}\n");
    });
    let look_ms = verify_ms("apply app --pr 1").max(verify_ms("apply app --again"));
    stack.change(2, |stack| stack.manifest("health: {settle_s: 3, deadline_s: 60}\n"));
    let first = verify_ms("apply app --pr 2");
    let mut late = std::iter::once(first).chain((0..5).map(|_| verify_ms("apply app --again"))).map(|ms| ms - 3_000);
    let allowed_ms = 500 + if look_ms > 250 { 2 * look_ms } else { 0 };
    let lates: Vec<u64> = late.by_ref().take_while(|late_ms| *late_ms > allowed_ms).collect();
    assert!(lates.len() < 6, "later than half a second: {lates:?} ms, one look takes {look_ms} ms");

    stack.change(3, |stack| {
        let check = |more: &str| format!("healthcheck: {{test: [CMD, 'true']{more}}}");
        stack.compose(&[("app", &check("")), ("often", &check(", interval: 1s")), ("slow", &check(", interval: 1m"))]);
    });
    let warnings = stack.json(3, "plan app")["warnings"].to_string();
    let says = "the settle window lasts 3 s (health.settle_s): the health check of app runs every 30 s, of which it sees 10 %; \
                the health check of slow runs every 60 s, of which it sees 5 %";
    assert!(warnings.contains(says), "{warnings}");
}

/// A secret as it stands in a file and as it is said; nobody ever sees it.
const CANARIES: &[(&str, &str)] = &[
    (
        "app.env",
        "PLAIN=c4n4ry-plain\nSINGLE='c4n4ry$x/.*[y]'\nDOUBLE=\"c4n4ry \\\"two\\\"\"\nexport NOTED=c4n4ry-noted # a remark\nSHORT=no\n",
    ),
    ("app.pem", "-----BEGIN KEY-----\nc4n4ryAAAA0123456789\nc4n4ryBBBB0123456789\n-----END KEY-----\n"),
    ("app.json", "{\n  \"password\": \"c4n4ry:json\",\n  \"other\": \"c4n4ry-last\"\n}\n"),
];

/// Prints all of them, on both streams, and what a terminal would obey.
const TALKS: &str = "command:\n- sh\n- -c\n- |\n  . /run/app.env\n  echo \"plain $$PLAIN, single $$SINGLE\"; echo \"double $$DOUBLE\" >&2; \
     echo \"noted $$NOTED; short $$SHORT\"\n  cat /run/app.pem /run/app.json\n  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo \"line $$i\"; done\n  \
     printf 'good\\033[2Jbye'\n  exit 3\n\
     volumes: ['${PLATFORM_SECRETS}/app.env:/run/app.env:ro', '${PLATFORM_SECRETS}/app.pem:/run/app.pem:ro', '${PLATFORM_SECRETS}/app.json:/run/app.json:ro']";

/// Attack: a container prints its secrets before it exits, and platformctl shows its last log lines
/// Defence: the host masks every value of the module's secret files before sending anything, and sends nothing if it cannot mask
#[test]
fn container_output_is_masked() {
    let stack = Stack::new();
    for (file, text) in CANARIES {
        stack.secret(file, text);
    }
    let secrets = "secrets: [{file: app.env}, {file: app.pem}, {file: app.json}]\n";
    stack.change(1, |stack| {
        stack.compose(&[("app", TALKS)]);
        stack.manifest(&format!("health: {{settle_s: 2, deadline_s: 20}}\n{secrets}"));
    });
    let said = stack.run(0, "apply app --pr 1");
    assert!(said.contains("HELD probe_failed (11)") && said.contains("-app-1: exited with code 3\n"), "{said}");
    assert!(
        said.contains("  (apply --retry --logs shows their last lines)\n") && !said.contains("  | "),
        "asked for on a terminal only: {said}"
    );
    let said = stack.run(1, "apply app --pr 1 --retry --logs");
    for line in ["  its last lines:\n", "  | line 15\n", "  | good\\u{1b}[2Jbye\n"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(said.matches("  | ").count(), 20, "{said}");
    // On a terminal they are told in any case.
    let binary = stack.site.binary(&stack.site.repo.work(), 1, &["apply", "app", "--pr", "1", "--retry"]);
    let line: Vec<String> = std::iter::once(binary.get_program())
        .chain(binary.get_args())
        .map(|word| word.to_str().unwrap().to_owned())
        .collect();
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &line.join(" "), "/dev/null"]).current_dir(stack.site.repo.work()).env_clear();
    terminal.envs(binary.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
    let seen = String::from_utf8_lossy(&terminal.output().unwrap().stdout).into_owned();
    assert!(seen.contains("  | line 15\r\n") && !seen.contains("c4n4ry"), "{seen}");
    // All that it says is looked at, not only what fits.
    stack.change(2, |stack| {
        stack.compose(&[("app", &TALKS.replace("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15;", "for i in;"))]);
    });
    let said = stack.run(2, "apply app --pr 2 --logs");
    assert!(!said.contains("health check"), "it has none: {said}");
    assert!(said.contains("  | plain ***, single ***\n") && said.contains("  | double ***\n"), "{said}");
    assert!(said.contains("  | noted ***; short no\n"), "a value of less than four characters is none: {said}");
    let mut all = said;
    // With --json they come on standard error, and nowhere else.
    let args = ["apply", "app", "--pr", "2", "--retry", "--json"];
    for logs in [true, false] {
        let mut command = stack.site.binary(&stack.site.repo.work(), 3, &args);
        let output = command.args(logs.then_some("--logs")).output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(!out.contains("plain ***") && out.contains("\"held\""), "{out}");
        assert_eq!(err.contains("  | good\\u{1b}[2Jbye"), logs, "{err}{out}");
        all += &(out + &err);
    }
    all += &stack.run(4, "log");
    all += &stack.json(4, "show").to_string();
    assert!(!all.contains("c4n4ry"), "{all}");
    let record = stack.site.repo.git(&["log", "-p", "refs/platform/state"]);
    assert!(!record.contains("c4n4ry") && !record.contains("***") && !record.contains("line 15"));
    // What cannot be masked is not shown.
    stack.secret("app.json", &"x".repeat(70_000));
    let said = stack.run(5, "apply app --pr 2 --retry --logs");
    assert!(
        said.replace('\n', " ").contains("the values of app.json cannot be read") && !said.contains("  | "),
        "{said}"
    );
}

/// Attack: a health check prints a password in its error message
/// Defence: output of health checks is masked like container logs, shown only to people, and never recorded
#[test]
fn healthcheck_output_is_shown_and_masked() {
    let stack = Stack::new();
    stack.secret("app.env", "PASSWORD=c4n4ry-health\n");
    stack.change(1, |stack| {
        let check = "test: [CMD-SHELL, 'echo \"login as $$PASSWORD refused\"; exit 1'], interval: 1s, retries: 1";
        stack.compose(&[
            ("app", &format!("env_file: ['${{PLATFORM_SECRETS}}/app.env']\nhealthcheck: {{{check}}}")),
            ("well", ""),
        ]);
        stack.manifest("health: {settle_s: 5, deadline_s: 30}\nsecrets: [{file: app.env, keys: [PASSWORD]}]\n");
    });
    let said = stack.run(0, "apply app --pr 1");
    assert!(
        said.contains("-app-1: running, unhealthy\n  its health check said last:\n  | login as *** refused\n"),
        "{said}"
    );
    assert!(!said.contains("-well-1"), "{said}");
    let record = stack.site.repo.git(&["log", "-p", "refs/platform/state"]);
    assert!(record.contains("app is unhealthy") && !record.contains("refused") && !record.contains("c4n4ry"));
}

/// A run that somebody else ends tells the same.
#[test]
fn resume_prints_why_a_release_is_held() {
    let stack = Stack::new();
    stack.change(1, |stack| {
        stack.compose(&[("app", "command: [sh, -c, 'echo the disk is gone; sleep 3; exit 5']")]);
        stack.manifest("health: {settle_s: 30, deadline_s: 60}\n");
    });
    let mut child = stack.start(0, "apply app --pr 1");
    until("it watches", || !stack.ids("app").is_empty());
    std::thread::sleep(std::time::Duration::from_secs(1));
    child.kill().unwrap();
    child.wait().unwrap();
    until("it ended", || stack.inspect("app", "{{.State.Status}}") == "exited");
    let said = stack.run(1, "resume --logs");
    for line in ["held\n", "  app ended with 5\n", "-app-1: exited with code 5\n", "  | the disk is gone\n"] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

/// Attack: a container prints single members of a JSON secret, an unescaped value, or the password of a URL.
/// Defence: every form of a secret value that a program is likely to print is masked.
#[test]
fn every_encoding_of_a_secret_value_is_masked() {
    let script = include_str!("../../src/runtime/scripts/compose-logs.sh");
    let (_, rest) = script.split_once("\ntab=").unwrap();
    let (functions, _) = rest.split_once("\nmasked=yes").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    let masked = |text: &str, said: &str| {
        std::fs::write(&secret, text).unwrap();
        let run = format!(
            "tmp={0}; least=4\ntab={functions}\nvalues {0}/secret >$tmp/values; masks || exit 9; sed -f $tmp/masks",
            dir.path().display()
        );
        let mut child =
            Command::new("sh").args(["-c", &run]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), said.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let json = "{\"password\": \"c4n4ry1\", \"list\": [\"c4n4ry2\",\"c4n4ry3\"], \"in\": {\"deep\":\"c4n4ry4\"}}\n";
    assert_eq!(
        masked(json, "\"password\": \"c4n4ry1\"\n\"list\": [\"c4n4ry2\",\"c4n4ry3\"]\nc4n4ry4 alone\n"),
        "\"password\":***\n\"list\": [***,***]\n*** alone\n"
    );
    for (text, said) in [
        ("X=\"c4n4ry\\ttab\"\n", "X is c4n4ry\ttab\n"),
        ("X=\"c4n4ry\\\\nslash\\\"q\"\n", "X is c4n4ry\\nslash\"q\n"),
        ("X=\"c4n4ry-one\\nc4n4ry-two\"\n", "X is c4n4ry-one\nc4n4ry-two\n"),
        ("URL=postgres://u:c4n4rypw@db/x\n", "the password is c4n4rypw\n"),
        ("X='c4n4ry single' # a remark\n", "X is c4n4ry single\n"),
        ("export X = c4n4ry-spaced\n", "X is c4n4ry-spaced\n"),
        ("c4n4ry-alone", "it is c4n4ry-alone\n"),
    ] {
        let masked = masked(text, said);
        assert!(!masked.contains("c4n4ry") && masked.contains("***"), "{text}: {masked}");
    }
}
