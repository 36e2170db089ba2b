//! The settings, as they are written.

use std::fmt;

use headscale_policy_sdk::ports::PortRange;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// What must hold. `settings.schema.json` says what each setting means.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    pub(crate) never: Vec<Pair>,
    pub(crate) always: Vec<Pair>,
    pub(crate) closed_ports: Vec<ClosedPorts>,
    pub(crate) max_fan_out: Vec<FanOut>,
    pub(crate) root_login_only_from: Option<Names>,
    pub(crate) exit_nodes_only_for: Option<Names>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Pair {
    pub(crate) from: Names,
    pub(crate) to: Names,
    #[serde(default)]
    pub(crate) ports: Vec<PortRange>,
    pub(crate) proto: Option<String>,
    pub(crate) reason: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClosedPorts {
    pub(crate) ports: Vec<PortRange>,
    pub(crate) to: Names,
    #[serde(default)]
    pub(crate) except: Names,
    pub(crate) reason: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FanOut {
    pub(crate) from: Names,
    pub(crate) nodes: usize,
    pub(crate) reason: Option<String>,
}

/// One name or several.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// As a message says that these alone may do something.
    pub(crate) fn only(&self) -> String {
        if self.0.is_empty() { "nobody".to_owned() } else { format!("only {}", self.0.join(", ")) }
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a list of names")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Names, E> {
                Ok(Names(vec![name.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

impl Settings {
    /// What is wrong beyond what the schema says.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let lists = [("never", &self.never), ("always", &self.always)];
        for (name, pairs) in lists {
            for (at, pair) in pairs.iter().enumerate() {
                let place = format!("/{name}/{at}");
                bad_ports(&place, &pair.ports, &mut problems);
                let has_ports = pair
                    .proto
                    .as_deref()
                    .is_none_or(|proto| matches!(proto, "tcp" | "udp" | "sctp"));
                if !has_ports && !pair.ports.is_empty() {
                    let proto = pair.proto.as_deref().unwrap_or_default();
                    problems.push(format!("{place}/ports: {proto} has no ports: leave them out"));
                }
                if name == "always" && has_ports && pair.ports.is_empty() {
                    problems.push(format!(
                        "{place}: name the ports that must be open, as `ports: [443]`, or \
                         `ports: [\"*\"]` for all"
                    ));
                }
            }
        }
        for (at, closed) in self.closed_ports.iter().enumerate() {
            bad_ports(&format!("/closedPorts/{at}"), &closed.ports, &mut problems);
        }
        problems
    }
}

fn bad_ports(place: &str, ports: &[PortRange], problems: &mut Vec<String>) {
    for (at, ports) in ports.iter().enumerate() {
        if ports.bounds().is_none() {
            problems.push(format!(
                "{place}/ports/{at}: {ports} is no port: write one from 1 to 65535, a range as \
                 \"6800-7300\", or \"*\""
            ));
        }
    }
}
