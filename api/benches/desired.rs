//! The objects of one instance, made and written.

#![expect(clippy::expect_used, reason = "a bench fails by a panic")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use headscale_api::desired::{Inputs, desired_state};
use headscale_api::kinds::Headscale;

fn instance(text: &str) -> Headscale {
    let manifest =
        format!("{{apiVersion: headscale.infrado.cloud/v1beta1, kind: Headscale, {text}}}");
    serde_saphyr::from_str(&manifest).expect("a Headscale")
}

fn render(criterion: &mut Criterion) {
    let minimal = instance("metadata: {name: demo}, spec: {version: 0.29.2, replicas: 1}");
    let large = instance(
        "metadata: {name: demo}, spec: {version: 0.29.2, replicas: 1, secrets: {tls: {name: t}}, \
         ingress: {}, config: {server_url: 'https://headscale.example.com', \
         randomize_client_port: true, derp: {server: {enabled: true}}}, \
         acl_policy: {inline: '{\"acls\": []}', tag_owners: {'tag:a': [alice@]}}}",
    );
    let inputs = Inputs { backup: true, ..Inputs::default() };
    for (name, headscale) in [("minimal", &minimal), ("large", &large)] {
        criterion.bench_function(&format!("desired state, {name}"), |bench| {
            bench.iter(|| {
                let objects = desired_state(black_box(headscale), &inputs);
                objects.iter().map(|object| object.to_value().to_string().len()).sum::<usize>()
            });
        });
    }
}

criterion_group!(benches, render);
criterion_main!(benches);
