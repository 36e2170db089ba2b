//! The tests that the policy carries: for each role and class, what of all that is known it must
//! reach and what it must not.
//!
//! Headscale lets a `deny` pass unless all of a group are let in. What one member of a role has
//! from another role is therefore in neither list: a test must mean what it says.

use crate::access::{Cluster, Login, Ports, Source};
use crate::hujson::{Member, Value};
use crate::policy::{object, section};

/// A port of a class by one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target<'v> {
    proto: &'v str,
    class: usize,
    port: u16,
}

/// `tests` and `sshTests`, those that have any.
pub(crate) fn sections(cluster: &Cluster<'_>) -> Vec<Member> {
    let comment = "What must stay true, whoever changes the rules above. Headscale refuses a policy \
                   that fails one of these against the users and nodes it knows.";
    let tests = tests(cluster);
    let ssh_tests = ssh_tests(cluster);
    let mut sections = Vec::new();
    if !tests.is_empty() {
        sections.push(section(comment, "tests", Value::Sections(tests)));
    }
    if !ssh_tests.is_empty() {
        sections.push(Member::new("sshTests", Value::Sections(ssh_tests)));
    }
    sections
}

fn tests(cluster: &Cluster<'_>) -> Vec<(String, Value)> {
    let targets = targets(cluster);
    let mut tests = Vec::new();
    for source in sources(cluster) {
        for proto in ["tcp", "udp", "sctp"] {
            let (mut accept, mut deny) = (Vec::new(), Vec::new());
            for target in targets.iter().filter(|target| target.proto == proto) {
                // Nodes of a class with one node have nobody of their own class to reach.
                if source == Source::Class(target.class) {
                    continue;
                }
                let name = Source::Class(target.class).aliases(cluster).into_iter();
                let name = name.map(|tag| format!("{tag}:{}", target.port));
                if reaches(cluster, source, *target) {
                    accept.extend(name);
                } else if !sharing(cluster, source).any(|other| reaches(cluster, other, *target)) {
                    deny.extend(name);
                }
            }
            if let Some(src) =
                source.aliases(cluster).first().filter(|_| !accept.is_empty() || !deny.is_empty())
            {
                let mut members = vec![("src", Value::text(src)), ("proto", Value::text(proto))];
                let lists = [("accept", accept), ("deny", deny)];
                let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
                members.extend(lists.map(|(name, list)| (name, Value::texts(list))));
                tests.push((String::new(), object(members)));
            }
        }
    }
    tests
}

fn ssh_tests(cluster: &Cluster<'_>) -> Vec<(String, Value)> {
    let mut users: Vec<&str> = Vec::new();
    for user in cluster.logins.iter().flat_map(|login| login.users) {
        if !users.contains(&user.as_str()) {
            users.push(user);
        }
    }
    let mut tests = Vec::new();
    for source in sources(cluster).filter(|_| !users.is_empty()) {
        // Classes with the same answer stand in one test.
        let mut answers: Vec<(Answer<'_>, Vec<String>)> = Vec::new();
        for class in 0..cluster.classes.len() {
            let tags = Source::Class(class).aliases(cluster);
            if source == Source::Class(class) {
                continue;
            }
            let answer = Answer::of(cluster, source, class, &users);
            match answers.iter_mut().find(|(known, _)| *known == answer) {
                Some((_, known)) => known.extend(tags),
                None => answers.push((answer, tags)),
            }
        }
        let Some(src) = source.aliases(cluster).into_iter().next() else { continue };
        for (Answer { accept, check, deny }, tags) in answers {
            let mut members = vec![("src", Value::text(&src)), ("dst", Value::texts(tags))];
            let lists = [("accept", accept), ("check", check), ("deny", deny)];
            let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
            members.extend(lists.map(|(name, list)| (name, Value::texts(list))));
            if members.len() > 2 {
                tests.push((String::new(), object(members)));
            }
        }
    }
    tests
}

/// As whom one logs in to a class.
#[derive(Default, PartialEq, Eq)]
struct Answer<'v> {
    accept: Vec<&'v str>,
    check: Vec<&'v str>,
    deny: Vec<&'v str>,
}

impl<'v> Answer<'v> {
    fn of(cluster: &Cluster<'v>, source: Source, class: usize, users: &[&'v str]) -> Self {
        let mut answer = Self::default();
        for user in users {
            let lets = |source: Source| {
                let logins = cluster.logins.iter();
                logins.filter(move |login| {
                    login.from.contains(&source)
                        && login.to.contains(&class)
                        && login.users.iter().any(|known| known == user)
                })
            };
            let mut own = lets(source).map(|login: &Login<'_>| login.check_period.is_some());
            match (own.next(), own.next()) {
                (Some(false), None) => answer.accept.push(user),
                (Some(true), None) => answer.check.push(user),
                // Two rules about one login: which comes first decides, and no test says so.
                (Some(_), Some(_)) => {}
                (None, _) => {
                    if sharing(cluster, source).all(|other| lets(other).next().is_none()) {
                        answer.deny.push(user);
                    }
                }
            }
        }
        answer
    }
}

/// Everyone whom tests are about: pods have no node of their own to log in from.
fn sources(cluster: &Cluster<'_>) -> impl Iterator<Item = Source> {
    (0..cluster.roles.len()).map(Source::Role).chain((0..cluster.classes.len()).map(Source::Class))
}

/// The roles that somebody of `source` has.
fn sharing<'c>(cluster: &'c Cluster<'_>, source: Source) -> impl Iterator<Item = Source> + 'c {
    let users = match source {
        Source::Role(at) => cluster.roles.get(at).map(|role| role.users).unwrap_or_default(),
        _ => &[],
    };
    let roles = cluster.roles.iter().enumerate();
    roles
        .filter(move |(_, role)| role.users.iter().any(|user| users.contains(user)))
        .map(|(at, _)| Source::Role(at))
}

/// One port of each range that the values name, by protocol and class.
fn targets<'v>(cluster: &Cluster<'v>) -> Vec<Target<'v>> {
    let mut targets: Vec<Target<'v>> = Vec::new();
    for rule in &cluster.rules {
        for (class, ports) in &rule.to {
            // What is open on all ports has no port to stand for it.
            let ports = ports.iter().filter(|ports| ports.last < u16::MAX);
            targets.extend(ports.map(|Ports { first, .. }| Target {
                proto: rule.proto,
                class: *class,
                port: *first,
            }));
        }
    }
    targets.sort_unstable();
    targets.dedup();
    targets
}

fn reaches(cluster: &Cluster<'_>, source: Source, target: Target<'_>) -> bool {
    let is_member = |at: usize| cluster.classes.get(at).is_some_and(|class| class.cluster);
    let among = matches!(source, Source::Class(at) if is_member(at)) && is_member(target.class);
    among
        || cluster.rules.iter().any(|rule| {
            rule.proto == target.proto
                && rule.from.contains(&source)
                && rule.to.iter().any(|(class, ports)| {
                    *class == target.class
                        && ports.iter().any(|p| (p.first..=p.last).contains(&target.port))
                })
        })
}
