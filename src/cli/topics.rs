//! The manual: the pages of `docs/` for operators, compiled into the binary.

/// A page of the manual.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// The word after `platformctl help`.
    pub name: &'static str,
    /// One line about it, for the list of topics.
    pub about: &'static str,
    /// The page, in Markdown; links lead to other pages.
    page: &'static str,
}

/// Declares the topics; each is the page of the same name.
macro_rules! topics {
    ($($name:literal $about:literal)*) => {
        /// Every topic.
        pub const ALL: &[Topic] =
            &[$(Topic { name: $name, about: $about, page: include_str!(concat!("../../docs/", $name, ".md")) },)*];
    };
}

topics! {
    "getting-started" "From an empty folder to the first apply"
    "concepts" "Terms, and how they relate"
    "files" "platform.yaml and module.yaml"
    "compose" "What compose files may contain, and how they are applied"
    "auto" "Applied after the merge by a runner, and freezes"
    "hosts" "What a host needs: folders, ssh, secrets"
    "forgejo" "With a Forgejo server"
    "notifications" "Who is told when something fails: ntfy and webhooks"
    "lint" "The rules of the linter for workflows"
    "reviews" "Which reviews count, and what happens when the forge fails"
    "recovery" "When something is wrong"
    "exit-codes" "Exit codes and reason codes"
    "results" "The JSON object that --json prints"
    "state-format" "The format of the record in refs/platform/state"
    "threat-model" "Which attacks are defended against, and which are not"
}

impl Topic {
    /// The topic of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|topic| topic.name == name)
    }

    /// The text. A link to another page becomes the command that prints it; any other relative link becomes plain text.
    pub fn text(&self) -> String {
        let mut parts = self.page.split("](");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let Some((target, rest)) = part.split_once(')').filter(|(target, _)| !target.contains("://")) else {
                text += &format!("]({part}");
                continue;
            };
            let name = target.split('#').next().and_then(|file| file.strip_suffix(".md")).unwrap_or_default();
            text += &match Self::find(name) {
                Some(topic) => format!("] (`platformctl help {}`){rest}", topic.name),
                None if name == "cli" => format!("] (`platformctl help`){rest}"),
                None => format!("]{rest}"),
            };
        }
        text
    }
}

/// The list of topics, as it stands under the list of commands.
pub(super) fn listing() -> String {
    let wide = ALL.iter().map(|topic| topic.name.len()).max().unwrap_or(0);
    let rows = ALL.iter().map(|topic| format!("\n  {:<wide$}  {}", topic.name, topic.about));
    format!("Topics (platformctl help TOPIC):{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_the_command_that_prints_the_page() {
        let topic = |page| Topic { name: "x", about: "", page }.text();
        assert_eq!(
            topic("[hosts](hosts.md#ssh), [x](cli.md)."),
            "[hosts] (`platformctl help hosts`), [x] (`platformctl help`)."
        );
        assert_eq!(topic("see [why](decisions/0007-x.md#y) and [here](../README.md)"), "see [why] and [here]");
        assert_eq!(topic("[a](https://example.org/b) and [c]("), "[a](https://example.org/b) and [c](");
    }
}
