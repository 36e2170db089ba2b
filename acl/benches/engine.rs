//! A policy of 300 rules compiled for 100, 1,000 and 10,000 nodes: the packet filters and peers of
//! all of them, in memory.

use std::hint::black_box;
use std::io::{self, BufWriter};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headscale_acl::engine::{Layout, Question, Side};
use headscale_acl::{Tailnet, Version, engine};
use headscale_testkit::tailnets::Shape;

const SIZES: [usize; 3] = [100, 1_000, 10_000];

/// A policy and its tailnet, read.
struct Case {
    policy: String,
    tailnet: Tailnet,
}

impl Case {
    fn of(shape: &Shape) -> Self {
        let tailnet = Tailnet::from_value(&shape.tailnet());
        Self { policy: shape.policy(), tailnet: tailnet.unwrap_or_default() }
    }

    /// Checks and compiles the policy and asks `questions` of it.
    fn ask<R>(&self, questions: impl FnOnce(&engine::Network<'_, '_>) -> R) -> R {
        let asked =
            engine::ask(self.policy.as_bytes(), Some(&self.tailnet), Version::V0_29, questions);
        match asked {
            Ok(answer) => answer,
            Err(checked) => unreachable!("the policy is valid: {:?}", checked.findings.first()),
        }
    }

    /// From the text to the packet filters and the peers of all nodes.
    fn everything(&self) -> usize {
        self.ask(|network| network.packet_filters().size() + network.peers().sets())
    }
}

fn stages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    for nodes in SIZES {
        let case = Case::of(&Shape::new(nodes));
        group.throughput(Throughput::Elements(nodes as u64));
        group.bench_with_input(BenchmarkId::new("compile", nodes), &case, |bench, case| {
            bench.iter(|| case.ask(|network| black_box(network.origins().count())));
        });
        case.ask(|network| {
            group.bench_function(BenchmarkId::new("filters", nodes), |bench| {
                bench.iter(|| network.packet_filters());
            });
            group.bench_function(BenchmarkId::new("peers", nodes), |bench| {
                bench.iter(|| network.peers());
            });
        });
    }
    group.finish();
}

fn everything(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("everything");
    for nodes in SIZES {
        let plain = Shape::new(nodes);
        let shapes = [
            ("plain", plain),
            ("self", Shape { with_self: true, ..plain }),
            ("via", Shape { with_via: true, ..plain }),
        ];
        for (name, shape) in shapes {
            let case = Case::of(&shape);
            group.throughput(Throughput::Elements(nodes as u64));
            group.bench_with_input(BenchmarkId::new(name, nodes), &case, |bench, case| {
                bench.iter(|| case.everything());
            });
        }
    }
    for rules in [30, 100, 300, 1_000, 3_000] {
        let case = Case::of(&Shape { rules, ..Shape::new(1_000) });
        group.throughput(Throughput::Elements(rules as u64));
        group.bench_with_input(BenchmarkId::new("rules", rules), &case, |bench, case| {
            bench.iter(|| case.everything());
        });
    }
    group.finish();
}

/// The JSON of all nodes, written node by node as the command line does, to nobody.
fn json(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json");
    for nodes in SIZES {
        let case = Case::of(&Shape::new(nodes));
        group.throughput(Throughput::Elements(nodes as u64));
        group.bench_with_input(BenchmarkId::from_parameter(nodes), &case, |bench, case| {
            bench.iter(|| {
                let mut out = BufWriter::with_capacity(64 * 1024, io::sink());
                case.ask(|network| network.answers().write_json(&mut out, Layout::Pretty))
            });
        });
    }
    group.finish();
}

/// Questions to a network that is loaded: the first one makes what all of them need.
fn questions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("questions");
    for nodes in SIZES {
        let plain = Shape::new(nodes);
        let shapes = [("", plain), ("self-", Shape { with_self: true, ..plain })];
        for (shape_name, shape) in shapes {
            let case = Case::of(&shape);
            case.ask(|network| {
                for (name, from, to) in EXPLAINED {
                    let question = Question { from, to, ..Question::default() };
                    let name = format!("{shape_name}explain-{name}");
                    group.bench_function(BenchmarkId::new(name, nodes), |bench| {
                        bench.iter(|| network.explain(black_box(&question)));
                    });
                }
                for (name, to) in [("tag", "tag:t1:5432"), ("node", "node8:22")] {
                    let name = format!("{shape_name}access-to-{name}");
                    group.bench_function(BenchmarkId::new(name, nodes), |bench| {
                        bench.iter(|| network.access(black_box(Side::To(to))));
                    });
                }
            });
        }
    }
    group.finish();
}

/// A user of one node, a group, a tag, a node and a subnet.
const EXPLAINED: [(&str, &str, &str); 4] = [
    ("user-tag", "user1@example.com", "tag:t1:5432"),
    ("group-group", "group:g1", "group:g2:22"),
    ("tag-subnet", "tag:t2", "10.0.0.0/24:443"),
    ("node-node", "node20", "node30:22"),
];

/// What changes between two policies: twelve rules of 300, and all of them.
fn diff(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("diff");
    for nodes in SIZES {
        let case = Case::of(&Shape::new(nodes));
        let changes = case.policy.replace("5432", "5433");
        let nothing = r#"{"acls": []}"#.to_owned();
        for (name, old) in [("some", &changes), ("everything", &nothing)] {
            group.throughput(Throughput::Elements(nodes as u64));
            group.bench_with_input(BenchmarkId::new(name, nodes), &case, |bench, case| {
                let (old, new) = (old.as_bytes(), case.policy.as_bytes());
                bench.iter(|| engine::diff(old, new, Some(&case.tailnet), Version::V0_29));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = stages, everything, questions, diff, json
}
criterion_main!(benches);
