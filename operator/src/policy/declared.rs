//! What was declared of the policy of an instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use headscale_acl::Version;
use headscale_api::desired::{PolicyPlace, policy_place, release};
use headscale_api::kinds::{Headscale, HeadscaleAutoApprover, HeadscalePolicy, PluginRef};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::Api;

use super::compose::{Approvals, NOTHING, Parts, compose, owned_tags, unfit};
use super::desk::{Desk, Document, Place};
use crate::conditions::Verdict;
use crate::context::Context;
use crate::kubernetes::{KubernetesError, within};
use crate::objects::{self, Managed};
use crate::stored::{self, INVALID_SPEC};

/// The objects that say something of a policy.
#[derive(Debug, Default)]
pub(super) struct Declared {
    /// The policy: the oldest.
    pub(super) policy: Option<HeadscalePolicy>,
    /// Those that do not count.
    pub(super) others: Vec<HeadscalePolicy>,
    pub(super) approvers: Vec<HeadscaleAutoApprover>,
    /// Approvers that cannot be read and never counted.
    pub(super) unreadable: Vec<HeadscaleAutoApprover>,
    /// Those that are being deleted, and wait for us.
    pub(super) leaving_policies: Vec<HeadscalePolicy>,
    pub(super) leaving_approvers: Vec<HeadscaleAutoApprover>,
}

/// A policy that a person wrote, or a plugin.
#[derive(Clone, Debug)]
pub(super) struct Base {
    text: Arc<str>,
    name: Arc<str>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Assembled {
    /// `None` where nothing was declared.
    pub(super) document: Option<Document>,
    /// For each approver, why it is left out.
    pub(super) unfit: Vec<Option<Verdict>>,
}

/// By age, and those of one second alike for everyone.
fn rank<K: Managed>(object: &K) -> (Option<Timestamp>, Option<String>) {
    (object.meta().creation_timestamp.as_ref().map(|time| time.0), object.uid())
}

/// Those that live and those that leave, as they are now; `None` where one is paused.
async fn latest<K: Managed>(
    context: &Context,
    seen: Vec<Arc<K>>,
) -> Result<Option<(Vec<K>, Vec<K>)>, KubernetesError> {
    let (mut living, mut leaving) = (Vec::new(), Vec::new());
    for seen in seen {
        let Some(object) = objects::latest(context, &*seen).await? else { continue };
        if objects::is_paused(&object) {
            return Ok(None);
        }
        match objects::deleted_at(&object) {
            None => living.push(object),
            Some(_) if objects::has_finalizer(&object) => leaving.push(object),
            Some(_) => {}
        }
    }
    living.sort_by_key(rank);
    Ok(Some((living, leaving)))
}

impl Declared {
    /// The objects of an instance; `None` where one of them is paused: what it stands for must stay
    /// as it is.
    pub(super) async fn read(
        context: &Context,
        (namespace, name): &Place,
    ) -> Result<Option<Self>, KubernetesError> {
        let policies = latest(context, context.policies_of(namespace, name)).await?;
        let approvers = latest(context, context.approvers_of(namespace, name)).await?;
        let (Some((policies, leaving_policies)), Some((approvers, leaving_approvers))) =
            (policies, approvers)
        else {
            return Ok(None);
        };
        let mut policies = policies.into_iter();
        // What was approved for others stays approved.
        let counts = |it: &HeadscaleAutoApprover| {
            stored::unreadable(it).is_none() || objects::made_in(it) == Some(name)
        };
        let (approvers, unreadable) = approvers.into_iter().partition(counts);
        Ok(Some(Self {
            policy: policies.next(),
            others: policies.collect(),
            approvers,
            unreadable,
            leaving_policies,
            leaving_approvers,
        }))
    }

    /// Plugins that the policy is checked by.
    pub(super) fn plugins(&self) -> &[PluginRef] {
        self.policy.as_ref().map_or(&[], |policy| &policy.spec.plugins)
    }

    /// The whole policy, where one was declared.
    ///
    /// # Errors
    ///
    /// The inner one says why there is none although one was declared.
    pub(super) async fn base(
        &self,
        context: &Context,
        desk: &Desk,
        headscale: &Headscale,
    ) -> Result<Result<Option<Base>, Verdict>, KubernetesError> {
        let says_some = !self.is_empty() || says_something(headscale);
        let members =
            if says_some { &["acl_policy", "version", "config"][..] } else { &["acl_policy"] };
        let is_unreadable = |member: &&&str| stored::is_unreadable(headscale, member);
        if let Some(member) = members.iter().find(is_unreadable) {
            let message = format!(
                "spec.{member} of Headscale {} cannot be read: see its condition Ready",
                headscale.name_any()
            );
            return Ok(Err(Verdict::bad(INVALID_SPEC, message)));
        }
        if let Some(verdict) = self.policy.as_ref().and_then(stored::verdict) {
            return Ok(Err(verdict));
        }
        let inline = inline(headscale);
        let Some(policy) = &self.policy else {
            let name = "spec.acl_policy.inline".into();
            return Ok(Ok(inline.map(|text| Base { text: text.into(), name })));
        };
        if inline.is_some() {
            return Ok(Err(conflict(&policy.name_any(), &headscale.name_any())));
        }
        let namespace = policy.namespace().unwrap_or_default();
        let spec = &policy.spec;
        let base = if let Some(text) = &spec.inline {
            Base { text: text.as_str().into(), name: "spec.inline".into() }
        } else if let Some(reference) = &spec.config_map_ref {
            let (name, key) = (&reference.name, &reference.key);
            let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &namespace);
            let read = within(|| format!("read ConfigMap {name}"), api.get_opt(name)).await?;
            let Some(map) = read else {
                let message = format!(
                    "ConfigMap {name}, which spec.configMapRef names, is not there: make it in \
                     namespace {namespace}, or correct the name"
                );
                return Ok(Err(Verdict::bad("PolicySourceMissing", message)));
            };
            let Some(text) = map.data.and_then(|mut data| data.remove(key)) else {
                let message = format!(
                    "ConfigMap {name} has no key {key} in its data, which spec.configMapRef names"
                );
                return Ok(Err(Verdict::bad("PolicySourceMissing", message)));
            };
            Base { text: text.into(), name: format!("ConfigMap {name}, {key}").into() }
        } else if let Some(render) = &spec.render {
            let place = (namespace, headscale.name_any());
            match desk.render(&context.triggers, &place, render).await {
                Ok(text) => {
                    Base { text, name: format!("policy rendered by {}", render.plugin).into() }
                }
                Err(verdict) => return Ok(Err(verdict)),
            }
        } else {
            let message = "one of spec.inline, spec.configMapRef and spec.render must be given";
            return Ok(Err(Verdict::bad(INVALID_SPEC, message)));
        };
        Ok(Ok(Some(base)))
    }

    fn has_approvers(&self) -> bool {
        !self.approvers.is_empty() || !self.leaving_approvers.is_empty()
    }

    /// Whether anything says a part of the policy.
    fn has_parts(&self, headscale: &Headscale) -> bool {
        self.has_approvers() || !tag_owners(headscale).is_empty()
    }

    /// Whether there is nothing to be done, and nobody to be told.
    pub(super) fn is_empty(&self) -> bool {
        self.policy.is_none()
            && self.approvers.is_empty()
            && self.unreadable.is_empty()
            && self.leaving_policies.is_empty()
            && self.leaving_approvers.is_empty()
    }

    /// Whether a document is made of what runs.
    pub(super) fn needs_running(&self, headscale: &Headscale, base: Option<&Base>) -> bool {
        (base.is_none() && self.has_parts(headscale)) || self.keeps_approvals()
    }

    /// Whether an approver that counts cannot be read: what it approved is in the policy that runs,
    /// and stays.
    pub(super) fn keeps_approvals(&self) -> bool {
        self.approvers.iter().any(|approver| stored::unreadable(approver).is_some())
    }

    /// The document. Where there are only parts of a policy, they go into the one that runs:
    /// Headscale would let everything through with them alone.
    pub(super) fn assemble(
        &self,
        headscale: &Headscale,
        base: Option<&Base>,
        running: Option<&str>,
        randomize_client_port: bool,
    ) -> Assembled {
        let none = || Assembled { document: None, unfit: vec![None; self.approvers.len()] };
        if base.is_none() && !self.has_parts(headscale) && !randomize_client_port {
            return none();
        }
        let of_running = || Base {
            text: running.filter(|text| !text.is_empty()).unwrap_or(NOTHING).into(),
            name: "policy of Headscale".into(),
        };
        let is_declared = base.is_some();
        let base = base.cloned().unwrap_or_else(of_running);
        let parts = Parts {
            base: &base.text,
            tag_owners: tag_owners(headscale),
            approvals: None,
            randomize_client_port,
        };
        let owned = owned_tags(&compose(&parts));
        let unfit = |it: &HeadscaleAutoApprover| {
            stored::verdict(it).or_else(|| unfit(&it.spec, owned.as_ref()))
        };
        let unfit: Vec<_> = self.approvers.iter().map(unfit).collect();
        let fit = self.approvers.iter().zip(&unfit).filter(|(_, unfit)| unfit.is_none());
        let mut approvals = Approvals::of(fit.map(|(approver, _)| &approver.spec));
        if self.keeps_approvals() {
            approvals.keep(running.unwrap_or_default(), owned.as_ref());
        }
        // What is left of approvers in the policy that runs is removed with the last of them.
        let is_said = !approvals.is_empty() || (!is_declared && self.has_approvers());
        let text = compose(&Parts { approvals: is_said.then_some(&approvals), ..parts });
        if !is_declared && running.is_none_or(str::is_empty) && *text == *base.text {
            return Assembled { document: None, unfit };
        }
        let document = Document { text: text.into(), base: base.text, name: base.name };
        Assembled { document: Some(document), unfit }
    }
}

static NO_OWNERS: BTreeMap<String, Vec<String>> = BTreeMap::new();

fn tag_owners(headscale: &Headscale) -> &BTreeMap<String, Vec<String>> {
    headscale.spec.acl_policy.as_ref().map_or(&NO_OWNERS, |policy| &policy.tag_owners)
}

/// The policy that stands in the instance.
fn inline(headscale: &Headscale) -> Option<&str> {
    let inline = headscale.spec.acl_policy.as_ref()?.inline.as_deref()?;
    (!inline.trim().is_empty()).then_some(inline)
}

/// Whether a policy, or a part of one, stands in the instance.
pub(super) fn says_something(headscale: &Headscale) -> bool {
    inline(headscale).is_some() || !tag_owners(headscale).is_empty()
}

/// Two policies for one instance.
pub(super) fn conflict(policy: &str, headscale: &str) -> Verdict {
    Verdict::bad(
        "PolicyConflict",
        format!(
            "HeadscalePolicy {policy} and spec.acl_policy.inline of Headscale {headscale} both say \
             the whole policy: remove one of them; until then the policy that runs stays"
        ),
    )
}

/// The version that runs, and those that an upgrade which is under way comes by.
pub(super) fn versions(headscale: &Headscale) -> Vec<Version> {
    let target = release(&headscale.spec.version);
    let running = headscale.status.as_ref().and_then(|status| status.version.as_deref());
    let running = running.map_or(target, release);
    let all = Version::ALL.into_iter();
    // There is no way back.
    all.filter(|version| *version == running || (running..=target).contains(version)).collect()
}

/// Where the policy stands in the version that runs, and whether it says `randomizeClientPort`.
pub(super) fn place(headscale: &Headscale, has_base: bool) -> (PolicyPlace, bool) {
    let mut headscale = headscale.clone();
    if let Some(running) = versions(&headscale).first() {
        running.as_str().clone_into(&mut headscale.spec.version);
    }
    policy_place(&headscale, has_base)
}
