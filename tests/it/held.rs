//! Watching a change on a real engine: when it ends, and what an operator is told when it does not end well.

use std::time::Instant;

use crate::support::stack::Stack;

/// Healthy for some seconds, and from then on unhealthy.
const TURNS: &str = "command: [sh, -c, 'sleep 4; touch /tmp/bad; sleep 600']\n\
     healthcheck: {test: [CMD, test, '!', -e, /tmp/bad], interval: 1s, timeout: 1s, retries: 2}";
/// Never healthy.
const NEVER: &str =
    "healthcheck: {test: [CMD, test, -e, /nowhere], interval: 1s, timeout: 1s, retries: 2, start_period: 2s}";

/// Attack: a release turns unhealthy and takes requests for minutes until the deadline of the watch passes
/// Defence: what Docker calls unhealthy is held at once
#[test]
fn what_turns_unhealthy_is_held_at_once() {
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
fn a_settle_window_lasts_as_long_as_it_says() {
    let stack = Stack::new();
    stack.change(1, |stack| {
        stack.compose(&[("app", "restart: always")]);
        stack.manifest("health: {settle_s: 3, deadline_s: 60}\n");
    });
    // The first look, which begins the window, and the last are part of it. A busy machine is looked at again.
    let late = |args: &str| {
        let applied = stack.json(1, args);
        assert_eq!(applied["exit"], 0, "{applied}");
        applied["durations_ms"]["verify"].as_u64().unwrap() - 3_000
    };
    let lates: Vec<u64> =
        std::iter::once(late("apply app --pr 1")).chain((0..3).map(|_| late("apply app --again"))).collect();
    println!("{lates:?}");
    assert!(lates.iter().any(|late_ms| *late_ms <= 500), "later than half a second: {lates:?} ms");

    stack.change(2, |stack| {
        let check = |more: &str| format!("healthcheck: {{test: [CMD, 'true']{more}}}");
        stack.compose(&[("app", &check("")), ("often", &check(", interval: 1s")), ("slow", &check(", interval: 1m"))]);
    });
    let warnings = stack.json(2, "plan app")["warnings"].to_string();
    let says = "the settle window lasts 3 s (health.settle_s): the health check of app runs every 30 s, of which it sees 10 %; \
                the health check of slow runs every 60 s, of which it sees 5 %";
    assert!(warnings.contains(says), "{warnings}");
}
