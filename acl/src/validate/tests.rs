//! The shape of `tests` and `sshTests`. Whether they pass is another question.

use super::Names;
use crate::context::Context;
use crate::finding::Finding;
use crate::policy::{Alias, Policy, PortRange, SshTest, Test, TestDestination, go_quote};
use crate::rules::{SSH_TEST_SHAPE, TEST_SHAPE};

impl Context<'_> {
    pub(super) fn check_tests(&mut self, policy: &Policy<'_>, names: &Names<'_>) {
        for (index, test) in policy.tests.iter().enumerate() {
            self.check_test(index, test, names);
        }
        for (index, test) in policy.ssh_tests.iter().enumerate() {
            self.check_ssh_test(index, test, names);
        }
    }

    fn check_test(&mut self, index: usize, test: &Test<'_>, names: &Names<'_>) {
        if test.accept.is_empty() && test.deny.is_empty() {
            self.push(&TEST_SHAPE, || {
                let what = "test entry must have at least one of \"accept\" or \"deny\"";
                Finding::new(&TEST_SHAPE, test.span, format!("test {index}: {what}"))
                    .help("add \"accept\": [\"tag:web:443\"]")
            });
        }
        if let Some(protocol) = &test.protocol
            && !protocol.value.has_ports()
        {
            self.push(&TEST_SHAPE, || {
                let name = go_quote(protocol.value.as_str());
                let what = format!("test protocol must be tcp, udp, sctp, or empty: {name}");
                Finding::new(&TEST_SHAPE, protocol.span, format!("test {index}: {what}"))
                    .help("test another protocol, or none")
            });
        }
        for (kind, destinations) in [("accept", &test.accept), ("deny", &test.deny)] {
            for destination in destinations {
                let Some(why) = wrong_destination(destination, names) else {
                    continue;
                };
                self.push(&TEST_SHAPE, || {
                    let dst = go_quote(&destination.text.value);
                    let message = format!("test {index}, {kind} {dst}: {why}");
                    Finding::new(&TEST_SHAPE, destination.text.span, message)
                        .help("name one user, group, tag, host or address, and one port")
                });
            }
        }
    }

    fn check_ssh_test(&mut self, index: usize, test: &SshTest<'_>, names: &Names<'_>) {
        if !test.has_source {
            self.push(&SSH_TEST_SHAPE, || {
                let message = format!("sshTest {index}: SSH tests entry must have a non-empty src");
                Finding::new(&SSH_TEST_SHAPE, test.span, message).help("add \"src\": \"alice@\"")
            });
        }
        if !test.has_destinations {
            self.push(&SSH_TEST_SHAPE, || {
                let message =
                    format!("sshTest {index}: SSH tests entry must have at least one dst");
                Finding::new(&SSH_TEST_SHAPE, test.span, message).help("add \"dst\": [\"tag:web\"]")
            });
        }
        for destination in &test.destinations {
            let wide = match &destination.value {
                Alias::Prefix(prefix) => !prefix.is_single(),
                Alias::Host(name) => {
                    names.hosts.get(&**name).copied().flatten().is_some_and(|p| !p.is_single())
                }
                alias => alias.is_autogroup("autogroup:internet"),
            };
            let what = match &destination.value {
                Alias::Tag(tag) if !names.tags.contains(&**tag) => "unknown tag",
                _ if wide => "disallowed element",
                _ => continue,
            };
            self.push(&SSH_TEST_SHAPE, || {
                let dst = go_quote(&destination.value.to_string());
                let message = format!("sshTest {index}: SSH tests dst contains {what} {dst}");
                Finding::new(&SSH_TEST_SHAPE, destination.span, message)
                    .help("name one tag, user, host or address, without ports")
            });
        }
    }
}

/// Headscale's sentence on why a destination cannot be tested.
fn wrong_destination(destination: &TestDestination<'_>, names: &Names<'_>) -> Option<String> {
    let (alias, ports) = match &destination.parsed {
        Ok(parsed) => parsed,
        Err(why) => return Some(why.clone()),
    };
    let one_port = matches!(ports.as_slice(), [PortRange { first, last }] if first == last);
    let wide = match alias {
        Alias::Prefix(_) => destination.text.value.contains('/'),
        Alias::Host(name) => {
            names.hosts.get(&**name).copied().flatten().is_some_and(|prefix| !prefix.is_single())
        }
        _ => false,
    };
    Some(
        if alias.is_autogroup("autogroup:internet") {
            "autogroup:internet not valid as a test destination"
        } else if !one_port {
            "test destination port must be a single port"
        } else if wide {
            "test destination must be a single host, not a CIDR range"
        } else {
            return None;
        }
        .to_owned(),
    )
}
