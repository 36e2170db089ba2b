//! What plugins cost beside a check: loading, a call on a policy of 100 KB, a question, and twenty
//! plugins on all processors.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headscale_acl::{Tailnet, Version};
use headscale_policy_host::{
    Host, Options, PluginValidator, Subject, Validator, View, builtins, run,
};
use headscale_testkit::tailnets::Shape;
use serde_json::json;

#[path = "../tests/plugins/guest.rs"]
#[expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be made cannot be measured")]
mod guest;

use guest::{Guest, told};

/// A subject of 300 rules, 50 groups and 40 tags, and about 100 KB.
fn subject(nodes: usize) -> Subject {
    let shape = Shape::new(nodes);
    let tailnet = Tailnet::from_value(&shape.tailnet()).ok().map(Arc::new);
    let mut policy = shape.policy();
    while policy.len() < 100_000 {
        policy.push_str("// a comment of some length, as people write them\n");
    }
    match Subject::new("policy.hujson", policy.as_bytes(), tailnet, Version::V0_29) {
        Ok(subject) => subject,
        Err(checked) => unreachable!("the policy is valid: {:?}", checked.findings.first()),
    }
}

/// Reads every byte of the policy, and tells 465 findings.
fn reading(name: &str) -> Guest {
    let mut guest = Guest::new(name).pages(32);
    let findings: Vec<_> =
        (0..465).map(|at| told("rule", &format!("/acls/{}/src", at % 200), "found")).collect();
    let result = guest.findings(&findings);
    guest.validate(&format!(
        "(local $at i32) (local $sum i32)
        (loop $next
            (local.set $sum (i32.add (local.get $sum)
                (i32.load8_u (i32.add (local.get 2) (local.get $at)))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (local.get 3))))
        (drop (local.get $sum)) (i32.const {result})"
    ))
}

/// The same in a component of about 100 KB.
fn large(name: &str) -> Guest {
    let mut functions = String::new();
    for at in 0..1_000 {
        // Writing to a String cannot fail.
        _ = write!(
            functions,
            "(func (param i32 i32) (result i32) (local i32)
                (loop $next
                    (local.set 2 (i32.add (i32.mul (local.get 0) (i32.const {at})) (local.get 1)))
                    (if (i32.gt_u (local.get 2) (i32.const 70000))
                        (then (i32.store offset=4 (local.get 1) (i32.load (local.get 2))))
                        (else (local.set 1 (i32.rotl (local.get 2) (i32.const 7)))))
                    (local.set 0 (i32.xor (i32.sub (local.get 0) (i32.const 1)) (local.get 1)))
                    (br_if $next (local.get 0)))
                (select (local.get 1) (local.get 2) (i32.lt_s (local.get 0) (local.get 1))))"
        );
    }
    reading(name).rest(&functions)
}

/// Asks `can-reach` a thousand times, each time for another port or always for the same one.
fn asking(another: bool) -> Guest {
    let mut guest = Guest::new("asks").imports(
        r#"(import "headscale:policy/reachability@0.1.0" "can-reach"
            (func $can-reach (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#,
    );
    let (source, destination) = (guest.text("group:g1"), guest.text("tag:t1"));
    let answer = guest.words(&[0; 4]);
    guest.validate(&format!(
        "(local $at i32)
        (loop $next
            (call $can-reach (i32.const {}) (i32.const {}) (i32.const {}) (i32.const {})
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1)
                (i32.add (i32.const 1) (i32.mul (i32.const {}) (local.get $at)))
                (i32.const {answer}))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 1000))))
        (i32.const 1024)",
        source.0,
        source.1,
        destination.0,
        destination.1,
        i32::from(another),
    ))
}

fn ready(host: &Host, component: &[u8]) -> PluginValidator {
    let plugin = host.load("bench", component);
    match plugin.and_then(|plugin| plugin.validator(&json!({}))) {
        Ok(validator) => validator,
        Err(error) => unreachable!("{error}"),
    }
}

fn host() -> Host {
    new_host(Options::default())
}

fn new_host(options: Options) -> Host {
    match Host::new(options) {
        Ok(host) => host,
        Err(error) => unreachable!("{error}"),
    }
}

fn loading(criterion: &mut Criterion) {
    let component = large("large").build();
    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Bytes(component.len() as u64));
    group.bench_function("host", |bench| bench.iter(host));
    group.sample_size(10);
    group.bench_function("cold", |bench| bench.iter(|| ready(&host(), &component)));
    group.sample_size(100);
    let Ok(dir) = tempfile::tempdir() else { return };
    let options = Options { cache: Some(dir.path().join("aot")), ..Options::default() };
    drop(ready(&new_host(options.clone()), &component));
    group.bench_function("warm", |bench| {
        bench.iter(|| ready(&new_host(options.clone()), &component));
    });
    let subject = subject(100);
    group.bench_function("warm to the first finding", |bench| {
        bench.iter(|| {
            let validator = ready(&new_host(options.clone()), &component);
            black_box(validator.validate(&View::new(subject.clone())))
        });
    });
    group.finish();
}

/// What releases do: build with `HEADSCALE_COMPILED_PLUGINS`, or this compiles.
fn builtin(criterion: &mut Criterion) {
    let Some(guardrails) = builtins().iter().find(|builtin| builtin.name == "guardrails") else {
        return;
    };
    let subject = subject(100);
    let settings = json!({"never": [{"from": "group:g1", "to": "tag:t1"}]});
    let load = || match host().load("builtin:guardrails", guardrails.component) {
        Ok(plugin) => plugin,
        Err(error) => unreachable!("{error}"),
    };
    let name = if guardrails.is_compiled() { "builtin" } else { "builtin, not compiled ahead" };
    let mut group = criterion.benchmark_group(name);
    group.sample_size(if guardrails.is_compiled() { 100 } else { 10 });
    group.bench_function("load", |bench| bench.iter(load));
    group.bench_function("to the first finding", |bench| {
        bench.iter(|| {
            let validator = load().validator(&settings);
            validator.map(|validator| validator.validate(&View::new(subject.clone())))
        });
    });
    let view = View::new(subject.clone());
    if let Ok(validator) = load().validator(&settings) {
        group.bench_function("call", |bench| bench.iter(|| validator.validate(&view)));
    }
    group.finish();
}

fn calls(criterion: &mut Criterion) {
    let host = host();
    let subject = subject(100);
    let view = View::new(subject.clone());
    let mut group = criterion.benchmark_group("call");
    let nothing = ready(&host, &Guest::new("nothing").build());
    group.bench_function("nothing", |bench| bench.iter(|| nothing.validate(&view)));
    let reading = ready(&host, &reading("reads").build());
    group.bench_function("100 KB, 465 findings", |bench| bench.iter(|| reading.validate(&view)));
    group.finish();

    let mut group = criterion.benchmark_group("can-reach");
    group.throughput(Throughput::Elements(1_000));
    for nodes in [100, 1_000] {
        let view = View::new(self::subject(nodes));
        for (name, another) in [("another one", true), ("the same one", false)] {
            let asking = ready(&host, &asking(another).build());
            assert!(asking.validate(&view).is_ok(), "the policy is compiled, and the plugin works");
            group.bench_function(format!("{name}/{nodes}"), |bench| {
                bench.iter(|| asking.validate(&view));
            });
        }
    }
    group.finish();

    let mut group = criterion.benchmark_group("20 plugins");
    let slow = |at: usize| {
        let body = "(local $n i32) (loop $next
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $n) (i32.const 1000000))))
            (i32.const 1024)";
        ready(&host, &Guest::new(&format!("p{at}")).validate(body).build())
    };
    let plugins: Vec<PluginValidator> = (0..20).map(slow).collect();
    let plugins: Vec<&dyn Validator> = plugins.iter().map(|p| p as &dyn Validator).collect();
    group.bench_function("one after the other", |bench| {
        bench.iter(|| plugins.iter().map(|p| p.validate(&view)).filter(Result::is_ok).count());
    });
    group.bench_function("on all processors", |bench| bench.iter(|| run(&plugins, &subject)));
    group.finish();
}

criterion_group!(benches, loading, builtin, calls);
criterion_main!(benches);
