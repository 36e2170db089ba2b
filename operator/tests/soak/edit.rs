//! One edit after another, and what is declared after all of them.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::people::{self, People};
use crate::policies::{self, Policies};
use crate::random::Random;
use crate::server::{self, Server};

/// Makes an edit that somebody else may have made impossible.
pub(crate) async fn merge<K>(bench: &Bench, name: &str, patch: Value)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug,
{
    let api: Api<K> = bench.api();
    // What is not there, such as a Secret that is not made yet, cannot be edited.
    drop(api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await);
}

/// Has the operator leave an object alone, or not any more.
pub(crate) fn paused(is_paused: bool) -> Value {
    let value = is_paused.then_some("true");
    json!({ "metadata": { "annotations": { "headscale.infrado.cloud/paused": value } } })
}

/// Has the operator go on with all objects of a kind: those that are being deleted too, for what is
/// paused is not even let go.
pub(crate) async fn unpause<K>(bench: &Bench)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug,
{
    let api: Api<K> = bench.api();
    for object in api.list(&ListParams::default()).await.expect("objects").items {
        merge::<K>(bench, &object.name_any(), paused(false)).await;
    }
}

/// What is declared.
#[derive(Default)]
pub(crate) struct Declared {
    pub(crate) people: People,
    policies: Policies,
    server: Server,
    /// What was done, for the one who reads why it failed.
    pub(crate) history: Vec<String>,
}

impl Declared {
    /// Does something; gives what it was, and what was found wrong meanwhile for an error.
    pub(crate) async fn edit(
        &mut self,
        bench: &Bench,
        random: &mut Random,
    ) -> Result<String, String> {
        let done = match random.below(4) {
            0 | 1 => {
                let mut edit = *random.pick(&people::EDITS).expect("there are some");
                // Losing everything is to be an exception.
                if edit.ends_with("database") && !random.one_in(3) {
                    edit = "change a key";
                }
                let done = self.people.edit(bench, random, edit).await;
                if edit.ends_with("database") {
                    self.policies.lost();
                }
                Ok(done)
            }
            2 => {
                let edit = *random.pick(&policies::EDITS).expect("there are some");
                let is_paused = self.server.is_paused();
                self.policies.edit(bench, random, edit, is_paused).await
            }
            _ => {
                let edit = *random.pick(&server::EDITS).expect("there are some");
                Ok(self.server.edit(bench, random, edit).await)
            }
        };
        self.history.extend(done.clone());
        done
    }

    /// Takes back what keeps the operator from its work on purpose.
    pub(crate) async fn come_to_rest(&mut self, bench: &Bench) {
        self.server.go_on(bench).await;
        self.people.come_to_rest(bench).await;
        self.policies.go_on(bench).await;
    }

    /// Takes back what the operator must refuse. What is found wrong meanwhile is the error.
    pub(crate) async fn mend(&mut self, bench: &Bench, random: &mut Random) -> Result<(), String> {
        self.server.mend(bench).await;
        self.policies.mend(bench, random).await
    }

    /// What is not as it is declared.
    pub(crate) async fn differences(&self, bench: &Bench) -> Vec<String> {
        let mut wrong = self.people.differences(bench).await;
        wrong.extend(self.policies.differences(bench).await);
        wrong.extend(self.server.differences(bench).await);
        wrong
    }
}
