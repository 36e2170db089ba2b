//! The kinds by the names that users give them.

use headscale_api::kinds;
use kube::api::ApiResource;

use crate::error::CommandError;
use crate::suggest::did_you_mean;

/// A kind of ours, and what it is called.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Its kind, such as `HeadscaleUser`.
    pub(crate) kind: &'static str,
    /// `headscaleuser`.
    pub(crate) singular: &'static str,
    /// `headscaleusers`, as in URLs.
    pub(crate) plural: &'static str,
    /// The short names that its definition has, such as `hsuser`.
    pub(crate) short: &'static [&'static str],
    /// What this program calls it, such as `user`.
    pub(crate) noun: &'static str,
    /// More of them, such as `users`.
    pub(crate) nouns: &'static str,
}

/// All of them: an instance first, then what belongs to one.
pub(crate) static RESOURCES: [Resource; 5] = [
    Resource {
        kind: "Headscale",
        singular: "headscale",
        plural: "headscales",
        short: &["hs"],
        noun: "instance",
        nouns: "instances",
    },
    Resource {
        kind: "HeadscaleUser",
        singular: "headscaleuser",
        plural: "headscaleusers",
        short: &["hsuser"],
        noun: "user",
        nouns: "users",
    },
    Resource {
        kind: "HeadscalePreAuthKey",
        singular: "headscalepreauthkey",
        plural: "headscalepreauthkeys",
        short: &["hspak", "hspre"],
        noun: "preauthkey",
        nouns: "preauthkeys",
    },
    Resource {
        kind: "HeadscalePolicy",
        singular: "headscalepolicy",
        plural: "headscalepolicies",
        short: &["hspolicy"],
        noun: "policy",
        nouns: "policies",
    },
    Resource {
        kind: "HeadscaleAutoApprover",
        singular: "headscaleautoapprover",
        plural: "headscaleautoapprovers",
        short: &["hsaa"],
        noun: "autoapprover",
        nouns: "autoapprovers",
    },
];

impl Resource {
    /// The resource that `word` names, in any case: `user`, `users`, `hsuser`, `HeadscaleUser`,
    /// `headscaleusers.headscale.infrado.cloud` or the same with the version.
    ///
    /// # Errors
    ///
    /// kubectl's, with the names that there are.
    pub(crate) fn find(word: &str) -> Result<&'static Self, CommandError> {
        let lower = word.to_lowercase();
        let (name, group) = lower.split_once('.').unwrap_or((&lower, ""));
        let versioned = group.strip_prefix(kinds::VERSION).and_then(|rest| rest.strip_prefix('.'));
        let ours = group.is_empty() || versioned.unwrap_or(group) == kinds::GROUP;
        let found = RESOURCES.iter().find(|resource| resource.names().any(|known| known == name));
        found.filter(|_| ours).ok_or_else(|| {
            let message = format!("the server doesn't have a resource type {word:?}");
            let error = CommandError::failed(message);
            match did_you_mean(&lower, RESOURCES.iter().flat_map(Self::names)) {
                Some(meant) => error.hint(meant),
                None => {
                    let nouns: Vec<&str> = RESOURCES.iter().map(|known| known.nouns).collect();
                    error.hint(format!(
                        "this shows {}; for others there is `kubectl get`",
                        nouns.join(", ")
                    ))
                }
            }
        })
    }

    /// The resource of `kind`, such as `HeadscaleUser`.
    pub(crate) fn of_kind(kind: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|resource| resource.kind == kind)
    }

    /// Every name that it has, in lower case.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.singular, self.plural, self.noun, self.nouns]
            .into_iter()
            .chain(self.short.iter().copied())
    }

    /// `headscaleuser.headscale.infrado.cloud`, as kubectl names the objects of a kind.
    pub(crate) fn qualified(&self) -> String {
        format!("{}.{}", self.singular, kinds::GROUP)
    }

    /// `/apis/headscale.infrado.cloud/v1beta1/namespaces/NAMESPACE/PLURAL`, or that of all
    /// namespaces.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let (group, version, plural) = (kinds::GROUP, kinds::VERSION, self.plural);
        match namespace {
            Some(namespace) => format!("/apis/{group}/{version}/namespaces/{namespace}/{plural}"),
            None => format!("/apis/{group}/{version}/{plural}"),
        }
    }

    /// What kube calls it.
    pub(crate) fn api(&self) -> ApiResource {
        ApiResource {
            group: kinds::GROUP.to_owned(),
            version: kinds::VERSION.to_owned(),
            api_version: format!("{}/{}", kinds::GROUP, kinds::VERSION),
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
        }
    }
}
