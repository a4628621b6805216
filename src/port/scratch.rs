//! A place to try things: a git remote, a clone of it, and this machine as the host.

use std::path::Path;

use super::Answer;

/// A folder with `remote.git`, its clone `work`, and `host`, the root of this machine as a host.
pub trait Scratch {
    /// The folder.
    fn dir(&self) -> &Path;
    /// The engine's address; `None` if no usable one answers.
    fn engine(&self) -> Option<&str>;
    /// Runs git in the clone and returns what it printed.
    fn git(&self, args: &[&str]) -> Answer<String>;
    /// Runs docker and returns what it printed.
    fn docker(&self, args: &[&str]) -> Answer<String>;
    /// Makes an image of this machine's own shell, without any package and any registry.
    fn image(&self, name: &str) -> Answer<()>;
    /// Runs this program in the clone, as its user would: its exit code (`None`: a signal ended it) and what it
    /// printed.
    fn platformctl(&self, args: &[&str]) -> Answer<(Option<i32>, Vec<u8>)>;
    /// Writes a file of the clone.
    fn write(&self, path: &str, text: &str) -> Answer<()>;
    /// Reads a file below the folder.
    fn read(&self, path: &str) -> Answer<String>;
}
