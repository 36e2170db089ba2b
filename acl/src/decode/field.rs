//! Members of the objects that a policy is made of.

use crate::context::Context;
use crate::finding::Finding;
use crate::hujson::{Edit, Kind, Node, quote};
use crate::policy::go_quote;
use crate::rules::{DUPLICATE_MEMBER, UNKNOWN_FIELD};
use crate::semantics::Wording;
use crate::suggest::nearest;

/// The members that an object may have.
pub(super) struct Shape<const N: usize> {
    /// What the object is, for messages.
    pub(super) what: &'static str,
    /// Names of its members, those of 0.28 first.
    pub(super) fields: [&'static str; N],
    /// How many of them 0.28 knows.
    pub(super) fields_0_28: usize,
}

impl Context<'_> {
    /// The members of the object `node`, in the order of `shape`. `null` has none of them; anything
    /// else that is no object is reported, and `None`.
    ///
    /// Names match in any case and without `_` and `-`, as go-json-experiment matches them.
    pub(super) fn fields<'d, const N: usize>(
        &mut self,
        node: Node<'d>,
        shape: &Shape<N>,
    ) -> Option<[Option<Node<'d>>; N]> {
        self.fields_unless(node, shape, |_| false)
    }

    /// The same, but passes over members whose name `ignored` tells to ignore.
    pub(super) fn fields_unless<'d, const N: usize>(
        &mut self,
        node: Node<'d>,
        shape: &Shape<N>,
        ignored: impl Fn(&str) -> bool,
    ) -> Option<[Option<Node<'d>>; N]> {
        let mut found = [None; N];
        match node.kind() {
            Kind::Object => {}
            Kind::Null => return Some(found),
            _ => {
                self.wrong_type(node, "an object");
                return None;
            }
        }
        let known = match self.semantics.wording {
            Wording::V0_28 => shape.fields_0_28,
            Wording::V0_29 => N,
        };
        let mut names = [""; N];
        for member in node.members() {
            let Some(name) = member.name.as_str() else {
                continue;
            };
            if ignored(&name) {
                continue;
            }
            let same = |field: &str| *field == *name;
            let index = shape
                .fields
                .iter()
                .position(|field| same(field))
                .or_else(|| shape.fields.iter().position(|field| folded_eq(field, &name)));
            let slot = index
                .filter(|index| *index < known)
                .and_then(|index| Some((found.get_mut(index)?, names.get_mut(index)?)));
            let Some((slot, first)) = slot else {
                self.unknown_field(member.name, &name, shape, index.is_some());
                continue;
            };
            if slot.is_some() {
                // The very same name twice is found for every object alike, see `strictness`.
                if *first != &*name {
                    self.report(&DUPLICATE_MEMBER, member.name.span(), || {
                        format!("duplicate object member name {}", go_quote(&name))
                    });
                }
                continue;
            }
            *slot = Some(member.value);
            *first = shape.fields.iter().find(|f| ***f == *name).copied().unwrap_or_default();
        }
        Some(found)
    }

    fn unknown_field<const N: usize>(
        &mut self,
        node: Node<'_>,
        name: &str,
        shape: &Shape<N>,
        newer: bool,
    ) {
        let semantics = self.semantics;
        self.push(&UNKNOWN_FIELD, || {
            let finding = Finding::new(&UNKNOWN_FIELD, node.span(), semantics.unknown_field(name));
            if newer {
                return finding.help(format!("`{name}` needs Headscale 0.29"));
            }
            if let Some(help) = foreign(name) {
                return finding.help(help);
            }
            let old = |(from, _): &&(&str, &str)| *from == name;
            let renamed = RENAMED.iter().find(old).map(|(_, to)| *to);
            let renamed = renamed.filter(|to| shape.fields.contains(to));
            match renamed.or_else(|| nearest(name, shape.fields)) {
                Some(known) => finding.help(format!("did you mean `{known}`?")).fix(
                    format!("rename `{name}` to `{known}`"),
                    vec![Edit::replace(node.span(), quote(known))],
                ),
                None => {
                    let known = shape.fields.map(|field| format!("`{field}`")).join(", ");
                    finding.help(format!("{} can have {known}", shape.what))
                }
            }
        });
    }
}

/// Names of older or other policy languages, and what they are called here.
const RENAMED: &[(&str, &str)] = &[
    ("users", "src"),
    ("ports", "dst"),
    ("source", "src"),
    ("sources", "src"),
    ("destination", "dst"),
    ("destinations", "dst"),
    ("protocol", "proto"),
    ("allow", "accept"),
    ("targets", "target"),
    ("attrs", "attr"),
    ("tags", "tagOwners"),
    ("rules", "acls"),
    ("sshTest", "sshTests"),
    ("route", "routes"),
    ("exitNodes", "exitNode"),
];

/// Why a member that belongs elsewhere cannot stand in a policy.
fn foreign(name: &str) -> Option<String> {
    const SERVICE: &[&str] = &[
        "postures",
        "srcPosture",
        "defaultSrcPosture",
        "srcPostureAttrs",
        "ipsets",
        "services",
        "disableIPv4",
        "OneCGNATRoute",
        "derpMap",
        "extraDNSRecords",
        "attrConfig",
    ];
    const CONFIG: &[&str] = &[
        "dns",
        "dns_config",
        "derp",
        "server_url",
        "listen_addr",
        "prefixes",
        "ip_prefixes",
        "database",
        "oidc",
        "noise",
        "policy",
        "acl_policy_path",
        "log",
        "unix_socket",
        "metrics_listen_addr",
        "magic_dns",
        "base_domain",
        "nameservers",
        "extra_records",
    ];
    if SERVICE.iter().any(|field| folded_eq(field, name)) {
        let help =
            format!("`{name}` is a feature of Tailscale's service; Headscale has none of it");
        return Some(help);
    }
    if CONFIG.contains(&name) {
        return Some(format!("`{name}` belongs into Headscale's config.yaml, not into the policy"));
    }
    name.starts_with('#').then(|| {
        "members that start with `#` are notes in entries of `acls` only; elsewhere write a `//` \
         comment"
            .to_owned()
    })
}

/// Whether two names are one for go-json-experiment: upper and lower case, `_` and `-` do not
/// count.
fn folded_eq(a: &str, b: &str) -> bool {
    fn folded(name: &str) -> impl Iterator<Item = char> {
        name.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| match c {
            // The only characters outside ASCII that fold into it.
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
    }
    folded(a).eq(folded(b))
}

#[cfg(test)]
mod tests {
    use super::folded_eq;

    #[test]
    fn names_fold_as_the_go_decoder_folds_them() {
        assert!(folded_eq("tagOwners", "TAG_owners"));
        assert!(folded_eq("autoApprovers", "auto-approvers"));
        assert!(folded_eq("src", "\u{17f}rc"));
        assert!(!folded_eq("acls", "acl"));
    }
}
