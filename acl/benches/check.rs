//! The whole check: reading losslessly, validating, linting, at 10 KB, 1 MB and 10 MB; and of texts
//! made to hurt.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headscale_acl::{Options, Severity, check};
use headscale_testkit::policies;

fn valid(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check");
    for (name, size) in [("10KB", 10_000), ("1MB", 1_000_000), ("10MB", 10_000_000)] {
        let text = policies::valid(size);
        let options = Options::default();
        let checked = check(text.as_bytes(), &options);
        let error = checked.findings.iter().find(|f| f.severity == Severity::Error);
        assert_eq!(error, None, "the text is valid");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &text, |bench, text| {
            bench.iter(|| check(black_box(text.as_bytes()), &options));
        });
    }
    group.finish();
}

fn hostile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hostile 10MB");
    for (name, text) in policies::hostile(10_000_000) {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &text, |bench, text| {
            bench.iter(|| check(black_box(text), &Options::default()));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = valid, hostile
}
criterion_main!(benches);
