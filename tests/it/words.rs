//! Words of a repository and of a host: none becomes an option, a file or a command. What they open has a door.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use platformctl::{
    error::Failure,
    io::{env::Env, local::Local, remote::GitRemote, ssh::Ssh},
    model::{digest::Digest, names::Destination},
    port::{Answer, Host, Input, Member, Ports, Reply, Script, Step},
    runtime::{compose, doctor, files},
    tree::snapshot::Snapshot,
    verb::{
        apply::{Ask, apply},
        fetch::refresh,
        validate::validate,
    },
};
use proptest::prelude::*;

use crate::support::{
    repo::Repo,
    site::{Site, ask, said},
    stack::{Stack, docker, lab},
};

const POLICY: &str = "schema: platform/1\nhosts:\n  box: {transport: local, root: /opt/platform, mutations: enabled}\n";

/// A repository with a compose module `app`: lines of `runtime:`, more of the manifest, and the compose file.
fn described(runtime: &str, more: &str, compose: &str) -> Repo {
    let repo = Repo::new();
    repo.write("platform.yaml", POLICY);
    repo.write(
        "modules/app/module.yaml",
        &format!(
            "schema: module/2\nid: app\ntitle: App\nowner: ola\nhost: box\nruntime:\n  driver: compose\n  \
             compose_files: [compose/app.yaml]\n{runtime}{more}"
        ),
    );
    repo.write("compose/app.yaml", compose);
    repo
}

/// What `validate` says, one line a problem.
fn problems(repo: &Repo) -> Vec<String> {
    let git = repo.open();
    let snapshot = Snapshot::whole(&git, git.snapshot().unwrap()).unwrap();
    let report = validate(&snapshot, &[]).unwrap();
    report.problems.iter().map(|p| format!("{} {} {}", p.place(), p.code.slug(), p.message)).collect()
}

/// Attack: a merged compose file has a service, network, volume, config, secret, profile, container or image name that looks like an option.
/// Defence: every name is parsed with the grammar of its field, and an invalid one is refused with file and line.
#[test]
fn name_like_an_option_is_refused_with_its_line() {
    let project = "  project: apps\n";
    let ok = "services:\n  web: {image: 'redis:7.2'}\n";
    assert_eq!(problems(&described(project, "", ok)), [] as [String; 0]);
    for (place, compose) in [
        ("compose/app.yaml:3:3", "services:\n  web: {image: x}\n  -o.bashrc: {image: x}\n"),
        ("compose/app.yaml:3:3", "services:\n  web: {image: x}\n  --no-interpolate: {image: x, pid: '${X:-host}'}\n"),
        ("compose/app.yaml:3:3", "services:\n  web: {image: x}\n  'a b': {image: x}\n"),
        ("compose/app.yaml:3:3", "services:\n  web: {image: x}\n  \"a\\nb\": {image: x}\n"),
        ("compose/app.yaml:2:16", "services:\n  web: {image: '--help'}\n"),
        ("compose/app.yaml:3:21", "services:\n  web: {image: x,\n    container_name: '-x'}\n"),
        ("compose/app.yaml:4:19", "services:\n  web: {image: x}\n  b: {image: x,\n    profiles: [a, '-x']}\n"),
        ("compose/app.yaml:3:12", "services:\n  web: {image: x}\nnetworks: {'-x': {}}\n"),
        ("compose/app.yaml:3:22", "services:\n  web: {image: x}\nnetworks: {n: {name: '--x'}}\n"),
        ("compose/app.yaml:3:33", "services:\n  web: {image: x}\nnetworks: {n: {external: {name: '--x'}}}\n"),
        ("compose/app.yaml:3:11", "services:\n  web: {image: x}\nvolumes: {'-x': {}}\n"),
        ("compose/app.yaml:3:21", "services:\n  web: {image: x}\nvolumes: {v: {name: '$(id)', driver: local}}\n"),
        ("compose/app.yaml:3:11", "services:\n  web: {image: x}\nconfigs: {'-x': {content: a}}\n"),
        ("compose/app.yaml:3:11", "services:\n  web: {image: x}\nsecrets: {'-x': {file: a}}\n"),
    ] {
        let found = problems(&described(project, "", compose));
        // What holds a variable is judged once it is rendered.
        if compose.contains("$(id)") {
            assert_eq!(found, [] as [String; 0]);
            continue;
        }
        assert_eq!(found.len(), 1, "{compose}: {found:?}");
        assert!(found[0].starts_with(&format!("{place} compose_invalid ")), "{compose}: {found:?}");
    }
    for (line, runtime, more) in [
        (9, "  project: '-p'\n", ""),
        (9, "  project: Apps\n", ""),
        (10, "  project: apps\n  services: ['--no-interpolate']\n", ""),
        (10, "  project: apps\n  profiles: ['-x']\n", ""),
        (10, "  project: apps\n", "secrets: [{file: a.env, keys: ['A B']}]\n"),
        (10, "  project: apps\n", "secrets: [{file: a.env, keys: [\"A\\nB\"]}]\n"),
        (10, "  project: apps\n", "jobs: ['-x']\n"),
        (10, "  project: apps\n", "health: {probes: [{exec: [x], service: '-x'}]}\n"),
    ] {
        let found = problems(&described(runtime, more, ok));
        assert!(found[0].starts_with(&format!("modules/app/module.yaml:{line}:")), "{runtime}{more}: {found:?}");
    }
}

/// A folder of programs that write down how they were called and then call the real one; `docker` alone is none.
struct Recorder {
    dir: tempfile::TempDir,
}

const PROGRAMS: &[&str] =
    &["find", "stat", "sha256sum", "realpath", "dirname", "xargs", "curl", "cp", "mkdir", "ln", "grep"];
/// What the recorded docker answers when it is to render: nothing of it is ours, and it has a word of the attacker's in
/// it.
const MODEL: &str = "{\n  \"services\": {\n    \"a\": {\n      \"image\": \"-fzq7\",\n      \"network_mode\": \"service:-zq7\"\n    }\n  }\n}\n";
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl Recorder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let programs = dir.path().join("bin");
        fs::create_dir(&programs).unwrap();
        let log = dir.path().join("log").display().to_string();
        let put = |name: &str, body: &str| {
            let path = programs.join(name);
            // One write a call: calls that run at the same time do not mix.
            let text = format!(
                "#!/bin/sh\n{{ printf '%s\\0' {name} \"$@\"; printf '\\1\\0'; }} | dd bs=64k iflag=fullblock oflag=append conv=notrunc of={log} 2>/dev/null\n{body}"
            );
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        for name in PROGRAMS {
            put(name, &format!("PATH=/usr/bin:/bin; exec {name} \"$@\"\n"));
        }
        put(
            "docker",
            &format!(
                "case \" $* \" in\n*' config --format=json '*|*' config --format json '*) cat {0}/model ;;\n\
                 *' version '*|*' info '*) printf '20.10\\n\"/d\"\\n2.40.3\\n' ;;\n\
                 *' volume ls '*) printf '%s\\n' -fzq7 --zq7 ;;\n*' --format '*'{{{{.ID}}}} {{{{.Names}}}}'*) printf '%s\\n' '-fzq7 0123456789ab_x' ;;\n\
                 *' ps '*) printf '%s\\n' {ID} -zq7 ;;\nesac\nexit 0\n",
                dir.path().display()
            ),
        );
        fs::write(dir.path().join("model"), MODEL).unwrap();
        fs::create_dir_all(dir.path().join("root/runs")).unwrap();
        for folder in ["root/locks", "root/secrets", "root/tmp", "root/live", "root/data"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        Self { dir }
    }

    fn root(&self) -> String {
        self.dir.path().join("root").display().to_string()
    }

    fn run(&self, script: &Script, args: &[String], members: Vec<Member>) -> Reply {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.dir.path().join("bin").display());
        let host = Local::new(path, Some(self.dir.path().display().to_string()));
        let mut members = members.into_iter().map(Ok);
        let input = if members.len() == 0 { Input::Nothing } else { Input::Tar(&mut members) };
        host.run(script, args, input).unwrap()
    }

    /// How programs were called.
    fn calls(&self) -> Vec<Vec<String>> {
        let log = fs::read(self.dir.path().join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&log).into_owned();
        text.split("\0\u{1}\0")
            .filter(|call| !call.is_empty())
            .map(|call| call.split('\0').map(str::to_owned).collect())
            .collect()
    }
}

fn list(path: &str, words: &[String]) -> Member {
    compose::lines(path, words)
}

/// Everything that scripts are sent, with hostile words wherever a word of a repository or of a host may stand.
fn hostile(words: &[String]) -> Vec<Member> {
    let keys: Vec<String> = words.iter().map(|word| format!("{word} {word}")).collect();
    let mut members = vec![
        list("p/files", words),
        list("p/env_files", words),
        list("p/profiles", words),
        list("p/services", words),
        list("p/secrets", words),
        list("p/env_secrets", words),
        list("p/keys", &keys),
        list("p/networks", words),
        list("p/binds", words),
        list("p/sacred", words),
        list("p/contents", words),
        list("p/changed", words),
        list("p/remove", words),
        list("p/reals", &[]),
        compose::text("p/vars", ""),
        compose::text("p/override.json", "{}"),
        compose::text("p/salt", "s\n"),
        compose::text("p/final", format!("{}\n", Digest::of(format!("s\n{MODEL}").as_bytes()).hex())),
    ];
    let line = |member: &Member| format!("{}  {}\n", Digest::of(&member.bytes).hex(), &member.path[2..]);
    let listing: String = members.iter().map(line).collect();
    members.push(compose::text("p/orders", listing));
    members.push(compose::text("p/end", ""));
    members
}

/// Options that hold their value in the same word.
const HOLDS: &[&str] = &["--project-name=", "--project-directory=", "--env-file=", "--profile=", "--file="];

/// Calls in which a word from outside could be taken for an option.
fn loose(calls: &[Vec<String>]) -> Vec<&Vec<String>> {
    let is_loose = |call: &&Vec<String>| {
        let end = call.iter().position(|arg| arg == "--").unwrap_or(call.len());
        (1..end).any(|at| {
            let (before, arg) = (call[at - 1].as_str(), &call[at]);
            let held = before == "-e" || HOLDS.iter().any(|option| arg.starts_with(option));
            arg.starts_with('-') && arg.contains("zq7") && !held
        })
    };
    calls.iter().filter(is_loose).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]

    /// Attack: a word that is an option, a pattern or a command reaches a script on the host in a list or an argument.
    /// Defence: programs get such words after `--` or after an option's `=`; `find`, which supports neither, gets no word with a leading dash.
    #[test]
    fn host_programs_get_no_options_from_repository_text(
        begins in prop::collection::vec("(-|--|-o|-f|--file=|--no-interpolate|--output=|-exec|-delete|\\$\\(touch |`touch |'|;touch )", 3..5),
    ) {
        let recorder = Recorder::new();
        let words: Vec<String> = begins.iter().enumerate().map(|(n, begin)| format!("{begin}zq7{n}")).collect();
        let (root, word) = (recorder.root(), &words[0]);
        for word in words.iter().filter(|word| !word.contains('/')) {
            fs::write(Path::new(&root).join("secrets").join(word), "A=1\n").unwrap();
        }
        let text = |text: &str| text.to_owned();
        let args = [root.clone(), text("app"), ID.to_owned(), word.clone(), word.clone(), text("unix:///nowhere")];
        recorder.run(&compose::RENDER, &args, hostile(&words));
        recorder.run(&compose::LOOK, &args, hostile(&words));
        let pull: Vec<String> = [root.clone(), text("unix:///nowhere")].into_iter().chain(words.iter().cloned()).collect();
        recorder.run(&compose::PULL, &pull, Vec::new());
        let kept = vec![list("m/kept", &words), list("m/sums", &[]), list("m/modes", &[]), list("m/kept-sums", &[]), list("m/kept-modes", &[]),
            list("m/data", &[]), list("m/copies", &[]), compose::text("m/end", "")];
        let ship = [root.clone(), text("app"), ID.to_owned(), text("n")];
        let shipped = recorder.run(&compose::SHIP, &ship, kept);
        if words.iter().any(|word| word.starts_with('-')) {
            prop_assert_eq!(shipped.rc, 3);
        }
        let orders = hostile(&words);
        let digest = orders.iter().find(|member| member.path == "p/orders").map(|member| Digest::of(&member.bytes).hex()).unwrap();
        let run = [root.clone(), text("app"), text("compose.x"), text("r1"), text("n"), text("1"), text("0"), text("{\"seq\":1}"), digest,
            ID.to_owned(), word.clone(), word.clone(), text("unix:///nowhere")];
        let ran = recorder.run(&compose::RUN, &run, orders);
        prop_assert!(String::from_utf8_lossy(&ran.stdout).contains("\"step\":\"done\""), "{}", String::from_utf8_lossy(&ran.stdout));
        recorder.run(&files::LOOK, &[root.clone(), text("app")], Vec::new());
        let lists = words.join("\n");
        let keys: Vec<String> = words.iter().map(|word| format!("{word} {word}")).collect();
        recorder.run(&doctor::LOOK, &[root, text("unix:///nowhere"), lists.clone(), keys.join("\n"), lists], Vec::new());
        let calls = recorder.calls();
        let upped = |call: &&Vec<String>| call.iter().any(|arg| arg == "up") && call.ends_with(&words);
        prop_assert!(calls.iter().any(|call| upped(&call)), "the change was made");
        // What is judged is rendered with the flags and words of what runs: folders alone differ.
        let renders = calls.iter().filter(|call| call.iter().any(|arg| arg == "--format=json"));
        let asked = |call: &Vec<String>| -> Vec<String> {
            let folders = ["--file=", "--env-file=", "--project-directory="];
            // What follows -- is a word, whatever it looks like.
            let words = call.iter().position(|arg| arg == "--").unwrap_or(call.len());
            let folder = |at: usize, arg: &String| at < words && folders.iter().any(|option| arg.starts_with(option));
            call.iter().enumerate().filter(|(at, arg)| !folder(*at, arg)).map(|(_, arg)| arg.clone()).collect()
        };
        let renders: Vec<Vec<String>> = renders.map(asked).collect();
        prop_assert_eq!(renders.len(), 4, "render, twice look, run");
        prop_assert!(renders.iter().all(|render| *render == renders[0] && render.ends_with(&words)), "{renders:#?}");
        for program in ["docker", "find", "realpath", "dirname"] {
            prop_assert!(calls.iter().any(|call| call[0] == program), "{program} was called");
        }
        let loose = loose(&calls);
        prop_assert!(loose.is_empty(), "{loose:#?}");
        // Nothing was run or written by a word.
        let strange = everything(recorder.dir.path()).into_iter().find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("zq7"))
        });
        prop_assert_eq!(strange, None::<PathBuf>);
    }
}

fn everything(dir: &Path) -> Vec<PathBuf> {
    let output = Command::new("find").arg(dir).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect()
}

/// Attack: a service has the name of a Compose option, and no earlier check notices.
/// Defence: service names follow `--`, and the real Compose then treats the word as an unknown service.
#[test]
fn compose_treats_service_names_as_operands() {
    lab();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().display().to_string();
    let written = dir.path().join("written");
    let host = Local::new(std::env::var("PATH").unwrap(), Some(root.clone()));
    let mut answers = Vec::new();
    for word in ["app".to_owned(), format!("-o{}", written.display()), "--no-interpolate".to_owned()] {
        let list = |path: &str, words: &[&str]| compose::lines(path, words);
        let compose = "services: {app: {image: 'local/busybox:1', pid: '${X:-host}'}}\n";
        let members = vec![
            Member { path: "t/compose.yaml".to_owned(), mode: 0o644, bytes: compose.into() },
            list("p/files", &["compose.yaml"]),
            list("p/env_files", &[]),
            list("p/profiles", &[]),
            list("p/services", &[word.as_str()]),
            list("p/secrets", &[]),
            list("p/env_secrets", &[]),
            list("p/keys", &[]),
            compose::text("p/vars", ""),
            compose::text("p/end", ""),
        ];
        let args = [&root, "app", ID, "words", ".", "unix:///var/run/docker.sock"].map(|arg| (*arg).to_owned());
        let reply = host.run(&compose::RENDER, &args, Input::Tar(&mut members.into_iter().map(Ok))).unwrap();
        answers.push(String::from_utf8(reply.stdout).unwrap());
    }
    assert!(answers[0].contains("\"pid\": \"host\""), "{}", answers[0]);
    for answer in &answers[1..] {
        assert!(answer.contains("error no such service: -"), "{answer}");
    }
    assert!(!written.exists());
}

type Edit = fn(&str) -> String;

/// A host that says something else in answer to one script.
struct Lying {
    host: Ssh,
    script: &'static str,
    edit: Edit,
}

impl Host for Lying {
    fn run(&self, script: &Script, args: &[String], input: Input<'_>) -> Answer<Reply> {
        let mut reply = self.host.run(script, args, input)?;
        if script.name == self.script {
            reply.stdout = (self.edit)(&String::from_utf8_lossy(&reply.stdout)).into_bytes();
        }
        Ok(reply)
    }
}

/// Attack: the host renders services that differ from the source, or from its own first rendering.
/// Defence: the gate compares the services of both renderings and of the source, and refuses a difference.
#[test]
fn rendered_services_must_match_the_source() {
    let stack = Stack::new();
    stack.change(1, |stack| stack.compose(&[("app", "depends_on: [db]"), ("db", ""), ("idle", "")]));
    fn evil(text: &str) -> String {
        text.replacen("\"services\": {", "\"services\": {\"evil\": {\"image\": \"local/busybox:1\"},", 1)
    }
    fn without(text: &str) -> String {
        text.replacen("\n    \"db\": {", "\n    \"x-db\": {", 1)
    }
    fn renamed(text: &str) -> String {
        text.replacen("\n    \"idle\": {", "\n    \"idle2\": {", 1)
    }
    let cases: [(&str, Edit, &str); 6] = [
        ("compose-look", evil, "a service `evil` that no file defines"),
        ("compose-render", evil, "the service `evil` one time and not the other"),
        ("compose-look", without, "no service `db`"),
        ("compose-render", without, "the service `db` one time and not the other"),
        ("compose-look", renamed, "a service `idle2` that no file defines"),
        ("compose-render", renamed, "the service `idle` one time and not the other"),
    ];
    for (script, edit, says) in cases {
        let real = stack.site.real();
        let env = stack.site.repo.env();
        let reach =
            |_: &_| -> Answer<Box<dyn Host>> { Ok(Box::new(Lying { host: Ssh::new("lab", &[], &env), script, edit })) };
        let tell = |_: Step| {};
        let ports = Ports { host: &reach, ..real.ports(&tell) };
        let ask = Ask { module: "app".parse().unwrap(), ..ask(1) };
        let mut fetched = refresh(&ports, &ask.request).map_err(|stop| Failure::from(stop).refusals).unwrap();
        let told = match apply(&ports, &mut fetched, &ask) {
            Ok(applied) => panic!("{script} {says}: {}", said(Ok(applied))),
            Err(stop) => Failure::from(stop).refusals,
        };
        let facts: Vec<String> =
            told.iter().map(|refusal| format!("{} {}", refusal.code.slug(), refusal.fact)).collect();
        assert!(facts.iter().any(|fact| fact.starts_with("compose_invalid") && fact.contains(says)), "{facts:#?}");
        assert_eq!(stack.ids("app"), [] as [String; 0]);
    }
}

#[test]
fn names_valid_in_compose_are_accepted() {
    let stack = Stack::new();
    let network = format!("{}.Net_x-1", stack.project);
    stack.change(1, |stack| {
        stack.compose(&[
            ("A.b_c-D", "networks: [n.1]\nprofiles: [p.1_X]\ncontainer_name: PROJECT.A_b-1"),
            ("Axb_c-D", "networks: [n.1]"),
            ("1", "network_mode: 'service:A.b_c-D'\nvolumes: ['V.1:/v']\nconfigs: [c.1]"),
        ]);
        let path = stack.site.repo.work().join("compose/app.yaml");
        let text = fs::read_to_string(&path).unwrap().replace("PROJECT", &stack.project).replace("  1:", "  '1':");
        let more = format!(
            "networks: {{n.1: {{name: {network}}}}}\nvolumes: {{V.1: {{}}}}\nconfigs: {{c.1: {{content: x}}}}\n"
        );
        fs::write(&path, text + &more).unwrap();
        let manifest = stack.site.repo.work().join("modules/app/module.yaml");
        let text = fs::read_to_string(&manifest).unwrap().replace("health:", "  profiles: [p.1_X]\nhealth:");
        fs::write(manifest, text).unwrap();
    });
    let said = stack.run(0, "apply app --pr 1");
    let up = || Command::new("sh").arg("-c").arg(format!("cat {}/runs/*/up", stack.root().display())).output().unwrap();
    assert!(said.starts_with("exit 0\n"), "{said}{}", String::from_utf8_lossy(&up().stdout));
    assert!(stack.run(1, "apply app --pr 1").contains("nothing to change"));
    let shared = stack.inspect("1", "{{.HostConfig.NetworkMode}}");
    assert_eq!(shared, format!("container:{}", stack.inspect("A.b_c-D", "{{.Id}}")));
    for service in ["1", "A.b_c-D", "Axb_c-D"] {
        docker(&["rm", "-fv", &stack.ids(service)[0]]);
    }
    docker(&["volume", "rm", &format!("{}_V.1", stack.project)]);
}

fn sh(dir: &Path, script: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(script).current_dir(dir).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    said.trim_end().to_owned()
}

/// Attack: somebody places a symbolic link or a FIFO at the path where an operator writes a plan file.
/// Defence: `plan -o` writes to a FIFO, refuses a symbolic link, and replaces only regular files.
#[test]
fn plan_output_replaces_only_regular_files() {
    let site = Site::new();
    let work = site.repo.work();
    let plan = |to: &str| site.run(0, &format!("plan site --pr 1 -o {to}"));
    assert!(plan("plan.json").starts_with("exit 0\n"));
    assert!(plan("plan.json").starts_with("exit 0\n"), "a file is replaced");
    let whole = fs::read_to_string(work.join("plan.json")).unwrap();
    assert!(whole.contains("platformctl.plan/1"));
    // A link stays a link, and what it leads to stays what it is.
    sh(&work, "echo kept >target; ln -s target link; ln -s nowhere dangling; mkdir folder");
    for (to, says) in [
        ("link", "is a link to target, and is not replaced"),
        ("dangling", "is a link to nowhere, and is not replaced"),
        ("folder", "is a folder, and is not replaced"),
    ] {
        let said = plan(to).replace('\n', " ");
        assert!(said.starts_with("exit 2 ") && said.contains(says), "{to}: {said}");
    }
    assert_eq!(sh(&work, "cat target; readlink link dangling; test -d folder"), "kept\ntarget\nnowhere");
    // A FIFO is written to if somebody reads.
    sh(&work, "mkfifo pipe");
    assert!(plan("pipe").contains("no process reads from"));
    let reader =
        Command::new("timeout").args(["20", "cat", "pipe"]).current_dir(&work).stdout(Stdio::piped()).spawn().unwrap();
    let said = (0..100).map(|_| plan("pipe")).find(|said| !said.contains("no process reads from")).unwrap();
    assert!(said.starts_with("exit 0\n"), "{said}");
    let read = reader.wait_with_output().unwrap().stdout;
    assert!(String::from_utf8_lossy(&read).contains("platformctl.plan/1"));
    assert_eq!(sh(&work, "test -p pipe && echo pipe"), "pipe");
    // Standard output by its name, wherever that leads.
    let said = plan("/dev/stdout");
    assert!(said.starts_with("exit 0\n{\n") && said.contains("plan for site"), "{said}");
}

/// Attack: an operator writes a plan file to a device as root, by accident.
/// Defence: `plan -o` writes to a character device, refuses a block device, and replaces neither device node.
#[test]
fn plan_output_does_not_replace_a_device() {
    lab();
    let site = Site::new();
    let work = site.repo.work();
    // A null device, and a block device that no driver has.
    assert_eq!(sh(&work, "mknod null c 1 3 && mknod block b 255 255"), "");
    assert!(site.run(0, "plan site --pr 1 -o null").starts_with("exit 0\n"));
    let said = site.run(0, "plan site --pr 1 -o block");
    assert!(said.starts_with("exit 2\n") && said.contains("is no regular file"), "{said}");
    assert_eq!(sh(&work, "stat -c %F null block"), "character special file\nblock special file");
}

/// The entries that fixes print for `sacred.allow`.
fn entries<'f>(fixes: impl Iterator<Item = &'f str>) -> Vec<String> {
    let line = |fix: &str| fix.split_once("under sacred: allow:\n").map(|(_, line)| line.to_owned());
    fixes.filter_map(line).collect()
}

/// A policy with these entries.
fn opened(policy: &str, entries: &[String]) -> String {
    let entries: String = entries.iter().map(|entry| format!("    {entry}\n")).collect();
    format!("{policy}sacred:\n  allow:\n{entries}")
}

/// Doors and paths of a service, as written, each with the door that it opens.
const OPENS: &[(&str, &str)] = &[
    ("privileged: true", "privileged:true"),
    ("cap_add: [NET_ADMIN]", "cap_add:NET_ADMIN"),
    ("pid: 'service:other'", "pid:service:other"),
    ("ipc: 'service:other'", "ipc:service:other"),
    ("network_mode: 'service:other'", "network_mode:service:other"),
    ("annotations: {run.oci.keep_original_groups: '1'}", "annotations:run.oci.keep_original_groups"),
    ("annotations: {'say: \"x\", \\y': '1'}", "annotations:say: \"x\", \\y"),
    ("oom_score_adj: -5", "oom_score_adj:-5"),
    ("oom_kill_disable: true", "oom_kill_disable:true"),
    ("external_links: ['their-db:db']", "external_links:their-db"),
    ("security_opt: ['label=type:x, y']", "security_opt:label=type:x, y"),
    ("networks: {outside: {aliases: [db]}}", "aliases:out:db"),
    ("networks: {outside: {ipv4_address: 10.77.3.9}}", "ipv4_address:out:10.77.3.9"),
    ("networks: {outside: {mac_address: '02:42:0a:4d:03:09'}}", "mac_address:out:02:42:0a:4d:03:09"),
    (
        "networks: {outside: {driver_opts: {com.docker.network.endpoint.sysctls: x}}}",
        "driver_opts:out:com.docker.network.endpoint.sysctls",
    ),
    ("volumes: ['/srv/x:/x:ro,Z']", "selinux:Z:/srv/x"),
    ("volumes: [{type: bind, source: /srv/x, target: /x, bind: {selinux: z}}]", "selinux:z:/srv/x"),
];

/// Attack: a merged module joins another module's namespaces, or takes a name or an address on a foreign network.
/// Defence: each is a capability that `plan` reports before the merge and that needs a reviewed `allow:` entry.
#[test]
fn capability_is_reported_before_the_merge() {
    let more = "  other: {image: x}\nnetworks: {outside: {external: true, name: out}}\n";
    for (lines, door) in OPENS {
        let repo = described(
            "  project: apps\n  services: [app]\n",
            "",
            &format!("services:\n  app:\n    image: x\n    {lines}\n{more}"),
        );
        let said = |repo: &Repo| {
            let git = repo.open();
            validate(&Snapshot::whole(&git, git.snapshot().unwrap()).unwrap(), &[]).unwrap().problems
        };
        let found = said(&repo);
        let facts: Vec<&str> = found.iter().map(|problem| problem.message.as_str()).collect();
        assert!(facts.iter().any(|fact| fact.contains(&format!("opens the door {door} "))), "{lines}: {facts:?}");
        let lines = entries(found.iter().map(|problem| problem.fix.as_str()));
        assert_eq!(lines.len(), found.len(), "{found:?}");
        repo.write("platform.yaml", &opened(POLICY, &lines));
        assert_eq!(said(&repo), [], "{lines:?}");
    }
    // What is the module's own is no door.
    for lines in [
        "pid: 'service:other'",
        "networks: {default: {aliases: [db]}}",
        "oom_score_adj: 5",
        "privileged: false",
        "oom_kill_disable: false",
        "volumes: ['${PLATFORM_DATA}/x:/x:Z']",
        "volumes: ['/srv/x:/x:ro']",
    ] {
        let compose = format!("services:\n  app:\n    image: x\n    {lines}\n{more}");
        assert_eq!(problems(&described("  project: apps\n", "", &compose)), [] as [String; 0], "{lines}");
    }
}

/// Attack: a compose file hides a capability behind a variable, so that reviewers do not see it in the source.
/// Defence: the gate checks the rendered model by the same table as the source.
#[test]
fn rendered_model_is_judged_like_the_source() {
    let stack = Stack::on("    transport: ssh\n    destination: lab\n    networks: []\n", "");
    let network = format!("{}out", stack.project);
    docker(&["network", "create", "--subnet", "10.77.3.0/24", &network]);
    let folder = stack.site.repo.path("sac, red: \"x\"");
    fs::create_dir_all(folder.join("in")).unwrap();
    fs::create_dir_all(stack.site.repo.path("lab")).unwrap();
    let link = stack.site.repo.path("leads");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let policy = fs::read_to_string(stack.site.repo.work().join("platform.yaml")).unwrap();
    let sacred = format!("  paths: ['{}/**']\n", folder.display());
    let policy_with = |entries: &[String], networks: &str| {
        opened(&policy.replace("networks: []", networks), entries).replace("sacred:\n", &format!("sacred:\n{sacred}"))
    };
    stack.change(1, |stack| {
        stack.site.repo.write("platform.yaml", &policy_with(&[], "networks: []").replace("  allow:\n", ""));
        stack.compose(&[
            (
                "app",
                &format!(
                    "pid: '${{P:-service:other}}'\noom_score_adj: ${{O:--5}}\nannotations: {{'a, \"b': x}}\n\
                     networks: {{outside: {{aliases: ['${{A:-db}}'], ipv4_address: 10.77.3.9, mac_address: '02:42:0a:4d:03:09'}}, \
                     default: {{driver_opts: {{o: '1'}}}}}}\n\
                     volumes: ['./conf:/conf:ro,z', '{0}/in:/in:ro', '{0}/lab:/lab:Z', '{0}/leads:/leads:ro', \
                     '${{PLATFORM_DATA}}/d:/d:Z']",
                    stack.site.repo.path("").display().to_string().trim_end_matches('/')
                )
                .replace("/in:/in", "/leads/in:/in"),
            ),
            ("other", ""),
        ]);
        stack.site.repo.write("compose/conf", "c\n");
        let path = stack.site.repo.work().join("compose/app.yaml");
        let text = fs::read_to_string(&path).unwrap();
        let networks = format!(
            "networks: {{outside: {{external: true, name: '${{N:-{network}}}'}}, default: {{ipam: {{config: [{{subnet: 10.77.4.0/24, gateway: 10.77.4.9}}]}}}}}}\n"
        );
        fs::write(path, text + &networks).unwrap();
        let manifest = stack.site.repo.work().join("modules/app/module.yaml");
        let text = fs::read_to_string(&manifest).unwrap().replace("health:", "  services: [app]\nhealth:");
        fs::write(manifest, text).unwrap();
    });
    let (mut lines, mut networks, mut seen) = (Vec::new(), "networks: []".to_owned(), String::new());
    for n in 2..6 {
        let planned = stack.json(n, "plan app");
        let refusals = planned["refusals"].as_array().unwrap();
        seen += &format!("{refusals:#?}");
        let fixes: Vec<&str> = refusals.iter().map(|refusal| refusal["fix"].as_str().unwrap()).collect();
        if fixes.is_empty() {
            break;
        }
        let more = entries(fixes.iter().copied());
        let joins = fixes.iter().find_map(|fix| fix.split_once("adds it there: ")).map(|(_, line)| line.to_owned());
        assert_eq!(more.len() + usize::from(joins.is_some()), fixes.len(), "{refusals:#?}");
        assert!(more.iter().all(|line| !lines.contains(line)), "an entry did not do: {refusals:#?}");
        lines.extend(more);
        networks = joins.unwrap_or(networks);
        let text = policy_with(&lines, &networks);
        stack.change(n as u64, |stack| stack.site.repo.write("platform.yaml", &text));
    }
    let planned = stack.json(9, "plan app");
    assert_eq!(planned["refusals"], serde_json::json!([]), "{lines:#?}");
    let opened = planned["intent"]["exceptions"].to_string() + &planned["plan"]["intent"]["exceptions"].to_string();
    for door in [
        "pid:service:other",
        "oom_score_adj:-5",
        "annotations:a, \\\"b",
        &format!("aliases:{network}:db"),
        &format!("ipv4_address:{network}:10.77.3.9"),
        &format!("mac_address:{network}:02:42:0a:4d:03:09"),
        &format!("driver_opts:{}_default:o", stack.project),
        &format!("network_ipam:{}_default", stack.project),
        &format!("selinux:Z:{}", stack.site.repo.path("lab").display()),
    ] {
        assert!(opened.contains(door), "{door}: {opened}");
    }
    assert_eq!(opened.matches("selinux").count(), 1, "{opened}");
    assert!(seen.contains("is sacred"), "{seen}");
    docker(&["network", "rm", &network]);
}

/// What `validate` warns of.
fn warnings(repo: &Repo) -> Vec<String> {
    let git = repo.open();
    let report = validate(&Snapshot::whole(&git, git.snapshot().unwrap()).unwrap(), &[]).unwrap();
    assert_eq!(report.problems, [] as [platformctl::model::problem::Problem; 0]);
    report.warnings
}

/// Attack: somebody commits a password in an env file, a manifest or a compose file.
/// Defence: `validate` and `plan` warn before the merge and print commands that move it to the host, without its value.
#[test]
fn secret_in_the_repository_is_reported() {
    let project = "  project: apps\n";
    let compose = "services:\n  app:\n    image: x\n    environment:\n      USER: me\n      DB_PASSWORD: canary\n      OTHER_TOKEN: ${TOKEN}\n      PASSWORD_FILE: /x\n";
    let repo = described("  project: apps\n  vars: {TOKEN: '', TAG: '1'}\n", "", compose);
    let said = warnings(&repo);
    snapbox::assert_data_eq!(
        said.join("\n---\n"),
        snapbox::str![[r#"
compose/app.yaml:6:7: DB_PASSWORD has a value under `environment`: whoever reads the repository has it. Move it to the host:
  (umask 077 && install -D -m 600 /dev/stdin /opt/platform/secrets/app.env)
and type there, with Ctrl-D at the end:
  DB_PASSWORD='…'
in its module.yaml, under secrets:
  - {file: app.env, keys: [DB_PASSWORD]}
in the compose file, in the service's `env_file`:
  env_file: ["${PLATFORM_SECRETS}/app.env"]
and give it a new value: git keeps the old one
"#]]
    );
    // What it says does: then nothing is left to warn of.
    repo.write(
        "compose/app.yaml",
        &compose
            .replace("      DB_PASSWORD: canary\n", "")
            .replace("image: x\n", "image: x\n    env_file: [\"${PLATFORM_SECRETS}/app.env\"]\n"),
    );
    let manifest = fs::read_to_string(repo.work().join("modules/app/module.yaml")).unwrap();
    repo.write("modules/app/module.yaml", &format!("{manifest}secrets:\n  - {{file: app.env, keys: [DB_PASSWORD]}}\n"));
    assert_eq!(warnings(&repo), [] as [String; 0]);

    // Every other place.
    let ok = "services:\n  app: {image: x}\n";
    for (name, place, runtime, compose, file) in [
        ("X_SECRET", "modules/app/module.yaml:10:10", "  project: apps\n  vars: {X_SECRET: canary}\n", ok, ""),
        ("A_TOKEN", "compose/a.env:2", project, "services:\n  app: {image: x, env_file: [a.env]}\n", "compose/a.env"),
        ("A_TOKEN", "compose/a.env:2", "  project: apps\n  env_files: [compose/a.env]\n", ok, "compose/a.env"),
        ("A_TOKEN", "compose/.env:2", project, ok, "compose/.env"),
        (
            "pw",
            "compose/app.yaml:3:22",
            project,
            "services:\n  app: {image: x, secrets: [pw]}\nsecrets: {pw: {file: pw.txt}}\n",
            "compose/pw.txt",
        ),
        (
            "pw",
            "compose/app.yaml:3:25",
            project,
            "services:\n  app: {image: x, secrets: [pw]}\nsecrets: {pw: {content: canary}}\n",
            "",
        ),
        (
            "SSH_KEY",
            "compose/app.yaml:2:33",
            project,
            "services:\n  app: {image: x, environment: ['SSH_KEY=canary']}\n",
            "",
        ),
        (
            "SSH_KEY",
            "compose/app.yaml:2:33",
            project,
            "services:\n  app: {image: x, environment: ['SSH_KEY=${X:-canary}']}\n",
            "",
        ),
    ] {
        let repo = described(runtime, "", compose);
        if !file.is_empty() {
            repo.write(file, "TAG=1\nA_TOKEN=canary\nB_TOKEN=\n");
        }
        let said = warnings(&repo).join("\n");
        assert!(said.starts_with(&format!("{place}: ")) && said.contains(name), "{place}: {said}");
        assert!(said.contains("/opt/platform/secrets/") && said.contains("${PLATFORM_SECRETS}/"), "{said}");
        assert!(!said.contains("canary") && !said.contains("commit it"), "{said}");
    }
    let repo = described(project, "", ok);
    repo.write("compose/.env", "TAG=1\n");
    assert!(warnings(&repo)[0].starts_with("compose/.env is in the repository: if it holds secrets, move them"));

    // What is not there yet is not to be committed.
    for compose in [
        "services:\n  app: {image: x, env_file: [.env]}\n",
        "services:\n  app: {image: x, secrets: [pw]}\nsecrets: {pw: {file: pw.txt}}\n",
        "services:\n  app: {image: x, secrets: [pw]}\nsecrets: {pw: {file: /srv/pw.txt}}\n",
        "services:\n  app: {image: x, env_file: [/srv/app.env]}\n",
    ] {
        let repo = described(project, "", compose);
        let git = repo.open();
        let found = validate(&Snapshot::whole(&git, git.snapshot().unwrap()).unwrap(), &[]).unwrap().problems;
        let fix = &found[0].fix;
        assert!(!fix.contains("commit") && fix.contains("${PLATFORM_SECRETS}/"), "{compose}: {found:?}");
    }
}

#[test]
fn preview_prints_how_to_move_a_secret() {
    let repo = Repo::new();
    repo.write("platform.yaml", POLICY);
    repo.commit("policy");
    repo.publish();
    repo.branch("pr1", "main");
    let compose = "services:\n  app: {image: x, environment: {API_TOKEN: canary}}\n";
    let other = described("  project: apps\n", "", compose);
    for file in ["modules/app/module.yaml", "compose/app.yaml"] {
        repo.write(file, &fs::read_to_string(other.work().join(file)).unwrap());
    }
    repo.commit("module");
    repo.propose(1);
    snapbox::assert_data_eq!(
        Site::of(repo).run(0, "plan app --pr 1"),
        snapbox::str![[r#"
exit 0
plan for app on box, PR #1
  not merged, head <40>
  create  app  new
1 change
warning: PR #1 is not merged: this is what merging it now
would change
warning: compose/app.yaml:2:33: API_TOKEN has a value under
`environment`: whoever reads the repository has it. Move it
to the host:
  (umask 077 && install -D -m 600 /dev/stdin /opt/platform/secrets/app.env)
and type there, with Ctrl-D at the end:
  API_TOKEN='…'
in its module.yaml, under secrets:
  - {file: app.env, keys: [API_TOKEN]}
in the compose file, in the service's `env_file`:
  env_file: ["${PLATFORM_SECRETS}/app.env"]
and give it a new value: git keeps the old one
warning: do not merge it with "rebase then fast-forward":
its branch is up to date, so git could not tell that from a
direct push
next: review PR #1 and merge it by one of: merge, squash, rebase, rebase-merge

"#]]
    );
}

/// Attack: a path in a compose file or a container label contains a command, and an operator pastes the printed fix.
/// Defence: printed commands contain text from outside only as a single quoted word.
#[test]
fn printed_commands_quote_foreign_text() {
    let stack = Stack::new();
    let evil = "x; touch /tmp/zq7";
    let labels = ["dev.platformctl.module=app".to_owned(), format!("dev.platformctl.root={}", stack.root().display())];
    let project = format!("com.docker.compose.project={evil}");
    let id = docker(&["run", "-d", "--rm", "-l", &labels[0], "-l", &labels[1], "-l", &project, "local/busybox:1"]);
    stack.change(1, |stack| stack.compose(&[("app", &format!("volumes: ['/srv/{evil}:/x']"))]));
    let planned = stack.json(1, "plan app");
    docker(&["rm", "-f", &id]);
    let fixes: Vec<&str> =
        planned["refusals"].as_array().unwrap().iter().map(|refusal| refusal["fix"].as_str().unwrap()).collect();
    for command in [format!("docker compose --project-name='{evil}' down"), format!("mkdir -p '/srv/{evil}' (")] {
        assert!(fixes.iter().any(|fix| fix.contains(&command)), "{command}: {fixes:#?}");
    }
}

/// Attack: the ssh destination of a host in the policy is an option that makes ssh run a local command.
/// Defence: the policy refuses such a destination, and ssh gets every destination after `--`.
#[test]
fn ssh_destination_cannot_be_an_option() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log").display().to_string();
    let ssh = dir.path().join("ssh");
    fs::write(&ssh, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >>{log}\nexit 255\n")).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let vars = [
        ("PATH", path),
        ("HOME", dir.path().display().to_string()),
        ("TMPDIR", std::env::temp_dir().display().to_string()),
    ];
    let env = Env::of(vars.map(|(name, value)| (name.into(), value.into())), dir.path().to_owned());
    for destination in ["-oProxyCommand=touch zq7", "--zq7"] {
        fs::write(&log, "").unwrap();
        let host = Ssh::new(destination, &[], &env);
        assert!(host.run(&doctor::HELLO, &[], Input::Nothing).is_err());
        let words = fs::read_to_string(&log).unwrap();
        let words: Vec<&str> = words.lines().collect();
        let at = words.iter().position(|word| *word == destination).unwrap();
        assert_eq!(words[at - 1], "--", "{words:?}");
        assert!(destination.parse::<Destination>().is_err());
        for (remote, base) in [(destination, "main"), ("origin", destination)] {
            assert!(GitRemote::new(dir.path().to_owned(), remote, base, &env).is_err());
        }
    }
}

/// Attack: the host's `root` is reachable by a second path, and an `allow:` entry opens that path.
/// Defence: the gate compares the real path of a bind with the real path of `root`, which no entry can open.
#[test]
fn allow_entry_cannot_open_the_root() {
    lab();
    let dir = tempfile::tempdir().unwrap();
    let (real, root) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &root).unwrap();
    let policy =
        format!("sacred:\n  allow:\n    - {{module: app, path: {0}/secrets, mode: ro, reason: x}}\n", real.display());
    let stack = Stack::at("    transport: ssh\n    destination: lab\n", &policy, &root);
    // What is sacred is so behind a link too, and so is what any module may read.
    let link = |name: &str, target: &str| {
        let path = dir.path().join(name);
        std::os::unix::fs::symlink(target, &path).unwrap();
        path.display().to_string()
    };
    let (programs, readable) = (link("programs", "/usr/bin"), link("readable", "/usr/share/ca-certificates"));
    stack.change(1, |stack| {
        let binds = format!(
            "volumes: ['{}/secrets:/s:ro', '{programs}:/p:ro', '{readable}:/r:ro', '{readable}:/w']",
            real.display()
        );
        stack.compose(&[("app", &binds)]);
    });
    let planned = stack.json(1, "plan app");
    let facts: Vec<&str> =
        planned["refusals"].as_array().unwrap().iter().map(|refusal| refusal["fact"].as_str().unwrap()).collect();
    let of = |what: &str| facts.iter().filter(|fact| fact.contains(what)).count();
    assert_eq!(
        (of("platformctl's own folder"), of("leads to /usr/bin"), of("(ro)"), of("(rw)")),
        (1, 1, 1, 1),
        "{facts:#?}"
    );
    assert_eq!(facts.len(), 3, "{facts:#?}");
}
