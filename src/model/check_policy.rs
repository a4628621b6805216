//! What `platform.yaml` must satisfy beyond its shape: the only way from bytes to a policy.

use super::{
    check::{argv_entry, done, one_line, shape},
    glass::MINUTES_MAX,
    ids::Oid,
    notify::NotifyPolicy,
    path::HostPath,
    policy::{self, Allow, ApprovalPolicy, ApprovalSource, HostPolicy, Policy, ServerSignature, Transport},
    problem::{Collector, Problem},
    refusal::Code,
    text::{is_harmful, shown},
    yaml::Node,
};

impl Policy {
    /// Reads `platform.yaml`.
    ///
    /// # Errors
    /// Everything that is not valid, with its place.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let (policy, outline): (Self, Node) = shape(policy::PATH, Code::PolicyInvalid, bytes)?;
        let mut c = Collector::new(policy::PATH, Code::PolicyInvalid, &outline);
        approval(&policy, &mut c);
        c.must(
            policy.state.ref_ == "refs/platform/state",
            &["state", "ref"],
            "the record is kept at refs/platform/state",
            "leave `ref` out, or write refs/platform/state",
        );
        c.must(
            policy.state.genesis.is_empty() || policy.state.genesis.parse::<Oid>().is_ok(),
            &["state", "genesis"],
            "`genesis` is not a full commit id of 40 hexadecimal digits",
            "platformctl verify prints the id of the first record",
        );
        for (name, host) in &policy.hosts {
            host_entry(name.as_str(), host, &mut c);
        }
        for (at, path) in policy.sacred.paths.iter().enumerate() {
            // With a wildcard it would be taken as it is written, and protect nothing.
            let folder = path.strip_suffix("/**").unwrap_or(path).parse::<HostPath>();
            let fits = folder.is_ok_and(|folder| !folder.has_wildcard());
            let text = format!("`{}` is not an absolute path without wildcards but a /** at its end", shown(path));
            c.must(fits, &["sacred", "paths", &at.to_string()], text, "write for instance /srv/data/**");
        }
        freezes(&policy, &mut c);
        let minutes = policy.break_glass.max_minutes;
        c.must(
            (1..=MINUTES_MAX).contains(&minutes),
            &["break_glass", "max_minutes"],
            format!("`max_minutes` is {minutes}, and must be between 1 and {MINUTES_MAX}"),
            "write for instance 60; to allow nobody, write `by: nobody`",
        );
        for (at, allow) in policy.sacred.allow.iter().enumerate() {
            allow_entry(at, allow, &mut c);
        }
        notify(&policy, &mut c);
        done(policy, c)
    }
}

fn notify(policy: &Policy, c: &mut Collector<'_>) {
    let NotifyPolicy { ntfy, webhook, on } = &policy.notify;
    let known = ntfy.is_some() || webhook.is_some();
    c.must(
        on.is_empty() || known,
        &["notify", "on"],
        "`on` names what is told, and there is no channel: nobody would be told",
        "add `ntfy` or `webhook`, or remove `on`",
    );
    let twice = on.iter().enumerate().find(|(at, also)| on[..*at].contains(also)).map(|(at, _)| at.to_string());
    if let Some(at) = twice {
        c.must(false, &["notify", "on", &at], "is there twice", "remove one");
    }
}

fn freezes(policy: &Policy, c: &mut Collector<'_>) {
    for (at, freeze) in policy.freeze.iter().enumerate() {
        let at = at.to_string();
        c.must(
            freeze.from < freeze.until,
            &["freeze", &at, "until"],
            "a freeze ends after it begins",
            "write `from` and `until` in UTC, for instance 2026-12-20T00:00:00Z",
        );
        one_line(&freeze.reason, &["freeze", &at, "reason"], c);
        for (n, host) in freeze.hosts.iter().enumerate() {
            let text = format!("there is no host `{host}`: this would freeze nothing");
            let known = policy.hosts.contains_key(host);
            c.must(known, &["freeze", &at, "hosts", &n.to_string()], text, "write one of the hosts of this file");
        }
    }
}

fn approval(policy: &Policy, c: &mut Collector<'_>) {
    let approval = &policy.approval;
    c.must(
        !approval.styles.is_empty(),
        &["approval", "styles"],
        "no merge style is allowed: nothing could ever be approved",
        "leave `styles` out for the default",
    );
    reviews(approval, c);
    if approval.source == ApprovalSource::Git {
        let asked = [
            ("required_approvals", approval.required_approvals > 0),
            ("approvers", !approval.approvers.is_empty()),
            ("not_counted", !approval.not_counted.is_empty()),
            ("required_statuses", !approval.required_statuses.is_empty()),
            ("merger_may_approve", approval.merger_may_approve),
            ("server_key", !approval.server_key.is_empty()),
            ("server_signature", approval.server_signature != ServerSignature::Record),
        ];
        for (key, asked) in asked {
            c.must(
                !asked,
                &["approval", key],
                "`source: git` cannot check reviews and statuses, so this would have no effect",
                "write `source: forgejo`, or remove it",
            );
        }
    }
}

/// What must fit together with `source: forgejo`.
fn reviews(approval: &ApprovalPolicy, c: &mut Collector<'_>) {
    for (at, status) in approval.required_statuses.iter().enumerate() {
        let at = at.to_string();
        c.must(
            is_context(&status.context) && !status.by.is_empty() && status.by.iter().all(|login| is_login(login)),
            &["approval", "required_statuses", &at],
            "a required status needs a context and the accounts whose status counts: any writer can set any status",
            "write for instance {context: ci, by: [ci-bot]}",
        );
    }
    for (key, logins) in [("approvers", &approval.approvers), ("not_counted", &approval.not_counted)] {
        for (at, login) in logins.iter().enumerate() {
            let text = format!("`{}` is not the name of an account", shown(login));
            c.must(
                is_login(login),
                &["approval", key, &at.to_string()],
                text,
                "write it as the forge shows it, without @",
            );
        }
    }
    let possible = approval.approvers.len();
    c.must(
        approval.approvers.is_empty() || possible >= approval.required_approvals as usize,
        &["approval", "required_approvals"],
        format!(
            "{} approvals are required, but `approvers` has {possible}: nothing could ever be approved",
            approval.required_approvals
        ),
        "require fewer, or list more approvers",
    );
    c.must(
        approval.server_key.is_empty() || is_public_key(&approval.server_key),
        &["approval", "server_key"],
        "`server_key` is not an ssh public key on one line",
        "write it as the server's /api/v1/signing-key.ssh prints it: type and key, without options",
    );
    c.must(
        approval.server_signature == ServerSignature::Record || !approval.server_key.is_empty(),
        &["approval", "server_signature"],
        "without `server_key` no signature of the server can be checked",
        "add `server_key`, or leave `server_signature` out",
    );
}

/// One line of a status's context.
fn is_context(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 255 && !text.chars().any(is_harmful)
}

/// The name of an account of a forge.
fn is_login(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// `type base64 [comment]`, as a line of `*.pub` has it.
fn is_public_key(text: &str) -> bool {
    let mut words = text.split(' ');
    let kind = words.next().unwrap_or_default();
    let key = words.next().unwrap_or_default();
    let plain = |word: &str, more: &[u8]| word.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b));
    (kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-"))
        && plain(kind, b"-@.")
        && !key.is_empty()
        && plain(key, b"+/=")
        && words.all(|word| plain(word, b"-_.@+"))
}

fn host_entry(name: &str, host: &HostPolicy, c: &mut Collector<'_>) {
    let at = |key| ["hosts", name, key];
    match (host.transport, host.destination.as_deref()) {
        (Transport::Ssh, None) => c.must(
            false,
            &["hosts", name],
            "transport ssh needs `destination`",
            "add for instance `destination: deploy@host`",
        ),
        (Transport::Local, Some(_)) => {
            c.must(false, &at("destination"), "transport local has no destination", "remove it");
        }
        (Transport::Ssh, Some(_)) | (Transport::Local, None) => {}
    }
    c.must(
        host.root.is_quotable(),
        &at("root"),
        "has quotes, wildcards or other characters that a shell would read, or a part that begins with a dash",
        "use letters, digits and /._-+@",
    );
    let id = &host.machine_id;
    let fits = id.is_empty() || (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    c.must(fits, &at("machine_id"), "is not 32 hexadecimal digits", "copy it from /etc/machine-id of the host");
    // Another machine's engine would be asked about paths that are looked at here.
    let engine = &host.docker_host;
    let fits = engine.is_empty() || engine.strip_prefix("unix://").is_some_and(is_plain_path);
    c.must(
        fits,
        &at("docker_host"),
        "is not a socket of the host",
        "write for instance unix:///run/user/1000/docker.sock",
    );
    for (n, argv) in host.activate.iter().enumerate() {
        argv_entry(argv, &["hosts", name, "activate", &n.to_string()], c);
    }
}

fn is_plain_path(text: &str) -> bool {
    text.parse::<HostPath>().is_ok_and(|path| path.is_plain())
}

fn allow_entry(at: usize, allow: &Allow, c: &mut Collector<'_>) {
    let at = at.to_string();
    let path = ["sacred", "allow", &at];
    c.must(
        allow.path.is_some() != allow.capability.is_some(),
        &path,
        "an allow entry has exactly one of `path` and `capability`",
        "split it into two entries",
    );
    c.must(
        allow.path.is_some() == allow.mode.is_some(),
        &path,
        "`mode` goes with `path`, and `path` with `mode`",
        "write `mode: ro` or `mode: rw` beside `path`",
    );
    c.must(
        !allow.path.as_ref().is_some_and(HostPath::has_wildcard),
        &["sacred", "allow", &at, "path"],
        "has a wildcard; an entry allows a path and everything below it",
        "write the path of the folder",
    );
    one_line(&allow.reason, &["sacred", "allow", &at, "reason"], c);
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "schema: platform/1\nhosts:\n  box: {transport: local, root: /opt/platform}\n";

    fn policy(text: &str) -> Vec<(usize, usize)> {
        Policy::parse(text.as_bytes())
            .map_or_else(|problems| problems.iter().map(|p| (p.line, p.column)).collect(), |_| Vec::new())
    }

    #[test]
    fn host_entries_are_checked() {
        for key in [
            "host,10.0.0.1 ssh-ed25519 AAAA",
            "[127.0.0.1]:22 ecdsa-sha2-nistp256 A+/= me",
            "|1|c2FsdA==|aGFzaA== ssh-rsa AA",
        ] {
            let more = format!("docker_host: 'unix:///run/user/1000/docker.sock', host_keys: ['{key}']");
            assert_eq!(policy(&format!("{POLICY}  two: {{transport: local, root: /a, {more}}}\n")), [], "{key}");
        }
    }

    #[test]
    fn policy_options_that_are_not_implemented_are_refused() {
        assert_eq!(policy(POLICY), []);
        let told = "notify: {ntfy: {url: 'https://ntfy.example.org', topic: ops, token_env: PLATFORMCTL_NOTIFY_NTFY}, on: [applied]}\n";
        assert_eq!(policy(&format!("{POLICY}{told}")), []);
        for (line, text) in [
            (4, "approval: {required_approvals: 1}\n"),
            (4, "apply: {ceiling: always}\n"),
            (4, "break_glass: {max_minutes: 0}\n"),
            (4, "break_glass: {max_minutes: 1441}\n"),
            (4, "break_glass: {by: everybody}\n"),
            (4, "freeze: [{from: 2026-12-20T00:00:00Z, reason: x}]\n"),
            (4, "freeze: [{from: 2026-12-20T00:00:00Z, until: 2026-12-20T00:00:00Z, reason: x}]\n"),
            (4, "freeze: [{from: 2026-12-20, until: 2026-12-21T00:00:00Z, reason: x}]\n"),
            (4, "freeze: [{from: 2026-12-20T00:00:00+01:00, until: 2026-12-21T00:00:00Z, reason: x}]\n"),
            (4, "freeze: [{from: 2026-12-20T00:00:00Z, until: 2026-12-21T00:00:00Z, reason: ''}]\n"),
            (4, "freeze: [{from: 2026-12-20T00:00:00Z, until: 2026-12-21T00:00:00Z, reason: x, hosts: [other]}]\n"),
            (4, "approval: {styles: []}\n"),
            (4, "approval: {remote: --upload-pack=x}\n"),
            (4, "state: {ref: refs/heads/x}\n"),
            (4, "state: {genesis: abc}\n"),
            (4, "sacred: {paths: [srv]}\n"),
            (4, "sacred: {allow: [{module: a, path: /a, reason: x}]}\n"),
            (4, "sacred: {allow: [{module: a, reason: x}]}\n"),
            (4, "  two: {transport: ssh, root: /a}\n"),
            (4, "  two: {transport: ssh, root: /a, destination: '-oProxyCommand=x'}\n"),
            (4, "  two: {transport: ssh, root: /a, destination: 'a@-oProxyCommand=x'}\n"),
            (4, "  two: {transport: ssh, root: /a, destination: 'a`id`'}\n"),
            (4, "  two: {transport: ssh, root: /a, destination: \"a'b\"}\n"),
            (4, "  two: {transport: ssh, root: /a, destination: '*'}\n"),
            (4, "  two: {transport: local, root: \"/a'b\"}\n"),
            (4, "  two: {transport: local, root: '/a`id`'}\n"),
            (4, "  two: {transport: local, root: '/a/*'}\n"),
            (4, "  two: {transport: local, root: '/a/-b'}\n"),
            (4, "  two: {transport: local, root: \"/a\\nb\"}\n"),
            (4, "  two: {transport: local, root: /a, docker_host: 'unix:///run/*.sock'}\n"),
            (4, "  two: {transport: local, root: /a, docker_host: \"unix:///run/d'.sock\"}\n"),
            (4, "  two: {transport: local, root: /a, networks: ['-x']}\n"),
            (4, "  two: {transport: local, root: /a, host_keys: ['@cert-authority a ssh-rsa AA']}\n"),
            (4, "  two: {transport: local, root: /a, host_keys: ['@cert-authority *.lan ssh-rsa AA']}\n"),
            (4, "  two: {transport: local, root: /a, host_keys: ['*.lan ssh-rsa AA']}\n"),
            (4, "sacred: {paths: ['/srv/*/data']}\n"),
            (4, "sacred: {allow: [{module: a, path: '/srv/*', mode: ro, reason: x}]}\n"),
            (4, "approval: {base: '--upload-pack=x'}\n"),
            (4, "state: {remote: 'a b'}\n"),
            (4, "  two: {transport: local, root: /}\n"),
            (4, "  two: {transport: local, root: /a, activate: [[]]}\n"),
            (4, "  two: {transport: local, root: /a, docker_host: 'tcp://other:2375'}\n"),
            (4, "  two: {transport: local, root: /a, docker_host: 'ssh://other'}\n"),
            (4, "  two: {transport: local, root: /a, docker_host: 'unix://run/docker.sock'}\n"),
            (4, "  two: {transport: local, root: /a, host_keys: ['ssh-ed25519 AAAA']}\n"),
            (4, "  two: {transport: local, root: /a, host_keys: [\"a ssh-ed25519 AAAA\\n* ssh-rsa BBBB\"]}\n"),
            (4, "notify: {on: [applied]}\n"),
            (4, "notify: {ntfy: {url: 'https://ntfy.example.org', topic: ops}, on: [applied, applied]}\n"),
            (4, "notify: {ntfy: {url: 'https://ntfy.example.org', topic: ops}, on: [held]}\n"),
            (4, "notify: {ntfy: {url: 'https://ntfy.example.org'}}\n"),
            (4, "notify: {ntfy: {url: 'https://ntfy.example.org', topic: 'a/b'}}\n"),
            (4, "notify: {ntfy: {url: 'http://ntfy.example.org', topic: ops}}\n"),
            (4, "notify: {ntfy: {url: 'https://ntfy.example.org', topic: ops, token: tk_secret}}\n"),
            (4, "notify: {ntfy: {url: 'https://ntfy.example.org', topic: ops, token_env: FORGEJO_TOKEN}}\n"),
            (4, "notify: {webhook: {url: 'https://me:secret@example.org/x'}}\n"),
            (4, "notify: {phone: me}\n"),
        ] {
            let found = policy(&format!("{POLICY}{text}"));
            assert!(found.first().is_some_and(|place| place.0 == line), "{text}: {found:?}");
        }
    }
}
