//! Canonical JSON, for everything that is hashed or recorded: sorted keys, no white space, integers below 2⁵³, no
//! floats, one final newline only where a file is written.

use serde::Serialize;
use serde_json::Value;

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// A number that is not an integer within ±(2⁵³ − 1).
    #[error("the number `{0}` is not an integer below 2^53")]
    Number(String),
    /// The value could not be turned into JSON at all.
    #[error("not representable as JSON")]
    Json(#[from] serde_json::Error),
}

const LIMIT: i64 = 1 << 53;

/// The canonical bytes of `value`, without a final newline.
///
/// # Errors
/// A float or an integer of 2⁵³ or more.
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    // serde_json's map is a BTreeMap: keys come out sorted by their bytes.
    let value = serde_json::to_value(value)?;
    check(&value)?;
    Ok(serde_json::to_vec(&value)?)
}

/// The digest of the canonical bytes of `value`.
///
/// # Errors
/// As [`canonical`].
pub fn digest<T: Serialize>(value: &T) -> Result<super::digest::Digest, CanonicalError> {
    Ok(super::digest::Digest::of(&canonical(value)?))
}

fn check(value: &Value) -> Result<(), CanonicalError> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(n) if -LIMIT < n && n < LIMIT => Ok(()),
            _ => Err(CanonicalError::Number(number.to_string())),
        },
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(map) => map.values().try_for_each(check),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_sorted_and_floats_refused() {
        let value: Value = serde_json::from_str(r#"{"b":1,"a":{"d":null,"c":"é"}}"#).unwrap();
        assert_eq!(canonical(&value).unwrap(), r#"{"a":{"c":"é","d":null},"b":1}"#.as_bytes());
        assert!(canonical(&1.0).is_err());
        assert!(canonical(&(1_i64 << 53)).is_err());
        assert!(canonical(&((1_i64 << 53) - 1)).is_ok());
    }

    proptest! {
        #[test]
        fn key_order_does_not_change_canonical_json(pairs in prop::collection::btree_map(".*", any::<i32>(), 0..20)) {
            let forwards: serde_json::Map<_, _> = pairs.iter().map(|(k, v)| (k.clone(), Value::from(*v))).collect();
            let backwards: serde_json::Map<_, _> = pairs.iter().rev().map(|(k, v)| (k.clone(), Value::from(*v))).collect();
            prop_assert_eq!(canonical(&forwards).unwrap(), canonical(&backwards).unwrap());
        }
    }
}
