//! Text from outside, made safe to show. Text of a host, a forge or a repository is untrusted until it was escaped
//! here.

/// Most characters of foreign text that one message shows.
const SHOWN: usize = 200;

/// `text` with control characters, direction overrides and line separators written as escapes, cut at 200 characters.
pub fn shown(text: &str) -> String {
    let mut out = escaped_line(&text.chars().take(SHOWN).collect::<String>());
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out
}

/// Like [`shown`], for bytes that may not be UTF-8, without the cut.
pub fn escaped_bytes(bytes: &[u8]) -> String {
    bytes
        .utf8_chunks()
        .map(|chunk| {
            let bad: String = chunk.invalid().iter().map(|b| format!("\\x{b:02x}")).collect();
            escaped_line(chunk.valid()) + &bad
        })
        .collect()
}

/// `text` on one line: everything that could move a cursor or reorder a line is escaped.
pub fn escaped_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// `text` with its line breaks and tabs kept, everything else as in [`escaped_line`].
pub fn escaped_lines(text: &str) -> String {
    let lines: Vec<String> =
        text.split('\n').map(|line| line.split('\t').map(escaped_line).collect::<Vec<_>>().join("\t")).collect();
    lines.join("\n")
}

/// `text` as a double-quoted scalar on one line, which a YAML reader reads as the same text whatever it contains.
pub fn yaml_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_harmful(c) || ('\u{fff0}'..='\u{ffff}').contains(&c) => {
                out += &format!("\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// The same without quotes where none are needed.
pub fn yaml_scalar(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    let bare = text.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic()) && text.bytes().all(plain);
    // Words that are no strings to one reader or another.
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    if bare && !word { text.to_owned() } else { yaml_quoted(text) }
}

/// Whether a character can forge what a reader sees: controls, bidi overrides, line separators, invisible ones.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{61c}')
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
}

/// Tenths of a MiB.
const TENTH_BYTES: u64 = (1 << 20) / 10;

/// A size as `12.3 MiB`: what is there, and so rounded down.
pub fn mib(bytes: u64) -> String {
    let tenths = (u128::from(bytes) * 10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// A size as `12.4 MiB`: what is needed, and so rounded up.
pub fn mib_needed(bytes: u64) -> String {
    mib(bytes.saturating_add(TENTH_BYTES))
}

/// Lower-case hexadecimal digits, two a byte.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(shown("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
        assert_eq!(shown(&"x".repeat(300)).chars().count(), 201);
        assert_eq!(escaped_bytes(b"ok\xff\n"), "ok\\xff\\n");
        assert_eq!((mib(17 << 20), mib((17 << 20) - 1)), ("17.0 MiB".to_owned(), "16.9 MiB".to_owned()));
        assert_eq!(
            (mib(0), mib_needed(1), mib_needed(17 << 20)),
            ("0.0 MiB".into(), "0.1 MiB".into(), "17.0 MiB".into())
        );
        assert_eq!(escaped_lines("a\tb\r\nc"), "a\tb\\r\nc");
    }
}
