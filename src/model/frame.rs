//! The frame around a script's answer: only what a host prints between our two nonces counts.

/// Runs the script with an environment of our making. Of the account's own only what says where it is at home and where
/// programs lie is kept: `TAR_OPTIONS` and the like would change what our scripts do.
macro_rules! script {
    () => {
        r#"env -i LC_ALL=C PATH="$PATH" HOME="${HOME:-/}" ${USER:+USER="$USER"} ${LOGNAME:+LOGNAME="$LOGNAME"} ${XDG_RUNTIME_DIR:+XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR"} ${TMPDIR:+TMPDIR="$TMPDIR"} sh -c "$text" platformctl "$@""#
    };
}

/// The wrapper that runs a script within its frame: `sh -c WRAPPER platformctl NONCE TEXT ARGS…`.
pub const WRAPPER: &str = concat!(
    r#"nonce=$1 text=$2; shift 2; printf '\nPC1 %s begin\n' "$nonce"; "#,
    script!(),
    r#"; rc=$?; printf '\nPC1 %s rc=%s\n' "$nonce" "$rc""#
);

/// The same for a script that only reads and is sent nothing: it is ended when its standard input ends, which is when
/// we do or the link does. The watcher keeps neither output open, so that the answer ends when the script does.
pub const WATCHED: &str = concat!(
    r#"nonce=$1 text=$2; shift 2; printf '\nPC1 %s begin\n' "$nonce"; exec 3<&0; "#,
    script!(),
    r#" </dev/null 3<&- & run=$!; { cat <&3; kill "$run"; } >/dev/null 2>&1 & watch=$!; wait "$run"; rc=$?; kill "$watch" 2>/dev/null; "#,
    r#"printf '\nPC1 %s rc=%s\n' "$nonce" "$rc""#
);

/// Extracts the answer from everything a host printed. `None`: there is no complete frame, so it is unknown how the
/// script ended.
///
/// Text before the frame (a banner, a start-up file that prints) and after it is dropped. A frame that is not complete,
/// or that carries another nonce, is no frame.
pub fn unframe(nonce: &str, bytes: &[u8]) -> Option<(i32, Vec<u8>)> {
    let begin = format!("\nPC1 {nonce} begin\n");
    let at = find(bytes, begin.as_bytes())? + begin.len();
    let body = &bytes[at..];
    let end = format!("\nPC1 {nonce} rc=");
    // The last one counts: a script cannot know the nonce, but its output could quote an argument that contains it.
    let at = rfind(body, end.as_bytes())?;
    let rest = &body[at + end.len()..];
    let line = rest.split(|b| *b == b'\n').next().filter(|line| rest.len() > line.len())?;
    let rc: i32 = std::str::from_utf8(line).ok()?.parse().ok()?;
    Some((rc, body[..at].to_vec()))
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}

fn rfind(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).rposition(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_frame_is_refused() {
        let whole = b"motd\nPC1 n begin\nhello\n\nPC1 n rc=3\nbye";
        assert_eq!(unframe("n", whole), Some((3, b"hello\n".to_vec())));
        for cut in 0..whole.len() - "\nbye".len() {
            assert_eq!(unframe("n", &whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(unframe("other", whole), None);
        assert_eq!(unframe("n", b"\nPC1 n begin\n\nPC1 n rc=x\n"), None);
    }
}
