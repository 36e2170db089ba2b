//! The objects that an instance is made of.
//!
//! [`desired_state`] is pure: the operator applies what it gives, `render instance` prints it.
//!
//! The pod is one that the `restricted` Pod Security Standard takes. Names, selectors and the claim
//! are the Go operator's, so that an instance of it is taken over without its StatefulSet being made
//! anew; see [`Existing`]. A pod is replaced when its template changes: when the configuration does,
//! the policy where it is a file, or a Secret that is read at the start, which annotations with
//! hashes tell.

mod access;
mod config_map;
mod containers;
mod facts;
mod hash;
mod inputs;
mod lifetime;
mod names;
mod object;
mod plan;
mod policy;
mod probes;
mod release;
mod services;
mod stateful_set;
mod volumes;

pub use inputs::{DEFAULT_SIDECAR_IMAGE, Existing, Inputs, referenced_secrets};
pub use names::{NameError, Names, check_name, labels};
pub use object::Object;
pub use plan::{POLICY_FILE, PolicyPlace, policy_place};
pub use policy::{compose_policy, policy_hash};
pub use release::{DEFAULT_IMAGE, release};

use crate::config::ConfigFinding;
use crate::kinds::Headscale;
use plan::Plan;

/// The objects that `headscale` is made of, in an order in which they can be applied.
///
/// Total: any spec gives objects, and what is wrong in it is for [`check`](crate::config::check()) to
/// find. Deterministic: the same spec and inputs give the same objects, byte for byte. Objects have
/// the namespace of `headscale`, and belong to it where it has a `uid`, that is where a cluster has
/// it.
#[must_use]
pub fn desired_state(headscale: &Headscale, inputs: &Inputs) -> Vec<Object> {
    let plan = Plan::of(headscale, inputs);
    let mut objects = vec![Object::ServiceAccount(Box::new(access::service_account(&plan)))];
    if plan.has_sidecar() {
        objects.push(Object::Role(Box::new(access::role(&plan))));
        objects.push(Object::RoleBinding(Box::new(access::role_binding(&plan))));
    }
    objects.extend(config_map::inline_secrets(&plan).map(Box::new).map(Object::Secret));
    objects.push(Object::ConfigMap(Box::new(config_map::config_map(&plan))));
    objects.push(Object::Service(Box::new(services::service(&plan))));
    objects.extend(services::metrics_service(&plan).map(Box::new).map(Object::Service));
    objects.push(Object::StatefulSet(Box::new(stateful_set::stateful_set(&plan))));
    objects.extend(services::ingress(&plan).map(Box::new).map(Object::Ingress));
    objects
}

/// What is wrong with the configuration that `headscale` will have, and what was carried over, left
/// out or changed in it to suit its version: what [`check_beside`](crate::config::check_beside())
/// says, the notes of [`render`](crate::config::render()), and whether its `acl_policy` counts. An
/// error means that Headscale would not start, or not do what it is told. Pointers lead into
/// `spec.config`, and sort the findings.
#[must_use]
pub fn findings(headscale: &Headscale, inputs: &Inputs) -> Vec<ConfigFinding> {
    Plan::of(headscale, inputs).findings()
}
