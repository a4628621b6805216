//! Why a plan changes something: one word, sorted and compared as it is written.

use std::{convert::Infallible, fmt, str::FromStr};

use super::as_text::as_text;

/// Why something changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It does not exist yet.
    New,
    /// It is no longer wanted.
    Gone,
    /// A person asked for it (`--again`).
    Again,
    /// Driver files: its bytes differ.
    Content,
    /// Driver files: its mode differs.
    Mode,
    /// The image differs.
    Image,
    /// Its configuration differs in a way that has no name here.
    Configuration,
    /// Its definition differs (a preview, which renders nothing).
    Definition,
    /// A network, volume, config or secret that it uses is described differently.
    Uses,
    /// A file of the repository that it mounts differs.
    Config(String),
    /// A variable of its environment differs.
    Env(String),
    /// A network that it joins is made again.
    Network(String),
    /// It shares a namespace with a service that is made again.
    Service(String),
    /// It depends on a service that is made again.
    DependsOn(String),
    /// It should have this many containers.
    Replicas(u64),
    /// Its container is in this state.
    State(String),
    /// A key of its definition differs.
    Key(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Gone => f.write_str("gone"),
            Self::Again => f.write_str("again"),
            Self::Content => f.write_str("content"),
            Self::Mode => f.write_str("mode"),
            Self::Image => f.write_str("image"),
            Self::Configuration => f.write_str("config"),
            Self::Definition => f.write_str("definition"),
            Self::Uses => f.write_str("uses"),
            Self::Config(path) => write!(f, "config:{path}"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Network(key) => write!(f, "network:{key}"),
            Self::Service(name) => write!(f, "service:{name}"),
            Self::DependsOn(name) => write!(f, "depends_on:{name}"),
            Self::Replicas(count) => write!(f, "replicas:{count}"),
            Self::State(word) => write!(f, "state:{word}"),
            Self::Key(key) => f.write_str(key),
        }
    }
}

impl FromStr for Cause {
    type Err = Infallible;

    /// A word without a meaning here is a key of a definition.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let key = || Self::Key(text.to_owned());
        Ok(match text.split_once(':') {
            None => match text {
                "new" => Self::New,
                "gone" => Self::Gone,
                "again" => Self::Again,
                "content" => Self::Content,
                "mode" => Self::Mode,
                "image" => Self::Image,
                "config" => Self::Configuration,
                "definition" => Self::Definition,
                "uses" => Self::Uses,
                _ => key(),
            },
            Some(("config", rest)) => Self::Config(rest.to_owned()),
            Some(("env", rest)) => Self::Env(rest.to_owned()),
            Some(("network", rest)) => Self::Network(rest.to_owned()),
            Some(("service", rest)) => Self::Service(rest.to_owned()),
            Some(("depends_on", rest)) => Self::DependsOn(rest.to_owned()),
            Some(("state", rest)) => Self::State(rest.to_owned()),
            // Only a number as it is written: what is read back is written the same way.
            Some(("replicas", rest)) => match rest.parse::<u64>() {
                Ok(count) if count.to_string() == rest => Self::Replicas(count),
                Ok(_) | Err(_) => key(),
            },
            Some(_) => key(),
        })
    }
}

as_text!(Cause);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same_way(text in "((config|env|network|service|depends_on|replicas|state):)?[a-z0-9:./ ]{0,12}") {
            let cause: Cause = text.parse().unwrap();
            prop_assert_eq!(cause.to_string(), text);
        }
    }

    #[test]
    fn every_word_has_its_meaning() {
        for word in ["new", "gone", "again", "content", "mode", "image", "config", "definition", "uses", "replicas:2"] {
            let cause: Cause = word.parse().unwrap();
            assert!(!matches!(cause, Cause::Key(_)), "{word}");
        }
        assert_eq!("command".parse(), Ok(Cause::Key("command".to_owned())));
    }
}
