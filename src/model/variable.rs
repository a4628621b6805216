//! Variables in a compose file, by the rules of Compose's own interpolation (compose-spec, 12-interpolation.md).

use std::collections::BTreeSet;

/// The variables that `text` needs a value of: not in `known`, and without a default.
pub fn missing(text: &str, known: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    collect(text, known, &mut found);
    found
}

fn collect(text: &str, known: &BTreeSet<String>, found: &mut Vec<String>) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(escaped) = rest.strip_prefix('$') {
            rest = escaped;
            continue;
        }
        let braced = rest.strip_prefix('{');
        let from = braced.unwrap_or(rest);
        let len = from.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let (name, after) = from.split_at(len);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let is_known = known.contains(name);
        if braced.is_none() {
            if !is_known {
                found.push(name.to_owned());
            }
            rest = after;
            continue;
        }
        let end = closing(after);
        let (inside, beyond) = after.split_at(end);
        rest = beyond;
        let operation = inside.strip_prefix(':').unwrap_or(inside);
        match operation.chars().next() {
            // A default counts, and may contain variables itself.
            Some('-') if !is_known => collect(&operation[1..], known, found),
            Some('-') => {}
            Some('+') => collect(if is_known { &operation[1..] } else { "" }, known, found),
            Some(_) | None if is_known => {}
            Some(_) | None => found.push(name.to_owned()),
        }
    }
}

/// Where the brace that opened before `text` is closed; the end if it never is.
fn closing(text: &str) -> usize {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if at > 0 && bytes[at - 1] == b'$' => depth += 1,
            b'}' if depth == 0 => return at,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_variables_without_value_and_default_are_unset() {
        let known = BTreeSet::from(["TAG".to_owned()]);
        for (text, names) in [
            ("redis:${TAG}", vec![]),
            ("redis:$TAG-x", vec![]),
            ("redis:${TAGS}", vec!["TAGS"]),
            ("$A$B", vec!["A", "B"]),
            ("$$A and $${B}", vec![]),
            ("${A:-x}${B-}", vec![]),
            ("${A:?must}${TAG:?must}", vec!["A"]),
            ("${A:+$B}${TAG:+$B}", vec!["B"]),
            ("${A:-${B:-${C}}}", vec!["C"]),
            ("${TAG:-${C}}", vec![]),
            ("${A", vec!["A"]),
            ("100$ $1 ${1}", vec![]),
        ] {
            assert_eq!(missing(text, &known), names, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "[${}:?+A-C é-]{0,40}") {
            crate::laws::words(text.as_bytes());
        }
    }
}
