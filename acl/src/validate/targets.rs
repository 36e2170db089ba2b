//! `nodeAttrs`

use super::{Names, Site};
use crate::context::Context;
use crate::finding::Finding;
use crate::policy::{NodeAttr, Policy, Prefix, go_quote};
use crate::rules::{NODE_ATTR_IP_POOL, NODE_ATTR_UNSUPPORTED};

const IP_POOL: &str = "nodeAttrs ipPool requires the IP allocator (https://github.com/juanfont/headscale/issues/2912)";
const FUNNEL: &str = "nodeAttrs uses a feature headscale does not yet support: \"funnel\" tracked \
    in https://github.com/juanfont/headscale/issues/2527";

/// Carrier-grade NAT addresses (RFC 6598), from which tailnets take theirs.
const CGNAT: &str = "100.64.0.0/10";
/// What Tailscale clients keep for themselves.
const RESERVED: [&str; 2] = ["100.100.100.0/24", "100.115.92.0/23"];

impl Context<'_> {
    pub(super) fn check_node_attrs(&mut self, policy: &Policy<'_>, names: &Names<'_>) {
        for entry in &policy.node_attrs {
            self.references(&entry.targets, Site::Target, names);
            for attr in entry.attrs.iter().filter(|attr| attr.value == "funnel") {
                self.push(&NODE_ATTR_UNSUPPORTED, || {
                    Finding::new(&NODE_ATTR_UNSUPPORTED, attr.span, FUNNEL.to_owned())
                        .help("remove it")
                });
            }
            self.check_ip_pool(entry);
        }
    }

    fn check_ip_pool(&mut self, entry: &NodeAttr<'_>) {
        if entry.ip_pool.is_empty() {
            return;
        }
        self.push(&NODE_ATTR_IP_POOL, || {
            Finding::new(&NODE_ATTR_IP_POOL, entry.ip_pool_span, IP_POOL.to_owned())
                .help("remove `ipPool`")
        });
        for prefix in &entry.ip_pool {
            if let Some(message) = wrong_pool(prefix.value) {
                self.report(&NODE_ATTR_IP_POOL, prefix.span, || message);
            }
        }
    }
}

fn wrong_pool(prefix: Option<Prefix>) -> Option<String> {
    let written = prefix.map_or_else(|| "invalid Prefix".to_owned(), |p| p.to_string());
    let written = go_quote(&written);
    let cgnat = Prefix::parse(CGNAT).ok()?;
    let within = prefix.filter(|p| p.bits >= cgnat.bits && p.overlaps(cgnat));
    let Some(prefix) = within else {
        return Some(format!("nodeAttrs ipPool must be within {CGNAT}: {written}"));
    };
    let reserved = RESERVED
        .into_iter()
        .find(|reserved| Prefix::parse(reserved).is_ok_and(|reserved| prefix.overlaps(reserved)))?;
    Some(format!(
        "nodeAttrs ipPool must not overlap reserved Tailscale ranges: {written} overlaps \
         \"{reserved}\""
    ))
}
