//! The lab itself (`tests/lab`), started once more inside the lab: what it needs from the machine, and what it leaves
//! there.

use std::process::Command;

use crate::support::stack::lab;

/// Runs a bash script in a mount namespace of its own, in which folders of the machine are copies that lie in memory:
/// the script may change them as it likes. What it prints is returned.
fn on_a_machine(script: &str) -> String {
    lab();
    let dir = tempfile::tempdir().unwrap();
    let prelude = "set -eu\nmount -t tmpfs tmpfs \"$1\"\ncd \"$1\"\nmkdir -p etc opt var root usr work/var work/root work/usr\n\
                   cp -a /etc/. etc/\nmount --bind etc /etc\n\
                   sed -i 's|^root:.*|root:x:0:0:root:/root:/bin/bash|' /etc/passwd\nmount --bind opt /opt\n\
                   for each in var root usr; do mount -t overlay overlay -o lowerdir=/$each,upperdir=$1/$each,workdir=$1/work/$each /$each; done\n\
                   machine=$1\ncd \"$2\"\n";
    let output = Command::new("unshare")
        .args(["--mount", "bash", "-c", &format!("{prelude}{script}"), "machine"])
        .arg(dir.path())
        .arg(env!("CARGO_MANIFEST_DIR"))
        .env_remove("PLATFORMCTL_LAB")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Programs that add an account write a new file and rename it: what is mounted over the old one goes away with it.
#[test]
fn an_account_added_to_the_machine_changes_nothing() {
    let script = r#"
mkfifo "$machine/ready" "$machine/go"
exec 3<>"$machine/ready" 4<>"$machine/go"
tests/lab bash -c '
	account() { ssh -F "$PLATFORMCTL_LAB/home/.ssh/config" lab id -un; }
	before=$(account)
	echo "$before" >&3
	read -r _ <&4
	echo "before $before, after $(account), home $(getent passwd root | cut -d: -f 6)"
	getent passwd newcomer || echo "nobody new"
' &
read -r _ <&3
useradd --no-create-home newcomer
grep -c ^newcomer: /etc/passwd
echo go >&4
wait "$!"
grep ^root: /etc/passwd
"#;
    assert_eq!(
        on_a_machine(script),
        "1\nbefore root, after root, home /run/platformctl-lab/home\nnobody new\nroot:x:0:0:root:/root:/bin/bash\n"
    );
}

/// What a lab leaves behind would be found by the next one, or by whoever owns the machine.
#[test]
fn the_lab_leaves_nothing_behind() {
    let script = r#"
there() { ls -A /; find etc opt var root usr -printf '%p %s %T@\n' | sort; }
(cd "$machine" && there) >"$machine/before"
tests/lab bash -c '
	docker -H unix:///var/run/docker.sock run -d local/busybox:1 >/dev/null
	[ -n "$(find /sys/fs/cgroup -name "$(cat "$PLATFORMCTL_LAB/cgroup")")" ] || echo "it has no control group of its own"
	cat "$PLATFORMCTL_LAB/cgroup" >&3
	ssh -F "$PLATFORMCTL_LAB/home/.ssh/config" lab true
' 3>"$machine/group"
find /sys/fs/cgroup -name "$(cat "$machine/group")"
(cd "$machine" && there) | diff "$machine/before" - || :
"#;
    assert_eq!(on_a_machine(script), "");
}
