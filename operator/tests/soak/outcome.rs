//! What became of policies and approvers, held against what is declared.

use headscale_api::desired::policy_hash;
use headscale_api::kinds::{HeadscaleAutoApprover, HeadscalePolicy};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use crate::bench::{Bench, HEADSCALE, said};
use crate::document::{Target, read};
use crate::policies::{BY_HAND, Policies, running};

/// Status, reason and message of `Ready`, where it is about the policy as it is.
pub(crate) fn ready(policy: &HeadscalePolicy) -> (String, String, String) {
    let status = policy.status.clone().unwrap_or_default();
    said(&status.conditions, "Ready", policy.metadata.generation)
}

impl Policies {
    /// What is not as it is declared.
    pub(crate) async fn differences(&self, bench: &Bench) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut note = |is_right: bool, what: String| {
            if !is_right {
                wrong.push(what);
            }
        };
        let text = running(bench).await;
        let value = text.as_deref().map(read);
        let target = self.sources.target(value.as_ref());
        let has = format!("the policy of Headscale is {text:?}");
        match &target {
            Target::Is(wanted) => note(value.as_ref() == Some(wanted), format!("{has}: {wanted}")),
            _ => note(
                self.seen.explains(value.as_ref()),
                format!("{has}, which nobody declared: {target:?}, {:?}", self.seen),
            ),
        }
        // One that is deleted waits until Headscale has a policy without it.
        let may_wait = matches!(target, Target::Refused(_));
        let api: Api<HeadscalePolicy> = bench.api();
        let objects = api.list(&ListParams::default()).await.expect("policies").items;
        let first = self.sources.first().map(|policy| &*policy.name);
        for policy in &objects {
            let name = policy.name_any();
            let is_declared = self.sources.policies.iter().any(|it| it.name == name);
            if !is_declared {
                note(may_wait, format!("HeadscalePolicy {name} is there"));
                continue;
            }
            let told = ready(policy);
            let expected = match &target {
                _ if first != Some(&*name) => ("False", "PolicyConflict"),
                Target::Refused(reason) => ("False", *reason),
                _ => ("True", "PolicyApplied"),
            };
            note((&*told.0, &*told.1) == expected, format!("{name}: {told:?}, not {expected:?}"));
            // Somebody's layout has another hash, and is left alone.
            let is_ours = text.as_ref().is_some_and(|text| !text.ends_with(BY_HAND));
            if expected.0 == "True" && is_ours {
                let hash = policy.status.as_ref().and_then(|status| status.hash.clone());
                note(hash == text.as_deref().map(policy_hash), format!("{name}: hash {hash:?}"));
            }
        }
        let count = |name: &str| objects.iter().any(|it| it.name_any() == name);
        let all_there = self.sources.policies.iter().all(|it| count(&it.name));
        note(all_there, "a HeadscalePolicy is gone".to_owned());
        let api: Api<HeadscaleAutoApprover> = bench.api();
        let objects = api.list(&ListParams::default()).await.expect("approvers").items;
        for object in &objects {
            let name = object.name_any();
            let Some(approver) = self.sources.approvers.get(&name) else {
                note(may_wait, format!("HeadscaleAutoApprover {name} is there"));
                continue;
            };
            let status = object.status.clone().unwrap_or_default();
            let told = said(&status.conditions, "Ready", object.metadata.generation);
            let is_right = match &target {
                Target::Is(document) if self.sources.is_fit(approver, document) => {
                    told.0 == "True" && told.1 == "PolicyApplied"
                }
                // What was ready stays so while nothing else is given to Headscale.
                Target::Refused(_) => {
                    ["PolicyApplied", "PolicyPushFailed", "TagOwnerMissing"].contains(&&*told.1)
                }
                _ => told.0 == "False" && told.1 == "TagOwnerMissing",
            };
            note(is_right, format!("{name}: {told:?} for {target:?}"));
        }
        let there = |name: &String| objects.iter().any(|it| it.name_any() == *name);
        note(self.sources.approvers.keys().all(there), "an approver is gone".to_owned());
        if self.sources.has_base() {
            let told = bench.says(HEADSCALE, "PolicyValid").await;
            let expected = match &target {
                Target::Refused(reason) => ("False", *reason),
                _ => ("True", "PolicyValid"),
            };
            let is_right = (&*told.0, &*told.1) == expected;
            note(is_right, format!("PolicyValid of the Headscale: {told:?}, not {expected:?}"));
        }
        wrong
    }
}
