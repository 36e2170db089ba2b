//! What users read when something between them and the cluster is wrong.

use std::sync::atomic::Ordering;

use headscale_controlplane::ControlPlane;
use insta::assert_snapshot;

use crate::support::Sandbox;
use crate::tunnel::tunnel;

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_miss_the_cluster_says_what_to_do() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let file = |name: &str| sandbox.path(name).display().to_string();
    sandbox.write("broken", "apiVersion: v1\nkind: [\n");
    sandbox.write("empty", "");
    sandbox.write("other.pem", OTHER_AUTHORITY);
    let stranger = sandbox.plane.token_for(&sandbox.namespace, "stranger").await;
    let stranger = sandbox.kubeconfig(&stranger, None);
    let (broken, empty, other) = (file("broken"), file("empty"), file("other.pem"));
    let mut all = String::new();
    for words in [
        &["--kubeconfig", "nowhere"][..],
        &["--kubeconfig", &broken],
        &["--kubeconfig", &empty],
        &["--context", "nocontext"],
        &["--cluster", "nocluster"],
        &["--user", "nouser"],
        &["--certificate-authority", &other],
        &["--certificate-authority", "nowhere.pem"],
        &["--tls-server-name", "elsewhere.example.com"],
        &["--insecure-skip-tls-verify", "--certificate-authority", &other],
        &["--server", "https://127.0.0.1:1"],
        &["--server", "https://"],
        &["--token", "bad"],
        &["--token", "bad", "--username", "joe"],
        &["--as-uid", "7"],
        &["--as", "joe"],
        &["--request-timeout", "soon"],
        &["--kubeconfig", &stranger],
        &["--kubeconfig", &stranger, "-A"],
    ] {
        let run = sandbox.run(&[&["get", "users"], words].concat());
        all.extend([format!("$ get users {}\n{run}\n", words.join(" "))]);
    }
    let root = sandbox.path("").display().to_string();
    let all = all.replace(root.trim_end_matches('/'), "[ROOT]");
    // A name of its own per test run.
    insta::with_settings!({ filters => vec![(r"kubeconfig-\d+", "kubeconfig-N")] }, {
        assert_snapshot!(all);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_kubeconfig_it_says_where_it_looked() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let line = "rm .kube/config; kubectl headscale get users; \
                KUBECONFIG=a:b kubectl headscale get users";
    assert_snapshot!(sandbox.shell(line), @r"
    exit: 1
    --- stderr
    error: no configuration has been provided: no kubeconfig names a cluster, and this is no pod
    hint: looked into [ROOT]/.kube/config
    hint: name a kubeconfig with --kubeconfig or KUBECONFIG, or a server with --server
    error: no configuration has been provided: no kubeconfig names a cluster, and this is no pod
    hint: looked into a, b
    hint: name a kubeconfig with --kubeconfig or KUBECONFIG, or a server with --server
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubeconfigs_are_merged_and_flags_come_first() {
    let Some(sandbox) = Sandbox::new().await else { return };
    sandbox.instance("main").await;
    sandbox.write(
        "contexts",
        "apiVersion: v1\nkind: Config\ncurrent-context: other\ncontexts:\n\
         - {name: other, context: {cluster: tests, user: tests, namespace: empty}}\n",
    );
    let list = |more: &str| {
        let line = format!(
            "KUBECONFIG=contexts:absent:.kube/config kubectl headscale get instances -o name {more}"
        );
        sandbox.shell(&line).to_string()
    };
    assert_snapshot!(list(""), @"exit: 0");
    let found = "exit: 0\n--- stdout\nheadscale.headscale.infrado.cloud/main\n";
    assert_eq!(list("--context tests"), found);
    assert_eq!(list(&format!("-n {}", sandbox.namespace)), found);
    let before =
        format!("kubectl headscale -n {} --context tests get instances -o name", sandbox.namespace);
    assert_eq!(sandbox.shell(&before).to_string(), found);
    assert_eq!(list(&format!("--namespace={} --request-timeout=1m", sandbox.namespace)), found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_kubeconfig_is_used_and_one_of_the_environment_not_on_this_machine() {
    let Some(sandbox) = Sandbox::new().await else { return };
    sandbox.instance("main").await;
    let found = "headscale.headscale.infrado.cloud/main\n";
    let line = "HTTPS_PROXY=http://127.0.0.1:1 kubectl headscale get instances -o name";
    assert_eq!(sandbox.shell(line).success(), found);

    let (address, tunnelled) = tunnel().await;
    let through = |proxy: &str| {
        let file = std::fs::read_to_string(sandbox.path(".kube/config")).expect("a kubeconfig");
        let proxied =
            file.replace("\"server\":", &format!("\"proxy-url\":\"{proxy}\",\"server\":"));
        sandbox.write("proxied", proxied);
        sandbox.shell("kubectl headscale get instances -o name --kubeconfig proxied")
    };
    assert_eq!(through(&format!("http://{address}")).success(), found);
    assert_eq!(tunnelled.load(Ordering::SeqCst), 1);
    assert_snapshot!(through("http://127.0.0.1:1"), @r"
    exit: 1
    --- stderr
    The connection to the server [SERVER] was refused - did you specify the right host or port?
    hint: it was asked through the proxy 127.0.0.1:1
    ");
    assert_snapshot!(through("ftp://joe:secret@127.0.0.1:1"), @r#"
    exit: 1
    --- stderr
    error: a proxy of the kind "ftp" cannot be used: expected http, https or socks5
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_it_without_a_word() {
    let Some(sandbox) = Sandbox::new().await else { return };
    sandbox.instance("main").await;
    for number in 0..40 {
        sandbox.user("main", &format!("user-{number}")).await;
    }
    for command in ["get users", "get users -o yaml", "describe users"] {
        let line = format!("kubectl headscale {command} | head -1 | wc -l");
        assert_eq!(sandbox.shell(&line).success().trim(), "1", "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_kinds_is_told_how_to_get_them() {
    // One of its own: the others have the kinds.
    let Some(plane) = ControlPlane::start().await else { return };
    let plane: &'static ControlPlane = Box::leak(Box::new(plane));
    let Some(sandbox) = Sandbox::on(plane).await else { return };
    let mut all = String::new();
    for words in [
        &["get", "users"][..],
        &["get", "user", "alice"],
        &["get", "all"],
        &["describe", "instance", "main"],
        &["delete", "policy", "main"],
        &["delete", "policies", "--all"],
        &["get", "users", "-w"],
    ] {
        let run = sandbox.run(words);
        all.extend([format!("$ {}\n{run}\n", words.join(" "))]);
    }
    assert_snapshot!(all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_for_credentials_runs_once_and_what_it_says_is_not_shown() {
    let Some(sandbox) = Sandbox::new().await else { return };
    sandbox.instance("main").await;
    let plane = sandbox.plane;
    sandbox.write("ca.pem", plane.ca_pem());
    let kubeconfig = |program: &str, more: &str| {
        sandbox.write(
            "exec",
            format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
                 clusters: [{{name: c, cluster: {{server: {:?}, certificate-authority: ca.pem}}}}]\n\
                 contexts: [{{name: c, context: {{cluster: c, user: u, namespace: {}}}}}]\n\
                 users: [{{name: u, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, \
                 command: {program}, env: [{{name: WORD, value: secret-word}}], {more}}}}}}}]\n",
                plane.url(),
                sandbox.namespace,
            ),
        );
        sandbox.shell("kubectl headscale get instances -o name --kubeconfig exec")
    };
    let answer = format!(
        "#!/bin/sh\necho \"$WORD $KUBERNETES_EXEC_INFO\" >> runs\n\
         echo '{{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \
         \"ExecCredential\", \"status\": {{\"token\": \"{}\"}}}}'\n",
        plane.admin_token()
    );
    sandbox.write("bin/gives", answer);
    sandbox.write("bin/fails", "#!/bin/sh\necho secret-token; echo I cannot >&2; exit 7\n");
    sandbox.write("bin/babbles", "#!/bin/sh\necho secret-token\n");
    assert_eq!(sandbox.shell("chmod +x bin/gives bin/fails bin/babbles").code, Some(0));

    let found = kubeconfig("gives", "interactiveMode: IfAvailable");
    assert_eq!(found.success(), "headscale.headscale.infrado.cloud/main\n");
    assert_snapshot!(sandbox.shell("cat runs").success(), @r#"secret-word {"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}"#);
    let mut all = String::new();
    for (program, more) in [
        ("fails", "interactiveMode: Never"),
        ("babbles", "interactiveMode: Never"),
        ("gives", "interactiveMode: Always"),
        ("absent", "installHint: get it from example.com"),
    ] {
        all.extend([format!("$ with {program}\n{}\n", kubeconfig(program, more))]);
    }
    assert!(!all.contains("secret-"), "{all}");
    assert_snapshot!(all, @r"
    $ with fails
    exit: 1
    --- stderr
    I cannot
    Unable to connect to the server: getting credentials: exec: executable fails failed with exit code 7
    hint: the kubeconfig's user names this program for credentials

    $ with babbles
    exit: 1
    --- stderr
    Unable to connect to the server: getting credentials: exec: plugin babbles didn't return a token or cert/key pair
    hint: the kubeconfig's user names this program for credentials

    $ with gives
    exit: 1
    --- stderr
    Unable to connect to the server: getting credentials: exec: plugin gives cannot ask: standard input is no terminal
    hint: the kubeconfig's user names this program for credentials

    $ with absent
    exit: 1
    --- stderr
    Unable to connect to the server: getting credentials: exec: executable absent not found
    hint: get it from example.com
    ");

    assert_eq!(kubeconfig("fails", "interactiveMode: IfAvailable").code, Some(1));
    let line = "kubectl-headscale __complete get instances --kubeconfig exec ''";
    assert_eq!(sandbox.shell(line).success(), ":4\n");
}

/// An authority that no server is from.
const OTHER_AUTHORITY: &str = include_str!("other-authority.pem");
