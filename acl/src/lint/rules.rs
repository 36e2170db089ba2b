//! Rules that do nothing, say the same, or allow more than anyone means.

use foldhash::HashMap;

use crate::context::Context;
use crate::finding::Finding;
use crate::hujson::Edit;
use crate::policy::{Acl, Alias, Grant, Policy, PortRange, Protocol, Spanned, Ssh};
use crate::rules::{
    ACTION_MISSING, ADMIN_PORT_OPEN, DUPLICATE_RULE, EMPTY_RULE, GRANT_PORTLESS, TESTS_MISSING,
    WILDCARD_RULE,
};
use crate::span::Span;

/// Ports behind which machines and clusters are administered.
const ADMIN_PORTS: &[(u16, &str)] = &[
    (22, "SSH"),
    (23, "Telnet"),
    (2375, "Docker"),
    (2376, "Docker"),
    (2379, "etcd"),
    (2380, "etcd"),
    (3389, "RDP"),
    (5900, "VNC"),
    (5985, "WinRM"),
    (5986, "WinRM"),
    (6443, "the Kubernetes API"),
    (10250, "the kubelet"),
];

impl Context<'_> {
    /// `can_have_tests` tells whether all versions asked for know `tests`.
    pub(super) fn lint_rules(&mut self, policy: &Policy<'_>, can_have_tests: bool) {
        let acls = policy.acls.as_deref().unwrap_or_default();
        let grants = policy.grants.as_deref().unwrap_or_default();
        for acl in acls {
            self.lint_acl(acl);
        }
        for grant in grants {
            self.lint_grant(grant);
        }
        for rule in &policy.ssh {
            self.lint_empty("SSH rule", rule.span, &rule.sources, rule.destinations.is_empty());
        }
        let spans = acls.iter().map(|acl| acl.span);
        self.lint_duplicates("acls", spans.zip(acl_duplicates(acls)));
        let spans = grants.iter().map(|grant| grant.span);
        self.lint_duplicates("grants", spans.zip(grant_duplicates(grants)));
        let spans = policy.ssh.iter().map(|rule| rule.span);
        self.lint_duplicates("ssh", spans.zip(ssh_duplicates(&policy.ssh)));
        let has_rules = !acls.is_empty() || !grants.is_empty() || !policy.ssh.is_empty();
        let has_tests = !policy.tests.is_empty() || !policy.ssh_tests.is_empty();
        if can_have_tests && has_rules && !has_tests {
            self.push(&TESTS_MISSING, || {
                let message = "the policy has no `tests`".to_owned();
                Finding::new(&TESTS_MISSING, None, message).help(
                    "say what must and what must not be reachable: \"tests\": [{\"src\": \
                     \"alice@\", \"accept\": [\"tag:web:443\"], \"deny\": [\"tag:db:5432\"]}]",
                )
            });
        }
    }

    fn lint_acl(&mut self, acl: &Acl<'_>) {
        self.lint_empty("rule", acl.span, &acl.sources, acl.destinations.is_empty());
        if !acl.has_action {
            self.push(&ACTION_MISSING, || {
                let inside = acl.span.start + 1;
                let insert = Edit::insert(inside, "\"action\": \"accept\", ");
                let finding = Finding::new(
                    &ACTION_MISSING,
                    acl.span,
                    "the rule has no action and counts as `accept`".to_owned(),
                )
                .help("add \"action\": \"accept\"");
                let null_or_empty = acl.sources.is_empty() && acl.destinations.is_empty();
                if null_or_empty { finding } else { finding.fix("add the action", vec![insert]) }
            });
        }
        if !from_anyone(&acl.sources) {
            return;
        }
        let everything = acl.destinations.iter().find(|destination| {
            destination.alias == Alias::Wildcard && destination.ports.contains(&PortRange::ANY)
        });
        if let Some(destination) = everything.filter(|_| acl.protocol.is_none()) {
            self.wildcard_rule(destination.span);
            return;
        }
        if !matches!(acl.protocol(), Protocol::Default | Protocol::Named("tcp", _)) {
            return;
        }
        for destination in &acl.destinations {
            self.admin_ports(&destination.alias, &destination.ports, destination.span);
        }
    }

    fn lint_grant(&mut self, grant: &Grant<'_>) {
        self.lint_empty("grant", grant.span, &grant.sources, grant.destinations.is_empty());
        for ip in &grant.ip {
            let portless = !ip.value.protocol.has_ports()
                && !matches!(ip.value.protocol.number(), Some(6 | 17 | 132));
            if portless && ip.value.ports.iter().any(|ports| *ports != PortRange::ANY) {
                self.push(&GRANT_PORTLESS, || {
                    let protocol = ip.value.protocol.as_str();
                    let message = format!("`{protocol}` has no ports");
                    Finding::new(&GRANT_PORTLESS, ip.span, message)
                        .help(format!("write \"{protocol}:*\""))
                });
            }
        }
        if !from_anyone(&grant.sources) || !grant.via.is_empty() {
            return;
        }
        let any_port = grant.ip.iter().any(|ip| {
            ip.value.protocol == Protocol::Default && ip.value.ports.contains(&PortRange::ANY)
        });
        let everything = grant.destinations.iter().find(|dst| dst.value == Alias::Wildcard);
        if let Some(destination) = everything.filter(|_| any_port) {
            self.wildcard_rule(destination.span);
            return;
        }
        let tcp = grant.ip.iter().filter(|ip| matches!(ip.value.protocol.number(), None | Some(6)));
        let ports: Vec<PortRange> = tcp.flat_map(|ip| ip.value.ports.iter().copied()).collect();
        for destination in &grant.destinations {
            self.admin_ports(&destination.value, &ports, destination.span);
        }
    }

    fn lint_empty(
        &mut self,
        what: &str,
        span: Span,
        sources: &[Spanned<Alias<'_>>],
        no_destinations: bool,
    ) {
        let missing = match (sources.is_empty(), no_destinations) {
            (true, _) => "src",
            (_, true) => "dst",
            _ => return,
        };
        self.push(&EMPTY_RULE, || {
            let message = format!("the {what} has no `{missing}` and does nothing");
            Finding::new(&EMPTY_RULE, span, message).help("complete it, or remove it")
        });
    }

    fn wildcard_rule(&mut self, span: Span) {
        self.push(&WILDCARD_RULE, || {
            let message = "everyone reaches everything".to_owned();
            Finding::new(&WILDCARD_RULE, span, message)
                .help("name who may reach what; every other rule is without effect beside this one")
        });
    }

    fn admin_ports(&mut self, alias: &Alias<'_>, ports: &[PortRange], span: Span) {
        if alias.is_autogroup("autogroup:self") || alias.is_autogroup("autogroup:internet") {
            return;
        }
        let open = |port: u16| ports.iter().any(|range| range.contains(port));
        let Some((port, service)) = ADMIN_PORTS.iter().find(|(port, _)| open(*port)) else {
            return;
        };
        self.push(&ADMIN_PORT_OPEN, || {
            let alias = alias.written();
            let message = format!("everyone reaches port {port} ({service}) of `{alias}`");
            Finding::new(&ADMIN_PORT_OPEN, span, message)
                .help("name the group that administers it as the source, or list the ports meant")
        });
    }

    /// Reports every rule that says the same as one before it, of which it has the index.
    fn lint_duplicates(
        &mut self,
        section: &str,
        rules: impl Iterator<Item = (Span, Option<usize>)>,
    ) {
        for (index, (span, before)) in rules.enumerate() {
            let Some(before) = before else { continue };
            self.push(&DUPLICATE_RULE, || {
                let message =
                    format!("`{section}[{index}]` says the same as `{section}[{before}]`");
                Finding::new(&DUPLICATE_RULE, span, message).help("remove one of the two")
            });
        }
    }
}

/// For each entry the index of the first one that says the same, if one before it does.
pub(super) fn acl_duplicates(acls: &[Acl<'_>]) -> Vec<Option<usize>> {
    duplicates(acls.iter().map(acl_key))
}

/// For each entry the index of the first one that says the same, if one before it does.
pub(super) fn grant_duplicates(grants: &[Grant<'_>]) -> Vec<Option<usize>> {
    duplicates(grants.iter().map(grant_key))
}

/// For each entry the index of the first one that says the same, if one before it does.
pub(super) fn ssh_duplicates(rules: &[Ssh<'_>]) -> Vec<Option<usize>> {
    duplicates(rules.iter().map(ssh_key))
}

fn duplicates(keys: impl Iterator<Item = String>) -> Vec<Option<usize>> {
    let mut first: HashMap<String, usize> = HashMap::default();
    let before = keys.enumerate().map(|(index, key)| {
        let before = *first.entry(key).or_insert(index);
        (before != index).then_some(before)
    });
    before.collect()
}

/// Whether the sources include everyone in the tailnet, or beyond it.
fn from_anyone(sources: &[Spanned<Alias<'_>>]) -> bool {
    sources.iter().any(|source| {
        source.value == Alias::Wildcard || source.value.is_autogroup("autogroup:danger-all")
    })
}

/// Names in an order that does not depend on how they are written.
fn sorted(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.join("\n")
}

fn aliases(aliases: &[Spanned<Alias<'_>>]) -> String {
    sorted(aliases.iter().map(|alias| alias.value.to_string()))
}

fn acl_key(acl: &Acl<'_>) -> String {
    let destinations = acl
        .destinations
        .iter()
        .flat_map(|dst| dst.ports.iter().map(|ports| format!("{}:{ports}", dst.alias)));
    let protocol = acl.protocol().as_str();
    format!("{protocol}\0{}\0{}", aliases(&acl.sources), sorted(destinations))
}

fn grant_key(grant: &Grant<'_>) -> String {
    let ip = grant.ip.iter().flat_map(|ip| {
        ip.value.ports.iter().map(|ports| format!("{}:{ports}", ip.value.protocol.as_str()))
    });
    let via = sorted(grant.via.iter().map(|tag| tag.value.to_string()));
    // Parameters of capabilities are not read, so two grants with any are never the same.
    let app = match grant.app.as_slice() {
        [] => String::new(),
        _ => grant.span.start.to_string(),
    };
    let (sources, destinations) = (aliases(&grant.sources), aliases(&grant.destinations));
    format!("{sources}\0{destinations}\0{}\0{via}\0{app}", sorted(ip))
}

fn ssh_key(rule: &Ssh<'_>) -> String {
    let texts = |texts: &[Spanned<std::borrow::Cow<'_, str>>]| {
        sorted(texts.iter().map(|text| text.value.to_string()))
    };
    format!(
        "{:?}\0{}\0{}\0{}\0{:?}\0{}",
        rule.action,
        aliases(&rule.sources),
        aliases(&rule.destinations),
        texts(rule.users.as_deref().unwrap_or_default()),
        rule.check_period.as_ref().map(|period| period.value),
        texts(&rule.accept_env),
    )
}
