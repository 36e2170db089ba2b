//! What nodes are told, in the names of Tailscale's wire types, so that it can be held against a
//! node's network map.
//!
//! The types take how their long lists and their texts are held, so that there is one definition of
//! the JSON: programs get texts of their own, and what is written node by node
//! ([`Answers::write_json`](super::Answers::write_json)) borrows texts that are printed already.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::rule::Body;
use crate::semantics::Version;

/// Everything that the policy says, node by node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compiled<Nodes = Vec<NodeOutput>> {
    /// The version whose engine would say so.
    pub headscale_version: Version,
    /// Whether the nodes are made up from the policy; left out of the JSON where they are not.
    #[serde(skip_serializing_if = "is_false")]
    pub symbolic: bool,
    /// The nodes, in the order of the snapshot.
    pub nodes: Nodes,
}

/// What the policy says about one node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeOutput<List = Vec<String>, Text = String, Principals = Vec<SshPrincipal>>
where
    Text: Ord,
{
    /// Id in Headscale's database.
    pub id: Text,
    /// Host name.
    pub name: Text,
    /// The packet filter that it is sent.
    pub packet_filter: Vec<FilterRule<List, Text>>,
    /// Ids of the nodes that it sees.
    pub peers: List,
    /// Approved routes of its peers that it may use, by the peer's name; before steering by `via`
    /// and the election of primary routers.
    pub peer_routes: BTreeMap<Text, Vec<Text>>,
    /// The SSH policy that it is sent; `None` where the policy has no SSH rules.
    pub ssh_policy: Option<SshPolicy<Principals>>,
    /// Its approved routes once the policy has approved what it may.
    pub auto_approved: Vec<Text>,
    /// Attributes that the policy gives to it.
    pub cap_map: BTreeMap<String, Option<()>>,
}

/// A rule of a packet filter.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FilterRule<List = Vec<String>, Text = String> {
    /// Addresses, ranges and prefixes, or `*`.
    #[serde(rename = "SrcIPs")]
    pub src_ips: List,
    /// What may be reached; empty for capabilities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dst_ports: Vec<NetPortRange<Text>>,
    /// IANA numbers; empty where the client's default applies.
    #[serde(rename = "IPProto", skip_serializing_if = "Vec::is_empty")]
    pub ip_proto: Vec<u8>,
    /// Capabilities; empty for connections.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_grant: Vec<CapGrant<Text>>,
}

/// A destination of a rule.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetPortRange<Text = String> {
    /// An address, a prefix, or `*`.
    #[serde(rename = "IP")]
    pub ip: Text,
    /// Its ports.
    pub ports: Ports,
}

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ports {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

/// Capabilities on nodes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CapGrant<Text = String> {
    /// On which addresses.
    pub dsts: Vec<Text>,
    /// Which, with their parameters.
    pub cap_map: BTreeMap<String, Option<Vec<Rc<RawValue>>>>,
}

/// The SSH policy of a node.
#[derive(Debug, Serialize)]
pub struct SshPolicy<Principals = Vec<SshPrincipal>> {
    /// Its rules; the first that matches decides.
    pub rules: Vec<SshRule<Principals>>,
}

/// A rule of an SSH policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SshRule<Principals = Vec<SshPrincipal>> {
    /// Who connects.
    pub principals: Principals,
    /// Login users and what they become; the empty text refuses.
    pub ssh_users: BTreeMap<String, String>,
    /// What is done.
    pub action: SshAction,
    /// Environment variables that are taken over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accept_env: Vec<String>,
}

/// Who connects.
#[derive(Debug, Serialize)]
pub struct SshPrincipal {
    /// Address of the node.
    #[serde(rename = "nodeIP")]
    pub node_ip: String,
}

/// What is done with a connection.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SshAction {
    /// It is accepted.
    #[serde(skip_serializing_if = "is_false")]
    pub accept: bool,
    /// For how long, in nanoseconds; 0 for as long as it lives.
    #[serde(skip_serializing_if = "is_zero")]
    pub session_duration: i64,
    /// Agents may be forwarded.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_agent_forwarding: bool,
    /// The server is asked, under this path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_and_delegate: Option<String>,
    /// Local ports may be forwarded.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_local_port_forwarding: bool,
    /// Remote ports may be forwarded.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_remote_port_forwarding: bool,
}

impl SshAction {
    /// Accepts, for so many nanoseconds.
    pub(crate) const fn accept(session_duration: i64) -> Self {
        Self {
            accept: true,
            session_duration,
            allow_agent_forwarding: true,
            hold_and_delegate: None,
            allow_local_port_forwarding: true,
            allow_remote_port_forwarding: true,
        }
    }

    /// Asks the server.
    pub(crate) fn hold(path: &str) -> Self {
        Self { hold_and_delegate: Some(path.to_owned()), ..Self::default() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_zero(value: &i64) -> bool {
    *value == 0
}

impl<List, Text: From<String>> FilterRule<List, Text> {
    pub(crate) fn of(src_ips: List, body: &Body) -> Self {
        let (mut dst_ports, mut ip_proto, mut cap_grant) = (Vec::new(), Vec::new(), Vec::new());
        match body {
            Body::Ports { protocols, targets } => {
                ip_proto.clone_from(protocols);
                dst_ports = targets
                    .iter()
                    .map(|(target, ports)| NetPortRange {
                        ip: target.to_string().into(),
                        ports: Ports { first: ports.first, last: ports.last },
                    })
                    .collect();
            }
            Body::Caps(grants) => {
                cap_grant = grants
                    .iter()
                    .map(|(prefixes, caps)| CapGrant {
                        dsts: prefixes.iter().map(|prefix| prefix.to_string().into()).collect(),
                        cap_map: (**caps).clone(),
                    })
                    .collect();
            }
        }
        Self { src_ips, dst_ports, ip_proto, cap_grant }
    }
}
