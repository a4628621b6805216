//! Whether what runs is what was planned, and stays so. `up --wait` does not prove that: every container is inspected.

use std::collections::BTreeMap;

use super::container::Container;
use crate::{
    model::projection::Bind,
    runtime::{compose::render::hex64, machine::LookError, probe},
};

/// What a service must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its name.
    pub service: String,
    /// The id of its image.
    pub image: String,
    /// Compose's hash of its configuration; `None` if it contains the id of a container that did not exist when it was
    /// planned.
    pub hash: Option<String>,
    /// How many containers.
    pub replicas: u64,
    /// Whether it ends with exit 0 instead of running on.
    pub job: bool,
    /// Its bind mounts.
    pub binds: Vec<Bind>,
    /// Its named volumes: name on the host, and target.
    pub volumes: Vec<(String, String)>,
    /// How often containers that were there before had been restarted, by id.
    pub restarts: BTreeMap<String, u64>,
}

/// One look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// The containers of the services.
    pub containers: Vec<Container>,
    /// What the probes answered, in their order.
    pub probes: Vec<Result<(), &'static str>>,
    /// Keyed hashes of the secret files, by file.
    pub secrets: BTreeMap<String, String>,
    /// The digest by which the script knows this state again.
    pub seen: String,
    /// The engine gave no answer.
    pub silent: bool,
}

/// What must not change while it is watched: id, start and restarts of every container that runs on.
pub type Signature = Vec<(String, String, u64)>;

/// Reads a look. All of it is untrusted.
///
/// # Errors
/// A line that the script cannot have printed, or one that is missing.
pub fn parse(stdout: &[u8]) -> Result<Sample, LookError> {
    let mut sample = Sample::default();
    for line in stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let wrong = || LookError::Line(String::from_utf8_lossy(line).into_owned());
        let text = std::str::from_utf8(line).map_err(|_| wrong())?;
        sample.line(text).ok_or_else(wrong)?;
    }
    if sample.seen.is_empty() { Err(LookError::Absent("sample")) } else { Ok(sample) }
}

impl Sample {
    fn line(&mut self, text: &str) -> Option<()> {
        let (key, value) = text.split_once(' ')?;
        match key {
            "container" => self.containers.push(Container::parse(value)?),
            "probe" => {
                let (number, answer) = value.split_once(' ')?;
                if number.parse() != Ok(self.probes.len() + 1) {
                    return None;
                }
                self.probes.push(probe::verdict(answer.as_bytes()));
            }
            "secret" => {
                let (hash, file) = value.split_once(' ')?;
                self.secrets.insert(file.to_owned(), hex64(hash)?);
            }
            "sample" => self.seen = hex64(value)?,
            "failed" => self.silent = true,
            _ => return None,
        }
        Some(())
    }

    /// The containers of a service.
    pub fn of<'s>(&'s self, service: &'s str) -> impl Iterator<Item = &'s Container> {
        self.containers.iter().filter(move |container| container.service == service && container.oneoff != "True")
    }

    /// Its signature.
    pub fn signature(&self, expected: &[Expected]) -> Signature {
        let running = expected.iter().filter(|expected| !expected.job);
        let of = |container: &Container| (container.id.clone(), container.started.clone(), container.restarts);
        running.flat_map(|expected| self.of(&expected.service).map(of)).collect()
    }
}

/// What a look means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As planned, now.
    Good,
    /// Not yet, and it may still become so.
    Wait(String),
    /// It will not become so by itself.
    Failed(String),
}

/// A container that the engine restarted this often since the change is in a loop.
const RESTARTS_MAX: u64 = 5;

/// Judges a look.
pub fn judge(expected: &[Expected], sample: &Sample) -> Verdict {
    if sample.silent {
        return Verdict::Wait("the engine does not answer".to_owned());
    }
    let mut wait = None;
    for one in expected {
        match one.judge(sample) {
            Verdict::Good => {}
            Verdict::Wait(why) => drop(wait.get_or_insert(why)),
            failed @ Verdict::Failed(_) => return failed,
        }
    }
    let probes = sample.probes.iter().enumerate();
    let failed = probes.filter_map(|(at, answer)| Some((at, answer.err()?))).next();
    if let (None, Some((at, why))) = (&wait, failed) {
        wait = Some(format!("probe {}: {why}", at + 1));
    }
    wait.map_or(Verdict::Good, Verdict::Wait)
}

impl Expected {
    fn judge(&self, sample: &Sample) -> Verdict {
        let name = &self.service;
        let there: Vec<&Container> = sample.of(name).collect();
        let mut wait = None;
        for container in &there {
            if container.image != self.image {
                return Verdict::Failed(format!("{name} runs another image than planned"));
            }
            if self.hash.as_ref().is_some_and(|hash| *hash != container.hash) {
                return Verdict::Failed(format!("{name} has another configuration than planned"));
            }
            if let Some(why) = self.mounts(container) {
                return Verdict::Failed(why);
            }
            match self.state(container) {
                Verdict::Good => {}
                Verdict::Wait(why) => drop(wait.get_or_insert(why)),
                failed @ Verdict::Failed(_) => return failed,
            }
        }
        if there.len() as u64 != self.replicas {
            return Verdict::Wait(format!("{name} has {} of {} containers", there.len(), self.replicas));
        }
        wait.map_or(Verdict::Good, Verdict::Wait)
    }

    /// How often a container was restarted since the plan was made.
    pub fn restarted(&self, container: &Container) -> u64 {
        container.restarts.saturating_sub(self.restarts.get(&container.id).copied().unwrap_or(0))
    }

    fn state(&self, container: &Container) -> Verdict {
        let name = &self.service;
        let health = container.health.as_deref();
        if self.job {
            return match container.status.as_str() {
                "exited" if container.exit == 0 => Verdict::Good,
                "exited" | "dead" if container.has_ended() => {
                    Verdict::Failed(format!("the job {name} ended with {}", container.exit))
                }
                _ => Verdict::Wait(format!("the job {name} has not ended")),
            };
        }
        let restarts = self.restarted(container);
        if restarts >= RESTARTS_MAX {
            return Verdict::Failed(format!("{name} ends again and again ({restarts} restarts)"));
        }
        match (container.status.as_str(), health) {
            ("running", None | Some("healthy" | "none")) => Verdict::Good,
            ("running", Some("starting")) => Verdict::Wait(format!("{name} is not healthy yet")),
            // Docker reports it after as many failed checks as the file sets, none of them within the start period.
            ("running", Some("unhealthy")) => Verdict::Failed(format!("{name} is unhealthy")),
            ("running", Some(_)) => Verdict::Wait(format!("{name} has a health that is not understood")),
            ("paused", _) => Verdict::Failed(format!("{name} is paused")),
            _ if container.has_ended() => Verdict::Failed(format!("{name} ended with {}", container.exit)),
            ("restarting" | "exited", _) => {
                Verdict::Wait(format!("{name} ended with {} and is restarted", container.exit))
            }
            _ => Verdict::Wait(format!("{name} is not started")),
        }
    }

    /// Bind mounts are what was planned: the engine's own word, after the start.
    fn mounts(&self, container: &Container) -> Option<String> {
        let mut found: Vec<Bind> = container
            .mounted()
            .iter()
            .filter(|mount| mount.kind == "bind")
            .map(|mount| Bind {
                source: mount.source.clone(),
                target: mount.destination.clone(),
                writable: mount.writable,
            })
            .collect();
        // Configs and secrets of Compose are binds too, read-only, at targets that the model does not list as mounts.
        found.retain(|bind| bind.writable || self.binds.iter().any(|wanted| wanted.target == bind.target));
        found.sort();
        let mut wanted = self.binds.clone();
        wanted.sort();
        let has = |(name, target): &(String, String)| {
            container.mounted().iter().any(|mount| mount.destination == *target && mount.name == *name)
        };
        let same = found == wanted && self.volumes.iter().all(has);
        (!same).then(|| format!("{} has other mounts than planned", self.service))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(edit: impl Fn(&mut Container)) -> Container {
        let json = r#"{"id":"c","name":"/web-1","image":"i","image_name":"x","status":"running","exit":0,"started":"t","health":null,
            "restarts":0,"restart":"always","project":"apps","service":"web","hash":"h","oneoff":"False","module":"m","root":"/r","named":"x",
            "mounts":[{"Type":"bind","Source":"/srv/a","Destination":"/a","RW":true}],"ports":null}"#;
        let json = json.replacen("\"c\"", &format!("\"{}\"", "c".repeat(64)), 1);
        let mut container = Container::parse(&json).unwrap();
        edit(&mut container);
        container
    }

    fn said(job: bool, replicas: u64, containers: Vec<Container>) -> String {
        let binds = vec![Bind { source: "/srv/a".into(), target: "/a".into(), writable: true }];
        let expected = Expected {
            service: "web".into(),
            image: "i".into(),
            hash: Some("h".into()),
            replicas,
            job,
            binds,
            volumes: Vec::new(),
            restarts: BTreeMap::from([("old".to_owned(), 7)]),
        };
        match judge(&[expected], &Sample { containers, ..Sample::default() }) {
            Verdict::Good => "good".to_owned(),
            Verdict::Wait(why) => format!("wait: {why}"),
            Verdict::Failed(why) => format!("failed: {why}"),
        }
    }

    #[test]
    fn container_must_match_the_plan_to_be_good() {
        let one = |edit: fn(&mut Container)| said(false, 1, vec![container(edit)]);
        assert_eq!(one(|_| {}), "good");
        assert_eq!(one(|c| c.health = Some("healthy".into())), "good");
        assert_eq!(one(|c| c.health = Some("starting".into())), "wait: web is not healthy yet");
        assert_eq!(one(|c| c.health = Some("unhealthy".into())), "failed: web is unhealthy");
        assert_eq!(one(|c| c.health = Some("odd".into())), "wait: web has a health that is not understood");
        assert_eq!(one(|c| c.status = "restarting".into()), "wait: web ended with 0 and is restarted");
        assert_eq!(one(|c| c.restarts = 5), "failed: web ends again and again (5 restarts)");
        assert_eq!(
            one(|c| (c.id, c.restarts) = ("old".into(), 9)),
            "good",
            "what was restarted before the plan is the past"
        );
        assert_eq!(one(|c| c.status = "created".into()), "wait: web is not started");
        assert_eq!(one(|c| c.image = "j".into()), "failed: web runs another image than planned");
        assert_eq!(one(|c| c.hash = "g".into()), "failed: web has another configuration than planned");
        assert_eq!(one(|c| c.mounts = None), "failed: web has other mounts than planned");
        let ended = |c: &mut Container| (c.status, c.exit, c.restart) = ("exited".into(), 3, "no".into());
        assert_eq!(one(ended), "failed: web ended with 3");
        assert_eq!(said(false, 3, vec![container(|_| {})]), "wait: web has 1 of 3 containers");
        assert_eq!(said(false, 1, vec![]), "wait: web has 0 of 1 containers");
        assert_eq!(said(true, 1, vec![container(ended)]), "failed: the job web ended with 3");
        let done = container(|c| (c.status, c.restart) = ("exited".into(), "no".into()));
        assert_eq!(said(true, 1, vec![done]), "good");
        assert_eq!(said(true, 1, vec![container(|_| {})]), "wait: the job web has not ended");
    }

    #[test]
    fn watch_answers_are_parsed_strictly() {
        let seen = "a".repeat(64);
        let sample =
            parse(format!("probe 1 pass\nprobe 2 fail refused\nsecret {seen} a.env\nsample {seen}\n").as_bytes());
        assert_eq!(sample.unwrap().probes, [Ok(()), Err("no connection")]);
        for bad in ["", "probe 2 pass\n", "container x\n", "sample x\n", "x\n"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
