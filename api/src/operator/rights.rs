//! What the operator may do, and why.

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::LEASE;
use crate::kinds::GROUP;

/// Something that the operator must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// The API group; empty for the first one of Kubernetes.
    pub group: &'static str,
    /// The resources, and subresources such as `headscales/status`.
    pub resources: &'static [&'static str],
    /// The names of the objects, where it is for these alone; empty for all.
    pub names: &'static [&'static str],
    /// The verbs, sorted.
    pub verbs: &'static [&'static str],
    /// Why, as lines of less than ninety characters.
    pub why: &'static [&'static str],
}

const EVERYTHING: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

/// What it needs in each namespace that it looks after.
///
/// Nobody may give a right away that they do not have: whatever the Role of a sidecar says must stand
/// here too.
pub const RIGHTS: &[Right] = &[
    Right {
        group: GROUP,
        resources: &[
            "headscales",
            "headscaleusers",
            "headscalepreauthkeys",
            "headscalepolicies",
            "headscaleautoapprovers",
        ],
        names: &[],
        verbs: &["get", "list", "patch", "watch"],
        why: &["What is declared. Finalizers and annotations are patched; nothing is deleted."],
    },
    Right {
        group: GROUP,
        resources: &[
            "headscales/status",
            "headscaleusers/status",
            "headscalepreauthkeys/status",
            "headscalepolicies/status",
            "headscaleautoapprovers/status",
        ],
        names: &[],
        verbs: &["patch"],
        why: &["How it stands."],
    },
    Right {
        group: GROUP,
        resources: &[
            "headscales/finalizers",
            "headscaleusers/finalizers",
            "headscalepreauthkeys/finalizers",
        ],
        names: &[],
        verbs: &["update"],
        why: &[
            "The admission plugin OwnerReferencesPermissionEnforcement asks for it of who makes an",
            "object that blocks the deletion of its owner.",
        ],
    },
    Right {
        group: "",
        resources: &["secrets"],
        names: &[],
        verbs: EVERYTHING,
        why: &[
            "API keys are read, keys of nodes are written, and those that are watched are the",
            "operator's by label. The sidecar may get, create and update them too. What they are",
            "called is up to the objects, so that no names can stand here.",
        ],
    },
    Right {
        group: "",
        resources: &["configmaps", "serviceaccounts", "services"],
        names: &[],
        verbs: EVERYTHING,
        why: &["What an instance is made of. Policies are read from ConfigMaps."],
    },
    Right {
        group: "apps",
        resources: &["statefulsets"],
        names: &[],
        verbs: EVERYTHING,
        why: &["The server of an instance."],
    },
    Right {
        group: "networking.k8s.io",
        resources: &["ingresses"],
        names: &[],
        verbs: EVERYTHING,
        why: &["How clients outside of the cluster reach it."],
    },
    Right {
        group: "rbac.authorization.k8s.io",
        resources: &["roles", "rolebindings"],
        names: &[],
        verbs: EVERYTHING,
        why: &["What a sidecar may do: never more than stands here."],
    },
    Right {
        group: "",
        resources: &["persistentvolumeclaims"],
        names: &[],
        verbs: &["get", "patch"],
        why: &["The data of an instance: it may grow, and is never deleted."],
    },
    Right {
        group: "",
        resources: &["pods"],
        names: &[],
        verbs: &["delete", "get"],
        why: &[
            "Why a server does not start. One of a former template that never gets ready is deleted.",
        ],
    },
    Right {
        group: "events.k8s.io",
        resources: &["events"],
        names: &[],
        verbs: &["create", "patch"],
        why: &["What the operator has to tell."],
    },
    Right {
        group: "",
        resources: &["events"],
        names: &[],
        verbs: &["create"],
        why: &["What the sidecar has to tell."],
    },
];

/// What it needs in its own namespace, where several take turns.
pub const LEASE_RIGHTS: &[Right] = &[
    Right {
        group: "coordination.k8s.io",
        resources: &["leases"],
        names: &[LEASE],
        verbs: &["get", "update"],
        why: &["Who of several operators is at work."],
    },
    Right {
        group: "coordination.k8s.io",
        resources: &["leases"],
        names: &[],
        verbs: &["create"],
        why: &["Kubernetes cannot restrict this by name."],
    },
];

impl Right {
    /// As a rule of a Role or ClusterRole.
    #[must_use]
    pub fn rule(&self) -> PolicyRule {
        PolicyRule {
            api_groups: Some(vec![self.group.to_owned()]),
            resources: Some(owned(self.resources)),
            resource_names: (!self.names.is_empty()).then(|| owned(self.names)),
            verbs: owned(self.verbs),
            ..PolicyRule::default()
        }
    }

    /// The same as an item of a YAML list, indented by so many spaces, with the reason before it.
    #[must_use]
    pub fn yaml(&self, indent: usize) -> String {
        let group = if self.group.is_empty() { "\"\"" } else { self.group };
        let mut lines: Vec<String> = self.why.iter().map(|line| format!("# {line}")).collect();
        lines.push(format!("- apiGroups: [{group}]"));
        lines.extend(list("resources", self.resources));
        if !self.names.is_empty() {
            lines.extend(list("resourceNames", self.names));
        }
        lines.extend(list("verbs", self.verbs));
        lines.iter().map(|line| format!("{:indent$}{line}\n", "")).collect()
    }
}

/// A member whose value is a list, in one line where that is short.
fn list(name: &str, items: &[&str]) -> Vec<String> {
    let line = format!("  {name}: [{}]", items.join(", "));
    if line.len() <= 90 {
        return vec![line];
    }
    let items = items.iter().map(|item| format!("    - {item}"));
    [format!("  {name}:")].into_iter().chain(items).collect()
}

fn owned(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}
