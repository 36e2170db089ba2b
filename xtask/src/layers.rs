//! The dependency rule: which crate of the workspace may depend on which.
//!
//! Dependencies point down only. Dev-dependencies are free, because nothing that ships contains
//! them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use thiserror::Error;

/// Each crate of the workspace with the crates of ours that it may depend on, lowest first.
const ALLOWED: &[(&str, &[&str])] = &[
    ("headscale-acl", &[]),
    ("headscale-keys", &[]),
    ("headscale-api", &["headscale-acl"]),
    ("headscale-policy-registry", &[]),
    // Nothing that ships contains these: dev-dependencies name them, and xtask.
    ("headscale-krew", &[]),
    ("headscale-testkit", &[]),
    ("headscale-controlplane", &["headscale-testkit"]),
    ("headscale-faults", &[]),
    ("headscale-standin", &["headscale-acl", "headscale-client"]),
    ("headscale-player", &["headscale-controlplane", "headscale-standin", "headscale-testkit"]),
    ("headscale-contract", &[]),
    ("headscale-client", &["headscale-keys"]),
    ("headscale-service", &["headscale-acl"]),
    (
        "headscale-sidecar",
        &["headscale-acl", "headscale-client", "headscale-keys", "headscale-service"],
    ),
    (
        "headscale-operator",
        &[
            "headscale-acl",
            "headscale-api",
            "headscale-client",
            "headscale-keys",
            "headscale-policy-host",
            "headscale-policy-registry",
            "headscale-service",
        ],
    ),
    ("headscale-policy-host", &["headscale-acl"]),
    (
        "kubectl-headscale",
        &[
            "headscale-acl",
            "headscale-api",
            "headscale-client",
            "headscale-keys",
            "headscale-policy-host",
            "headscale-policy-registry",
        ],
    ),
    (
        XTASK,
        &[
            "headscale-acl",
            "headscale-api",
            "headscale-krew",
            "headscale-policy-host",
            "headscale-testkit",
            "kubectl-headscale",
        ],
    ),
];

/// It may depend on binary crates: it prints their command lines and schemas.
const XTASK: &str = "xtask";
/// It may too: what it plays is a stand-in, which is a program as well. Nothing ships it.
const PLAYER: &str = "headscale-player";

/// Crates without I/O, clock, threads and randomness, and with them all that they depend on, but for
/// what stands beside each: it is used for what is pure in it.
const PURE: &[(&str, &[&str])] = &[
    ("headscale-acl", &[]),
    // For timestamps; its `clippy.toml` forbids to ask for the time.
    ("headscale-keys", &["jiff"]),
    // For the timestamps of k8s-openapi; its `clippy.toml` forbids to ask for the time.
    ("headscale-api", &["jiff"]),
];

/// What brings I/O, a clock, threads or randomness with it.
const IMPURE: &[&str] =
    &["chrono", "getrandom", "jiff", "kube", "rand", "time", "tokio", "wasmtime"];

/// A package as the rule sees it.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Its name, which is no key: two versions of a package share it.
    pub name: String,
    /// Whether it belongs to this workspace.
    pub ours: bool,
    /// Whether it has a binary target.
    pub binary: bool,
    /// Keys of the packages it depends on to run.
    pub normal: BTreeSet<String>,
    /// Keys of the packages its build script depends on.
    pub build: BTreeSet<String>,
}

/// All packages of a resolved workspace, by a key that is unique to name, version and source.
#[derive(Clone, Debug, Default)]
pub struct Graph(pub BTreeMap<String, Package>);

/// Why a workspace does not hold the rule.
#[derive(Debug, Error)]
pub enum LayersError {
    /// Cargo could not describe the workspace.
    #[error("cargo metadata: {0}")]
    Metadata(#[from] cargo_metadata::Error),
    /// Edges that the rule forbids, in the order of the graph.
    #[error("the dependency rule is broken (xtask/src/layers.rs holds it):\n{}", lines(.0))]
    Broken(Vec<Violation>),
}

fn lines(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("  {violation}")).collect::<Vec<_>>().join("\n")
}

/// One break of the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A crate of ours depends on another one that it must not know.
    Edge {
        /// The crate that depends.
        from: String,
        /// The crate that it depends on.
        to: String,
    },
    /// Something other than xtask and the player depends on a crate with a binary.
    OnBinary {
        /// The crate that depends.
        from: String,
        /// The binary crate.
        to: String,
    },
    /// A pure crate reaches an impure one.
    Impure {
        /// From the pure crate to the impure one, each depending on the next.
        path: Vec<String>,
    },
    /// A crate of the workspace has no row in the table.
    Unlisted(String),
    /// The table names a crate that the workspace does not have.
    Unknown(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge { from, to } => {
                let allowed = match allowed(from) {
                    None | Some([]) => "on no crate of ours".to_owned(),
                    Some(names) => format!("only on {}", names.join(", ")),
                };
                write!(f, "{from} -> {to}: {from} may depend {allowed}")
            }
            Self::OnBinary { from, to } => {
                write!(
                    f,
                    "{from} -> {to}: only {XTASK} and {PLAYER} may depend on a crate with a binary"
                )
            }
            Self::Impure { path } => write!(
                f,
                "{}: a pure crate has no I/O, clock, threads or randomness below it",
                path.join(" -> ")
            ),
            Self::Unlisted(name) => write!(f, "{name} has no row in the table: add one"),
            Self::Unknown(name) => {
                write!(f, "the table names {name}, which is not in the workspace: remove it")
            }
        }
    }
}

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    ALLOWED.iter().find(|(of, _)| *of == name).map(|(_, names)| *names)
}

impl Graph {
    /// Reads the workspace at `root` with `cargo metadata --locked`.
    ///
    /// Cargo resolves features for the whole workspace at once and for every platform, so this
    /// sees at least what any build of one crate contains.
    ///
    /// # Errors
    /// When cargo cannot describe the workspace.
    pub fn read(root: &Path) -> Result<Self, LayersError> {
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .other_options(["--locked".to_owned()])
            .exec()?;
        Ok(Self::of(&metadata))
    }

    fn of(metadata: &Metadata) -> Self {
        let mut packages: BTreeMap<String, Package> = metadata
            .packages
            .iter()
            .map(|package| {
                let rule_view = Package {
                    name: package.name.to_string(),
                    ours: metadata.workspace_members.contains(&package.id),
                    binary: package.targets.iter().any(cargo_metadata::Target::is_bin),
                    ..Package::default()
                };
                (package.id.repr.clone(), rule_view)
            })
            .collect();
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let Some(package) = packages.get_mut(&node.id.repr) else {
                continue;
            };
            for dep in &node.deps {
                for kind in &dep.dep_kinds {
                    match kind.kind {
                        DependencyKind::Normal => package.normal.insert(dep.pkg.repr.clone()),
                        DependencyKind::Build => package.build.insert(dep.pkg.repr.clone()),
                        _ => false,
                    };
                }
            }
        }
        Self(packages)
    }

    fn ours(&self) -> impl Iterator<Item = (&String, &Package)> {
        self.0.iter().filter(|(_, package)| package.ours)
    }

    /// The shortest way from `start` along normal dependencies to each impure package that is not
    /// allowed to it, as names.
    fn ways_to_impure(&self, start: &String, allowed: &[&str]) -> Vec<Vec<String>> {
        let mut came_from: BTreeMap<&String, &String> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        let mut ways = Vec::new();
        while let Some(key) = queue.pop_front() {
            let Some(package) = self.0.get(key) else {
                continue;
            };
            let name = package.name.as_str();
            if key != start && IMPURE.contains(&name) && !allowed.contains(&name) {
                ways.push(self.way(key, &came_from));
                continue;
            }
            for next in &package.normal {
                if next != start && !came_from.contains_key(next) {
                    came_from.insert(next, key);
                    queue.push_back(next);
                }
            }
        }
        ways
    }

    fn way(&self, end: &String, came_from: &BTreeMap<&String, &String>) -> Vec<String> {
        let mut names: Vec<String> =
            std::iter::successors(Some(end), |key| came_from.get(key).copied())
                .filter_map(|key| self.0.get(key))
                .map(|package| package.name.clone())
                .collect();
        names.reverse();
        names
    }
}

/// Holds `graph` against the rule; gives how many dependencies between crates of ours it saw.
///
/// # Errors
/// [`LayersError::Broken`] with every edge that the rule forbids.
pub fn check(graph: &Graph) -> Result<usize, LayersError> {
    let mut violations = Vec::new();
    let mut edges = 0;
    for (key, package) in graph.ours() {
        let from = &package.name;
        let Some(allowed) = allowed(from) else {
            violations.push(Violation::Unlisted(from.clone()));
            continue;
        };
        for to in package.normal.union(&package.build).filter_map(|key| graph.0.get(key)) {
            if !to.ours {
                continue;
            }
            edges += 1;
            let (from, name) = (from.clone(), to.name.clone());
            if !allowed.contains(&to.name.as_str()) {
                violations.push(Violation::Edge { from, to: name });
            } else if to.binary && from != XTASK && from != PLAYER {
                violations.push(Violation::OnBinary { from, to: name });
            }
        }
        if let Some((_, allowed)) = PURE.iter().find(|(pure, _)| pure == from) {
            let ways = graph.ways_to_impure(key, allowed);
            violations.extend(ways.into_iter().map(|path| Violation::Impure { path }));
        }
    }
    for (name, _) in ALLOWED {
        if !graph.ours().any(|(_, package)| package.name == *name) {
            violations.push(Violation::Unknown((*name).to_owned()));
        }
    }
    if violations.is_empty() { Ok(edges) } else { Err(LayersError::Broken(violations)) }
}
