//! The policy of a cluster, section by section.

use crate::access::{Cluster, Ports, Source};
use crate::hujson::{Member, Value, document};
use crate::self_tests;
use crate::values::Version;

const HEAD: &str = "Who reaches what in a Keystone cluster: people reach machines (SSH) and services by \
their role, machines reach each other by their class.";

const SOURCE: &str = "Written by `kubectl headscale policy render builtin:keystone`: change the values, not this file.";

/// The policy as HuJSON in its standard format.
pub(crate) fn render(cluster: &Cluster<'_>) -> String {
    let version = match (cluster.version, cluster.tests) {
        (Version::V0_28, _) | (_, false) => "For Headscale 0.28 and newer.",
        _ => {
            "For Headscale 0.29 and newer: the policy tests itself whenever it is saved, and 0.28 \
             refuses it for that."
        }
    };
    let mut members = vec![
        section(
            "People by role. Machines are not members of groups: they carry tags.",
            "groups",
            Value::Object(
                cluster
                    .roles
                    .iter()
                    .map(|role| Member::new(&role.alias(), Value::texts(role.users)))
                    .collect(),
            ),
        ),
        section(
            "Machines by class. Who owns a tag gives it, when the machine joins.",
            "tagOwners",
            Value::Object(cluster.classes.iter().map(|class| tag_owner(cluster, class)).collect()),
        ),
    ];
    members.extend(pods(cluster));
    members.push(section("", "acls", Value::Sections(acls(cluster))));
    let ssh = ssh(cluster);
    if !ssh.is_empty() {
        members.push(section(
            "Tailscale SSH, on the nodes that run with it; the rules above open port 22 for it.",
            "ssh",
            Value::Sections(ssh),
        ));
    }
    if cluster.tests {
        members.extend(self_tests::sections(cluster));
    }
    if let Some(first) = members.first_mut() {
        first.apart = false;
    }
    document(&format!("{HEAD} {version}\n{SOURCE}"), members)
}

/// A member of the policy, with a blank line before it.
pub(crate) fn section(comment: &str, name: &str, value: Value) -> Member {
    Member { comment: comment.to_owned(), apart: true, ..Member::new(name, value) }
}

/// An object on lines of its own.
pub(crate) fn object(members: Vec<(&str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| Member::new(name, value)).collect())
}

fn tag_owner(cluster: &Cluster<'_>, class: &crate::access::Class<'_>) -> Member {
    let owners = class.owners.iter().flat_map(|owner| Source::Role(*owner).aliases(cluster));
    Member::new(&class.alias(), Value::texts(owners))
}

fn pods(cluster: &Cluster<'_>) -> Vec<Member> {
    if cluster.pods.is_empty() {
        return Vec::new();
    }
    let hosts = cluster.pods.iter().map(|(host, cidr)| (host.clone(), Value::text(cidr)));
    let tags: Vec<String> = cluster.members().flat_map(|at| class(cluster, at)).collect();
    let routes = cluster.pods.iter().map(|(_, cidr)| ((*cidr).to_owned(), Value::texts(&tags)));
    let routes = Value::Inline(routes.collect());
    vec![
        section(
            "The pods' network: each cluster node announces its part of it, and nobody has to approve.",
            "hosts",
            Value::Inline(hosts.collect()),
        ),
        Member::new("autoApprovers", Value::Inline(vec![("routes".to_owned(), routes)])),
    ]
}

fn class(cluster: &Cluster<'_>, at: usize) -> Vec<String> {
    Source::Class(at).aliases(cluster)
}

fn acls(cluster: &Cluster<'_>) -> Vec<(String, Value)> {
    let rule = |from: &[Source], proto: Option<&str>, to: Vec<String>| {
        let mut members = vec![("action", Value::text("accept"))];
        members.extend(proto.map(|proto| ("proto", Value::text(proto))));
        members.push(("src", Value::texts(aliases(cluster, from))));
        members.push(("dst", Value::texts(to)));
        object(members)
    };
    let mut rules: Vec<(String, Value)> = cluster
        .rules
        .iter()
        .map(|access| {
            let to = access.to.iter().flat_map(|(at, ports)| {
                let ports = ports.iter().map(Ports::to_string).collect::<Vec<_>>().join(",");
                class(cluster, *at).into_iter().map(move |tag| format!("{tag}:{ports}"))
            });
            (access.purpose.clone(), rule(&access.from, Some(access.proto), to.collect()))
        })
        .collect();
    let mut members: Vec<Source> = cluster.members().map(Source::Class).collect();
    if !members.is_empty() {
        let among = match cluster.pods.is_empty() {
            true => "The cluster's nodes among themselves.",
            false => {
                members.push(Source::Pods);
                "The cluster's nodes and pods among themselves."
            }
        };
        let to = aliases(cluster, &members).into_iter().map(|alias| format!("{alias}:*"));
        rules.push((among.to_owned(), rule(&members, None, to.collect())));
    }
    rules
}

fn ssh(cluster: &Cluster<'_>) -> Vec<(String, Value)> {
    let logins = cluster.logins.iter();
    logins
        .map(|login| {
            let action = if login.check_period.is_some() { "check" } else { "accept" };
            let tags = login.to.iter().flat_map(|at| class(cluster, *at));
            let mut members = vec![
                ("action", Value::text(action)),
                ("src", Value::texts(aliases(cluster, &login.from))),
                ("dst", Value::texts(tags)),
                ("users", Value::texts(login.users)),
            ];
            members.extend(login.check_period.map(|period| ("checkPeriod", Value::text(period))));
            (login.purpose.clone(), object(members))
        })
        .collect()
}

fn aliases(cluster: &Cluster<'_>, sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(|source| source.aliases(cluster)).collect()
}
