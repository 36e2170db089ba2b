//! Edits of policies, approvers and tag owners.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use headscale_api::kinds::{
    Headscale, HeadscaleAutoApprover, HeadscaleAutoApproverSpec, HeadscalePolicy,
    HeadscalePolicySpec,
};
use headscale_client::HeadscaleApi as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::bench::{Bench, HEADSCALE};
use crate::document::{
    Approver, Map, Policy, Seen, Source, Sources, TAGS, Target, Text, owners, read,
};
use crate::edit::{merge, paused, unpause};
use crate::outcome::ready;
use crate::program::PATIENCE;
use crate::random::Random;

/// So many policies, of which one counts, and so many approvers are there at a time, at most.
const POLICIES: usize = 2;
const APPROVERS: usize = 4;
/// The ConfigMap that has policies, and its key.
const MAP: &str = "texts";
const KEY: &str = "policy.hujson";
/// What stands behind a policy that somebody only laid out anew.
pub(crate) const BY_HAND: &str = "\n// by hand\n";
/// Why a policy can be refused.
const REASONS: [&str; 3] = ["PolicyInvalid", "PolicyConflict", "PolicySourceMissing"];
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Somebody gives Headscale another policy.
const SET: &str = "by hand: set a policy";

/// What can be done. Some of it comes more often than other.
pub(crate) const EDITS: [&str; 31] = [
    "make a policy",
    "make a policy",
    "make a policy",
    "delete a policy",
    "write a policy",
    "write a policy",
    "write a policy",
    "write a wrong policy",
    "point a policy to the ConfigMap",
    "write the ConfigMap",
    "write the ConfigMap",
    "write a wrong ConfigMap",
    "take the key out of the ConfigMap",
    "delete the ConfigMap",
    "write acl_policy",
    "take acl_policy back",
    "take acl_policy back",
    "write tag owners",
    "write tag owners",
    "take tag owners back",
    "make an approver",
    "make an approver",
    "change an approver",
    "delete an approver",
    "pause one of a policy",
    "go on with a policy",
    "refuse what follows a good policy",
    "refuse what follows a good policy",
    SET,
    "by hand: lay a policy out",
    "by hand: edit one of a policy",
];

/// What is declared of the policy, and what Headscale may have for it.
#[derive(Default)]
pub(crate) struct Policies {
    pub(crate) sources: Sources,
    pub(crate) seen: Seen,
    made: usize,
    paused: BTreeSet<String>,
}

async fn set_text(bench: &Bench, text: Option<&str>) {
    let api: Api<ConfigMap> = bench.api();
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": MAP },
        "data": { KEY: text },
    });
    let patch = Patch::Merge(&map);
    let written = api.patch(MAP, &PatchParams::default(), &patch).await;
    if written.is_err() {
        let mut map = map;
        if text.is_none() {
            map["data"] = json!({});
        }
        let map: ConfigMap = serde_json::from_value(map).expect("a ConfigMap");
        api.create(&PostParams::default(), &map).await.expect("created");
    }
}

/// What Headscale has.
pub(crate) async fn running(bench: &Bench) -> Option<String> {
    let policy = bench.http.policy().await.expect("a policy");
    policy.map(|policy| policy.text).filter(|text| !text.is_empty())
}

impl Policies {
    fn number(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    fn text(&mut self, random: &mut Random) -> Text {
        Text::good(self.number(), random)
    }

    /// Writes the text of the policy that has this number of the living.
    async fn write(&mut self, bench: &Bench, which: usize, text: Text) {
        let policy = &mut self.sources.policies[which];
        let spec = json!({ "inline": text.text, "configMapRef": null });
        bench.patch::<HeadscalePolicy>(&policy.name, json!({ "spec": spec })).await;
        policy.source = Source::Inline(text);
    }

    async fn set_headscale(bench: &Bench, policy: Value) {
        let spec = json!({ "spec": { "acl_policy": policy } });
        bench.patch::<Headscale>(HEADSCALE, spec).await;
    }

    /// Does something. What it finds wrong meanwhile is the error.
    pub(crate) async fn edit(
        &mut self,
        bench: &Bench,
        random: &mut Random,
        edit: &str,
        is_headscale_paused: bool,
    ) -> Result<String, String> {
        let numbers: Vec<usize> = (0..self.sources.policies.len()).collect();
        let which = random.pick(&numbers).copied();
        let names: Vec<String> = self.sources.approvers.keys().cloned().collect();
        let approver = random.pick(&names).cloned();
        let policy = which.map(|which| self.sources.policies[which].name.clone());
        let what = if edit.contains("approver") { &approver } else { &policy };
        let what = what.clone().unwrap_or_else(|| "(none)".to_owned());
        let mut done = format!("{edit} {what}");
        match (edit, which, approver) {
            ("make a policy", _, _) if self.sources.policies.len() < POLICIES => {
                let text = self.text(random);
                done = format!("{edit} p{}", self.made);
                self.make(bench, format!("p{}", self.made), text).await;
            }
            ("delete a policy", Some(which), _) => {
                bench.delete::<HeadscalePolicy>(&what).await;
                self.sources.policies.remove(which);
                self.paused.remove(&what);
            }
            ("write a policy", Some(which), _) => {
                let text = self.text(random);
                done = format!("{done}: {:?}", text.text);
                self.write(bench, which, text).await;
            }
            ("write a wrong policy", Some(which), _) => {
                let text = Text::wrong(random, false);
                self.write(bench, which, text).await;
            }
            ("point a policy to the ConfigMap", Some(which), _) => {
                self.point(bench, which).await;
            }
            ("write the ConfigMap" | "write a wrong ConfigMap", _, _) => {
                let text = match edit.contains("wrong") {
                    true => Text::wrong(random, true),
                    false => self.text(random),
                };
                done = format!("{edit}: {:?}", text.text);
                set_text(bench, Some(&text.text)).await;
                self.sources.map = Map::Has(text);
            }
            ("take the key out of the ConfigMap", _, _) => {
                set_text(bench, None).await;
                self.sources.map = Map::WithoutKey;
            }
            ("delete the ConfigMap", _, _) => {
                let api: Api<ConfigMap> = bench.api();
                // It may not be there.
                drop(api.delete(MAP, &DeleteParams::default()).await);
                self.sources.map = Map::Missing;
            }
            ("write acl_policy", _, _) => {
                let text = match random.one_in(4) {
                    true => Text::wrong(random, false),
                    false => self.text(random),
                };
                done = format!("{edit}: {:?}", text.text);
                Self::set_headscale(bench, json!({ "inline": text.text })).await;
                self.sources.inline = Some(text);
            }
            ("take acl_policy back", _, _) => {
                Self::set_headscale(bench, json!({ "inline": null })).await;
                self.sources.inline = None;
            }
            ("write tag owners", _, _) => {
                let owners = owners(random);
                done = format!("{edit}: {:?}", owners.keys());
                self.set_owners(bench, owners).await;
            }
            ("take tag owners back", _, _) => self.set_owners(bench, [].into()).await,
            ("make an approver", _, _) if self.sources.approvers.len() < APPROVERS => {
                done = self.approve(bench, random).await;
            }
            ("change an approver", _, Some(name)) => {
                let (approver, spec) = Approver::some(random);
                done = format!("{done}: {spec}");
                bench.patch::<HeadscaleAutoApprover>(&name, json!({ "spec": spec })).await;
                self.sources.approvers.insert(name, approver);
            }
            ("delete an approver", _, Some(name)) => {
                bench.delete::<HeadscaleAutoApprover>(&name).await;
                self.sources.approvers.remove(&name);
                self.paused.remove(&name);
            }
            ("pause one of a policy", _, approver) => {
                let is_approver = random.one_in(2);
                if let Some(name) = approver.filter(|_| is_approver) {
                    merge::<HeadscaleAutoApprover>(bench, &name, paused(true)).await;
                    self.paused.insert(name);
                } else if which.is_some() {
                    merge::<HeadscalePolicy>(bench, &what, paused(true)).await;
                    self.paused.insert(what);
                }
            }
            ("go on with a policy", _, _) => self.go_on(bench).await,
            ("refuse what follows a good policy", Some(_), _) => {
                let (good, wrong) = (self.text(random), Text::wrong(random, false));
                let reason = random.pick(&REASONS).expect("some");
                if self.paused.is_empty() && !is_headscale_paused {
                    self.refuse(bench, good, wrong, reason).await?;
                }
            }
            (edit, _, approver) if edit.starts_with("by hand") => {
                self.by_hand(bench, random, edit, policy, approver).await;
            }
            _ => {}
        }
        self.seen.add_all(&self.sources);
        Ok(done)
    }

    async fn make(&mut self, bench: &Bench, name: String, text: Text) {
        let spec = json!({ "headscaleRef": HEADSCALE, "inline": text.text });
        let spec: HeadscalePolicySpec = serde_json::from_value(spec).expect("a spec");
        let policy = HeadscalePolicy::new(&name, spec);
        let made = bench.api().create(&PostParams::default(), &policy).await.expect("created");
        let time = made.creation_timestamp().expect("a time").0.as_second();
        let rank = (time, made.uid().expect("a uid"));
        self.sources.policies.push(Policy { name, rank, source: Source::Inline(text) });
    }

    /// Makes an approver; gives what it is.
    async fn approve(&mut self, bench: &Bench, random: &mut Random) -> String {
        let name = format!("a{}", self.number());
        let (approver, mut spec) = Approver::some(random);
        let done = format!("make an approver {name}: {spec}");
        spec["headscaleRef"] = json!(HEADSCALE);
        let spec: HeadscaleAutoApproverSpec = serde_json::from_value(spec).expect("a spec");
        let object = HeadscaleAutoApprover::new(&name, spec);
        bench.api().create(&PostParams::default(), &object).await.expect("created");
        self.sources.approvers.insert(name, approver);
        done
    }

    async fn set_owners(&mut self, bench: &Bench, owners: BTreeMap<String, Vec<String>>) {
        // A merge leaves tags that it does not name.
        let mut change = json!({});
        for tag in TAGS {
            change[tag] = json!(owners.get(tag));
        }
        Self::set_headscale(bench, json!({ "tag_owners": change })).await;
        self.sources.owners = owners;
    }

    /// Has Headscale get a policy that it never had, and then makes one of it that must be refused for
    /// this reason.
    async fn refuse(
        &mut self,
        bench: &Bench,
        good: Text,
        wrong: Text,
        reason: &str,
    ) -> Result<(), String> {
        let which = self.first();
        let name = self.sources.policies[which].name.clone();
        self.write(bench, which, good).await;
        self.seen.add_all(&self.sources);
        let Target::Is(wanted) = self.sources.target(None) else { return Ok(()) };
        let text = self.until_it_has(bench, &wanted).await?;
        match reason {
            "PolicyConflict" => {
                Self::set_headscale(bench, json!({ "inline": wrong.text })).await;
                self.sources.inline = Some(wrong);
            }
            "PolicySourceMissing" => {
                set_text(bench, None).await;
                self.sources.map = Map::WithoutKey;
                self.point(bench, which).await;
            }
            _ => self.write(bench, which, wrong).await,
        }
        let deadline = Instant::now() + PATIENCE;
        let mut told = Default::default();
        while Instant::now() < deadline {
            let api: Api<HeadscalePolicy> = bench.api();
            told = ready(&api.get(&name).await.expect("a policy"));
            if told.1 == reason {
                let has = running(bench).await;
                let is_left = has.as_deref() == Some(&*text);
                return is_left.then_some(()).ok_or(format!("for {reason} it gets {has:?}"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(format!("{reason} is not told: {told:?}"))
    }

    /// Waits until Headscale has a policy that it never had; gives its text.
    async fn until_it_has(&mut self, bench: &Bench, wanted: &Value) -> Result<String, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match running(bench).await {
                Some(text) if read(&text) == *wanted => {
                    self.seen = Seen::only(wanted);
                    return Ok(text);
                }
                text if Instant::now() > deadline => {
                    return Err(format!("a good policy {wanted} does not come: {text:?}"));
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn point(&mut self, bench: &Bench, which: usize) {
        let policy = &mut self.sources.policies[which];
        let spec = json!({ "inline": null, "configMapRef": { "name": MAP, "key": KEY } });
        bench.patch::<HeadscalePolicy>(&policy.name, json!({ "spec": spec })).await;
        policy.source = Source::ConfigMap;
    }

    async fn by_hand(
        &mut self,
        bench: &Bench,
        random: &mut Random,
        edit: &str,
        policy: Option<String>,
        approver: Option<String>,
    ) {
        match edit {
            SET => {
                let mut text = self.text(random);
                let value = text.value.as_mut().expect("a value");
                // Headscale takes it whatever is declared.
                value["tagOwners"] = json!({ "tag:a": ["alice@"], "tag:t1": ["alice@"] });
                let json = format!("// Somebody's.\n{value}\n");
                bench.http.set_policy(&json).await.expect("set");
                self.seen.add(value);
            }
            "by hand: lay a policy out" => {
                if let Some(text) = running(bench).await {
                    // It may be older than what the operator gives it meanwhile.
                    self.seen.add(&read(&text));
                    bench.http.set_policy(&format!("{text}{BY_HAND}")).await.expect("set");
                }
            }
            _ => {
                let change = match random.below(3) {
                    0 => json!({ "metadata": { "finalizers": null } }),
                    1 => json!({ "metadata": { "annotations": null } }),
                    _ => json!({ "status": { "conditions": [], "hash": "nonsense" } }),
                };
                let is_approver = random.one_in(2);
                if let Some(name) = approver.filter(|_| is_approver) {
                    self.edit_object::<HeadscaleAutoApprover>(bench, &name, change).await;
                } else if let Some(name) = policy {
                    self.edit_object::<HeadscalePolicy>(bench, &name, change).await;
                }
            }
        }
    }

    async fn edit_object<K>(&mut self, bench: &Bench, name: &str, change: Value)
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + serde::de::DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = bench.api();
        let (params, patch) = (PatchParams::default(), Patch::Merge(&change));
        if change.get("status").is_some() {
            api.patch_status(name, &params, &patch).await.expect("patched");
        } else {
            api.patch(name, &params, &patch).await.expect("patched");
        }
        if change["metadata"].get("annotations").is_some() {
            self.paused.remove(name);
        }
    }

    /// Headscale has lost its policy.
    pub(crate) fn lost(&mut self) {
        self.seen.nothing();
    }

    /// Takes back what keeps the operator from its work on purpose.
    pub(crate) async fn go_on(&mut self, bench: &Bench) {
        unpause::<HeadscalePolicy>(bench).await;
        unpause::<HeadscaleAutoApprover>(bench).await;
        self.paused.clear();
    }

    /// Makes all that is declared good. What it finds wrong meanwhile is the error.
    pub(crate) async fn mend(&mut self, bench: &Bench, random: &mut Random) -> Result<(), String> {
        let all = TAGS.map(|tag| (tag.to_owned(), vec!["alice@".to_owned()]));
        self.set_owners(bench, all.into()).await;
        if self.sources.policies.is_empty() && self.sources.inline.is_some() {
            let text = self.text(random);
            Self::set_headscale(bench, json!({ "inline": text.text })).await;
            self.sources.inline = Some(text);
        } else {
            Self::set_headscale(bench, json!({ "inline": null })).await;
            self.sources.inline = None;
            let text = self.text(random);
            if self.sources.policies.is_empty() {
                self.make(bench, format!("p{}", self.made), text).await;
            }
            for reason in REASONS {
                let (good, wrong) = (self.text(random), Text::wrong(random, false));
                self.refuse(bench, good, wrong, reason).await?;
                Self::set_headscale(bench, json!({ "inline": null })).await;
                self.sources.inline = None;
            }
            let text = self.text(random);
            let which = self.first();
            self.write(bench, which, text).await;
        }
        if self.sources.approvers.is_empty() {
            self.approve(bench, random).await;
        }
        self.seen.add_all(&self.sources);
        match self.sources.target(None) {
            Target::Is(wanted) => {
                self.until_it_has(bench, &wanted).await?;
                self.by_hand(bench, random, SET, None, None).await;
                Ok(())
            }
            target => Err(format!("what is declared is not good: {target:?}")),
        }
    }

    /// Which of the policies counts.
    fn first(&self) -> usize {
        let first = &self.sources.first().expect("a policy").name;
        self.sources.policies.iter().position(|it| it.name == *first).expect("a policy")
    }
}
