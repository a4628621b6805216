//! Command lines for a host's shell, quoted so that every argument arrives as it is.

/// `argv` as one line for sh.
pub fn quoted(argv: &[String]) -> String {
    argv.iter().map(|arg| format!("'{}'", arg.replace('\'', r"'\''"))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_an_argument_is_the_shells() {
        let argv = ["echo", "it's", "$HOME; rm -rf /", "", "a  b\n"].map(str::to_owned);
        assert_eq!(quoted(&argv), "'echo' 'it'\\''s' '$HOME; rm -rf /' '' 'a  b\n'");
    }
}
