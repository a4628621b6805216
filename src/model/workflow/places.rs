//! Where something stands in the text of a file.

/// A text, to find the line and column of what stands in it.
#[derive(Debug)]
pub(super) struct Places {
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Places {
    pub(super) fn of(text: String) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = [0].into_iter().chain(after).collect();
        Self { text, lines }
    }

    /// The place of the `nth` (from 0) `needle` from `start` on, both a line and a column from 1; `start` where it is
    /// not written there as it is read.
    pub(super) fn find(&self, start: (usize, usize), needle: &str, nth: usize) -> (usize, usize) {
        let found = self.offset(start).and_then(|from| {
            let (at, _) = self.text.get(from..)?.match_indices(needle).nth(nth)?;
            Some(from + at)
        });
        found.filter(|_| !needle.is_empty()).map_or(start, |at| self.place(at))
    }

    fn offset(&self, (line, column): (usize, usize)) -> Option<usize> {
        let begin = *self.lines.get(line.checked_sub(1)?)?;
        let within = self.text.get(begin..)?.char_indices().nth(column.checked_sub(1)?).map(|(at, _)| at)?;
        Some(begin + within)
    }

    fn place(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|begin| *begin <= at);
        let begin = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, self.text.get(begin..at).map_or(0, |before| before.chars().count()) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_by_line_and_column() {
        let places = Places::of("a: ${{ x }}\nb: |\n  é ${{ y }} ${{ y }}\n".to_owned());
        assert_eq!(places.find((1, 4), "${{ x", 0), (1, 4));
        assert_eq!(places.find((2, 4), "${{ y", 0), (3, 5));
        assert_eq!(places.find((2, 4), "${{ y", 1), (3, 14));
        assert_eq!(places.find((2, 4), "${{ z", 0), (2, 4));
        assert_eq!(places.find((9, 9), "a", 0), (9, 9));
        assert_eq!(places.find((0, 0), "a", 0), (0, 0));
    }
}
