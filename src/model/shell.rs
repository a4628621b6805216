//! Command lines for a host's shell, quoted so that every argument arrives as it is.

/// `argv` as one line for sh.
pub fn quoted(argv: &[String]) -> String {
    argv.iter().map(|arg| format!("'{}'", arg.replace('\'', r"'\''"))).collect::<Vec<_>>().join(" ")
}

/// One word of a command that a person pastes: bare where nothing in it is the shell's, else quoted.
pub fn word(text: &str) -> String {
    let bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@:".contains(&b));
    if bare { text.to_owned() } else { quoted(&[text.to_owned()]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_arguments_reach_the_program_unchanged() {
        let argv = ["echo", "it's", "$HOME; rm -rf /", "", "a  b\n"].map(str::to_owned);
        assert_eq!(quoted(&argv), "'echo' 'it'\\''s' '$HOME; rm -rf /' '' 'a  b\n'");
    }
    #[test]
    fn shell_words_are_quoted_when_needed() {
        assert_eq!(word("/opt/platform"), "/opt/platform");
        assert_eq!(word("/opt/it's $x"), "'/opt/it'\\''s $x'");
        assert_eq!(word(""), "''");
    }
}
