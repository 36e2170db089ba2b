//! The values file, as it is written.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use headscale_policy_sdk::ports::PortRange;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// A values file. `params.schema.json` says what each value means.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Values {
    #[serde(default)]
    pub(crate) headscale_version: Version,
    pub(crate) roles: Entries<Vec<String>>,
    pub(crate) nodes: Entries<Option<NodeClass>>,
    pub(crate) tag_owners: Vec<String>,
    #[serde(default, rename = "podCIDRs")]
    pub(crate) pod_cidrs: Vec<String>,
    #[serde(default)]
    pub(crate) machine_access: Vec<MachineAccess>,
    #[serde(default)]
    pub(crate) services: Vec<Service>,
    #[serde(default = "yes")]
    pub(crate) tests: bool,
}

/// A version of Headscale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Version {
    #[serde(rename = "0.28")]
    V0_28,
    #[default]
    #[serde(rename = "0.29")]
    V0_29,
    #[serde(rename = "0.30")]
    V0_30,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NodeClass {
    #[serde(default)]
    pub(crate) cluster: bool,
    pub(crate) owners: Option<Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MachineAccess {
    pub(crate) purpose: Option<String>,
    pub(crate) from: Vec<String>,
    pub(crate) to: Vec<String>,
    #[serde(default)]
    pub(crate) logins: Vec<String>,
    pub(crate) check_period: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) purpose: String,
    pub(crate) from: Vec<String>,
    pub(crate) to: Entries<Vec<PortRange>>,
    pub(crate) proto: Option<String>,
}

const fn yes() -> bool {
    true
}

/// The members of an object, in the order in which they are written.
#[derive(Clone, Debug)]
pub(crate) struct Entries<V>(pub(crate) Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Members<V> {
            type Value = Entries<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut entries, mut names) = (Vec::new(), BTreeSet::new());
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("{name:?} stands there twice")));
                    }
                    entries.push((name, value));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}
