//! The demo's scratch: a git remote, a clone of it with this project's own description, and this machine as the host.
#![expect(clippy::disallowed_methods, reason = "files are written in src/io/")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    io::{
        env::Env,
        process::{self, Limits},
    },
    model::{refusal::Code, text},
    port::{self, Answer, PortError, Scratch as _},
};

/// A folder with `remote.git`, its clone `work`, and `host`, the root of this machine as a host.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    env: Env,
    program: PathBuf,
    /// The engine's address, if one answers with a Compose that is used.
    engine: Option<String>,
    /// Removed with this value, unless it is to be kept.
    _scratch: Option<tempfile::TempDir>,
}

/// image TREE NAME: the machine's shell, three programs and their libraries become an image.
const IMAGE: &str = r#"
mkdir -p "$1/bin" "$1/tmp"
for program in sh sleep cat; do
	path=$(command -v "$program")
	cp -L "$path" "$1/bin/$program"
	ldd "$path" 2>/dev/null | grep -oE '/[^ ]+' | while read -r library; do
		mkdir -p "$1${library%/*}"
		cp -L "$library" "$1$library"
	done
done
tar -C "$1" -c . | docker import -c 'ENV PATH=/bin' - "$2" >/dev/null
"#;

fn failed(what: &str) -> impl FnOnce(io::Error) -> PortError {
    let what = format!("could not {what}");
    move |error| PortError::new(Code::Io, what, "check for free space and write permission there").because(error)
}

impl Scratch {
    /// Makes the folders: at `keep`, which must not exist or be empty, or in a temporary folder that goes away.
    ///
    /// # Errors
    /// They cannot be created, or something exists there.
    pub fn make(keep: Option<&Path>, env: &Env) -> Answer<Self> {
        let (dir, scratch) = match keep {
            Some(dir) => {
                let dir = env.cwd().join(dir);
                fs::create_dir_all(&dir).map_err(failed("make the folder"))?;
                if fs::read_dir(&dir).map_err(failed("look into the folder"))?.next().is_some() {
                    let fact = format!("{} is not empty", text::shown(&dir.display().to_string()));
                    return Err(PortError::new(Code::Usage, fact, "name a folder that does not exist"));
                }
                (dir, None)
            }
            None => {
                let scratch = tempfile::Builder::new().prefix("platformctl-demo-").tempdir();
                let scratch = scratch.map_err(failed("make a temporary folder"))?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        let dir = dir.canonicalize().map_err(failed("find the folder"))?;
        for name in ["home", "host", "work"] {
            fs::create_dir(dir.join(name)).map_err(failed("make the folders"))?;
        }
        let home = dir.join("home").into_os_string();
        let path = env.get("PATH").unwrap_or_default().into();
        // What a machine sets for all its users is not the demo's.
        let mut vars = vec![("PATH".into(), path), ("HOME".into(), home), ("GIT_CONFIG_NOSYSTEM".into(), "1".into())];
        for who in ["AUTHOR", "COMMITTER"] {
            vars.push((format!("GIT_{who}_NAME").into(), "Ola Demo".into()));
            vars.push((format!("GIT_{who}_EMAIL").into(), "ola@example.org".into()));
        }
        let env_engine = env.get("DOCKER_HOST").filter(|address| address.starts_with("unix://"));
        let env = Env::of(vars, dir.join("work"));
        let program = std::env::current_exe().map_err(failed("find this program"))?;
        let engine = env_engine.unwrap_or("unix:///var/run/docker.sock").to_owned();
        let mut world = Self { dir, env, program, engine: Some(engine), _scratch: scratch };
        if !world.composes() {
            world.engine = None;
        }
        Ok(world)
    }

    /// Whether an engine answers, and a Compose 2.20 or newer.
    fn composes(&self) -> bool {
        let version = self.docker(&["compose", "version", "--short"]);
        let minor = version.ok().and_then(|text| text.trim_start_matches('v').split('.').nth(1)?.parse::<u64>().ok());
        minor.is_some_and(|minor| minor >= 20) && self.docker(&["version", "--format", "{{.Server.Version}}"]).is_ok()
    }

    fn answered(&self, command: Command, what: &str, args: &[&str]) -> Answer<String> {
        let done = process::run(command, &Limits::default())?;
        if done.rc == Some(0) {
            return Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned());
        }
        let said = text::shown(&String::from_utf8_lossy(&done.stderr));
        Err(PortError::new(Code::Io, format!("{what} {} failed: {said}", args.join(" ")), "make `docker info` work"))
    }
}

impl port::Scratch for Scratch {
    fn engine(&self) -> Option<&str> {
        self.engine.as_deref()
    }

    fn docker(&self, args: &[&str]) -> Answer<String> {
        let mut command = self.env.child("docker");
        command.env("DOCKER_HOST", self.engine.as_deref().unwrap_or_default()).args(args);
        self.answered(command, "docker", args)
    }

    fn image(&self, name: &str) -> Answer<()> {
        let mut command = self.env.child("sh");
        command.env("DOCKER_HOST", self.engine.as_deref().unwrap_or_default());
        command.args(["-ec", IMAGE, "image", &self.dir.join("image").display().to_string(), name]);
        self.answered(command, "making an image", &[]).map(drop)
    }

    fn dir(&self) -> &Path {
        &self.dir
    }

    fn git(&self, args: &[&str]) -> Answer<String> {
        let mut command = self.env.child("git");
        // What git 3 begins with is not what the demo shows.
        command.envs([("GIT_DEFAULT_HASH", "sha1"), ("GIT_DEFAULT_REF_FORMAT", "files")]).args(args);
        let done = process::run(command, &Limits::default())?;
        if done.rc == Some(0) {
            return Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned());
        }
        let said = text::shown(&String::from_utf8_lossy(&done.stderr));
        Err(PortError::new(
            Code::Io,
            format!("git {} failed: {said}", args.join(" ")),
            "check that git is 2.39 or newer",
        ))
    }

    fn platformctl(&self, args: &[&str]) -> Answer<(Option<i32>, Vec<u8>)> {
        let mut command = self.env.child(&self.program.to_string_lossy());
        command.args(args);
        let done = process::run(command, &Limits::default())?;
        Ok((done.rc, done.stdout))
    }

    fn write(&self, path: &str, text: &str) -> Answer<()> {
        let path = self.dir.join("work").join(path);
        let folder = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, text)).map_err(failed("write into the clone"))
    }

    fn read(&self, path: &str) -> Answer<String> {
        fs::read_to_string(self.dir.join(path)).map_err(failed(&format!("read {path}")))
    }
}
