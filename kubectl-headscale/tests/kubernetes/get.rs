//! `get` prints what the real `kubectl get` prints, byte for byte.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Map, json};

use crate::support::{Run, Sandbox, object};

/// An instance with three users, two of them with labels, and keys with all that tables show.
async fn populated() -> Option<Sandbox> {
    let sandbox = Sandbox::new().await?;
    sandbox.instance("main").await;
    for name in ["alice", "bob"] {
        sandbox
            .apply(json!({
                "apiVersion": "headscale.infrado.cloud/v1beta1",
                "kind": "HeadscaleUser",
                "metadata": { "name": name, "labels": { "team": name, "tier": "gold" } },
                "spec": { "headscaleRef": "main", "username": name, "displayName": "Ünï <b> & co",
                    "email": format!("{name}@example.com") },
                "status": { "userId": "1", "conditions": [{
                    "type": "Ready", "status": "True", "reason": "Created", "message": "made: yes",
                    "lastTransitionTime": "2030-01-01T00:00:00Z" }] },
            }))
            .await;
    }
    sandbox.user("main", "carol-with-a-name-that-is-longer").await;
    sandbox.key("main", "laptop", "alice").await;
    let tags = json!({ "headscaleRef": "main", "tags": ["tag:ci", "tag:web"], "reusable": true });
    sandbox.apply(object("HeadscalePreAuthKey", "ci", &tags)).await;
    Some(sandbox)
}

/// `get` of both programs: ours with `ours`, kubectl's with `kubectl`. Ages move on while they
/// run, so it tries until both are of the same second.
#[track_caller]
fn same(sandbox: &Sandbox, ours: &[&str], kubectl: &[&str]) {
    let mut tries = 0;
    loop {
        let expected = sandbox.kubectl(&[&["get"], kubectl].concat());
        let got = sandbox.run(&[&["get"], ours].concat());
        if got == expected {
            return;
        }
        tries += 1;
        assert!(tries < 5, "{}", difference(&got, &expected));
    }
}

/// The lines that differ, ours first.
fn difference(ours: &Run, kubectl: &Run) -> String {
    let (ours, kubectl) = (ours.to_string(), kubectl.to_string());
    let extra = |of: &str, other: &str, sign: char| -> String {
        let lines = of.lines().filter(|line| !other.lines().any(|known| known == *line));
        lines.map(|line| format!("{sign}{line:?}\n")).collect()
    };
    extra(&ours, &kubectl, '-') + &extra(&kubectl, &ours, '+')
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_those_of_kubectl() {
    let Some(sandbox) = populated().await else { return };
    for (ours, kubectl) in [
        ("users", "headscaleusers"),
        ("instances", "headscales"),
        ("preauthkeys", "headscalepreauthkeys"),
        ("hspak", "hspak"),
        ("HeadscaleUser", "HeadscaleUser"),
    ] {
        for more in [
            &[][..],
            &["-o", "wide"],
            &["--no-headers"],
            &["--show-labels"],
            &["-L", "team,example.com/none"],
            &["-A", "-l", "tier=gold"],
            &["-l", "tier=gold,team!=bob"],
            &["--field-selector", "metadata.name=alice"],
            &["--show-kind"],
            &["--chunk-size=1"],
            &["--ignore-not-found", "-l", "tier=none"],
        ] {
            same(&sandbox, &[&[ours], more].concat(), &[&[kubectl], more].concat());
        }
    }
    same(
        &sandbox,
        &["user", "bob", "alice", "-o", "wide"],
        &["hsuser", "bob", "alice", "-o", "wide"],
    );
    same(&sandbox, &["user/bob", "instance/main"], &["hsuser/bob", "hs/main"]);
    same(&sandbox, &["users,preauthkeys"], &["hsuser,hspak"]);
    same(&sandbox, &["policies"], &["hspolicy"]);
    same(&sandbox, &["policies", "-A"], &["hspolicy", "-A"]);
    same(&sandbox, &["users", "nobody", "alice"], &["hsuser", "nobody", "alice"]);
    same(
        &sandbox,
        &["user", "nobody", "--ignore-not-found"],
        &["hsuser", "nobody", "--ignore-not-found"],
    );
    same(&sandbox, &["users", "a", "-A"], &["hsuser", "a", "-A"]);
    same(&sandbox, &["users", "a", "-l", "b"], &["hsuser", "a", "-l", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_those_of_kubectl() {
    let Some(sandbox) = populated().await else { return };
    let policy = "// a comment\n{\n  \"acls\": [],\n}\n";
    let mut tricky =
        object("HeadscalePolicy", "main", &json!({ "headscaleRef": "main", "inline": policy }));
    let long = "word ".repeat(40);
    let annotations = [
        ("a10", "ten"),
        ("a2", "two"),
        ("bool", "true"),
        ("yes", "y"),
        ("number", "5"),
        ("float", "1e3"),
        ("octal", "0o17"),
        ("base60", "1:30"),
        ("time", "2030-01-31"),
        ("null", "null"),
        ("tilde", "~"),
        ("empty", ""),
        ("colon", "a: b"),
        ("hash", "a #b"),
        ("dash", "- a"),
        ("quote", "it's"),
        ("lead", " a"),
        ("trail", "a "),
        ("tab", "a\tb"),
        ("long", long.trim_end()),
        ("long-quoted", &format!("x: {}", long.trim_end())),
        ("long-escaped", &format!("\t{}", long.trim_end())),
        ("lines", "a\nb\n"),
        ("lines-none", "a\nb"),
        ("lines-more", "a\nb\n\n"),
        ("lines-lead", "  a\nb\n"),
        ("lines-space", "a \nb\n"),
        ("only-break", "\n"),
        ("star", "*a"),
        ("at", "@a"),
        ("unicode", "ünï ☃ 😀"),
        ("html", "<a href=\"x\">&</a>"),
        ("control", "\u{1b}[31m\u{7}"),
        ("percent", "%a"),
        ("bang", "!a"),
        ("brace", "{a}"),
        ("comma", "a,b"),
        ("question", "?a"),
        ("underscore", "1_000"),
        ("dots", "..."),
        ("dashes", "---a"),
        ("inf", ".inf"),
        ("back", "a\\b"),
        ("equals", "="),
        ("plus", "+1"),
        ("minus", "-1"),
        ("dot", "."),
        ("exp", "1e+5"),
        ("hex", "0x1F"),
        ("ip", "10.0.0.1"),
        ("merge", "<<"),
        ("nbsp", "a\u{a0}b"),
    ];
    tricky["metadata"]["annotations"] = annotations
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect::<Map<_, _>>()
        .into();
    sandbox.apply(tricky).await;
    for format in ["json", "yaml", "name"] {
        let format = ["-o", format];
        for (ours, kubectl) in [
            (&["users"][..], &["hsuser"][..]),
            (&["user", "alice"], &["hsuser", "alice"]),
            (
                &["user", "alice", "--show-managed-fields"],
                &["hsuser", "alice", "--show-managed-fields"],
            ),
            (&["users", "alice", "bob"], &["hsuser", "alice", "bob"]),
            (&["policy/main"], &["hspolicy/main"]),
            (&["autoapprovers"], &["hsaa"]),
            (&["user", "nobody"], &["hsuser", "nobody"]),
            (&["users,preauthkeys"], &["hsuser,hspak"]),
        ] {
            same(&sandbox, &[ours, &format].concat(), &[kubectl, &format].concat());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_prints_each_change_below_the_same_headers() {
    let Some(sandbox) = populated().await else { return };
    let start = |program: &str, words: &[&str]| {
        let mut command = sandbox.command(sandbox.programs().join(program), words);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        (child, lines)
    };
    let words = ["users", "-w", "-L", "team"];
    let (mut ours, mut our_lines) = start("kubectl-headscale", &[&["get"], &words[..]].concat());
    let (mut theirs, mut their_lines) = start("kubectl", &["get", "hsuser", "-w", "-L", "team"]);
    let mut next = |count: usize| {
        for _ in 0..count {
            let line = our_lines.next().expect("a line").expect("text");
            let other = their_lines.next().expect("a line").expect("text");
            // Ages may differ.
            let columns = |line: &str| {
                line.split("   ")
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty() && !cell.ends_with('s'))
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(columns(&line), columns(&other));
            assert_eq!(line.find("main"), other.find("main"), "{line}\n{other}");
        }
    };
    next(4);
    sandbox.user("main", "a-name-that-is-even-longer-than-all-that-were-there").await;
    next(1);
    sandbox.user("main", "dave").await;
    next(1);
    ours.kill().expect("ended");
    theirs.kill().expect("ended");
    ours.wait().expect("ended");
    theirs.wait().expect("ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_kind_or_no_format_is_told() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let mut all = String::new();
    for words in [
        &["usres"][..],
        &["pods"],
        &["users", "-o", "bogus"],
        &["users", "-o", "jsonpath={.items}"],
        &["users", "a/b"],
        &["user/"],
        &["users", ".."],
        &["users.example.com"],
        &["users", "-l", "a in"],
    ] {
        let run = sandbox.run(&[&["get"], words].concat());
        all.extend([format!("$ get {}\n{run}\n", words.join(" "))]);
    }
    assert_snapshot!(all);
}
