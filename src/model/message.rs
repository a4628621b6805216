//! A message to people: what a phone shows, and what a webhook gets (schema `platformctl.notice/1`). Plain text: neither
//! Markdown nor HTML is meant by anything in it, and nobody should render it as such.

use serde::Serialize;
use serde_json::json;

use super::{
    alarm::Condition,
    digest::Digest,
    forge::ForgeUrl,
    ids::{Deployment, HostName, ModuleId, Oid},
    names::NtfyTopic,
    text::{escaped_line, escaped_lines},
    time::Timestamp,
};

/// The schema of a notice.
pub const SCHEMA: &str = "platformctl.notice/1";
/// Longest title, in characters.
pub const TITLE_MAX: usize = 60;
/// Longest text, in bytes. An ntfy server takes less than 4,096.
pub const TEXT_BYTES_MAX: usize = 4_000;
/// Most bytes of a JSON object that an ntfy server takes are 8,192, and quotes and line breaks count twice there.
const NTFY_BYTES_MAX: usize = 8_000;
/// What stands at the end of a text that was cut.
const CUT: &str = "… (cut)";

/// What kind of news a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum News {
    /// An alarm, for the first time.
    Raised,
    /// The same alarm, which still lasts.
    Lasts,
    /// The alarm is over.
    Over,
    /// A change ended well.
    Applied,
}

/// What a message is about.
#[derive(Debug, Clone)]
pub struct About<'a> {
    /// What kind of news it is.
    pub news: News,
    /// The alarm; `None` if it is none.
    pub condition: Option<Condition>,
    /// The first record of the chain, which tells one repository from another.
    pub genesis: Option<Oid>,
    /// The deployment.
    pub deployment: Option<&'a Deployment>,
    /// The pull request.
    pub pr: Option<u64>,
    /// What tells this alarm from another of the same condition.
    pub which: Digest,
    /// Since when.
    pub since: Timestamp,
    /// Now.
    pub at: Timestamp,
}

/// A message. Everything in it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Message {
    /// `platformctl.notice/1`.
    schema: &'static str,
    /// The same for every message about the same alarm: 32 hexadecimal digits.
    id: String,
    /// Whether the alarm is raised, lasts or is over, or a change was applied.
    news: News,
    /// The alarm; null if it is none.
    condition: Option<Condition>,
    /// The module; null if it is about the record itself.
    module: Option<ModuleId>,
    /// Its host.
    host: Option<HostName>,
    /// The pull request, if there is one.
    pr: Option<u64>,
    /// Since when it lasts.
    since: Timestamp,
    /// When this was written.
    at: Timestamp,
    /// One line of at most 60 characters.
    title: String,
    /// A few lines of plain text.
    text: String,
    /// Where to read more.
    links: Links,
}

/// Pages to read more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Links {
    /// The pull request; null if it is not known where that is.
    pull: Option<String>,
    /// The comment of platformctl under it; null if there is none, or it is not known.
    comment: Option<String>,
}

impl Links {
    /// The pages of a pull request. The address of a comment is the forge's own word: it counts only if it leads to the
    /// same repository.
    pub fn of(forge: &ForgeUrl, pr: u64, comment: Option<&str>) -> Self {
        let below = format!("{forge}/");
        let plain = |url: &&str| url.bytes().all(|b| b.is_ascii_alphanumeric() || b":/._~-#[]".contains(&b));
        let own =
            comment.filter(plain).filter(|url| url.len() <= 1_000 && url.starts_with(&below) && !url.contains("/../"));
        Self { pull: Some(forge.pull(pr)), comment: own.map(str::to_owned) }
    }
}

impl Message {
    /// A message. Foreign characters that could forge what a reader sees are escaped; what is too long is cut.
    pub fn new(about: &About<'_>, title: &str, text: &str, links: Links) -> Self {
        let About { news, condition, genesis, deployment, pr, which, since, at } = about;
        let key = json!([genesis, condition.map(Condition::as_str), deployment, which]).to_string();
        Self {
            schema: SCHEMA,
            id: Digest::of(key.as_bytes()).hex()[..32].to_owned(),
            news: *news,
            condition: *condition,
            module: deployment.map(|deployment| deployment.module.clone()),
            host: deployment.map(|deployment| deployment.host.clone()),
            pr: *pr,
            since: *since,
            at: *at,
            title: title_of(title),
            text: cut(&escaped_lines(text), TEXT_BYTES_MAX),
            links,
        }
    }

    /// The same with other words, without secrets for instance.
    #[must_use]
    pub fn worded(self, words: impl Fn(&str) -> String) -> Self {
        let (title, text) = (title_of(&words(&self.title)), cut(&words(&self.text), TEXT_BYTES_MAX));
        Self { title, text, ..self }
    }

    /// Its title.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The object for a webhook.
    pub fn notice(&self) -> Vec<u8> {
        json!(self).to_string().into_bytes()
    }

    /// The object for the root of an ntfy server. In the body and not in headers, which cannot carry these characters.
    pub fn ntfy(&self, topic: &NtfyTopic) -> Vec<u8> {
        let mut text = self.text.clone();
        loop {
            let bytes = self.ntfy_with(topic, &text);
            if bytes.len() <= NTFY_BYTES_MAX || text.is_empty() {
                return bytes;
            }
            // Each byte too many is at least half a byte of the text.
            let less = (bytes.len() - NTFY_BYTES_MAX).div_ceil(2) + CUT.len();
            text = cut(&text, text.len().saturating_sub(less));
        }
    }

    fn ntfy_with(&self, topic: &NtfyTopic, text: &str) -> Vec<u8> {
        let (priority, tag) = match (self.news, self.condition) {
            (News::Over | News::Applied, _) => (3, "white_check_mark"),
            (_, Some(Condition::Tampered)) => (5, "rotating_light"),
            (_, Some(Condition::Waits)) => (3, "hourglass"),
            (News::Lasts, _) => (3, "warning"),
            (News::Raised, _) => (4, "warning"),
        };
        let mut object = json!({
            "topic": topic,
            "title": self.title,
            "message": text,
            "priority": priority,
            "tags": [tag],
            // A later message about the same alarm takes the place of the earlier one.
            "sequence_id": self.id,
        });
        let pages = [("Comment", &self.links.comment), ("Pull request", &self.links.pull)];
        let view = |(label, url): (&str, &Option<String>)| {
            Some(json!({"action": "view", "label": label, "url": url.as_ref()?}))
        };
        let actions: Vec<_> = pages.into_iter().filter_map(view).collect();
        if let Some(first) = actions.first() {
            object["click"] = first["url"].clone();
            object["actions"] = actions.into();
        }
        object.to_string().into_bytes()
    }
}

fn title_of(text: &str) -> String {
    let line = escaped_line(text);
    if line.chars().count() <= TITLE_MAX {
        return line;
    }
    line.chars().take(TITLE_MAX - 1).chain(['…']).collect()
}

/// `HELD: module on host, PR #7`, of at most [`TITLE_MAX`] characters: of long names the middle is cut, so that what
/// happened and the number stay.
pub fn title(what: &str, deployment: &Deployment, pr: Option<u64>) -> String {
    let pr = pr.map_or_else(String::new, |pr| format!(", PR #{pr}"));
    let place = format!("{} on {}", deployment.module, deployment.host);
    let room = TITLE_MAX.saturating_sub(what.chars().count() + 2 + pr.chars().count());
    let place = if place.chars().count() <= room {
        place
    } else {
        place.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    };
    format!("{what}: {place}{pr}")
}

/// `text` of at most `bytes_max` bytes, cut between two characters, with a mark where that was done.
fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let room = bytes_max.saturating_sub(CUT.len());
    let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{CUT}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(title: &str, text: &str, links: Links) -> Message {
        let site: Deployment = "site@box".parse().unwrap();
        let at = Timestamp::from_unix_s(1_790_000_000);
        let about = About {
            news: News::Raised,
            condition: Some(Condition::Held),
            genesis: None,
            deployment: Some(&site),
            pr: Some(7),
            which: Digest::of(b"x"),
            since: at,
            at,
        };
        Message::new(&about, title, text, links)
    }

    #[test]
    fn titles_keep_what_happened_and_the_number() {
        let long: Deployment = format!("{}@{}", "m".repeat(63), "h".repeat(63)).parse().unwrap();
        let title = title("Rolled back", &long, Some(123_456));
        assert_eq!(title.chars().count(), TITLE_MAX);
        assert!(title.starts_with("Rolled back: mmm") && title.ends_with("…, PR #123456"), "{title}");
        let site: Deployment = "site@box".parse().unwrap();
        assert_eq!(super::title("HELD", &site, Some(7)), "HELD: site on box, PR #7");
        assert_eq!(message(&"é".repeat(100), "", Links::default()).title().chars().count(), TITLE_MAX);
    }

    /// Attack: text from outside is long, or full of characters that count twice, and the server refuses the whole message.
    /// Defence: a text is cut between two characters to what the server takes, and says that it was cut.
    #[test]
    fn long_texts_are_cut_for_the_server() {
        let topic: NtfyTopic = "ops".parse().unwrap();
        for text in
            ["x".repeat(9_000), "€".repeat(3_000), "\"\n".repeat(3_000), "\u{1b}".repeat(2_000), "🚨".repeat(2_000)]
        {
            let message = message("t", &text, Links::default());
            assert!(
                message.text().len() <= TEXT_BYTES_MAX && message.text().ends_with(CUT),
                "{}",
                message.text().len()
            );
            let bytes = message.ntfy(&topic);
            assert!(bytes.len() <= NTFY_BYTES_MAX, "{}", bytes.len());
            let object: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert!(object["message"].as_str().unwrap().ends_with(CUT));
        }
        assert_eq!(message("t", "short", Links::default()).text(), "short");
    }

    /// Attack: a message contains control characters or a right-to-left override, and shows something else than it has.
    /// Defence: these characters are escaped in titles and texts.
    #[test]
    fn messages_escape_harmful_characters() {
        let message = message("a\u{202e}b\nc", "one\ntwo\u{1b}[2J\u{200b}", Links::default());
        assert_eq!((message.title(), message.text()), ("a\\u{202e}b\\nc", "one\ntwo\\u{1b}[2J\\u{200b}"));
    }

    /// Attack: the forge names a comment's address on another server, and a phone opens it.
    /// Defence: a comment is linked only below the page of the repository.
    #[test]
    fn links_lead_to_the_repository_only() {
        let forge: ForgeUrl = "https://git.example.org/ops/platform".parse().unwrap();
        let page = "https://git.example.org/ops/platform/pulls/7";
        let own = Links::of(&forge, 7, Some(&format!("{page}#issuecomment-3")));
        assert_eq!(
            (own.pull.as_deref(), own.comment.as_deref()),
            (Some(page), Some(&*format!("{page}#issuecomment-3")))
        );
        let object: serde_json::Value =
            serde_json::from_slice(&message("t", "x", own).ntfy(&"ops".parse().unwrap())).unwrap();
        assert_eq!(
            (&object["click"], object["actions"].as_array().unwrap().len()),
            (&json!(format!("{page}#issuecomment-3")), 2)
        );
        for foreign in [
            "https://evil.test/ops/platform/pulls/7",
            "https://git.example.org/ops/platform-evil/pulls/7",
            "https://git.example.org/ops/platform/../../evil/x",
            "javascript:alert(1)",
            "https://git.example.org/ops/platform/pulls/7\" onclick=\"x",
        ] {
            assert_eq!(Links::of(&forge, 7, Some(foreign)).comment, None, "{foreign}");
        }
    }

    #[test]
    fn one_alarm_has_one_id() {
        let (one, two) = (message("a", "b", Links::default()), message("c", "d", Links::default()));
        assert_eq!(one.id, two.id);
        assert_eq!(one.id.len(), 32);
    }
}
