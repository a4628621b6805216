//! What can be wrong with a secret file on a host.

use crate::model::{path::HostPath, text::shown};

/// Something about a secret that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretTrouble {
    /// The file is not there.
    Missing(String),
    /// The account may not read it.
    Unreadable(String),
    /// Others on the host may read it.
    Open(String),
    /// A value has a dollar sign outside single quotes: Compose would change it silently.
    Dollar(String),
    /// A declared key is not in the file: key, file.
    Key(String, String),
}

impl SecretTrouble {
    /// Reads the text after `secret` in an answer.
    pub(super) fn read(value: &str) -> Option<Self> {
        let (what, rest) = value.split_once(' ')?;
        let file = rest.to_owned();
        Some(match what {
            "missing" => Self::Missing(file),
            "unreadable" => Self::Unreadable(file),
            "open" => Self::Open(file),
            "dollar" => Self::Dollar(file),
            "key" => {
                let (key, file) = rest.split_once(' ')?;
                Self::Key(key.to_owned(), file.to_owned())
            }
            _ => return None,
        })
    }

    /// What is the case, for a person.
    pub fn fact(&self, root: &HostPath) -> String {
        let place = |file: &str| format!("{root}/secrets/{}", shown(file));
        match self {
            Self::Missing(file) => format!("the secret file {} is not there", place(file)),
            Self::Unreadable(file) => {
                format!("the secret file {} cannot be read by the account that platformctl uses", place(file))
            }
            Self::Open(file) => format!("the secret file {} can be read by others on the host", place(file)),
            Self::Dollar(file) => {
                format!("a value in {} has a dollar sign outside single quotes: Compose would change it", place(file))
            }
            Self::Key(key, file) => format!("the secret file {} has no {}", place(file), shown(key)),
        }
    }
}
