//! Points in time, to the second, in UTC. Nothing here asks a clock.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};

use super::as_text::as_text;

/// Seconds since 1970, written `2026-11-22T10:15:42Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Not a time of the form `2026-11-22T10:15:42Z`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a time of the form 2026-11-22T10:15:42Z", super::text::shown(.0))]
pub struct TimeError(String);

/// The last second of the year 9999; later ones have no four-digit year.
const LAST: i64 = 253_402_300_799;

impl Timestamp {
    /// Takes seconds since 1970, held within the years 1970 to 9999.
    pub fn from_unix_s(seconds: i64) -> Self {
        Self(seconds.clamp(0, LAST))
    }

    /// Seconds since 1970.
    pub const fn unix_s(self) -> i64 {
        self.0
    }

    /// This time and `seconds`.
    pub fn plus_s(self, seconds: i64) -> Self {
        Self::from_unix_s(self.0.saturating_add(seconds))
    }

    /// `20261122T101530Z`.
    pub fn compact(self) -> String {
        self.utc().format("%Y%m%dT%H%M%SZ").to_string()
    }

    /// Reads `20261122T101530Z`.
    pub fn from_compact(text: &str) -> Option<Self> {
        let time = chrono::NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok()?;
        let time = Self::from_unix_s(time.and_utc().timestamp());
        (time.compact() == text).then_some(time)
    }

    /// Reads a time of RFC 3339 with any offset, as other programs write it; fractions of a second are dropped.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|time| Self::from_unix_s(time.timestamp()))
    }

    /// How long before `now` this was, for a person: `4 min ago`; `in the future` if it was not.
    pub fn age(self, now: Self) -> String {
        let seconds = now.0 - self.0;
        match seconds {
            ..0 => "in the future".to_owned(),
            0..60 => format!("{seconds} s ago"),
            60..3600 => format!("{} min ago", seconds / 60),
            3600..172_800 => format!("{} h ago", seconds / 3600),
            _ => format!("{} days ago", seconds / 86_400),
        }
    }

    fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0, 0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.utc().format("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let wrong = || TimeError(text.to_owned());
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
        let time = Self::from_unix_s(time.timestamp());
        // One spelling per time: what is read is what would be written.
        if time.to_string() == text { Ok(time) } else { Err(wrong()) }
    }
}
as_text!(Timestamp);

/// A duration as Compose renders it (`1m30s`, `500ms`, `1.5s`) in milliseconds; `None` where it is not understood.
pub fn duration_ms(text: &str) -> Option<u64> {
    const UNITS: &[(&str, f64)] =
        &[("ns", 1e-6), ("us", 1e-3), ("µs", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 6e4), ("h", 3.6e6)];
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].split(|c: char| c.is_ascii_digit()).next()?;
        let (_, each_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total += number * each_ms;
        rest = &rest[digits + unit.len()..];
    }
    // Durations that are longer than a year are none.
    let known = !text.is_empty() && (0.0..3.2e10).contains(&total);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "its range was looked at")]
    known.then_some(total.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_strictly() {
        let read =
            [("30s", 30_000), ("1m30s", 90_000), ("500ms", 500), ("1.5s", 1_500), ("1h0m0s", 3_600_000), ("0s", 0)];
        for (text, ms) in read {
            assert_eq!(duration_ms(text), Some(ms), "{text}");
        }
        for text in ["", "5", "s", "5x", "1..2s", "-5s", "99999999h", "5 s"] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_parsed_strictly() {
        let time: Timestamp = "2026-11-22T10:15:42Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-22T10:15:42Z");
        assert_eq!(time.compact(), "20261122T101542Z");
        assert!("2026-11-22T11:15:42+01:00".parse::<Timestamp>().is_err());
        assert!("2026-11-22".parse::<Timestamp>().is_err());
        assert_eq!(time.age(time.plus_s(250)), "4 min ago");
        assert_eq!(time.plus_s(5).age(time), "in the future");
    }
}
