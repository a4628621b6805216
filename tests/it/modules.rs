//! This project's own modules, applied for real: one after the other, and two of one compose project at once.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{
    repo::Repo,
    site::Site,
    stack::{docker, lab},
};

/// This project's own description, with the lab as its host.
fn own() -> Site {
    lab();
    let repo = Repo::new();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = repo.path("root");
    let policy = fs::read_to_string(ours.join("platform.yaml")).unwrap();
    let policy = policy
        .replace("deploy@box.example.org", "lab")
        .replace("/opt/platform", &root.display().to_string())
        .replace("mutations: disabled", "mutations: enabled");
    repo.write("platform.yaml", &policy);
    repo.commit("policy");
    repo.publish();
    repo.branch("pr1", "main");
    for folder in ["modules", "compose"] {
        let copied = Command::new("cp").args(["-a"]).arg(ours.join(folder)).arg(repo.work()).status().unwrap();
        assert!(copied.success());
    }
    repo.commit("everything");
    repo.propose(1);
    repo.merge(1, "pr1");
    fs::create_dir_all(root.join("secrets")).unwrap();
    let secret = root.join("secrets/honcho-redis.env");
    fs::write(&secret, "REDIS_PASSWORD='x'\n").unwrap();
    for (program, args) in [("chmod", ["600", secret.to_str().unwrap()]), ("mkdir", ["-p", "/srv/honcho/data/redis"])] {
        assert!(Command::new(program).args(args).status().unwrap().success());
    }
    docker(&["network", "create", "proxy"]);
    Site::of(repo)
}

fn id(service: &str) -> String {
    docker(&["ps", "-aq", "--no-trunc", "--filter", &format!("label=com.docker.compose.service={service}")])
}

#[test]
fn example_modules_can_be_applied() {
    let site = own();
    let said = site.json(0, "apply --pr 1");
    assert_eq!(said["exit"], 0, "{said}");
    let order: Vec<&str> =
        said["targets"].as_array().unwrap().iter().map(|one| one["module"].as_str().unwrap()).collect();
    assert_eq!(order, ["edge-site", "honcho-redis", "status-api", "status-web", "nightly-backup"]);
    let get = |url: &str| {
        let output = Command::new("curl").args(["-fsS", "--noproxy", "*", url]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("compose/apps/status/index.html")).unwrap();
    assert_eq!(get("http://127.0.0.1:8080/"), page);
    assert_eq!(get("http://127.0.0.1:8081/"), "hello\n");
    let backup = fs::metadata(site.repo.path("root/data/backup/honcho.tar")).unwrap();
    assert!(backup.len() > 0, "the job did its work");
    assert_eq!(docker(&["exec", &id("honcho-redis"), "redis-cli", "ping"]), "PONG");

    // Two modules of one project at once: one waits for the other, and each changes its own service.
    let before = ["honcho-redis", "status-web", "status-api"].map(id);
    site.repo.branch("pr2", "main");
    site.repo.write("compose/apps/redis.conf", "appendonly no\nsave \"\"\n");
    site.repo.write("compose/apps/status/index.html", "<p>two\n");
    site.repo.commit("two changes");
    site.repo.propose(2);
    site.repo.merge(2, "pr2");
    let start = |args: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        site.binary(&site.repo.work(), 1, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = ["apply status-web --pr 2 --wait 60", "apply honcho-redis --pr 2 --wait 60"].map(start);
    for child in both {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let after = ["honcho-redis", "status-web", "status-api"].map(id);
    assert!(before[0] != after[0] && before[1] != after[1]);
    assert_eq!(before[2], after[2], "what nobody changed runs on");
    assert_eq!(get("http://127.0.0.1:8080/"), "<p>two\n");
    assert!(site.run(2, "apply --pr 2").starts_with("exit 0\n"));
    assert_eq!(["honcho-redis", "status-web", "status-api"].map(id), after, "nothing is left to do");
    let verified = site.run(3, "verify");
    assert!(verified.starts_with("exit 0\n"), "{verified}");
    for service in ["honcho-redis", "status-web", "status-api", "nightly-backup"] {
        docker(&["rm", "-fv", &id(service)]);
    }
}
