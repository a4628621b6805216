//! The person that git knows, as git would write it into a commit; in a run of Actions, else the person who started it.

use crate::{
    io::{env::Env, runner},
    model::{refusal::Code, text},
    port::{Answer, PortError},
};

/// The author's name and e-mail: of the environment, or else of the configuration, in git's order (git-commit-tree(1)).
/// Where git has neither, a runner of Actions says who started its run.
pub(super) fn actor(env: &Env, config: &gix::config::Snapshot<'_>) -> Answer<(String, String)> {
    let of = |variable: &str, keys: [&str; 2]| {
        let set = env.get(variable).map(str::to_owned);
        // Empty is not set; gix has the variables as settings too.
        let configured = |key| config.string(key).map(|value| value.to_string()).filter(|value| !value.is_empty());
        set.or_else(|| keys.into_iter().find_map(configured))
    };
    let name = of("GIT_AUTHOR_NAME", ["author.name", "user.name"]);
    let email = of("GIT_AUTHOR_EMAIL", ["author.email", "user.email"]);
    let email = email.or_else(|| env.get("EMAIL").map(str::to_owned));
    let known = name.zip(email).map(|(name, email)| (clean(&name), clean(&email)));
    known.filter(|(name, _)| !name.is_empty()).or_else(|| runner::person(env)).ok_or_else(|| {
        PortError::new(
            Code::Usage,
            "git has no user.name and user.email, and every record names its author",
            "git config user.name 'Your Name'; git config user.email you@example.org",
        )
    })
}

/// A name or e-mail as git cleans it (ident.c): nothing at its ends that separates, and no line break and no angle
/// bracket inside. What git would leave inside and no line may hold (a tab, say) becomes a blank.
pub(super) fn clean(text: &str) -> String {
    let crud = |c: char| c <= ' ' || c.is_whitespace() || ".,:;<>\"\\'".contains(c);
    let plain = text.trim_matches(crud).chars().filter(|c| !matches!(c, '\n' | '<' | '>'));
    let plain: String = plain.map(|c| if text::is_harmful(c) { ' ' } else { c }).collect();
    // A blank that was made of something else may stand at an end now.
    plain.trim_matches(crud).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_cleaned_as_git_cleans_it() {
        for (raw, cleaned) in [
            ("Ola <ops>", "Ola ops"),
            ("  Ola  ", "Ola"),
            ("O\tla", "O la"),
            ("\"Ola, Jr.\"", "Ola, Jr"),
            ("Ola\nNordmann", "OlaNordmann"),
            ("O'la", "O'la"),
            ("ola@example.org", "ola@example.org"),
            ("<ola@example.org>", "ola@example.org"),
            ("\u{202e}Ola", "Ola"),
            ("<>", ""),
        ] {
            assert_eq!(clean(raw), cleaned, "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn cleaning_a_name_is_idempotent(text in any::<String>()) {
            crate::laws::git_person(text.as_bytes());
        }
    }
}
