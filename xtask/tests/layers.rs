//! The dependency rule refuses what it should, and names the edge.

use std::path::Path;

use xtask::layers::{Graph, Package, check};

/// A graph of `NAME`, `NAME*` (ours) and `NAME!` (ours, with a binary), each with what it depends
/// on to run.
fn graph(rows: &[(&str, &[&str])]) -> Graph {
    let package = |(name, deps): &(&str, &[&str])| {
        let bare = name.trim_end_matches(['*', '!']).to_owned();
        let package = Package {
            name: bare.clone(),
            ours: name.ends_with(['*', '!']),
            binary: name.ends_with('!'),
            normal: deps.iter().map(|&dep| dep.to_owned()).collect(),
            ..Package::default()
        };
        (bare, package)
    };
    Graph(rows.iter().map(package).collect())
}

/// The workspace as it should be, with these rows changed or added.
fn workspace_with(rows: &[(&str, &[&str])]) -> Graph {
    let mut all = graph(&[
        ("headscale-acl*", &["serde"]),
        ("headscale-api*", &[]),
        ("headscale-client*", &["headscale-keys"]),
        ("headscale-contract*", &[]),
        ("headscale-controlplane*", &[]),
        ("headscale-faults*", &[]),
        ("headscale-keys*", &["jiff"]),
        ("headscale-krew*", &[]),
        ("headscale-operator!", &["headscale-client"]),
        ("headscale-player*", &[]),
        ("headscale-policy-host*", &["headscale-acl"]),
        ("headscale-policy-registry*", &[]),
        ("headscale-service*", &[]),
        ("headscale-sidecar!", &["headscale-client"]),
        ("headscale-standin!", &[]),
        ("headscale-testkit*", &[]),
        ("jiff", &[]),
        ("kubectl-headscale!", &["headscale-acl", "clap"]),
        ("xtask!", &["headscale-acl", "kubectl-headscale"]),
        ("serde", &[]),
        ("clap", &[]),
    ]);
    all.0.extend(graph(rows).0);
    all
}

fn refusal(graph: &Graph) -> String {
    check(graph).map_or_else(|error| error.to_string(), |edges| format!("{edges} allowed"))
}

#[test]
fn the_workspace_holds_the_rule() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let graph = Graph::read(root).expect("cargo metadata");
    check(&graph).expect("no forbidden dependency");
}

#[test]
fn allowed_dependencies_are_counted() {
    assert_eq!(check(&workspace_with(&[])).expect("allowed"), 7);
}

#[test]
fn an_upward_dependency_is_refused() {
    let graph = workspace_with(&[("headscale-acl*", &["kubectl-headscale"])]);
    insta::assert_snapshot!(refusal(&graph), @r"
    the dependency rule is broken (xtask/src/layers.rs holds it):
      headscale-acl -> kubectl-headscale: headscale-acl may depend on no crate of ours
    ");
}

#[test]
fn a_build_dependency_counts() {
    let mut graph = workspace_with(&[]);
    let package = graph.0.get_mut("kubectl-headscale").expect("a row");
    package.build.insert("headscale-testkit".to_owned());
    insta::assert_snapshot!(refusal(&graph), @r"
    the dependency rule is broken (xtask/src/layers.rs holds it):
      kubectl-headscale -> headscale-testkit: kubectl-headscale may depend only on headscale-acl, headscale-api, headscale-client, headscale-keys, headscale-policy-host, headscale-policy-registry
    ");
}

#[test]
fn only_xtask_depends_on_a_binary() {
    let graph = workspace_with(&[("headscale-acl!", &[])]);
    insta::assert_snapshot!(refusal(&graph), @r"
    the dependency rule is broken (xtask/src/layers.rs holds it):
      headscale-policy-host -> headscale-acl: only xtask and headscale-player may depend on a crate with a binary
      kubectl-headscale -> headscale-acl: only xtask and headscale-player may depend on a crate with a binary
    ");
}

#[test]
fn a_pure_crate_stays_pure_all_the_way_down() {
    let graph = workspace_with(&[
        ("serde", &["deep"]),
        ("deep", &["tokio", "serde"]),
        ("tokio", &["rand"]),
        ("rand", &[]),
    ]);
    insta::assert_snapshot!(refusal(&graph), @r"
    the dependency rule is broken (xtask/src/layers.rs holds it):
      headscale-acl -> serde -> deep -> tokio: a pure crate has no I/O, clock, threads or randomness below it
    ");
}

#[test]
fn a_pure_crate_may_have_timestamps_of_a_crate_with_a_clock_where_the_table_says_so() {
    check(&workspace_with(&[])).expect("headscale-keys may have jiff");
    let graph = workspace_with(&[("headscale-acl*", &["jiff"])]);
    insta::assert_snapshot!(refusal(&graph), @r"
    the dependency rule is broken (xtask/src/layers.rs holds it):
      headscale-acl -> jiff: a pure crate has no I/O, clock, threads or randomness below it
    ");
}

#[test]
fn other_crates_may_be_impure() {
    let graph = workspace_with(&[("clap", &["tokio"]), ("tokio", &[])]);
    check(&graph).expect("allowed");
}

#[test]
fn the_table_and_the_workspace_name_the_same_crates() {
    let mut graph = workspace_with(&[("newcomer*", &[])]);
    graph.0.remove("headscale-testkit");
    insta::assert_snapshot!(refusal(&graph), @r"
    the dependency rule is broken (xtask/src/layers.rs holds it):
      newcomer has no row in the table: add one
      the table names headscale-testkit, which is not in the workspace: remove it
    ");
}
