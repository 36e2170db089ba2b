//! The place of a finding in a manifest is its place in the policy, moved to where the policy
//! stands.

use std::path::PathBuf;

use headscale_acl::Date;
use jiff::Timestamp;
use kubectl_headscale::{Environment, Streams, run};
use proptest::prelude::*;
use serde_json::Value;

/// Lines of policies: right ones, wrong ones, and what makes the syntax wrong.
const LINES: [&str; 16] = [
    "\"groups\": {\"group:a\": [\"alice\"]},",
    "\"acls\": [{\"action\": \"accept\", \"src\": [\"bob\"], \"dst\": [\"*:*\"]}],",
    "\"acls\": [",
    "\t{\"action\": \"deny\", \"src\": [\"*\"], \"dst\": [\"tag:x:99999\"]},",
    "],",
    "// a comment",
    "/* é — 日本 */ \"hosts\": {\"ü\": \"10.0.0.300\"},",
    "",
    "\t\t",
    "  ",
    "\"tagOwners\": {\"tag:a\": [\"autogroup:nobody\"], \"tag:a\": []},",
    "\"unknown\": 'single',",
    "\"ssh\": [{\"action\": \"accept\", \"src\": [\"tag:b\"], \"dst\": [\"tag:c\"], \"users\": []}],",
    "\"tests\": [{\"src\": \"x\\ty\", \"accept\": [\"\\u00e9:1\"]}],",
    "\"nodeAttrs\": [{\"target\": [\"*\"], \"attr\": [\"a\\\\b\"]}], // policy-ignore: nothing -- x",
    "}",
];

fn policies() -> impl Strategy<Value = String> {
    let line = (0..LINES.len(), 0..3usize);
    prop::collection::vec(line, 1..14).prop_map(|lines| {
        let lines = lines.into_iter().map(|(line, indent)| {
            let line = LINES[line];
            if line.trim().is_empty() { line.to_owned() } else { "  ".repeat(indent) + line }
        });
        // The first line of a block gives its indentation.
        let lines: Vec<String> = std::iter::once("{".to_owned()).chain(lines).collect();
        lines.join("\n") + "\n}\n"
    })
}

/// A finding: rule, message, and start and end as line and column.
type Told = (String, String, [(u64, u64); 2]);

/// What `policy check -o json` finds in a text.
fn findings(text: &str) -> Vec<Told> {
    let environment = Environment {
        cwd: PathBuf::from("/"),
        stdout_color: false,
        stderr_color: false,
        stdin_terminal: false,
        width: None,
        cache: None,
        docker_config: None,
        program: None,
        path: None,
        home: None,
        kubeconfig: None,
        in_cluster: None,
        variable: |_| None,
        now: Timestamp::UNIX_EPOCH,
        today: Date { year: 2030, month: 1, day: 1 },
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut stdin = text.as_bytes();
    let mut streams = Streams { stdin: &mut stdin, stdout: &mut out, stderr: &mut err };
    let args = ["kubectl-headscale", "policy", "check", "--no-config", "-o", "json", "-"];
    run(args.map(Into::into), &environment, &mut streams);
    let report: Value = serde_json::from_slice(&out)
        .unwrap_or_else(|_| panic!("{}\n{text}", String::from_utf8_lossy(&err)));
    let place = |span: &Value, end: &str| {
        (span[end]["line"].as_u64().unwrap(), span[end]["column"].as_u64().unwrap())
    };
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            let places = match &finding["span"] {
                // What is about the whole policy is told where it begins.
                Value::Null => [(1, 1); 2],
                span => [place(span, "start"), place(span, "end")],
            };
            (text("rule"), text("message"), places)
        })
        .collect()
}

const HEAD: &str = "apiVersion: headscale.infrado.cloud/v1beta1\nkind: HeadscalePolicy\n\
                    metadata: {name: main}\nspec:\n";

/// Moves a place to the block whose first line has this number.
fn in_block(policy: &str, first: u64, indent: u64, (line, column): (u64, u64)) -> (u64, u64) {
    let lines: Vec<&str> = policy.split_inclusive('\n').collect();
    match lines.get(line as usize - 1) {
        Some(text) => {
            // Lines without content may have lost their indentation.
            let indent = if text.trim_end_matches('\n').is_empty() { 0 } else { indent };
            (first + line - 1, column + indent)
        }
        // The end of the policy is told in its last line.
        None => {
            let last = lines.last().unwrap().trim_end_matches('\n').len() as u64;
            (first + line - 2, last + 1 + indent)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn in_a_block_places_move_by_its_first_line_and_its_indentation(
        policy in policies(),
        indent in 4..12usize,
        before in 0..3usize,
        header in prop::sample::select(vec!["|", "|-", "| # the policy"]),
        crlf in any::<bool>(),
    ) {
        let lines = policy.lines().map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("{}{line}\n", " ".repeat(indent)),
        });
        let block: String = lines.collect();
        let first = 6 + before as u64;
        let manifest = format!(
            "{HEAD}{}  inline: {header}\n{block}  headscaleRef: main\n---\nkind: other\n",
            "  # a comment\n".repeat(before),
        );
        let manifest = if crlf { manifest.replace('\n', "\r\n") } else { manifest };
        // The indicator says whether the policy ends with a line end.
        let policy = if header == "|-" { policy.trim_end().to_owned() } else { policy };
        let moved = findings(&policy).into_iter().map(|(rule, message, places)| {
            (rule, message, places.map(|place| in_block(&policy, first, indent as u64, place)))
        });
        prop_assert_eq!(findings(&manifest), moved.collect::<Vec<_>>(), "{}", manifest);
    }

    #[test]
    fn in_double_quotes_places_move_by_what_is_escaped_before_them(policy in policies()) {
        let quoted = serde_json::to_string(&policy).unwrap();
        let manifest = format!("{HEAD}  inline: {quoted}\n  headscaleRef: main\n");
        let lines: Vec<&str> = policy.split_inclusive('\n').collect();
        let moved = |(line, column): (u64, u64)| {
            let before: usize = lines.iter().take(line as usize - 1).map(|line| line.len()).sum();
            let before = policy.get(..before + column as usize - 1).unwrap();
            // Without its closing quote.
            let escaped = serde_json::to_string(before).unwrap().len() - 1;
            (5, 11 + escaped as u64)
        };
        let moved = findings(&policy)
            .into_iter()
            .map(|(rule, message, places)| (rule, message, places.map(moved)));
        prop_assert_eq!(findings(&manifest), moved.collect::<Vec<_>>(), "{}", manifest);
    }
}
