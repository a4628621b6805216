//! What `platform.yaml` must hold beyond its shape: the one way from bytes to a policy.

use super::{
    check::{argv_entry, done, one_line, shape},
    ids::Oid,
    path::HostPath,
    policy::{self, Allow, ApprovalSource, HostPolicy, Policy, Transport},
    problem::{Collector, Problem},
    refusal::Code,
    text::shown,
    yaml::Node,
};

impl Policy {
    /// Reads `platform.yaml`.
    ///
    /// # Errors
    /// Everything that does not hold, with its place.
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
            let fits = path.strip_suffix("/**").unwrap_or(path).parse::<HostPath>().is_ok();
            let text = format!("`{}` is not an absolute path, or one that ends in /**", shown(path));
            c.must(fits, &["sacred", "paths", &at.to_string()], text, "write for instance /srv/data/**");
        }
        for (at, allow) in policy.sacred.allow.iter().enumerate() {
            allow_entry(at, allow, &mut c);
        }
        done(policy, c)
    }
}

fn is_ref_part(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['-', '/', '.'])
        && !name.contains("..")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
}

fn approval(policy: &Policy, c: &mut Collector<'_>) {
    let approval = &policy.approval;
    for (key, name) in [("remote", &approval.remote), ("base", &approval.base)] {
        let fits = name.as_deref().is_none_or(is_ref_part);
        c.must(fits, &["approval", key], "is not a name that git can use", "write a plain name");
    }
    let fits = policy.state.remote.as_deref().is_none_or(is_ref_part);
    c.must(fits, &["state", "remote"], "is not a name that git can use", "write a plain name");
    c.must(
        !approval.styles.is_empty(),
        &["approval", "styles"],
        "no style of merging is allowed: nothing could ever be approved",
        "leave `styles` out for the default",
    );
    if approval.source == ApprovalSource::Git {
        let asked = [
            ("required_approvals", approval.required_approvals > 0),
            ("approvers", !approval.approvers.is_empty()),
            ("not_counted", !approval.not_counted.is_empty()),
            ("required_statuses", !approval.required_statuses.is_empty()),
        ];
        for (key, asked) in asked {
            c.must(
                !asked,
                &["approval", key],
                "git alone does not know reviews and statuses: this would promise what is not checked",
                "write `source: forgejo`, or remove it",
            );
        }
    }
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
        (Transport::Ssh, Some(to)) => c.must(
            !to.is_empty() && !to.starts_with('-') && !to.contains(char::is_whitespace),
            &at("destination"),
            "is not something that ssh can go to",
            "write a name of ssh_config, or user@host",
        ),
        (Transport::Local, Some(_)) => {
            c.must(false, &at("destination"), "transport local has no destination", "remove it");
        }
        (Transport::Local, None) => {}
    }
    let id = &host.machine_id;
    let fits = id.is_empty() || (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    c.must(fits, &at("machine_id"), "is not 32 hexadecimal digits", "copy it from /etc/machine-id of the host");
    for (n, line) in host.host_keys.iter().enumerate() {
        let fits = is_known_hosts_line(line);
        c.must(
            fits,
            &["hosts", name, "host_keys", &n.to_string()],
            "is not a line of known_hosts",
            "write `host type key`, as `ssh-keyscan host` prints it",
        );
    }
    // Another machine's engine would be asked about paths that are looked at here.
    let engine = &host.docker_host;
    let fits = engine.is_empty() || engine.strip_prefix("unix://").is_some_and(|path| path.parse::<HostPath>().is_ok());
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

/// One line of known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): an optional marker, names, the type, the key.
fn is_known_hosts_line(line: &str) -> bool {
    let mut fields = line.split(' ').filter(|field| !field.is_empty()).peekable();
    fields.next_if(|field| matches!(*field, "@cert-authority" | "@revoked"));
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    let is_type = |text: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|begin| text.starts_with(begin));
    !line.contains(char::is_control)
        && fields.next().is_some_and(|names| !names.starts_with('#'))
        && fields.next().is_some_and(is_type)
        && fields.next().is_some_and(|key| key.bytes().all(base64))
}

fn allow_entry(at: usize, allow: &Allow, c: &mut Collector<'_>) {
    let at = at.to_string();
    let path = ["sacred", "allow", &at];
    c.must(
        allow.path.is_some() != allow.capability.is_some(),
        &path,
        "an allow entry opens exactly one of `path` and `capability`",
        "split it into two entries",
    );
    c.must(
        allow.path.is_some() == allow.mode.is_some(),
        &path,
        "`mode` goes with `path`, and `path` with `mode`",
        "write `mode: ro` or `mode: rw` beside `path`",
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
    fn hosts_are_reached_as_written() {
        for key in [
            "host,10.0.0.1 ssh-ed25519 AAAA",
            "[127.0.0.1]:22 ecdsa-sha2-nistp256 A+/= me",
            "@cert-authority *.lan ssh-rsa AA",
        ] {
            let more = format!("docker_host: 'unix:///run/user/1000/docker.sock', host_keys: ['{key}']");
            assert_eq!(policy(&format!("{POLICY}  two: {{transport: local, root: /a, {more}}}\n")), [], "{key}");
        }
    }

    #[test]
    fn a_policy_does_not_promise_what_is_not_checked() {
        assert_eq!(policy(POLICY), []);
        for (line, text) in [
            (4, "approval: {required_approvals: 1}\n"),
            (4, "approval: {styles: []}\n"),
            (4, "approval: {remote: --upload-pack=x}\n"),
            (4, "state: {ref: refs/heads/x}\n"),
            (4, "state: {genesis: abc}\n"),
            (4, "sacred: {paths: [srv]}\n"),
            (4, "sacred: {allow: [{module: a, path: /a, reason: x}]}\n"),
            (4, "sacred: {allow: [{module: a, reason: x}]}\n"),
            (4, "  two: {transport: ssh, root: /a}\n"),
            (4, "  two: {transport: ssh, root: /a, destination: '-oProxyCommand=x'}\n"),
            (4, "  two: {transport: local, root: /}\n"),
            (4, "  two: {transport: local, root: /a, activate: [[]]}\n"),
            (4, "  two: {transport: local, root: /a, docker_host: 'tcp://other:2375'}\n"),
            (4, "  two: {transport: local, root: /a, docker_host: 'ssh://other'}\n"),
            (4, "  two: {transport: local, root: /a, docker_host: 'unix://run/docker.sock'}\n"),
            (4, "  two: {transport: local, root: /a, host_keys: ['ssh-ed25519 AAAA']}\n"),
            (4, "  two: {transport: local, root: /a, host_keys: [\"a ssh-ed25519 AAAA\\n* ssh-rsa BBBB\"]}\n"),
        ] {
            let found = policy(&format!("{POLICY}{text}"));
            assert!(found.first().is_some_and(|place| place.0 == line), "{text}: {found:?}");
        }
    }
}
