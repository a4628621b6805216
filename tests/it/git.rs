//! gix and git agree, and neither is fooled.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _};

use platformctl::{
    model::{ids::Oid, refusal::Code, time::Timestamp},
    port::{
        Checkout as _, Ledger as _, Merge, Merger, Mode, NewCommit, OnDisk, Pushed, Remote as _, Sign, Source as _,
        TreeEdit, Want,
    },
};

use crate::support::repo::Repo;

fn commit(tree: Oid, parents: Vec<Oid>) -> NewCommit {
    NewCommit {
        tree,
        parents,
        author: ("Ola".into(), "ola@example.org".into()),
        time: Timestamp::from_unix_s(1_790_000_000),
        message: "a record\n".into(),
        sign: Sign::IfConfigured,
    }
}

#[test]
fn objects_and_history_match_git() {
    let repo = Repo::new();
    repo.write("a/b c.txt", "x\n");
    repo.write("a/run.sh", "#!/bin/sh\n");
    fs::set_permissions(repo.work().join("a/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let second = repo.commit("second");
    repo.write("README", "other\n");
    let third = repo.commit("third");
    let git = repo.open();
    let found = git.commit(third).unwrap();
    assert_eq!((found.tree, found.parents), (repo.id("HEAD^{tree}"), vec![second]));
    let entry = git.entry(found.tree, &"a/run.sh".parse().unwrap()).unwrap().unwrap();
    assert_eq!((entry.mode, entry.id), (Mode::Executable, repo.id("HEAD:a/run.sh")));
    assert_eq!(git.blob(entry.id, 100).unwrap(), b"#!/bin/sh\n");
    assert_eq!(git.blob(entry.id, 3).unwrap_err().code, Code::ContentRefused);
    let listed: Vec<_> = git.list(found.tree, None).unwrap().into_iter().map(|(path, _)| path).collect();
    assert_eq!(listed, [b"README".to_vec(), b"a/b c.txt".to_vec(), b"a/run.sh".to_vec()]);
    assert_eq!(git.changed(Some(repo.id("HEAD~1^{tree}")), found.tree).unwrap(), [b"README".to_vec()]);
    assert_eq!(git.first_parents(third, Some(second)).unwrap(), [third]);
    assert_eq!(git.first_parents(third, None).unwrap().len(), 3);
    assert!(git.is_ancestor(second, third).unwrap() && !git.is_ancestor(third, second).unwrap());
    assert_eq!(git.matching(&third.to_string()[..8]).unwrap(), [third]);
    assert_eq!(git.between(second, third).unwrap(), [third]);
    assert!(!git.has(Oid::from_bytes([9; 20])).unwrap());
    assert!(!git.has(entry.id).unwrap(), "a blob is no commit");
}

#[test]
fn replace_refs_are_ignored_and_damaged_objects_refused() {
    let repo = Repo::new();
    let good = repo.id("HEAD:README");
    repo.write("evil", "evil\n");
    repo.commit("evil");
    let evil = repo.id("HEAD:evil");
    repo.git(&["replace", &good.to_string(), &evil.to_string()]);
    assert_eq!(repo.git(&["cat-file", "blob", &good.to_string()]), "evil", "git itself is fooled");
    assert_eq!(repo.open().blob(good, 100).unwrap(), b"hello\n");
    let path = |id: Oid| repo.work().join(format!(".git/objects/{}/{}", &id.to_string()[..2], &id.to_string()[2..]));
    fs::remove_file(path(good)).unwrap();
    fs::copy(path(evil), path(good)).unwrap();
    assert!(repo.open().blob(good, 100).unwrap_err().what.contains("damaged"));
}

#[test]
fn computed_merges_match_git() {
    let repo = Repo::new();
    let lines = (1..30).map(|n| format!("line {n}\n")).collect::<String>();
    repo.write("file", &lines);
    repo.commit("lines");
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.git(&["mv", "file", "moved"]);
    let head = repo.commit("rename");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("file", &lines.replace("line 3\n", "line three\n"));
    let base = repo.commit("edit");
    let wanted: Oid = repo.git(&["merge-tree", "--write-tree", "main", "side"]).parse().unwrap();
    let git = repo.open();
    assert_eq!(git.merge(base, head, Merger::Gix).unwrap(), Merge::Clean(wanted));
    assert_eq!(git.merge(base, head, Merger::Git).unwrap(), Merge::Clean(wanted));
    assert_eq!(git.replay(base, head, Merger::Gix).unwrap(), Merge::Clean(wanted));
    repo.git(&["checkout", "-q", "side"]);
    repo.write("moved", &lines.replace("line 3\n", "line 3 too\n"));
    let head = repo.commit("conflict");
    for by in [Merger::Gix, Merger::Git] {
        assert!(matches!(git.merge(base, head, by).unwrap(), Merge::Conflict(_)), "{by:?}");
    }
    let before = repo.git(&["count-objects"]);
    git.merge(base, head, Merger::Git).unwrap();
    assert_eq!(repo.git(&["count-objects"]), before, "asking for a merge leaves nothing behind");
}

#[test]
fn record_is_written_atomically_and_passes_git_fsck() {
    let repo = Repo::new();
    let git = repo.open();
    let edits = [
        TreeEdit::Put("FORMAT".into(), b"platform-state 1\n".to_vec()),
        TreeEdit::Put("modules/a.status.json".into(), b"{}\n".to_vec()),
        TreeEdit::Place("policy/platform.yaml".into(), repo.id("HEAD:README")),
    ];
    let tree = git.write_tree(None, &edits).unwrap();
    assert_eq!(git.tree_id(None, &edits).unwrap(), tree);
    let one = git.write_commit(&commit(tree, vec![])).unwrap();
    assert!(git.advance(None, one).unwrap());
    assert!(!git.advance(None, one).unwrap(), "it is not where that caller thinks");
    let tree = git.write_tree(Some(tree), &[TreeEdit::Remove("modules/a.status.json".into())]).unwrap();
    let two = git.write_commit(&commit(tree, vec![one])).unwrap();
    assert!(git.advance(Some(one), two).unwrap());
    assert_eq!(repo.id("refs/platform/state"), two);
    assert_eq!(repo.git(&["ls-tree", "-r", "--name-only", "refs/platform/state"]), "FORMAT\npolicy/platform.yaml");
    assert_eq!(repo.git(&["reflog", "show", "--format=%gs", "refs/platform/state"]).lines().count(), 2);
    let fsck = repo.try_git(&["fsck", "--strict"]);
    assert!(fsck.status.success() && !String::from_utf8_lossy(&fsck.stderr).contains("error"));
    repo.git(&["pack-refs", "--all"]);
    repo.git(&["gc", "-q"]);
    assert_eq!(repo.open().tip().unwrap(), Some(two), "packed or loose");
    assert!(repo.open().advance(Some(two), one).unwrap(), "the caller decides; the swap only compares");
}

#[test]
fn concurrent_writers_lose_no_record() {
    let repo = Repo::new();
    let git = repo.open();
    let tree = git.write_tree(None, &[TreeEdit::Put("FORMAT".into(), b"x".to_vec())]).unwrap();
    let root = git.write_commit(&commit(tree, vec![])).unwrap();
    assert!(git.advance(None, root).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let git = repo.open();
                for n in 0..20 {
                    loop {
                        let tip = git.tip().unwrap();
                        let mut next = commit(tree, tip.into_iter().collect());
                        next.message = format!("{n}\n");
                        let id = git.write_commit(&next).unwrap();
                        if git.advance(tip, id).unwrap() {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(repo.git(&["rev-list", "--count", "refs/platform/state"]), "41");
}

#[test]
fn remote_answers_and_failures_are_classified() {
    let repo = Repo::new();
    repo.git(&["push", "-q", "origin", "HEAD:refs/pull/7/head"]);
    let (git, remote) = (repo.open(), repo.remote());
    let refs = remote.refs(true).unwrap();
    assert_eq!((refs.base, refs.state, refs.pulls), (Some(repo.id("HEAD")), None, vec![(7, repo.id("HEAD"))]));
    remote.fetch(&[Want::Base, Want::Pull(7)]).unwrap();
    assert_eq!(git.base().unwrap().unwrap().0, repo.id("HEAD"));
    assert_eq!(remote.fetch(&[Want::Pull(8)]).unwrap_err().code, Code::UnknownId);
    let tree = git.write_tree(None, &[TreeEdit::Put("FORMAT".into(), b"x".to_vec())]).unwrap();
    let one = git.write_commit(&commit(tree, vec![])).unwrap();
    assert!(matches!(remote.push_state(one).unwrap(), Pushed::Accepted));
    assert!(matches!(remote.push_state(one).unwrap(), Pushed::Accepted), "the same again is nothing");
    let mut other = commit(tree, vec![]);
    other.message = "a fork\n".into();
    let fork = git.write_commit(&other).unwrap();
    assert!(matches!(remote.push_state(fork).unwrap(), Pushed::Rejected(_)), "never forced");
    remote.fetch(&[Want::State]).unwrap();
    assert_eq!(git.fetched().unwrap(), Some(one));
    fs::rename(repo.path("remote.git"), repo.path("gone.git")).unwrap();
    assert_eq!(remote.refs(false).unwrap_err().code, Code::RemoteUnreachable);
    let Pushed::Refused(error) = remote.push_state(one).unwrap() else { panic!("nothing was there to receive it") };
    assert_eq!(error.code, Code::RemoteUnreachable);
}

#[test]
fn checkout_is_hashed_instead_of_trusting_the_index() {
    let repo = Repo::new();
    let git = repo.open();
    let path = "README".parse().unwrap();
    let OnDisk::File(entry) = git.on_disk(&path).unwrap() else { panic!() };
    assert_eq!(entry.id, repo.id("HEAD:README"));
    repo.git(&["update-index", "--assume-unchanged", "README"]);
    repo.write("README", "evil!\n");
    assert_eq!(repo.git(&["status", "--porcelain"]), "", "git itself is told to look away");
    let OnDisk::File(entry) = git.on_disk(&path).unwrap() else { panic!() };
    assert_ne!(entry.id, repo.id("HEAD:README"));
    std::os::unix::fs::symlink("/etc", repo.work().join("link")).unwrap();
    assert_eq!(git.on_disk(&"link".parse().unwrap()).unwrap(), OnDisk::Other);
    assert_eq!(git.on_disk(&"link/passwd".parse().unwrap()).unwrap(), OnDisk::Other);
    assert_eq!(git.on_disk(&"nothing".parse().unwrap()).unwrap(), OnDisk::Absent);
    repo.write("sub/x/y", "1");
    assert_eq!(git.files_below(&"sub".parse().unwrap()).unwrap(), [b"sub/x/y".to_vec()]);
}

#[test]
fn git_filters_are_detected() {
    let repo = Repo::new();
    repo.write(".gitattributes", "*.bin filter=lfs\n*.txt text\n");
    repo.commit("attributes");
    let paths: Vec<_> = ["a.bin", "a.txt", "d/b.bin"].map(|path| path.parse().unwrap()).to_vec();
    let tree = repo.id("HEAD^{tree}");
    let filtered = repo.open().filtered(tree, &paths).unwrap();
    let names: BTreeSet<_> = filtered.iter().map(ToString::to_string).collect();
    assert_eq!(names, BTreeSet::from(["a.bin".to_owned(), "d/b.bin".to_owned()]));
}

#[test]
fn notes_are_written_atomically_in_their_folder() {
    let repo = Repo::new();
    let git = repo.open();
    assert_eq!(git.note("spool/x.json").unwrap(), None);
    git.set_note("spool/x.json", Some(b"1")).unwrap();
    git.set_note("spool/x.json", Some(b"2")).unwrap();
    assert_eq!(git.note("spool/x.json").unwrap().unwrap(), b"2");
    assert_eq!(git.notes("spool").unwrap(), ["x.json"]);
    git.set_note("spool/x.json", None).unwrap();
    assert!(git.notes("spool").unwrap().is_empty());
    for bad in ["../x", "a/b/c", "", ".x", "a/../b"] {
        assert!(git.set_note(bad, Some(b"")).is_err(), "{bad}");
    }
    let held = git.lock("box.site", 0).unwrap();
    assert_eq!(repo.open().lock("box.site", 50).unwrap_err().code, Code::Busy);
    drop(held);
    assert!(repo.open().lock("box.site", 0).is_ok());
}
