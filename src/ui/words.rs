//! Small words of the messages.

use unicode_width::UnicodeWidthStr as _;

/// Columns of a line for a person on a phone.
const WIDTH: usize = 60;

/// `1 file`, `2 files`.
pub fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// `0.4 s`, `36 s`.
pub fn seconds(ms: u64) -> String {
    if ms < 10_000 { format!("{}.{} s", ms / 1000, ms % 1000 / 100) } else { format!("{} s", ms / 1000) }
}

/// A digest or id where nobody has to compare it.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// `#140 #142`.
pub fn list(pulls: &[u64]) -> String {
    pulls.iter().map(|pr| format!("#{pr}")).collect::<Vec<_>>().join(" ")
}

/// `text` on lines of at most 60 columns, each after `indent`. A word that is longer stays whole: ids and paths are copied. A line
/// that begins with two blanks is shown as it is: it is a listing or a difference.
pub fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        if paragraph.starts_with("  ") {
            lines.push(format!("{indent}{paragraph}"));
            continue;
        }
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && indent.width() + line.width() + 1 + word.width() > WIDTH {
                lines.push(format!("{indent}{line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(format!("{indent}{line}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_a_phone_and_ids_stay_whole() {
        let id = "0123456789012345678901234567890123456789";
        let lines = wrapped(&format!("the record begins with {id}, platform.yaml pins another"), "  ");
        assert_eq!(lines, ["  the record begins with", &format!("  {id}, platform.yaml"), "  pins another"]);
        assert_eq!(wrapped("a:\n  + x", ""), ["a:", "  + x"]);
        assert_eq!(plural(1, "file") + &plural(2, "file"), "1 file2 files");
        assert_eq!((seconds(420), seconds(36_400)), ("0.4 s".to_owned(), "36 s".to_owned()));
    }
}
