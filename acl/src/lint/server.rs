//! What is known to hurt a Headscale server, or to leave a tailnet open.

use crate::context::Context;
use crate::finding::Finding;
use crate::policy::{Alias, Policy, Prefix};
use crate::rules::{IMPLICIT_ALLOW_ALL, NODE_ATTR_USER_TARGET, SSH_TEST_ENUMERATES};
use crate::validate::Names;

/// Sources of an SSH test with more addresses than this make Headscale slow at the least.
const MANY_ADDRESSES_BITS: u8 = 16;

impl Context<'_> {
    pub(super) fn lint_server(&mut self, policy: &Policy<'_>, names: &Names<'_>) {
        if policy.acls.is_none() && policy.grants.is_none() {
            self.implicit_allow_all("a policy without `acls` and `grants` allows everything");
        }
        for test in &policy.ssh_tests {
            let Some(source) = &test.source else { continue };
            if !is_wide(&source.value, names) {
                continue;
            }
            self.push(&SSH_TEST_ENUMERATES, || {
                let message = format!(
                    "Headscale lists every address of `{}` to run this test, until its memory is \
                     gone",
                    source.value
                );
                Finding::new(&SSH_TEST_ENUMERATES, source.span, message)
                    .help("name a user, group or tag as the source")
            });
        }
        for entry in policy.node_attrs.iter().filter(|entry| !entry.attrs.is_empty()) {
            for target in &entry.targets {
                if !matches!(target.value, Alias::User(_)) {
                    continue;
                }
                self.push(&NODE_ATTR_USER_TARGET, || {
                    let message = format!(
                        "Headscale does not start any more once the user `{}` is deleted",
                        target.value
                    );
                    Finding::new(&NODE_ATTR_USER_TARGET, target.span, message)
                        .help("target a tag or `autogroup:member`")
                });
            }
        }
    }

    /// Also said of a file of 0 bytes, which is no policy.
    pub(crate) fn implicit_allow_all(&mut self, message: &str) {
        self.push(&IMPLICIT_ALLOW_ALL, || {
            Finding::new(&IMPLICIT_ALLOW_ALL, None, message.to_owned()).help(
                "write \"acls\": [] to allow nothing, or say so: \"acls\": [{\"action\": \
                 \"accept\", \"src\": [\"*\"], \"dst\": [\"*:*\"]}]",
            )
        });
    }
}

fn is_wide(alias: &Alias<'_>, names: &Names<'_>) -> bool {
    let wide = |prefix: Prefix| {
        let width = if prefix.addr.is_ipv4() { 32 } else { 128 };
        width - prefix.bits > MANY_ADDRESSES_BITS
    };
    match alias {
        Alias::Wildcard => true,
        Alias::Prefix(prefix) => wide(*prefix),
        Alias::Host(name) => names.hosts.get(&**name).copied().flatten().is_some_and(wide),
        alias => {
            alias.is_autogroup("autogroup:internet") || alias.is_autogroup("autogroup:danger-all")
        }
    }
}
