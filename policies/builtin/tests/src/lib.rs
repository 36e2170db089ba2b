//! What the tests of the built-in plugins share: the examples of the repository, read as the host
//! reads them, and the engine as [`Reachability`].

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use headscale_acl::engine::{self, Network, Problem as Kind, QueryError, Question, Side};
use headscale_acl::{Tailnet, Version};
use headscale_policy_sdk::{
    Access, Cause, Explanation, Extent, Finding, Node, Policy, Problem, Query, Reachability,
    Request, Resolved, Validator,
};
use serde_json::Value;

/// A file under `examples/keystone`, as text.
///
/// # Errors
/// When it cannot be read.
pub fn example(name: &str) -> Result<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/keystone").join(name);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A YAML or JSON file under `examples/keystone`.
///
/// # Errors
/// When it cannot be read.
pub fn yaml(name: &str) -> Result<Value, String> {
    serde_saphyr::from_str(&example(name)?).map_err(|error| format!("{name}: {error}"))
}

/// What a validator finds in a HuJSON policy, with the answers of the engine.
///
/// # Errors
/// When the policy, the tailnet or the settings are not valid, and those of the plugin.
pub fn judge<V: Validator>(
    policy: &str,
    settings: &Value,
    tailnet: &Value,
) -> Result<Vec<Finding>, String> {
    let tailnet = Tailnet::from_value(tailnet).map_err(|error| error.to_string())?;
    let document = headscale_acl::hujson::Document::parse(policy.as_bytes());
    let json = headscale_acl::hujson::standardize(&document);
    let request = Request::read(&json, None, None, &settings.to_string())?;
    let problems = V::check_settings(&request.settings);
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    engine::ask(policy.as_bytes(), Some(&tailnet), Version::V0_29, |network| {
        V::validate(&request, &Engine { network, tailnet: &tailnet, policy: &request.policy })
    })
    .map_err(|checked| format!("{:?}", checked.findings))?
}

/// The engine's answers about a policy on a tailnet.
struct Engine<'e, 'p, 'd> {
    network: &'e Network<'p, 'd>,
    tailnet: &'e Tailnet,
    policy: &'e Policy,
}

impl Engine<'_, '_, '_> {
    fn ask(
        &self,
        source: &str,
        destination: &str,
        port: Option<u16>,
        question: Question<'_>,
    ) -> Result<Explanation, Problem> {
        let to =
            port.map_or_else(|| destination.to_owned(), |port| format!("{destination}:{port}"));
        let all = self.network.explain(&Question { from: source, to: &to, ..question });
        let all = all.map_err(problem)?;
        let extent = match (all.allowed, all.partly) {
            (true, _) => Extent::All,
            (false, true) => Extent::Some,
            (false, false) => Extent::None,
        };
        let causes = all.rules.into_iter().map(|cause| Cause {
            rule: format!("/{}/{}", cause.section.as_str(), cause.index),
            source_chain: cause.via,
            destination_chain: cause.via_to,
        });
        Ok(Explanation {
            extent,
            causes: causes.collect(),
            allowed: all.allowed.then(|| all.pair.clone()),
            denied: (!all.allowed).then_some(all.pair),
        })
    }

    fn access(&self, side: Side<'_>) -> Result<Vec<Access>, Problem> {
        let rows = self.network.access(side).map_err(problem)?.rows;
        let access = rows.into_iter().map(|row| Access {
            source: row.src,
            destination: row.dst,
            protocol: row.proto,
            ports: row.ports,
        });
        Ok(access.collect())
    }

    /// The names that a node is meant by.
    fn names(&self, node: &headscale_acl::tailnet::Node) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = node.tags.iter().cloned().collect();
        names.extend(["*".to_owned(), node.name.clone()]);
        names.extend(node.addresses.iter().map(ToString::to_string));
        let users = self.tailnet.users.iter();
        for user in users.filter(|user| node.tags.is_empty() && node.user == Some(user.id)) {
            names.extend([
                user.email.clone(),
                format!("{}@", user.name),
                "autogroup:member".into(),
            ]);
        }
        let groups = self.policy.groups.iter();
        let of = groups.filter(|group| group.members.iter().any(|member| names.contains(member)));
        let of: Vec<String> = of.map(|group| group.name.clone()).collect();
        names.extend(of);
        names
    }
}

impl Reachability for Engine<'_, '_, '_> {
    fn is_symbolic(&self) -> bool {
        false
    }

    fn can_reach(&self, query: &Query) -> Result<Extent, Problem> {
        self.explain(query).map(|explanation| explanation.extent)
    }

    fn explain(&self, query: &Query) -> Result<Explanation, Problem> {
        let question = Question { protocol: query.protocol.as_deref(), ..Question::default() };
        self.ask(&query.source, &query.destination, query.port, question)
    }

    fn can_log_in(&self, source: &str, destination: &str, user: &str) -> Result<Extent, Problem> {
        let question = Question { ssh_user: Some(user), ..Question::default() };
        self.ask(source, destination, None, question).map(|explanation| explanation.extent)
    }

    fn who_can_reach(&self, destination: &str, port: Option<u16>) -> Result<Vec<Access>, Problem> {
        let to =
            port.map_or_else(|| destination.to_owned(), |port| format!("{destination}:{port}"));
        self.access(Side::To(&to))
    }

    fn reachable_from(&self, source: &str) -> Result<Vec<Access>, Problem> {
        self.access(Side::From(source))
    }

    fn resolve(&self, name: &str) -> Result<Resolved, Problem> {
        let nodes = self.tailnet.nodes.iter().filter(|node| self.names(node).contains(name));
        let nodes: Vec<Node> = nodes
            .map(|node| Node {
                name: node.name.clone(),
                user: None,
                tags: node.tags.clone(),
                addresses: node.addresses.iter().map(ToString::to_string).collect(),
            })
            .collect();
        let hosts = self.policy.hosts.iter().filter(|host| host.name == name);
        let mut others: Vec<String> = hosts.map(|host| host.address.clone()).collect();
        if name.contains('/') {
            others.push(name.to_owned());
        }
        if nodes.is_empty() && others.is_empty() {
            return Err(Problem::Unknown(name.to_owned()));
        }
        Ok(Resolved { nodes, others })
    }
}

fn problem(error: QueryError) -> Problem {
    match error.problem {
        Kind::Unknown => Problem::Unknown(error.message),
        Kind::Empty => Problem::Empty(error.message),
        Kind::Invalid => Problem::Invalid(error.message),
    }
}
