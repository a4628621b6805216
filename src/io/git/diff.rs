//! Differences of two trees for a person: unified, escaped, and no longer than a screen.

use gix::diff::blob::{
    Algorithm, InternedInput, UnifiedDiff, diff_with_slider_heuristics,
    unified_diff::{ConsumeHunk, ContextSize, DiffLineKind, HunkHeader},
};

use super::Git;
use crate::{
    model::{ids::Oid, path::RepoPath, text},
    port::{Answer, Entry, Source as _},
};

/// Larger files are named, not shown.
const SHOWN_BYTES_MAX: u64 = 1 << 20;

impl Git {
    pub(super) fn unified(&self, old: Oid, new: Oid, only: &[RepoPath], limit_lines: usize) -> Answer<String> {
        let mut lines = Vec::new();
        let wanted = |raw: &Vec<u8>| only.is_empty() || only.iter().any(|path| is_within(raw, path));
        for raw in self.changed(Some(old), new)?.into_iter().filter(wanted) {
            if lines.len() > limit_lines {
                break;
            }
            let path = std::str::from_utf8(&raw).ok().and_then(|path| path.parse::<RepoPath>().ok());
            lines.push(format!("  {}", text::escaped_bytes(&raw)));
            let Some(path) = path else { continue };
            let sides = [self.entry(old, &path)?, self.entry(new, &path)?];
            let [Some(before), Some(after)] = [self.shown(sides[0])?, self.shown(sides[1])?] else {
                lines.push("  (not shown: large, or no text)".to_owned());
                continue;
            };
            let modes = sides.map(|side| side.map_or("absent", |entry| entry.mode.octal()));
            if modes[0] != modes[1] {
                lines.push(format!("  mode {} -> {}", modes[0], modes[1]));
            }
            let input = InternedInput::new(before.as_slice(), after.as_slice());
            let diff = diff_with_slider_heuristics(Algorithm::Histogram, &input);
            let hunks = UnifiedDiff::new(&diff, &input, Lines::default(), ContextSize::symmetrical(1)).consume();
            lines.extend(hunks.unwrap_or_default());
        }
        if lines.len() > limit_lines {
            lines.truncate(limit_lines);
            lines.push("  …".to_owned());
        }
        Ok(lines.join("\n"))
    }

    /// The bytes of one side: nothing where nothing is, `None` for what is not shown.
    fn shown(&self, side: Option<Entry>) -> Answer<Option<Vec<u8>>> {
        let Some(entry) = side else { return Ok(Some(Vec::new())) };
        if entry.mode == crate::port::Mode::Submodule || self.size_bytes(entry.id)? > SHOWN_BYTES_MAX {
            return Ok(None);
        }
        let bytes = self.blob(entry.id, SHOWN_BYTES_MAX)?;
        Ok((!bytes.contains(&0)).then_some(bytes))
    }
}

/// Whether a raw path is `path`, or is below it.
fn is_within(raw: &[u8], path: &RepoPath) -> bool {
    raw.strip_prefix(path.as_str().as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Hunks as lines.
#[derive(Default)]
struct Lines(Vec<String>);

impl ConsumeHunk for Lines {
    type Out = Vec<String>;

    fn consume_hunk(&mut self, header: HunkHeader, lines: &[(DiffLineKind, &[u8])]) -> std::io::Result<()> {
        self.0.push(format!("  @@ -{} +{} @@", header.before_hunk_start, header.after_hunk_start));
        for (kind, line) in lines {
            let sign = match kind {
                DiffLineKind::Context => ' ',
                DiffLineKind::Add => '+',
                DiffLineKind::Remove => '-',
            };
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            self.0.push(format!("  {sign}{}", text::escaped_bytes(line)));
        }
        Ok(())
    }

    fn finish(self) -> Self::Out {
        self.0
    }
}
