//! What happens in the repository itself: heads that move, reviews that become stale, merges.

use std::process::Command;

use super::world::{Merged, Pull, Review, Role, Style, World};

impl World {
    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", &self.hooks)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([
                ("GIT_CONFIG_COUNT", "1"),
                ("GIT_CONFIG_KEY_0", "safe.bareRepository"),
                ("GIT_CONFIG_VALUE_0", "all"),
            ])
            .envs([("LC_ALL", "C")]);
        command
    }

    /// Runs git in the bare repository.
    pub(super) fn git(&self, args: &[&str]) -> Option<String> {
        let output = self.command().current_dir(&self.bare).args(args).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    pub(super) fn rev(&self, rev: &str) -> Option<String> {
        self.git(&["rev-parse", "--verify", "--quiet", &format!("{rev}^{{commit}}")])
    }

    fn update(&self, name: &str, commit: &str) {
        self.git(&["update-ref", name, commit]).unwrap_or_else(|| panic!("git update-ref {name} {commit}"));
    }

    pub(super) fn begin(&mut self, number: u64, author: &str, title: &str, branch: &str) {
        let head = self.rev(&format!("refs/pull/{number}/head"));
        let tip = self.rev(&format!("refs/heads/{branch}"));
        let head = tip.or(head).unwrap_or_else(|| panic!("neither refs/pull/{number}/head nor {branch} is there"));
        self.update(&format!("refs/pull/{number}/head"), &head);
        self.update(&format!("refs/heads/{branch}"), &head);
        self.account(author);
        let opened = self.tick();
        let (author, title, branch) = (author.to_owned(), title.to_owned(), branch.to_owned());
        let pull = Pull { author, title, branch, head, opened, merged: None, closed: None, locked: false };
        self.pulls.insert(number, pull);
    }

    /// Lets the frozen head of each open pull request follow its branch, as the server does after a push.
    pub(super) fn follow(&mut self) {
        let open = self.pulls.iter().filter(|(_, pull)| pull.merged.is_none() && pull.closed.is_none());
        for (number, pull) in open.map(|(number, pull)| (*number, pull.clone())).collect::<Vec<_>>() {
            let (branch, frozen) = (format!("refs/heads/{}", pull.branch), format!("refs/pull/{number}/head"));
            let (Some(tip), Some(head)) = (self.rev(&branch), self.rev(&frozen)) else { continue };
            // A test that published the head itself means the branch too.
            let now = if head == pull.head { tip.clone() } else { head.clone() };
            if now == pull.head && tip == head {
                continue;
            }
            self.update(&branch, &now);
            self.update(&frozen, &now);
            self.pulls.get_mut(&number).unwrap().head.clone_from(&now);
            self.age(number, &now);
        }
    }

    /// Marks reviews of another change as stale.
    fn age(&mut self, number: u64, head: &str) {
        let base = format!("refs/heads/{}", self.branch);
        let change = |commit: &str| self.git(&["diff", &format!("{base}...{commit}")]);
        let now = change(head);
        let stale: Vec<i64> =
            self.reviews.iter().filter(|r| r.pull == number && change(&r.commit) != now).map(|r| r.id).collect();
        let dismiss = self.rule.as_ref().is_some_and(|rule| rule["dismiss_stale_approvals"] == true);
        for review in self.reviews.iter_mut().filter(|review| stale.contains(&review.id)) {
            review.stale = true;
            review.dismissed |= dismiss && review.state == "APPROVED";
        }
    }

    pub(super) fn review(
        &mut self,
        number: u64,
        login: &str,
        state: &str,
        commit: Option<&str>,
        at: Option<i64>,
    ) -> i64 {
        self.follow();
        let said = matches!(state, "APPROVED" | "REQUEST_CHANGES");
        let official = said && self.account(login).role >= Role::Writer;
        for older in self.reviews.iter_mut().filter(|r| r.pull == number && r.user == login && r.official && said) {
            (older.official, older.dismissed) = (false, true);
        }
        let commit = commit.map_or_else(|| self.pulls[&number].head.clone(), str::to_owned);
        let (id, now) = (self.id(), self.tick());
        let (user, state, at) = (login.to_owned(), state.to_owned(), at.unwrap_or(now));
        let review = Review { id, pull: number, user, state, commit, stale: false, official, dismissed: false, at };
        self.reviews.push(review);
        id
    }

    /// Merges as the server does and returns the merge result.
    pub(super) fn merge(&mut self, number: u64, style: &Style, by: &str) -> String {
        self.follow();
        let pull = self.pulls[&number].clone();
        assert!(pull.merged.is_none(), "pull request {number} is merged already");
        let at = self.tick();
        let base = self.rev(&format!("refs/heads/{}", self.branch)).unwrap();
        let commit = match style {
            Style::Manual(commit) => {
                let is = self.git(&["merge-base", "--is-ancestor", commit, &base]);
                is.unwrap_or_else(|| panic!("{commit} is not in {}", self.branch));
                commit.clone()
            }
            Style::Merge | Style::Squash | Style::Rebase | Style::RebaseMerge | Style::FastForwardOnly => {
                self.merge_with_git(number, &pull, style, by, at)
            }
        };
        let merged = Merged { by: by.to_owned(), commit: commit.clone(), base, at };
        self.pulls.get_mut(&number).unwrap().merged = Some(merged);
        commit
    }

    fn merge_with_git(&self, number: u64, pull: &Pull, style: &Style, by: &str, at: i64) -> String {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("work");
        let (title, head, branch) = (&pull.title, pull.head.as_str(), self.branch.as_str());
        let run = |sign: bool, args: &[&str]| {
            let mut command = self.command();
            command.current_dir(dir.path());
            if work.exists() {
                command.current_dir(&work);
            }
            if let Some(key) = self.signing.as_ref().filter(|_| sign) {
                command.args(["-c", "gpg.format=ssh", "-c", "commit.gpgsign=true", "-c"]);
                command.arg(format!("user.signingkey={}", key.display()));
            }
            let address = format!("{by}@noreply.{}", self.host());
            command
                .args(args)
                .envs([("GIT_AUTHOR_NAME", by), ("GIT_AUTHOR_EMAIL", &address)])
                .envs([("GIT_COMMITTER_NAME", by), ("GIT_COMMITTER_EMAIL", &address)])
                .envs(["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"].map(|name| (name, format!("{at} +0000"))));
            let output = command.output().unwrap();
            assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
        };
        // `[repository.signing] MERGES = approved`: a protected base and an official approval, of whichever commit.
        let approved = self.reviews.iter().any(|r| r.pull == number && r.state == "APPROVED" && r.official);
        let sign = approved && self.rule.is_some();
        run(false, &["clone", "-q", "--shared", "-b", branch, &self.bare.display().to_string(), "work"]);
        let message = format!("Merge pull request '{title}' (#{number}) from {} into {branch}", pull.branch);
        let merge = |head: &str| run(sign, &["merge", "-q", "--no-ff", "-m", &message, head]);
        let rebase = || {
            run(false, &["checkout", "-q", "--detach", head]);
            run(false, &["-c", "commit.gpgsign=false", "rebase", "-q", branch]);
            let tip = run(false, &["rev-parse", "HEAD"]);
            run(false, &["checkout", "-q", branch]);
            tip
        };
        match style {
            Style::Merge => merge(head),
            Style::Squash => {
                run(false, &["merge", "-q", "--squash", head]);
                let author = format!("--author={0} <{0}@noreply.{1}>", pull.author, self.host());
                run(sign, &["commit", "-q", "--allow-empty", "-m", &format!("{title} (#{number})"), &author])
            }
            Style::Rebase => run(false, &["merge", "-q", "--ff-only", &rebase()]),
            Style::RebaseMerge => merge(&rebase()),
            Style::FastForwardOnly | Style::Manual(_) => run(false, &["merge", "-q", "--ff-only", head]),
        };
        run(false, &["push", "-q", "origin", &format!("HEAD:refs/heads/{branch}")]);
        run(false, &["rev-parse", "HEAD"])
    }
}
