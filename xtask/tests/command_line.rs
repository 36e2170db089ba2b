//! What documents, workflows and scripts say of our command line, the command line takes.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::error::ErrorKind;

/// Files that call the plugin or write about it. A new page below docs/ is found by itself.
const FILES: [&str; 11] = [
    ".pre-commit-hooks.yaml",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Makefile",
    "README.md",
    "action.yml",
    "examples/README.md",
    "examples/demo.sh",
    "policies/templates/javascript/README.md",
    "policies/templates/rust/README.md",
];

/// What our programs are called by; the last one in a code span only.
const NAMES: [&str; 5] =
    ["kubectl headscale ", "kubectl-headscale ", ".ci/pre-commit ", SIDECAR, "policy "];

/// What the sidecar is called by.
const SIDECAR: &str = "headscale-sidecar ";

/// What stands right before a command, other than the start of its line. In prose it is a word.
const BEFORE: [&str; 6] = ["$ ", "`", "(", "run: ", "entry: ", "- "];

/// What ends a command, other than the end of its line.
const AFTER: [char; 8] = ['\n', '#', '`', '|', '<', '>', ';', ')'];

/// A call of one of our programs.
struct Invocation<'a> {
    is_sidecar: bool,
    words: Vec<&'a str>,
}

/// The words after each name of our programs, where `text` calls it.
fn invocations(text: &str) -> Vec<Invocation<'_>> {
    let calls = |(at, name): (usize, &str)| {
        let (before, from) = text.split_at(at);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let quoted = line.ends_with('`');
        let called = if name == "policy " {
            quoted
        } else {
            line.trim_start().is_empty() || BEFORE.iter().any(|start| line.ends_with(start))
        };
        let kept = if name == "policy " { 0 } else { name.len() };
        let is_sidecar = name == SIDECAR;
        called.then(|| Invocation { is_sidecar, words: words(from.split_at(kept).1) })
    };
    NAMES.iter().flat_map(|name| text.match_indices(name)).filter_map(calls).collect()
}

/// The words of the command at the start of `text`, which may go on after a backslash.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for line in text.split("\\\n") {
        let end = line.find(AFTER);
        let command = end.map_or(line, |end| line.split_at(end).0);
        words.extend(command.split_whitespace().map(|word| word.trim_matches(['"', '\''])));
        if end.is_some() {
            break;
        }
    }
    words
}

/// Flags that stand without a command: alone in a code span, or in a list of arguments.
fn flags(text: &str) -> Vec<&str> {
    let spans = text.split('`').filter(|span| span.starts_with('-') && !span.contains('\n'));
    let lists = text.lines().filter_map(|line| Some(line.split_once("args")?.1));
    let words = spans.chain(lists).flat_map(|part| part.split([' ', '(', ')', '[', ']', ',', '=']));
    words.filter(|word| word.starts_with('-') && word.contains(|c| c != '-')).collect()
}

/// What the command line says against a call, unless it is that something is left out.
fn refusal(Invocation { is_sidecar, words }: &Invocation<'_>) -> Option<String> {
    let all = ["a program"].iter().chain(words);
    let error = if *is_sidecar {
        headscale_sidecar::cli::parse(all.map(OsString::from)).err()?
    } else {
        kubectl_headscale::command().try_get_matches_from(all).err()?
    };
    let unfinished = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
    );
    (!unfinished).then(|| error.to_string())
}

fn has_flag(command: &clap::Command, flag: &str) -> bool {
    let is_it = |arg: &clap::Arg| match flag.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some_and(|short| flag == format!("-{short}")),
    };
    command.get_arguments().any(is_it)
        || command.get_subcommands().any(|command| has_flag(command, flag))
}

/// How many commands and flags `text` names, and what is wrong with them.
fn check(path: &str, text: &str) -> (usize, Vec<String>) {
    let commands = [
        kubectl_headscale::command(),
        headscale_sidecar::cli::command(),
        headscale_operator::cli::command(),
    ];
    let (invocations, flags) = (invocations(text), flags(text));
    let refused = invocations.iter().filter_map(|it| Some((it.words.join(" "), refusal(it)?)));
    let unknown = flags.iter().filter(|flag| !commands.iter().any(|it| has_flag(it, flag)));
    let wrong = refused
        .map(|(words, why)| format!("{path}: {words}: {why}"))
        .chain(unknown.map(|flag| format!("{path}: no command of ours has {flag}")));
    (invocations.len() + flags.len(), wrong.collect())
}

#[test]
fn every_command_and_flag_in_a_document_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_dir(root.join("docs")).expect("docs").map(|entry| {
        format!("docs/{}", entry.expect("an entry").file_name().to_str().expect("UTF-8"))
    });
    let (mut all, mut wrong) = (0, Vec::new());
    for path in docs.chain(FILES.map(str::to_owned)) {
        let text = fs::read_to_string(root.join(&path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let (named, wrong_here) = check(&path, &text);
        all += named;
        wrong.extend(wrong_here);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(all > 50, "only {all} commands and flags found");
}

#[test]
fn what_does_not_exist_is_found_wherever_it_stands() {
    for text in [
        "kubectl headscale polcy check",
        "$ kubectl headscale policy chekc policy.hujson",
        "  kubectl-headscale policy check --fail-at error",
        "      - run: kubectl-headscale policy check -o sarfi=a.sarif",
        "kubectl-headscale policy check \\\n  a.hujson \\\n  --headscale-version 0.12",
        "say `kubectl headscale policy lint` to",
        "say `policy fmt --form yaml` to",
        "  entry: .ci/pre-commit policy fmt -W",
        "`--baselin FILE` leaves out",
        "say `headscale-sidecar apikey --secret-nam x` to",
        "headscale-sidecar authkey aks",
        "args+=(--confg \"$CONFIG\")",
        "        args: [--headscale-versions, \"0.29\"]",
    ] {
        let (named, wrong) = check("text", text);
        assert_eq!((named, wrong.len()), (1, 1), "{text}: {wrong:?}");
    }
}

#[test]
fn what_is_no_command_is_left_alone() {
    for text in [
        "Release of kubectl-headscale to use",
        "say `kubectl-headscale` for `kubectl headscale`.",
        "cargo build --release --package kubectl-headscale --locked",
        "the policy check --is not a command",
    ] {
        assert_eq!(check("text", text), (0, Vec::new()), "{text}");
    }
}
