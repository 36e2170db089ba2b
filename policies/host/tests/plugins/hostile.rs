//! Plugins that mean harm. Each is refused with its name and what it took, in bounded time and
//! memory, and never takes another one's findings with it.

use std::time::{Duration, Instant};

use headscale_acl::Findings;
use headscale_policy_host::{Host, Limits, Options, PluginError, Validator, Verdict, View, run};
use serde_json::json;

use crate::guest::{Guest, Told, told};
use crate::{host, load, subject, validate};

const FOREVER: &str = "(loop $forever (br $forever)) unreachable";

fn limited(limits: &[&str]) -> Host {
    let mut all = Limits::default();
    for limit in limits {
        all.set(limit).unwrap();
    }
    Host::new(Options { limits: all, cache: None }).unwrap()
}

/// Has a plugin judge between two good ones, of which it disturbs none.
fn beside_good_ones(host: &Host, guest: &Guest) -> Result<Verdict, PluginError> {
    let good = Guest::new("good").finds(&[told("rule", "/acls/0", "found")]).build();
    let ready = |label: &str, bytes: &[u8]| -> Result<_, PluginError> {
        host.load(label, bytes)?.validator(&json!({}))
    };
    let good = ready("./good.wasm", &good).unwrap();
    let evil = ready("./evil.wasm", &guest.build())?;
    let mut verdicts = run(&[&good, &evil, &good], &subject());
    for at in [0, 2] {
        let verdict = verdicts[at].as_ref().unwrap();
        assert_eq!(verdict.findings[0].message, "found");
    }
    verdicts.swap_remove(1)
}

/// Less fuel than usual, for the sake of the tests' time; and the verdict is that of the fuel, however slow the machine is.
fn patient() -> Host {
    limited(&["fuel=200000000", "time=60s"])
}

/// What nothing here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn what_takes_too_much_is_stopped_and_told() {
    let patient = patient();
    let fuel = "200000000 steps, the limit `fuel`; raise it with --plugin-limit fuel=200000000";
    let memory = "67108864 bytes, the limit `memory`; raise it with --plugin-limit memory=67108864";
    let tables = "100000 elements, the limit `tables`; raise it with --plugin-limit tables=100000";
    let results =
        "8388608 bytes, the limit `results`; raise it with --plugin-limit results=8388608";
    let stack = "524288 bytes, the limit `stack`; raise it with --plugin-limit stack=524288";
    let mut told_once = Guest::new("evil").pages(400);
    let rule = told_once.text("rule");
    // Half a million findings of 44 bytes from 2 MiB on, all with one message of 1 MB.
    let told_once = told_once.validate(&format!(
        "(local $at i32) (local.set $at (i32.const 2097152))
        (loop $next
            (i32.store (local.get $at) (i32.const {}))
            (i32.store offset=4 (local.get $at) (i32.const {}))
            (i32.store offset=12 (local.get $at) (i32.const 2048))
            (i32.store offset=16 (local.get $at) (i32.const 1000000))
            (local.set $at (i32.add (local.get $at) (i32.const 44)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 24097152))))
        (i32.store offset=4 (i32.const 1024) (i32.const 2097152))
        (i32.store offset=8 (i32.const 1024) (i32.const 500000))
        (i32.const 1024)",
        rule.0, rule.1
    ));
    let growing = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) i32.const 1024";
    let two_memories = Guest::new("evil")
        .rest("(memory $second 1)")
        .validate("(drop (memory.grow (i32.const 500))) (drop (memory.grow $second (i32.const 600))) i32.const 1024");
    for (name, guest, message) in [
        ("endless", Guest::new("evil").validate(FOREVER), format!("`validate` took more than {fuel}")),
        ("endless start", Guest::new("evil").rest(&format!("(func $start {FOREVER}) (start $start)")), format!("`describe` took more than {fuel}")),
        ("endless realloc", Guest::new("evil").realloc(FOREVER), format!("`check-settings` took more than {fuel}")),
        ("endless describe", Guest::new("evil").describe(FOREVER), format!("`describe` took more than {fuel}")),
        ("recursion", Guest::new("evil").rest("(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))").validate("(call $deep (i32.const 1))"), format!("`validate` took more than {stack}")),
        ("memory", Guest::new("evil").validate(growing), format!("`validate` took more than {memory}")),
        ("memory at once", Guest::new("evil").validate("(drop (memory.grow (i32.const 60000))) i32.const 1024"), format!("`validate` took more than {memory}")),
        ("two memories", two_memories, format!("`validate` took more than {memory}")),
        ("memory from the start", Guest::new("evil").pages(20_000), format!("`describe` took more than {memory}")),
        ("table from the start", Guest::new("evil").rest("(table 5000000 funcref)"), format!("`describe` took more than {tables}")),
        ("table", Guest::new("evil").rest("(table $t 1 funcref)").validate("(drop (table.grow $t (ref.null func) (i32.const 200000))) i32.const 1024"), format!("`validate` took more than {tables}")),
        ("one text told often", told_once, format!("`validate` took more than {results}")),
    ] {
        let start = Instant::now();
        let error = beside_good_ones(&patient, &guest).unwrap_err();
        assert_eq!(error.to_string(), format!("plugin ./evil.wasm: {message}"), "{name}");
        assert!(start.elapsed() < PATIENCE, "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn each_limit_can_be_set() {
    for (limits, guest, message) in [
        (
            &["fuel=1000000000000", "time=30"][..],
            Guest::new("evil").validate(FOREVER),
            "`validate` took more than 30 ms, the limit `time`; raise it with --plugin-limit time=30",
        ),
        (
            &["fuel=5000"],
            Guest::new("evil").validate(FOREVER),
            "`validate` took more than 5000 steps, the limit `fuel`; raise it with --plugin-limit fuel=5000",
        ),
        (
            &["instances=0"],
            Guest::new("evil"),
            "`describe` took more than 0, the limit `instances`; raise it with --plugin-limit instances=0",
        ),
    ] {
        let host = limited(limits);
        let plugin = host.load("./evil.wasm", &guest.build());
        let error = plugin
            .and_then(|p| p.validator(&json!({})))
            .and_then(|v| v.validate(&View::new(subject())));
        assert_eq!(error.unwrap_err().to_string(), format!("plugin ./evil.wasm: {message}"));
    }
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let answer = |words: &[usize], bytes: &[u8]| {
        let mut guest = Guest::new("evil");
        let (at, len) = guest.bytes(bytes);
        let finding = guest.words(&[at, len, 0, at, len, 0, 0, 0, 0, 0, 0]);
        let mut words = words.to_vec();
        if words.is_empty() {
            words = vec![0, finding, 1];
        }
        let at = guest.words(&words);
        guest.validate(&format!("i32.const {at}"))
    };
    for (name, guest, start) in [
        ("invalid UTF-8", answer(&[], b"\xff\xfe"), "the answer of `validate` cannot be read: "),
        (
            "list out of bounds",
            answer(&[0, 1 << 20, 500_000], b""),
            "the answer of `validate` cannot be read: ",
        ),
        (
            "list past the end",
            answer(&[0, 0xffff_fff0, 1], b""),
            "the answer of `validate` cannot be read: ",
        ),
        (
            "list that wraps around",
            answer(&[0, 1 << 20, 0x7fff_ffff], b""),
            "the answer of `validate` cannot be read: ",
        ),
        ("no such case", answer(&[7, 0, 0], b""), "the answer of `validate` cannot be read: "),
        (
            "result out of bounds",
            Guest::new("evil").validate("i32.const 0x7ffffff0"),
            "the answer of `validate` cannot be read: ",
        ),
        (
            "realloc out of bounds",
            Guest::new("evil").realloc("i32.const 0x7ffffff0"),
            "the answer of `check-settings` cannot be read: ",
        ),
        (
            "trap",
            Guest::new("evil").validate("unreachable"),
            "`validate` broke off: wasm `unreachable` instruction executed",
        ),
        (
            "trap in describe",
            Guest::new("evil").describe("unreachable"),
            "`describe` broke off: wasm `unreachable` instruction executed",
        ),
        (
            "trap in check-settings",
            Guest::new("evil").check("unreachable"),
            "`check-settings` broke off: ",
        ),
        (
            "division",
            Guest::new("evil").validate("(i32.div_u (i32.const 1) (i32.const 0))"),
            "`validate` broke off: integer divide by zero",
        ),
    ] {
        let error = beside_good_ones(&host(), &guest).unwrap_err().to_string();
        let rest = error.strip_prefix("plugin ./evil.wasm: ").unwrap();
        assert!(rest.starts_with(start), "{name}: {rest}");
    }
}

#[test]
fn a_panic_leaves_its_message() {
    let mut guest = Guest::new("evil").with_log();
    let (at, len) = guest.text("panicked at src/lib.rs:3:\n\u{1b}[31mindex out of bounds");
    let guest = guest.validate(&format!(
        "(call $log (i32.const 0) (i32.const {at}) (i32.const {len})) unreachable"
    ));
    let error = beside_good_ones(&host(), &guest).unwrap_err().to_string();
    let end = "; its last note: panicked at src/lib.rs:3: [31mindex out of bounds";
    assert!(error.ends_with(end), "{error}");
}

#[test]
fn floods_are_bounded() {
    let patient = patient();
    // Notes.
    let mut guest = Guest::new("evil").with_log();
    let (at, len) = guest.text(&"x".repeat(1_000));
    let call = format!("(call $log (i32.const 3) (i32.const {at}) (i32.const {len}))");
    let flood = guest.clone().validate(&format!(
        "(local $n i32) (loop $next {call}
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $n) (i32.const 1000))))
        i32.const 1024"
    ));
    let verdict = beside_good_ones(&host(), &flood).unwrap();
    assert_eq!(verdict.log.len(), 65);
    assert_eq!(
        verdict.notes,
        ["935 of its notes are not kept, for they are more than the limit `log` of 65536 bytes"]
    );
    let error = beside_good_ones(
        &host(),
        &guest.validate(&format!("(loop $n {call} (br $n)) unreachable")),
    );
    assert!(error.unwrap_err().to_string().contains("the limit `fuel`"));

    // Questions, each another one.
    let mut guest = Guest::new("evil").imports(
        r#"(import "headscale:policy/reachability@0.1.0" "who-can-reach"
            (func $who (param i32 i32 i32 i32 i32)))"#,
    );
    let (at, len) = guest.text("tag:web");
    let result = guest.words(&[0; 4]);
    let ask = guest.clone().validate(&format!(
        "(local $port i32) (loop $next
            (call $who (i32.const {at}) (i32.const {len}) (i32.const 1) (local.get $port) (i32.const {result}))
            (local.set $port (i32.and (i32.add (local.get $port) (i32.const 1)) (i32.const 65535)))
            (br $next)) unreachable"
    ));
    let start = Instant::now();
    let error = beside_good_ones(&patient, &ask).unwrap_err().to_string();
    assert!(error.contains("the limit `fuel`"), "{error}");
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());

    // Findings.
    let mut guest = Guest::new("evil").pages(400);
    let (rule, len) = guest.text("rule");
    let guest = guest.validate(&format!(
        "(local $at i32) (local.set $at (i32.const 2097152))
        (loop $next
            (i32.store (local.get $at) (i32.const {rule}))
            (i32.store offset=4 (local.get $at) (i32.const {len}))
            (local.set $at (i32.add (local.get $at) (i32.const 44)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 2977152))))
        (i32.store offset=4 (i32.const 1024) (i32.const 2097152))
        (i32.store offset=8 (i32.const 1024) (i32.const 20000))
        (i32.const 1024)"
    ));
    let verdict = beside_good_ones(&host(), &guest).unwrap();
    assert_eq!((verdict.findings.len(), verdict.uncounted.warnings), (Findings::KEPT, 10_000));
    assert_eq!(verdict.notes, ["10000 findings are only counted, beyond 10000"]);
}

#[test]
fn what_does_not_fit_the_policy_is_told_of_the_whole_file() {
    let guest = Guest::new("evil").finds(&[
        told("rule", "/acls/99", "nowhere"),
        told("rule", "acls", "no pointer"),
        told("rule", "/acls/00", "no index"),
        told("Other::Rule", "/acls/0", "of no rule"),
        Told { related: vec![("/nowhere".into(), "beside".into())], ..told("rule", "", "x") },
    ]);
    let verdict = beside_good_ones(&host(), &guest).unwrap();
    let shown: Vec<String> = verdict
        .findings
        .iter()
        .map(|f| format!("{} {} {}", f.span.is_some(), f.rule, f.message))
        .collect();
    assert_eq!(
        shown,
        [
            "false evil/rule nowhere",
            "false evil/rule no pointer",
            "false evil/rule no index",
            "false evil/rule x",
            "true evil/undeclared \"Other::Rule\": of no rule",
        ]
    );
    assert_eq!(
        verdict.notes,
        [
            "it found something at \"/acls/99\", which the policy does not have",
            "it found something at \"acls\", which the policy does not have",
            "it found something at \"/acls/00\", which the policy does not have",
            "it found something by the rule \"Other::Rule\", which it did not declare",
            "it found something at \"/nowhere\", which the policy does not have",
        ]
    );
}

#[test]
fn messages_hold_nothing_but_text() {
    let hostile = "bad\r\n::error file=x::smuggled\u{1b}]0;title\u{7}\u{202e}gnp.exe\u{200b}";
    let guest = Guest::new("evil")
        .finds(&[told("rule", "", hostile), told("rule", "", &"é".repeat(9_000))]);
    let verdict = beside_good_ones(&host(), &guest).unwrap();
    assert_eq!(verdict.findings[0].message, "bad ::error file=x::smuggled]0;titlegnp.exe");
    assert_eq!(verdict.findings[1].message.len(), (8 << 10) + '…'.len_utf8());
    let mut guest = Guest::new("evil");
    let refusal = guest.refusal("no\u{1b}[2J\u{202e}");
    let error = validate(&guest.validate(&format!("i32.const {refusal}"))).unwrap_err();
    assert_eq!(error.to_string(), "plugin ./test.wasm: `validate` failed: no[2J");
}

#[test]
fn nothing_is_left_of_a_call_for_the_next_one() {
    let mut guest = Guest::new("evil").rest("(global $calls (mut i32) (i32.const 0))");
    let first = guest.findings(&[told("rule", "", "the first time")]);
    let again = guest.findings(&[told("rule", "", "again")]);
    let guest = guest.validate(&format!(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (select (i32.const {first}) (i32.const {again}) (i32.eq (global.get $calls) (i32.const 1)))"
    ));
    let validator = load(&guest).unwrap().validator(&json!({})).unwrap();
    let view = View::new(subject());
    let verdict = validator.validate(&view).unwrap();
    assert_eq!(verdict.findings[0].message, "the first time");
    assert_eq!(validator.validate(&view).unwrap(), verdict);
}

/// Runs the tests of this file again in a process whose address space is small.
#[cfg(target_os = "linux")]
#[test]
fn hostile_plugins_need_little_memory() {
    const INNER: &str = "PLUGINS_HAVE_LITTLE_MEMORY";
    if std::env::var_os(INNER).is_some() {
        return;
    }
    // 1.5 GiB: reserved memory and threads included.
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -v 1572864 && exec \"$0\" hostile:: loading:: --test-threads 2"])
        .arg(std::env::current_exe().unwrap())
        .env(INNER, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
