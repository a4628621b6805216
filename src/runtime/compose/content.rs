//! Contents that containers mount, each in a place that is named by its digest: a container is recreated exactly when
//! one of its contents changes, and what the host already has is not sent again.

use crate::{
    model::{
        closure::{Closure, ClosureFile},
        digest::Digest,
        ids::Oid,
        path::{HostPath, RepoPath},
    },
    port::Member,
    runtime::files::FileState,
};

/// A file or folder of the closure at `<root>/files/<key>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedContent {
    /// Its path in the repository.
    pub path: RepoPath,
    /// 64 digits: of the bytes of a plain file, else of the listing.
    pub key: String,
    /// Its files, by their path below `<key>/`, with their blobs and sizes.
    pub files: Vec<(String, FileState, Oid, u64)>,
}

/// The file's mode as a host shows it.
pub fn mode(file: &ClosureFile) -> &'static str {
    file.mode.bits()
}

impl MountedContent {
    /// The content at `path`; `None` if nothing tracked is there.
    pub fn of(closure: &Closure, path: &RepoPath) -> Option<Self> {
        let name = path.name();
        let mut files = Vec::new();
        for file in closure.files.iter().filter(|file| file.path.is_within(path)) {
            let below = file.path.below(path).map_or_else(|| name.to_owned(), |below| format!("{name}/{below}"));
            let state = FileState { mode: mode(file).to_owned(), sha256: file.sha256 };
            files.push((below, state, file.blob, file.size_bytes));
        }
        let key = match files.as_slice() {
            [] => return None,
            [(below, state, _, _)] if below == name && state.mode == "644" => state.sha256.hex(),
            files => {
                let line = |(below, state, ..): &(String, FileState, Oid, u64)| {
                    format!("{} {} {below}\n", state.mode, state.sha256.hex())
                };
                Digest::of(files.iter().map(line).collect::<String>().as_bytes()).hex()
            }
        };
        Some(Self { path: path.clone(), key, files })
    }

    /// What stood at its path in another version of the module.
    pub fn before(&self, closure: &Closure) -> Option<Self> {
        Self::of(closure, &self.path)
    }

    /// The place below `files/` of a file with this mode and content.
    pub fn same(&self, wanted: &FileState) -> Option<String> {
        let (below, ..) = self.files.iter().find(|(_, state, ..)| state == wanted)?;
        Some(format!("{}/{below}", self.key))
    }

    /// Its path on the host.
    pub fn place(&self, root: &HostPath) -> String {
        format!("{root}/files/{}/{}", self.key, self.path.name())
    }
}

/// The listing of some folders as `sha256sum` and `stat` print it, to be compared on the host byte by byte.
#[derive(Debug, Default)]
pub struct Listing {
    rows: Vec<(String, FileState)>,
}

impl Listing {
    /// Adds a file by its path.
    pub fn add(&mut self, path: String, state: FileState) {
        self.rows.push((path, state));
    }

    /// The two files of a delivery that contain it, sorted as `LC_ALL=C sort -k 2` sorts.
    pub fn members(mut self, sums: &str, modes: &str) -> [Member; 2] {
        self.rows.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        let lines = |line: &dyn Fn(&(String, FileState)) -> String| self.rows.iter().map(line).collect::<String>();
        let by_sum = lines(&|(path, state)| format!("{}  {path}\n", state.sha256.hex()));
        let by_mode = lines(&|(path, state)| format!("{} {path}\n", state.mode));
        [super::text(sums, by_sum), super::text(modes, by_mode)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closure(files: &[(&str, &str, &str)]) -> Closure {
        let file = |(path, mode, bytes): &(&str, &str, &str)| ClosureFile {
            path: path.parse().unwrap(),
            mode: serde_json::from_value((*mode).into()).unwrap(),
            blob: Oid::from_bytes([1; 20]),
            sha256: Digest::of(bytes.as_bytes()),
            size_bytes: bytes.len() as u64,
        };
        let digest = Digest::of(b"");
        Closure { files: files.iter().map(file).collect(), digest, effective: digest }
    }

    #[test]
    fn content_key_covers_bytes_modes_and_names() {
        let key = |files: &[(&str, &str, &str)], path: &str| {
            MountedContent::of(&closure(files), &path.parse().unwrap()).map(|content| content.key)
        };
        let plain = key(&[("a/x", "100644", "1")], "a/x").unwrap();
        assert_eq!(plain, Digest::of(b"1").hex());
        let folder = key(&[("a/x", "100644", "1"), ("b/x", "100644", "2")], "a").unwrap();
        let all = [
            plain,
            folder.clone(),
            key(&[("a/x", "100755", "1")], "a/x").unwrap(),
            key(&[("a/y", "100644", "1")], "a").unwrap(),
            key(&[("a/x", "100644", "2")], "a").unwrap(),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(key(&[("a/x", "100644", "1"), ("c", "100644", "3")], "a").unwrap(), folder, "others do not matter");
        assert_eq!(key(&[("ab/x", "100644", "1")], "a"), None);
    }
}
