//! Reading and formatting policies of 10 KB, 1 MB and 10 MB.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headscale_acl::hujson::{Document, format};
use headscale_testkit::policies;

fn hujson(criterion: &mut Criterion) {
    let texts = [("10KB", 10_000), ("1MB", 1_000_000), ("10MB", 10_000_000)];
    let texts = texts.map(|(name, size)| (name, policies::valid(size)));

    let mut group = criterion.benchmark_group("parse");
    for (name, text) in &texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), text, |bench, text| {
            bench.iter(|| Document::parse(black_box(text.as_bytes())));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("format");
    for (name, text) in &texts {
        let doc = Document::parse(text.as_bytes());
        assert!(doc.errors().is_empty(), "{:?}", doc.errors());
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &doc, |bench, doc| {
            bench.iter(|| format(black_box(doc)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = hujson
}
criterion_main!(benches);
