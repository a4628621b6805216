//! Demo: the complete story in a temporary folder, by child processes of this program. What it shows is what happened.

use serde::Serialize;
use serde_json::json;

use crate::{
    model::{policy, refusal::Code},
    port::{Answer, PortError, Scratch},
};

/// This project's own description: what the demo works with. A test compares the list with what git tracks.
pub const FILES: &[(&str, &str)] = &[
    ("allowed_signers", include_str!("../../allowed_signers")),
    ("compose/apps/compose.yaml", include_str!("../../compose/apps/compose.yaml")),
    ("compose/apps/redis.conf", include_str!("../../compose/apps/redis.conf")),
    ("compose/apps/status/index.html", include_str!("../../compose/apps/status/index.html")),
    ("compose/jobs/backup.yaml", include_str!("../../compose/jobs/backup.yaml")),
    ("modules/edge-site/module.yaml", include_str!("../../modules/edge-site/module.yaml")),
    ("modules/edge-site/public/Caddyfile", include_str!("../../modules/edge-site/public/Caddyfile")),
    ("modules/edge-site/public/index.html", include_str!("../../modules/edge-site/public/index.html")),
    ("modules/honcho-redis/module.yaml", include_str!("../../modules/honcho-redis/module.yaml")),
    ("modules/nightly-backup/module.yaml", include_str!("../../modules/nightly-backup/module.yaml")),
    ("modules/status-api/module.yaml", include_str!("../../modules/status-api/module.yaml")),
    ("modules/status-web/module.yaml", include_str!("../../modules/status-web/module.yaml")),
    ("platform.yaml", include_str!("../../platform.yaml")),
];

const PAGE: &str = "modules/edge-site/public/index.html";
const LIVE: &str = "host/live/edge-site/index.html";
const IMAGE: &str = "platformctl-demo:1";
const SERVICES: &str = "\
services:
  greeter:
    image: platformctl-demo:1
    command: [sh, -c, 'cat /greeting; sleep 100000']
    init: true
    restart: always
    volumes: ['./greeting:/greeting:ro']
  bystander:
    image: platformctl-demo:1
    command: [sh, -c, 'sleep 100000']
    init: true
";
const NEW_PAGE: &str = "<!doctype html><title>Edge</title><p>Pull request 1 was merged, so this is live.\n";

/// What the demo showed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Demo {
    /// Each step, in order.
    pub steps: Vec<Shown>,
    /// The clone in which all of it can be tried again, if it was kept.
    #[serde(skip)]
    pub kept: Option<String>,
}

/// A command that was shown, or a comparison, and whether it did what was announced.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shown {
    /// The command, or what was compared.
    pub command: String,
    /// Its exit code; null if nothing was run or a signal ended it.
    pub exit: Option<i32>,
    /// Whether it did what was announced.
    pub ok: bool,
    /// What it printed.
    pub output: String,
    /// What it did instead.
    #[serde(skip)]
    pub wrong: Option<String>,
}

/// Tells the story. `say` prints a line at once; with `keep` the scratch folder stays.
///
/// # Errors
/// The scratch folder cannot be used. A step that does not do what was announced is data.
pub fn demo(scratch: &dyn Scratch, keep: bool, say: &dyn Fn(&str)) -> Answer<Demo> {
    let mut story = Story { scratch, say, steps: Vec::new() };
    story.tell()?;
    let kept = keep.then(|| scratch.dir().join("work").display().to_string());
    Ok(Demo { steps: story.steps, kept })
}

struct Story<'a> {
    scratch: &'a dyn Scratch,
    say: &'a dyn Fn(&str),
    steps: Vec<Shown>,
}

impl Story<'_> {
    fn tell(&mut self) -> Answer<()> {
        self.begin()?;
        self.merged()?;
        self.refused()?;
        if self.scratch.engine().is_some() {
            let told = self.composed();
            self.clear();
            told?;
        } else {
            self.title("No Docker engine with Compose 2.20 or newer answers here");
            (self.say)("So nothing is shown of compose modules. With one, the demo runs containers too.");
        }
        self.rewritten()
    }

    /// A remote, a clone, and this project's description in it.
    fn begin(&self) -> Answer<()> {
        let scratch = self.scratch;
        scratch.git(&["init", "-q", "--bare", "-b", "main", "../remote.git"])?;
        scratch.git(&["clone", "-q", "../remote.git", "."])?;
        scratch.git(&["checkout", "-q", "-b", "main"])?;
        for (path, text) in FILES {
            let text = if *path == policy::PATH {
                here(text, &scratch.dir().join("host").display().to_string(), scratch.engine())
            } else {
                (*text).to_owned()
            };
            scratch.write(path, &text)?;
        }
        self.commit("the description of what runs")?;
        scratch.git(&["push", "-q", "origin", "main"])?;
        (self.say)(&format!("A git remote, a clone of it and a host, in {}", scratch.dir().display()));
        (self.say)("The clone has platformctl's own modules/, compose/ and platform.yaml;");
        (self.say)("only `hosts:` is replaced: host `box` is this machine, in that folder.");
        Ok(())
    }

    fn merged(&mut self) -> Answer<()> {
        self.title("Pull request 1 changes a page, and is merged");
        self.propose(1, PAGE, NEW_PAGE)?;
        let merge = self.merge(1)?;
        self.title("What git alone can say");
        self.shows(&["validate"], 0, "modules are valid")?;
        self.title("What would change, and then only that");
        self.shows(&["plan", "edge-site"], 0, &merge)?;
        self.shows(&["apply", "edge-site", "--approved", &merge, "--pr", "1"], 0, "✓ recorded")?;
        let live = self.scratch.read(LIVE)?;
        let merged = self.scratch.git(&["show", &format!("{merge}:{PAGE}")])?;
        (self.say)(&format!("\n$ cat {LIVE}\n{}", live.trim_end()));
        let same = live.trim_end() == merged && live == NEW_PAGE;
        self.holds("what is live is what was merged", same, "the live file has other bytes");
        self.title("What is recorded, in git");
        self.shows(&["status"], 0, "✓ edge-site")?;
        self.shows(&["log"], 0, "apply ok: edge-site on box, PR #1")?;
        self.shows(&["verify"], 0, "origin has the same")
    }

    fn refused(&mut self) -> Answer<()> {
        self.title("Pull request 2 is not merged: nothing of it reaches a host");
        let head = self.propose(2, PAGE, "<p>Nobody reviewed this.\n")?;
        self.shows(&["apply", "edge-site", "--approved", &head], 6, "head_not_merged")?;
        let live = self.scratch.read(LIVE)?;
        self.holds("the live page is untouched", live == NEW_PAGE, "the page changed");
        self.title("Pull request 3 mounts /etc: refused before anybody merges it");
        let compose = FILES.iter().find(|(path, _)| *path == "compose/jobs/backup.yaml");
        let text = compose.map(|(_, text)| text.replace("/srv/honcho/data:/data:ro", "/etc:/data")).unwrap_or_default();
        self.propose(3, "compose/jobs/backup.yaml", &text)?;
        self.shows(&["plan", "nightly-backup", "--pr", "3"], 5, "sacred_path")
    }

    /// Pull requests 4 to 6: a service, a change of its configuration, and one that ends again and again.
    fn composed(&mut self) -> Answer<()> {
        self.title("Pull request 4 brings two services, which the engine of this machine runs");
        self.scratch.image(IMAGE)?;
        (self.say)(&format!("$ docker import … {IMAGE}    (this machine's own shell)"));
        let project = self.project();
        let manifest = format!(
            "schema: module/2\nid: greeter\ntitle: Two services\nowner: ola\nhost: box\nruntime:\n  driver: compose\n  \
             project: {project}\n  compose_files: [compose/greeter/compose.yaml]\nhealth: {{settle_s: 1, deadline_s: 30}}\n"
        );
        self.scratch.write("compose/greeter/greeting", "Hello.\n")?;
        self.scratch.write("compose/greeter/compose.yaml", SERVICES)?;
        self.change(4, "modules/greeter/module.yaml", &manifest)?;
        self.shows(&["apply", "greeter", "--pr", "4"], 0, "✓ healthy")?;
        let before = [self.container("greeter")?, self.container("bystander")?];

        self.title("Pull request 5 changes a mounted file: exactly its service is recreated");
        self.change(5, "compose/greeter/greeting", "Good evening.\n")?;
        self.shows(&["plan", "greeter", "--pr", "5"], 0, "config:compose/greeter/greeting")?;
        self.shows(&["apply", "greeter", "--pr", "5"], 0, "✓ changed   greeter recreated")?;
        let after = [self.container("greeter")?, self.container("bystander")?];
        let said = self.scratch.docker(&["exec", &after[0], "cat", "/greeting"])?;
        (self.say)(&format!("\n$ docker exec greeter cat /greeting\n{said}"));
        self.holds(
            "the greeter was recreated with the merged file",
            said == "Good evening." && before[0] != after[0],
            "it was not",
        );
        self.holds("the bystander runs on", before[1] == after[1], "it was recreated too");

        self.title("Pull request 6 ends as soon as it starts: `docker compose up --wait` would call it healthy");
        self.change(6, "compose/greeter/compose.yaml", &SERVICES.replace("cat /greeting; ", "exit 3; "))?;
        self.shows(&["apply", "greeter", "--pr", "6"], 11, "HELD")?;
        self.shows(&["status"], 0, "✗ greeter")
    }

    fn change(&self, n: u64, path: &str, text: &str) -> Answer<()> {
        self.propose(n, path, text)?;
        self.merge(n).map(drop)
    }

    /// A project of its own: nothing else on this machine has the name.
    fn project(&self) -> String {
        let name = self.scratch.dir().file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        format!("demo-{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
    }

    fn container(&self, service: &str) -> Answer<String> {
        let labels = [("project", self.project()), ("service", service.to_owned())];
        let labels = labels.map(|(key, value)| format!("label=com.docker.compose.{key}={value}"));
        self.scratch.docker(&["ps", "-aq", "--no-trunc", "--filter", &labels[0], "--filter", &labels[1]])
    }

    /// What the engine was given goes away, also after a failure: as much of it as there is.
    fn clear(&self) {
        let project = format!("label=com.docker.compose.project={}", self.project());
        let lists = [(["ps", "-a"], vec!["rm", "-fv"]), (["network", "ls"], vec!["network", "rm"])];
        for (list, remove) in lists {
            let ids = self.scratch.docker(&[list[0], list[1], "-q", "--filter", &project]).unwrap_or_default();
            for id in ids.lines() {
                let args: Vec<&str> = remove.iter().copied().chain([id]).collect();
                drop(self.scratch.docker(&args));
            }
        }
        drop(self.scratch.docker(&["rmi", IMAGE]));
    }

    fn rewritten(&mut self) -> Answer<()> {
        self.title("Somebody with write access rewinds the record on the remote");
        let tip = self.scratch.git(&["rev-parse", "refs/platform/state"])?;
        let older = self.scratch.git(&["rev-parse", "refs/platform/state~1"])?;
        let scratch = self.scratch;
        let put = |to: &str| scratch.git(&["push", "-q", "--force", "origin", &format!("{to}:refs/platform/state")]);
        (self.say)(&format!("\n$ git push --force origin {older}:refs/platform/state"));
        put(&older)?;
        self.shows(&["verify"], 20, "state_rewound")?;
        (self.say)("\nThis clone still has the true one, and puts it back:");
        put(&tip)?;
        self.shows(&["verify"], 0, "origin has the same")
    }

    fn title(&self, text: &str) {
        (self.say)(&format!("\n── {text}"));
    }

    fn commit(&self, message: &str) -> Answer<()> {
        self.scratch.git(&["add", "-A"])?;
        self.scratch.git(&["commit", "-q", "-m", message]).map(drop)
    }

    /// Opens a pull request as a forge does: its head becomes `refs/pull/<N>/head`.
    fn propose(&self, n: u64, path: &str, text: &str) -> Answer<String> {
        self.scratch.git(&["checkout", "-q", "-b", &format!("pr{n}"), "main"])?;
        self.scratch.write(path, text)?;
        self.commit(&format!("change {path}"))?;
        self.scratch.git(&["push", "-q", "origin", &format!("HEAD:refs/pull/{n}/head")])?;
        let head = self.scratch.git(&["rev-parse", "HEAD"])?;
        self.scratch.git(&["checkout", "-q", "main"])?;
        (self.say)(&format!("$ git push origin pr{n}:refs/pull/{n}/head"));
        Ok(head)
    }

    fn merge(&self, n: u64) -> Answer<String> {
        let message = format!("Merge pull request 'a change' (#{n}) from pr{n} into main");
        self.scratch.git(&["merge", "-q", "--no-ff", "-m", &message, &format!("pr{n}")])?;
        self.scratch.git(&["push", "-q", "origin", "main"])?;
        (self.say)(&format!("$ git merge --no-ff pr{n} && git push origin main"));
        self.scratch.git(&["rev-parse", "main"])
    }

    /// Runs a command, shows it, and checks its exit code and what it must print.
    fn shows(&mut self, args: &[&str], exit: i32, says: &str) -> Answer<()> {
        let what = format!("platformctl {}", args.join(" "));
        (self.say)(&format!("\n$ {what}"));
        let (rc, stdout) = self.scratch.platformctl(args)?;
        let output = String::from_utf8(stdout).map_err(|error| {
            PortError::new(Code::Bug, "a command printed what is no text", "please report this").because(error)
        })?;
        (self.say)(output.trim_end());
        if exit != 0 {
            (self.say)(&format!("(exit {})", rc.map_or_else(|| "by a signal".to_owned(), |rc| rc.to_string())));
        }
        let mut wrong = (rc != Some(exit)).then(|| format!("it ended with {rc:?}, not {exit}"));
        if !output.contains(says) {
            wrong.get_or_insert_with(|| format!("it does not say `{says}`"));
        }
        self.steps.push(Shown { command: what, exit: rc, ok: wrong.is_none(), output, wrong });
        Ok(())
    }

    /// Checks what was announced.
    fn holds(&mut self, what: &str, so: bool, else_: &str) {
        if so {
            (self.say)(&format!("✓ {what}"));
        }
        let wrong = (!so).then(|| else_.to_owned());
        self.steps.push(Shown { command: what.to_owned(), exit: None, ok: so, output: String::new(), wrong });
    }
}

/// The policy with this machine as its one host.
fn here(policy: &str, root: &str, engine: Option<&str>) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in policy.lines() {
        if !line.starts_with([' ', '#']) {
            inside = line.starts_with("hosts:");
            if inside {
                out += &format!(
                    "hosts:\n  box:\n    transport: local\n    root: {}\n    mutations: enabled\n",
                    json!(root)
                );
                out += "    networks: [proxy]\n";
                if let Some(engine) = engine {
                    out += &format!("    docker_host: {}\n", json!(engine));
                }
            }
        }
        if !inside {
            out += line;
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::Policy;

    #[test]
    fn demo_policy_replaces_only_the_hosts() {
        let text = FILES.iter().find(|(path, _)| *path == policy::PATH).unwrap().1;
        let ours = Policy::parse(text.as_bytes()).unwrap();
        let mut demo = Policy::parse(here(text, "/tmp/x y", None).as_bytes()).unwrap();
        assert_eq!(demo.hosts.len(), 1);
        assert_eq!(demo.hosts.values().next().unwrap().root.to_string(), "/tmp/x y");
        demo.hosts.clone_from(&ours.hosts);
        assert_eq!(demo, ours);
    }
}
