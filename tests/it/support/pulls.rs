//! Pull requests as a forge makes them, in a real bare remote.

use platformctl::model::ids::Oid;

use super::repo::Repo;

impl Repo {
    /// Begins a branch for a pull request at `from`.
    pub(crate) fn branch(&self, name: &str, from: &str) {
        self.git(&["checkout", "-q", "-B", name, from]);
    }

    /// Publishes HEAD as the frozen head of pull request `n`.
    pub(crate) fn propose(&self, n: u64) -> Oid {
        self.git(&["push", "-q", "origin", &format!("+HEAD:refs/pull/{n}/head")]);
        self.id("HEAD")
    }

    /// A branch with one commit that writes a file, proposed as pull request `n`.
    pub(crate) fn pull(&self, n: u64, path: &str, text: &str) -> Oid {
        self.branch(&format!("pr{n}"), "main");
        self.write(path, text);
        self.commit(&format!("change {path} for {n}"));
        self.propose(n)
    }

    /// Merges a rev into main with a merge commit, as a forge does for pull request `n`, and pushes.
    pub(crate) fn merge(&self, n: u64, head: &str) -> Oid {
        self.git(&["checkout", "-q", "main"]);
        let message = format!("Merge pull request 'x' (#{n}) from x into main");
        self.git(&["merge", "-q", "--no-ff", "-m", &message, head]);
        self.publish()
    }

    /// Pushes main.
    pub(crate) fn publish(&self) -> Oid {
        self.git(&["push", "-q", "origin", "main:main"]);
        self.id("main")
    }
}
