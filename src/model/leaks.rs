//! Names that look like those of secrets.

/// Whether the name of a variable is that of a secret. A variable with the path of a file is not a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let looks = ["PASSWORD", "SECRET", "TOKEN"].iter().any(|word| name.contains(word)) || name.ends_with("_KEY");
    looks && !name.ends_with("_FILE")
}

/// Whether a file is by its name one that keeps secrets: `.env` and what begins so.
pub fn is_secret_file(name: &str) -> bool {
    name == ".env" || name.starts_with(".env.")
}

/// Whether a text contains a value: a part that comes from a variable without a default is defined elsewhere.
pub fn is_literal(text: &str) -> bool {
    match text.split_once("${") {
        None => !text.is_empty() && !text.starts_with('$'),
        Some((_, inside)) => {
            let name = inside.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            let default = inside[name..].trim_start_matches(':').strip_prefix('-');
            default.is_some_and(|default| !default.starts_with('}') && is_literal(default))
        }
    }
}

/// What cures a file that is named and is not in the repository: one that keeps secrets does not belong there.
pub fn absent_fix(name: &str, secret: bool) -> String {
    let host = format!(
        "put it on the host as secrets/{name} in its root, declare it under `secrets:` of the module, and name it ${{PLATFORM_SECRETS}}/{name}"
    );
    if secret || is_secret_file(name) {
        host
    } else if name.ends_with(".env") {
        format!("if it holds secrets, {host}; else commit it, or correct the path")
    } else {
        "commit it, or correct the path".to_owned()
    }
}

/// Names in an env file that look like secrets and have a value, each with its line from 1.
pub fn in_env_file(text: &str) -> Vec<(String, usize)> {
    let line = |(at, line): (usize, &str)| {
        let line = line.trim_start().trim_start_matches("export ").trim_start();
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        let value = value.trim().trim_matches(['"', '\'']);
        (is_secret_name(name.trim()) && is_literal(value)).then(|| (name.trim().to_owned(), at + 1))
    };
    text.lines().enumerate().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_recognised_by_name() {
        for name in ["DB_PASSWORD", "secret_x", "API_TOKEN_2", "SSH_KEY", "MY_SECRETS"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["KEYS", "MONKEY", "PASSWORD_FILE", "POSTGRES_PASSWORD_FILE", "USER", "KEY"] {
            assert!(!is_secret_name(name), "{name}");
        }
        for text in ["x", "${A:-x}", "${A-x}", "pa$$word", "x${A:-${B:-y}}"] {
            assert!(is_literal(text), "{text}");
        }
        for text in ["", "$A", "${A}", "${A:?must}", "${A:-}", "${A:-${B}}"] {
            assert!(!is_literal(text), "{text}");
        }
        let text = "# A_TOKEN=x\nTAG=1\nexport API_TOKEN='x'\nDB_PASSWORD=\nSECRET=${X}\nX_KEY=1\n";
        assert_eq!(in_env_file(text), [("API_TOKEN".to_owned(), 3), ("X_KEY".to_owned(), 6)]);
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "[${}:?A-C é=\n-]{0,40}") {
            crate::laws::words(text.as_bytes());
        }
    }
}
