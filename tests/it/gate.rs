//! What the gate of driver compose lets through and what it does not, on a real engine: each case was tried as an
//! attack first.

use std::fs;

use crate::support::stack::{Stack, docker};

/// Services, and what stands beside them in the file.
fn file(stack: &Stack, services: &[(&str, &str)], more: &str) {
    stack.compose(services);
    let compose = fs::read_to_string(stack.site.repo.work().join("compose/app.yaml")).unwrap();
    stack.site.repo.write("compose/app.yaml", &format!("{compose}{more}"));
}

/// Lines of `runtime:`.
fn runtime(stack: &Stack, lines: &str, more: &str) {
    stack.manifest(more);
    let manifest = fs::read_to_string(stack.site.repo.work().join("modules/app/module.yaml")).unwrap();
    stack.site.repo.write("modules/app/module.yaml", &manifest.replace("health:", &format!("{lines}health:")));
}

#[test]
fn volumes_and_networks_of_other_projects_are_refused() {
    let stack = Stack::new();
    let (volume, network) = (format!("{}v", stack.project), format!("{}n", stack.project));
    docker(&["volume", "create", "--label=com.docker.compose.project=victim", &volume]);
    docker(&["network", "create", "--label=com.docker.compose.project=victim", &network]);
    let open = stack.site.repo.path("open");
    fs::create_dir_all(open.join("inner")).unwrap();
    let open = open.display();
    let device = format!("volumes: {{vol: {{driver_opts: {{type: none, o: bind, device: {open}}}}}}}\n");
    let cases: Vec<(&str, String, String, &str)> = vec![
        ("volumes: ['vol:/x']", String::new(), format!("volumes: {{vol: {{name: {volume}}}}}\n"), "does not belong to"),
        ("", String::new(), format!("networks: {{default: {{name: {network}}}}}\n"), "does not belong to"),
        ("NETWORK_MODE", String::new(), String::new(), "network_mode:"),
        // Taken from wherever the engine was started.
        (
            "volumes: ['vol:/x']",
            String::new(),
            "volumes: {vol: {driver_opts: {type: none, o: bind, device: ../../etc}}}\n".to_owned(),
            "volume_options:",
        ),
        (
            "volumes: ['vol:/x']",
            String::new(),
            "volumes: {vol: {driver_opts: {type: overlay, o: 'bind,lowerdir=/etc', device: /srv/x}}}\n".to_owned(),
            "volume_options:",
        ),
        (
            "",
            String::new(),
            "networks: {default: {driver_opts: {com.docker.network.bridge.name: docker0}}}\n".to_owned(),
            "network_options:",
        ),
        (
            "logging: {driver: syslog, options: {syslog-address: 'unixgram:///run/x'}}",
            String::new(),
            String::new(),
            "logging:syslog",
        ),
        (
            "ports: ['7001:1']",
            "ports: ['127.0.0.1:7000-7002:1']".to_owned(),
            String::new(),
            "both publish the port 7000",
        ),
        ("volumes_from: [other]", String::new(), String::new(), "volumes_from"),
        // Who can write to a folder can make a link of what is below it.
        ("OPEN", format!("volumes: ['{open}/inner:/inner:ro']"), String::new(), "it could lead anywhere"),
        ("volumes: ['vol:/x']", format!("volumes: ['{open}/inner:/inner:ro']"), device, "it could lead anywhere"),
        (
            "volumes: ['${PLATFORM_DATA}/a:/a']",
            "volumes: ['${PLATFORM_DATA}/a/b:/b']".to_owned(),
            String::new(),
            "it could lead anywhere",
        ),
        ("volumes: ['${PLATFORM_DATA}/${X}/sudoers:/x']", String::new(), String::new(), "depends on a variable"),
    ];
    for (n, (app, other, more, says)) in cases.iter().enumerate() {
        let n = n as u64 + 1;
        let app = app.replace("NETWORK_MODE", &format!("network_mode: {network}"));
        let app = app.replace("OPEN", &format!("volumes: ['{open}:/open']"));
        stack.change(n, |stack| {
            file(stack, &[("app", &app), ("other", other)], more);
            runtime(stack, "  vars: {X: ../../../etc}\n", "");
        });
        let said = stack.run(n as i64, &format!("apply app --pr {n}")).replace("\n      ", " ").replace('\n', " ");
        assert!(said.starts_with("exit 5 ") && said.contains(says), "{app} {more}: {said}");
        assert_eq!(stack.ids("app"), [] as [String; 0]);
    }
    // A value of a variable is no way into the file that says where secrets lie.
    stack.change(50, |stack| {
        file(stack, &[("app", "env_file: ['${PLATFORM_SECRETS}/shadow']")], "");
        runtime(stack, "  vars: {A: 'x\\', B: \"\\nPLATFORM_SECRETS=/etc\\n#\"}\n", "secrets: [{file: shadow}]\n");
    });
    let said = stack.run(50, "apply app --pr 50");
    assert!(said.starts_with("exit 3\n") && said.contains("contains a backslash"), "{said}");
    // Above what another has mounted, by whatever way that is written there.
    let link = stack.site.repo.path("link");
    std::os::unix::fs::symlink(stack.site.repo.path("open"), &link).unwrap();
    let bind = format!("{}/inner:/x:ro", link.display());
    let holder = docker(&["run", "-d", "--rm", "-v", &bind, "local/busybox:1"]);
    stack.change(51, |stack| {
        file(stack, &[("app", &format!("volumes: ['{open}:/open']"))], "");
        runtime(stack, "", "");
    });
    let said = stack.run(51, "apply app --pr 51").replace("\n      ", " ").replace('\n', " ");
    docker(&["rm", "-f", &holder]);
    assert!(said.contains("could make that lead anywhere"), "{said}");
    assert_eq!(stack.exit(52, "apply app --pr 51"), "exit 0");
    docker(&["volume", "rm", &volume]);
    docker(&["network", "rm", &network]);
}

#[test]
fn changed_network_recreates_its_services() {
    let stack = Stack::new();
    let services = [("app", ""), ("other", "")];
    stack.change(1, |stack| file(stack, &services, ""));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    let before = (stack.ids("app"), stack.ids("other"));
    stack.change(2, |stack| {
        file(stack, &[("app", "environment: {B: '1'}"), ("other", "")], "networks: {default: {internal: true}}\n");
    });
    // A container of somebody else stands in the way.
    let network = format!("{}_default", stack.project);
    let guest = docker(&["run", "-d", "--rm", "--network", &network, "local/busybox:1"]);
    let said = stack.run(1, "apply app --pr 2");
    assert!(said.starts_with("exit 5\n") && said.contains("already_running_elsewhere"), "{said}");
    docker(&["rm", "-f", &guest]);
    let planned = stack.json(2, "plan app");
    let reasons: Vec<String> =
        planned["changes"].as_array().unwrap().iter().map(|change| change["reasons"].to_string()).collect();
    assert_eq!(reasons, [r#"["network:default","env:B","uses"]"#, r#"["network:default"]"#]);
    assert_eq!(stack.exit(2, "apply app --pr 2"), "exit 0");
    assert_ne!(stack.ids("app"), before.0);
    let joined = docker(&["network", "inspect", "--format", "{{len .Containers}}", &network]);
    assert_eq!(
        (stack.ids("other"), joined.as_str()),
        (before.1, "2"),
        "it needs no other container, and is on the new network"
    );
    assert_eq!(docker(&["network", "inspect", "--format", "{{.Internal}}", &network]), "true");
    assert!(stack.run(3, "apply app --pr 2").contains("nothing to change"));
    // What is not described any more goes as well.
    stack.change(3, |stack| file(stack, &[("app", "environment: {B: '1'}"), ("other", "")], ""));
    assert_eq!(stack.exit(4, "apply app --pr 3"), "exit 0");
    assert_eq!(docker(&["network", "inspect", "--format", "{{.Internal}}", &network]), "false");
    assert!(stack.run(5, "apply app --pr 3").contains("nothing to change"));
}

#[test]
fn dependents_of_a_recreated_container_are_recreated() {
    let stack = Stack::new();
    let services = |value: &str| {
        vec![
            ("after", "depends_on: {vpn: {condition: service_started, restart: true}}".to_owned()),
            ("alone", String::new()),
            ("side", "network_mode: 'service:vpn'".to_owned()),
            ("vpn", format!("environment: {{A: '{value}'}}")),
        ]
    };
    let write = |stack: &Stack, value: &str| {
        let services = services(value);
        let services: Vec<(&str, &str)> = services.iter().map(|(name, lines)| (*name, lines.as_str())).collect();
        file(stack, &services, "");
    };
    stack.change(1, |stack| write(stack, "1"));
    let said = stack.run(0, "apply app --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert!(stack.run(1, "apply app --pr 1").contains("nothing to change"));
    let of = |service: &str| (stack.inspect(service, "{{.Id}}"), stack.inspect(service, "{{.State.StartedAt}}"));
    let before = ["after", "alone", "side", "vpn"].map(of);
    stack.change(2, |stack| write(stack, "2"));
    let planned = stack.run(2, "plan app");
    for line in [
        "start    after  depends_on:vpn  restarts",
        "replace  side   service:vpn     restarts",
        "replace  vpn    env:A",
    ] {
        assert!(planned.contains(line), "{planned}");
    }
    let said = stack.run(2, "apply app --pr 2");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let now = ["after", "alone", "side", "vpn"].map(of);
    assert!(now[0].0 == before[0].0 && now[0].1 != before[0].1, "restarted, and the same");
    assert_eq!(now[1], before[1]);
    assert!(now[2].0 != before[2].0 && now[3].0 != before[3].0);
    assert_eq!(stack.inspect("side", "{{.HostConfig.NetworkMode}}"), format!("container:{}", now[3].0));
    assert!(stack.run(3, "apply app --pr 2").contains("nothing to change"));
}

#[test]
fn ordinary_compose_files_are_accepted() {
    let stack = Stack::new();
    // A content that stands in the file is given anew when it changes; slashes do not matter; profiles choose.
    let site = stack.site.repo.path("ts");
    fs::create_dir_all(&site).unwrap();
    let write = |stack: &Stack, content: &str| {
        let app = format!(
            "configs: [page]\nvolumes: ['{0}/:/data/', {{type: bind, source: ./conf, target: /conf, read_only: true}}]\nprofiles: [web]",
            site.display()
        );
        file(
            stack,
            &[("app", &app), ("debugger", "profiles: [debug]")],
            &format!("configs: {{page: {{content: '{content}'}}}}\n"),
        );
        stack.site.repo.write("compose/conf", "c\n");
        runtime(stack, "  profiles: [web]\n", "");
    };
    stack.change(1, |stack| write(stack, "one"));
    let said = stack.run(0, "apply app --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let page = || docker(&["exec", &stack.ids("app")[0], "cat", "/page", "/conf"]);
    assert_eq!((page().as_str(), stack.ids("debugger").len()), ("onec", 0));
    assert!(stack.run(1, "apply app --pr 1").contains("nothing to change"));
    stack.change(2, |stack| write(stack, "two"));
    assert_eq!(stack.exit(2, "apply app --pr 2"), "exit 0");
    assert_eq!(page(), "twoc");
    // A service gets another name, and keeps its port.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ports = format!("ports: ['127.0.0.1:{port}:80']\ncontainer_name: {}-x", stack.project);
    for (n, name) in [(3, "web"), (4, "www")] {
        stack.change(n, |stack| {
            file(stack, &[(name, &ports)], "");
            runtime(stack, "", "");
        });
        let said = stack.run(n as i64, &format!("apply app --pr {n}"));
        assert!(said.starts_with("exit 0\n"), "{said}");
    }
    assert_eq!((stack.ids("web").len(), stack.ids("www").len()), (0, 1));
    // A program of the host on another address is in nobody's way.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    for (n, address, exit) in [(5, "127.0.0.2", "exit 0"), (6, "127.0.0.1", "exit 5")] {
        stack.change(n, |stack| file(stack, &[("www", &format!("ports: ['{address}:{port}:80']"))], ""));
        let said = stack.run(n as i64, &format!("apply app --pr {n}"));
        assert!(said.starts_with(exit), "{said}");
    }
    // An image that another file gives.
    stack.change(7, |stack| {
        stack.site.repo.write("compose/base.yaml", "services: {www: {image: 'local/busybox:1'}}\n");
        stack.site.repo.write("compose/app.yaml", "services: {www: {environment: {A: '1'}}}\n");
        let manifest = fs::read_to_string(stack.site.repo.work().join("modules/app/module.yaml")).unwrap();
        let both = manifest.replace("[compose/app.yaml]", "[compose/base.yaml, compose/app.yaml]");
        stack.site.repo.write("modules/app/module.yaml", &both);
    });
    let said = stack.run(7, "apply app --pr 7");
    assert!(said.starts_with("exit 0\n"), "{said}");
}

#[test]
fn everything_that_runs_is_reviewed() {
    let stack = Stack::new();
    let write = |stack: &Stack, base: &str, app: &str, more: &str| {
        let app = format!("image: local/busybox:1\nextends: {{service: base}}\nlabels: {{app: '{app}'}}");
        file(stack, &[("app", &app), ("base", &format!("environment: {{A: '{base}'}}"))], more);
        runtime(stack, "  services: [app]\n", "");
    };
    stack.change(1, |stack| write(stack, "1", "1", ""));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    // By a pull request it is a change of the module, and what nobody merged by one is noticed.
    stack.change(2, |stack| write(stack, "2", "1", ""));
    assert!(stack.run(1, "apply app --pr 2").starts_with("exit 0\n"));
    assert!(stack.inspect("app", "{{json .Config.Env}}").contains("A=2"));
    stack.change(3, |stack| write(stack, "2", "1", "networks: {default: {labels: {a: b}}}\n"));
    let said = stack.run(2, "apply --pr 3");
    assert!(said.starts_with("exit 0\n"), "{said}");
    for (n, base, more) in [
        (4, "unreviewed", "networks: {default: {labels: {a: b}}}\n"),
        (5, "2", "networks: {default: {labels: {a: c}}}\n"),
    ] {
        let repo = &stack.site.repo;
        let tip = repo.git(&["rev-parse", "main"]);
        repo.git(&["checkout", "-q", "main"]);
        write(&stack, base, "1", more);
        repo.commit("direct");
        repo.publish();
        stack.change(n, |stack| write(stack, base, &n.to_string(), more));
        let said = stack.run(n as i64, &format!("apply app --pr {n}"));
        assert!(said.starts_with("exit 6\n") || said.starts_with("exit 7\n"), "{said}");
        assert!(said.contains("unreviewed"), "{said}");
        repo.git(&["checkout", "-q", "main"]);
        repo.git(&["reset", "-q", "--hard", tip.trim()]);
        repo.git(&["push", "-qf", "origin", "main"]);
    }
}
