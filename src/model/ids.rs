//! Names of things: git objects, modules, hosts, runs. Each is parsed once and is valid ever after.

use std::{fmt, str::FromStr};

use super::as_text::as_text;

/// Why a text is not the id that it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 40 hexadecimal digits.
    #[error("`{}` is not a full object id of 40 hexadecimal digits", super::text::shown(.0))]
    Oid(String),
    /// Not `[a-z0-9][a-z0-9-]{0,62}`.
    #[error("`{}` is not a name of 1 to 63 characters a-z, 0-9 and -", super::text::shown(.0))]
    Name(String),
    /// Not `YYYYMMDDTHHMMSSZ-hhhhhhhh`.
    #[error("`{}` is not a run id", super::text::shown(.0))]
    Run(String),
    /// Not `<module>@<host>`.
    #[error("`{}` is not a deployment, <module>@<host>", super::text::shown(.0))]
    Deployment(String),
    /// Not `sha256:` and 64 hexadecimal digits.
    #[error("`{}` is not a sha256 digest", super::text::shown(.0))]
    Digest(String),
}

/// A full SHA-1 object id of git, printed as 40 lower-case digits and never shortened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid([u8; 20]);

impl Oid {
    /// Takes the 20 bytes of an id.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl FromStr for Oid {
    type Err = IdError;

    /// Reads 40 hexadecimal digits; upper case is folded.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Oid(text.to_owned());
        let digits = text.as_bytes();
        if digits.len() != 40 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(wrong());
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::text::hex(&self.0))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

as_text!(Oid);

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes[0] != b'-'
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_name(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError::Name(text.to_owned()))
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        as_text!($type);
    };
}

name! {
    /// A module: the name of its folder under `modules/`; `[a-z0-9][a-z0-9-]{0,62}`.
    ModuleId
}
name! {
    /// A host: a key of `hosts:` in `platform.yaml`; `[a-z0-9][a-z0-9-]{0,62}`.
    HostName
}

/// A module on one of its hosts, written `module@host`. What runs, locks, preconditions and failed releases belong to
/// it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deployment {
    /// The module.
    pub module: ModuleId,
    /// The host.
    pub host: HostName,
}

impl Deployment {
    /// The deployment of `module` on `host`.
    pub fn new(module: &ModuleId, host: &HostName) -> Self {
        Self { module: module.clone(), host: host.clone() }
    }
}

impl FromStr for Deployment {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parsed = text
            .split_once('@')
            .and_then(|(module, host)| Some(Self { module: module.parse().ok()?, host: host.parse().ok()? }));
        parsed.ok_or_else(|| IdError::Deployment(text.to_owned()))
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.module, self.host)
    }
}
as_text!(Deployment);

/// One attempt to carry out a plan: UTC time and chance, `20261122T101530Z-1a2b3c4d`; sorts by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

impl RunId {
    /// Makes the id of a run that begins `now`.
    pub fn new(now: super::time::Timestamp, chance: [u8; 4]) -> Self {
        let hex: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{}-{hex}", now.compact()))
    }

    /// The same, but greater than another id also where that was made by a clock which is ahead, or within the same
    /// second.
    #[must_use]
    pub fn newer(now: super::time::Timestamp, chance: [u8; 4], than: Option<&Self>) -> Self {
        let id = Self::new(now, chance);
        let Some(than) = than.filter(|than| id <= **than) else { return id };
        match super::time::Timestamp::from_compact(&than.0[..16]) {
            Some(time) => Self::new(time.plus_s(1), chance),
            None => id,
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = text.len() == 25
            && text.bytes().enumerate().all(|(at, b)| match at {
                8 => b == b'T',
                15 => b == b'Z',
                16 => b == b'-',
                17.. => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
                _ => b.is_ascii_digit(),
            });
        if fits { Ok(Self(text.to_owned())) } else { Err(IdError::Run(text.to_owned())) }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
as_text!(RunId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_increase() {
        let now: crate::model::time::Timestamp = "2026-11-22T10:15:42Z".parse().unwrap();
        let first = RunId::newer(now, [9, 9, 9, 9], None);
        assert_eq!(first.as_str(), "20261122T101542Z-09090909");
        let second = RunId::newer(now, [1, 1, 1, 1], Some(&first));
        assert_eq!(second.as_str(), "20261122T101543Z-01010101");
        assert!(second > first && RunId::newer(now, [9, 9, 9, 9], Some(&second)) > second);
        assert_eq!(RunId::newer(now.plus_s(60), [0; 4], Some(&second)).as_str(), "20261122T101642Z-00000000");
    }

    #[test]
    fn a_deployment_is_a_module_and_a_host() {
        let deployment: Deployment = "web@box-2".parse().unwrap();
        assert_eq!((deployment.module.as_str(), deployment.host.as_str()), ("web", "box-2"));
        assert_eq!(deployment.to_string(), "web@box-2");
        for bad in ["", "web", "web@", "@box", "web@box@box", "web@Box", "web @box", "web@box/x"] {
            assert!(bad.parse::<Deployment>().is_err(), "{bad}");
        }
    }

    #[test]
    fn abbreviated_ids_are_refused() {
        let id: Oid = "DEADBEEFdeadbeefdeadbeefdeadbeefdeadbeef".parse().unwrap();
        assert_eq!(id.to_string(), "deadbeef".repeat(5), "upper case is folded");
        for bad in ["", "dead", "+1".repeat(20).as_str(), "g".repeat(40).as_str(), "é".repeat(20).as_str()] {
            assert!(bad.parse::<Oid>().is_err(), "{bad}");
        }
        for bad in ["", "-a", "A", "a.b", "a/b", "a\n", &"a".repeat(64)] {
            assert!(bad.parse::<ModuleId>().is_err(), "{bad}");
        }
        assert!("honcho-redis".parse::<ModuleId>().is_ok());
        assert!("20261122T101530Z-1a2b3c4d".parse::<RunId>().is_ok());
        for bad in ["20261122T101530Z-1a2b3c4", "20261122T101530Z-1A2b3c4d", "../../../../etc/passwd-xx"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }
}
