//! Completion, as kubectl asks for it and as shells do.

use std::fs;
use std::os::unix::fs::symlink;

use headscale_testkit::tell;
use insta::assert_snapshot;

use crate::support::Sandbox;

/// Two instances with users and keys, and completion installed.
async fn populated() -> Option<Sandbox> {
    let sandbox = Sandbox::new().await?;
    for instance in ["main", "spare"] {
        sandbox.instance(instance).await;
    }
    sandbox.user("main", "alice").await;
    sandbox.user("main", "bob").await;
    sandbox.key("main", "laptop", "alice").await;
    let run = sandbox.run(&["completion", "install"]);
    let told = "[ROOT]/bin/kubectl_complete-headscale installed\n";
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), told), "{run}");
    Some(sandbox)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_kubectl_completes_what_the_cluster_knows() {
    let Some(sandbox) = populated().await else { return };
    let namespace = format!("--namespace={}", sandbox.namespace);
    let mut all = String::new();
    for words in [
        &["ge"][..],
        &["get", ""],
        &["get", "us"],
        &["get", "users", ""],
        &["get", "user", "alice", ""],
        &["get", "user", "-o", "wide", "a"],
        &["get", "user/"],
        &["get", "-n", "nothing-here", "users", ""],
        &["get", &namespace, "users", "b"],
        &["-n", &sandbox.namespace, "get", "users", "b"],
        &["-n", "nothing-here", "get", "users", ""],
        &["describe", "preauthkey", ""],
        &["delete", "instance", ""],
        &["create", "user", "--instance", ""],
        &["create", "preauthkey", "laptop", "--user", "al"],
        &["policy", "check", "--instance", "s"],
        &["policy", "get", ""],
        &["get", "users", "--context", ""],
        &["get", "users", "--namespace", "kube-s"],
        &["get", "users", "--server", "https://127.0.0.1:1", ""],
        &["get", "users", "--kubeconfig", "nowhere", ""],
        &["completion", "in"],
    ] {
        let run = sandbox.kubectl(&[&["__complete", "headscale"], words].concat());
        // kubectl tells what the last line means on standard error.
        all.extend([format!("$ kubectl headscale {}|\n{}\n", words.join(" "), run.stdout)]);
        all = all.replace(&sandbox.namespace, "[NAMESPACE]");
    }
    assert_snapshot!(all);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_name_moves_with_the_program_and_can_be_taken_away() {
    let Some(sandbox) = populated().await else { return };
    let link = sandbox.programs().join("kubectl_complete-headscale");
    let target = fs::read_link(&link).expect("a link");
    assert_eq!(target.to_str(), Some("kubectl-headscale"), "beside the program it is relative");
    assert_eq!(sandbox.run(&["completion", "install"]).code, Some(0), "again");

    let run = sandbox.run(&["completion", "uninstall"]);
    assert_snapshot!(run.success(), @"[ROOT]/bin/kubectl_complete-headscale removed");
    assert_snapshot!(sandbox.run(&["completion", "uninstall"]), @r"
    exit: 0
    --- stderr
    note: [ROOT]/bin/kubectl_complete-headscale is not there
    ");

    fs::create_dir(sandbox.path("elsewhere")).expect("a directory");
    let run = sandbox.run(&["completion", "install", "--directory", "elsewhere"]);
    assert_snapshot!(run, @r"
    exit: 0
    --- stdout
    [ROOT]/elsewhere/kubectl_complete-headscale installed
    --- stderr
    warning: [ROOT]/elsewhere is not on PATH, so kubectl does not find it there
    note: kubectl completes it in shells that complete kubectl: see `kubectl completion --help`
    ");
    let elsewhere = sandbox.path("elsewhere/kubectl_complete-headscale");
    assert_eq!(
        fs::read_link(elsewhere).expect("a link"),
        sandbox.programs().join("kubectl-headscale")
    );

    symlink("something-else", &link).expect("a link");
    for command in ["install", "uninstall"] {
        let run = sandbox.run(&["completion", command]);
        assert_eq!(run.code, Some(1), "{run}");
        assert!(run.stderr.contains("not of this program"), "{run}");
    }
    assert_snapshot!(sandbox.run(&["completion", "install", "--directory", "nowhere"]), @r"
    exit: 1
    --- stderr
    error: cannot write [ROOT]/nowhere/kubectl_complete-headscale: no such file (os error 2)
    hint: --directory names another directory of PATH
    ");
}

/// Runs `script` in `shell`, in which both kubectl and the plugin itself were asked for what may come
/// next: a name in the cluster, a command of the plugin and a flag of it.
async fn offers(shell: &str, script: &str) {
    let Some(sandbox) = populated().await else { return };
    if sandbox.shell(&format!("command -v {shell}")).code != Some(0) {
        tell(&format!("skipped: needs {shell}"));
        return;
    }
    sandbox.write("script", script);
    let run = sandbox.shell(&format!("timeout 60 {shell} script"));
    for expected in ["laptop", "policy", "--output"] {
        assert!(run.stdout.contains(expected), "{expected}: {run}");
    }
    // Nobody asked for these.
    for unexpected in ["alice", "version", "--selector"] {
        assert!(!run.stdout.contains(unexpected), "{unexpected}: {run}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_offers_commands_flags_and_names() {
    offers(
        "bash",
        r#"
# What the bash-completion package has, as far as kubectl needs it.
_init_completion() {
  words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}
}
__ltrim_colon_completions() { :; }
source <(kubectl completion bash)
source <(kubectl-headscale completion bash)
ask() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
  local function; function=$(complete -p "$1" | sed 's/.*-F \([^ ]*\).*/\1/')
  "$function" "$1" "${@: -1}" "${@: -2:1}"
  echo "${COMPREPLY[@]}"
}
ask kubectl headscale get preauthkeys lap
ask kubectl-headscale pol
ask kubectl-headscale get --out
"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zsh_offers_commands_flags_and_names() {
    // A shell in a terminal of its own; each line is read until it has what is to come.
    offers(
        "zsh",
        r#"
zmodload zsh/zpty
zpty shell "TERM=dumb zsh -f -i"
zpty -w shell 'PS1=; autoload -U compinit; compinit -u -D'
zpty -w shell 'source <(kubectl completion zsh); source <(kubectl-headscale completion zsh)'
zpty -w shell 'print rea""dy'
zpty -r shell seen '*ready*'
ask() {
  zpty -w -n shell $'\C-u'$1$'\t'
  zpty -r shell seen "*$2*"
  print -r -- $seen
}
ask 'kubectl headscale get preauthkeys lap' laptop
ask 'kubectl-headscale pol' policy
ask 'kubectl-headscale get --out' --output
"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fish_offers_commands_flags_and_names() {
    offers(
        "fish",
        "kubectl completion fish | source\n\
         kubectl-headscale completion fish | source\n\
         complete -C 'kubectl headscale get preauthkeys lap'\n\
         complete -C 'kubectl-headscale pol'\n\
         complete -C 'kubectl-headscale get --out'\n",
    )
    .await;
}
