//! `builtin:keystone`: the policy of a Keystone cluster from one values file.
//!
//! People have roles, machines have classes. The values say which people log in where
//! (`machineAccess`), who reaches which services (`services`), and which classes make up the
//! Kubernetes cluster. The policy that comes of it names its groups and tags after roles and
//! classes, says in comments what each rule is for, and from Headscale 0.29 on tests itself.

mod access;
mod hujson;
mod policy;
mod self_tests;
mod values;

use headscale_policy_sdk::{Descriptor, Plugin, Renderer, export};

pub use values::Values;

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Keystone;

impl Plugin for Keystone {
    fn describe() -> Descriptor {
        Descriptor::new(
            "keystone",
            env!("CARGO_PKG_VERSION"),
            "Writes the policy of a Keystone cluster: roles, node classes, services",
        )
        .homepage(env!("CARGO_PKG_REPOSITORY"))
        .params_schema(include_str!("../params.schema.json"))
    }
}

impl Renderer for Keystone {
    type Params = Values;

    fn render(params: Values) -> Result<String, String> {
        let cluster = access::Cluster::read(&params).map_err(|problems| problems.join("\n"))?;
        Ok(policy::render(&cluster))
    }
}

export!(Keystone: renderer);
