//! Examples of the documentation, run as they stand. With `UPDATE=1` what they print is written into the page.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use platformctl::model::{digest::Digest, module::Manifest, policy::Policy};
use snapbox::IntoData as _;

use crate::support::stack::{docker, lab};

/// One page whose `console` blocks are run, in an empty folder that the page calls `/home/ola`. The host that it calls
/// `lab` is the lab's, with `/srv/platform` in the same folder.
struct Page {
    dir: tempfile::TempDir,
    ids: Vec<String>,
    /// How many commands ran: each is a minute later than the one before. With the clock, chance stands still too.
    minutes: i64,
}

/// The compose project of the page.
const PROJECT: &str = "site";

impl Drop for Page {
    fn drop(&mut self) {
        for (list, remove) in [("ps -aq", "rm -fv"), ("network ls -q", "network rm")] {
            let filter = format!("label=com.docker.compose.project={PROJECT}");
            let list: Vec<&str> = list.split(' ').chain(["--filter", &filter]).collect();
            for id in docker(&list).lines() {
                docker(&remove.split(' ').chain([id]).collect::<Vec<_>>());
            }
        }
    }
}

impl Page {
    fn run(&mut self, command: &str) -> String {
        self.minutes += 1;
        let dir = self.dir.path().display().to_string();
        let bin = Path::new(env!("CARGO_BIN_EXE_platformctl")).parent().unwrap().display();
        let script = format!(
            "cd \"$(cat '{dir}/.cwd' 2>/dev/null || echo '{dir}')\" && {{ {}\n}} ; code=$?; pwd > '{dir}/.cwd'; \
             [ $code = 0 ] || echo \"(exit $code)\"",
            self.really(command)
        );
        let mut shell = Command::new("sh");
        for who in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{who}_NAME"), "Ola").env(format!("GIT_{who}_EMAIL"), "ola@example.org");
        }
        let output = shell
            .args(["-c", &format!("exec 2>&1\n{script}")])
            .env("PATH", format!("{bin}:{}", std::env::var("PATH").unwrap()))
            .env("HOME", &dir)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("PLATFORMCTL_TEST_CLOCK", (1_795_000_000 + 60 * self.minutes).to_string())
            .envs([("GIT_AUTHOR_DATE", "1795000000 +0000"), ("GIT_COMMITTER_DATE", "1795000000 +0000")])
            .current_dir(&dir)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        said.replace(&format!("{dir}/srv"), "/srv").replace(&dir, "/home/ola")
    }

    /// The folders that the page talks of, as they really are.
    fn really(&self, text: &str) -> String {
        let dir = self.dir.path().display();
        text.replace("/home/ola", &dir.to_string()).replace("/srv/platform", &format!("{dir}/srv/platform"))
    }

    /// Writes a file that the page shows.
    fn write(&self, path: &str, text: &str) {
        let cwd = fs::read_to_string(self.dir.path().join(".cwd")).unwrap();
        let path = Path::new(cwd.trim_end()).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Ids and digests depend on the folder: the n-th one that is seen is always shown the same.
    fn same(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut word = String::new();
        for c in text.chars().chain(['\0']) {
            if c.is_ascii_hexdigit() {
                word.push(c);
                continue;
            }
            if [40, 64].contains(&word.len()) {
                let at = self.ids.iter().position(|id| *id == word).unwrap_or(self.ids.len());
                if at == self.ids.len() {
                    self.ids.push(word.clone());
                }
                let shown = Digest::of(at.to_string().as_bytes()).hex();
                out.push_str(&shown[..word.len()]);
            } else {
                out.push_str(&word);
            }
            word.clear();
            if c != '\0' {
                out.push(c);
            }
        }
        let measured = |line: &str| {
            let step = line.starts_with("✓ ") && line.ends_with(" s") && !line.contains("ago");
            let line = if step { line.rsplit_once("  ").map_or(line, |(before, _)| before.trim_end()) } else { line };
            // Whole seconds of the host's clock: a busy machine has one more.
            let watched = line.strip_prefix("✓ healthy").and_then(|rest| rest.split_once(" s, "));
            match watched {
                Some((_, rest)) => format!("✓ healthy   1 s, {rest}"),
                None if line.starts_with("done ") => "done 0.3 s".to_owned(),
                None => line.to_owned(),
            }
        };
        out.lines().map(|line| measured(line) + "\n").collect()
    }
}

/// Runs the console blocks of a page and compares what they print. A block that has a path beside its language is a
/// file.
fn page(name: &str) {
    lab();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = fs::read_to_string(&path).unwrap();
    let mut page = Page { dir: tempfile::tempdir().unwrap(), ids: Vec::new(), minutes: 0 };
    let (mut made, mut inside, mut commands) = (String::new(), false, 0);
    let mut file: Option<(&str, String)> = None;
    for line in text.lines() {
        if let Some(info) = line.strip_prefix("```") {
            inside = info == "console";
            if let Some((path, text)) = file.take() {
                page.write(path, &text);
            }
            file = info.split_once(' ').map(|(_, path)| (path, String::new()));
        } else if let Some((_, text)) = &mut file {
            *text += &format!("{line}\n");
        }
        match line.strip_prefix("$ ").filter(|_| inside) {
            Some(command) => {
                commands += 1;
                let said = page.run(command);
                made += &format!("{line}\n{}", page.same(&said));
            }
            // What a command printed before is replaced by what it prints now.
            None if inside && line != "```console" => {}
            None => made += &format!("{line}\n"),
        }
    }
    assert!(commands > 3, "{name} has examples");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &made).unwrap();
        return;
    }
    // Raw: what is typed has backslashes.
    snapbox::assert_data_eq!(text, made.raw());
}

#[test]
fn getting_started_prints_the_documented_output() {
    page("docs/getting-started.md");
}

/// The examples of what people write are read as the program reads them.
#[test]
fn documented_files_are_valid() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/files.md")).unwrap();
    let blocks: Vec<&str> = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 3);
    Policy::parse(blocks[0].as_bytes()).unwrap();
    for (block, id) in [(blocks[1], "edge-site"), (blocks[2], "honcho-redis")] {
        Manifest::parse("module.yaml", &id.parse().unwrap(), block.as_bytes()).unwrap();
    }
}

#[test]
fn documented_rules_for_reviews_are_valid() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reviews.md")).unwrap();
    let block = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let policy = Policy::parse(format!("schema: platform/1\n{block}").as_bytes()).unwrap();
    assert_eq!((policy.approval.required_approvals, policy.approval.required_statuses.len()), (1, 1));
}

/// What a page links to is there.
#[test]
fn documentation_links_resolve() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("CHANGELOG.md"), root.join("CONTRIBUTING.md")];
    pages.extend(
        fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()),
    );
    let mut links = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap().split('#').next().unwrap();
            if !target.starts_with("http") {
                links += 1;
                assert!(page.parent().unwrap().join(target).exists(), "{}: {target}", page.display());
            }
        }
    }
    assert!(links > 10);
}
