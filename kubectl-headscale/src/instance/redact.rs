//! Snapshots that can be shown to others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::tailnet::Snapshot;

/// The first address of the ranges that tailnets have.
const FIRST_V4: u32 = 0x6440_0000;
const V4_ADDRESSES: u64 = 1 << 22;
const FIRST_V6: u128 = 0xfd7a_115c_a1e0 << 80;

/// Replaces who and where by what says nothing about anyone.
///
/// Names, e-mail addresses, ids at identity providers and addresses of nodes are replaced, always
/// by the same ones for the same user or node. Numbers, tags, routes, who has which node, which
/// address families a node has, who shares a name or the domain of an address, and what is empty
/// stay: a policy of tags, autogroups and networks answers the same.
pub(crate) fn redact(snapshot: &mut Snapshot) {
    let mut names = Pseudonyms::new("user");
    let mut domains = Pseudonyms::new("domain");
    let mut providers = Pseudonyms::new("provider");
    let mut displayed = Pseudonyms::new("display");
    for user in &mut snapshot.users {
        user.name = names.of_user(&user.name, &user.id, &mut domains);
        user.email = names.of_user(&user.email, &user.id, &mut domains);
        user.provider_id = providers.of(&user.provider_id, &user.id);
        user.display_name = displayed.of(&user.display_name, &user.id);
    }
    let named: BTreeMap<&str, &str> =
        snapshot.users.iter().map(|user| (&*user.id, &*user.name)).collect();
    for node in &mut snapshot.nodes {
        if let Some(user) = &mut node.user {
            user.name = match named.get(&*user.id) {
                Some(name) => (*name).to_owned(),
                None => names.of_user(&user.name, &user.id, &mut domains),
            };
        }
        for name in [&mut node.name, &mut node.given_name] {
            if !name.is_empty() {
                *name = format!("node-{}", node.id);
            }
        }
        let id: u64 = node.id.parse().unwrap_or_default();
        for address in node.ip_addresses.iter_mut().filter(|address| !address.is_empty()) {
            *address = pseudonym_address(address, id);
        }
    }
}

/// The address of a node by its number, of the same family.
fn pseudonym_address(address: &str, id: u64) -> String {
    match address.parse() {
        Ok(IpAddr::V6(_)) => Ipv6Addr::from(FIRST_V6 + u128::from(id)).to_string(),
        _ => {
            let offset = u32::try_from(id % V4_ADDRESSES).unwrap_or_default();
            Ipv4Addr::from(FIRST_V4 + offset).to_string()
        }
    }
}

/// New names for old ones, each the same every time.
struct Pseudonyms {
    kind: &'static str,
    known: BTreeMap<String, String>,
    given: BTreeSet<String>,
}

impl Pseudonyms {
    fn new(kind: &'static str) -> Self {
        Self { kind, known: BTreeMap::new(), given: BTreeSet::new() }
    }

    /// The new name for `old`, which `id` is the first to have: with a letter where `id` was the
    /// first to have another one, because who shared no name must not share one then.
    fn of(&mut self, old: &str, id: &str) -> String {
        if old.is_empty() {
            return String::new();
        }
        if let Some(known) = self.known.get(old) {
            return known.clone();
        }
        let kind = self.kind;
        let mut new = format!("{kind}-{id}");
        while !self.given.insert(new.clone()) {
            new.push('b');
        }
        self.known.insert(old.to_owned(), new.clone());
        new
    }

    /// The same for what may be an e-mail address.
    fn of_user(&mut self, old: &str, id: &str, domains: &mut Self) -> String {
        match old.rsplit_once('@') {
            Some((local, domain)) if !local.is_empty() && !domain.is_empty() => {
                let number = domains.known.len() + 1;
                let domain = domains.of(domain, &number.to_string());
                format!("{}@{domain}.example", self.of(local, id))
            }
            _ => self.of(old, id),
        }
    }
}

#[cfg(test)]
mod tests {
    use headscale_client::{Node, User};

    use super::*;

    fn user(id: u64, name: &str, email: &str) -> User {
        User {
            id,
            name: name.to_owned(),
            email: email.to_owned(),
            display_name: format!("{name} the person"),
            provider_id: format!("https://login.corp/{id}"),
            ..User::default()
        }
    }

    fn sample() -> Snapshot {
        let alice = user(1, "alice", "alice@corp.com");
        let bob = user(2, "bob@corp.com", "bob@corp.com");
        let node = |id, user: &User, addresses: [&str; 2]| Node {
            id,
            name: format!("laptop-of-{}", user.name),
            given_name: format!("laptop-{id}"),
            user: Some(user.clone()),
            ip_addresses: addresses.map(str::to_owned).to_vec(),
            approved_routes: vec!["10.0.0.0/8".to_owned()],
            ..Node::default()
        };
        let nodes = vec![
            node(7, &alice, ["100.64.9.9", "fd7a:115c:a1e0::99"]),
            node(8, &bob, ["100.64.9.10", "fd7a:115c:a1e0::9a"]),
        ];
        Snapshot::new(vec![alice, bob], nodes)
    }

    #[test]
    fn nothing_of_anyone_is_left() {
        let mut snapshot = sample();
        redact(&mut snapshot);
        let text = serde_json::to_string(&snapshot).unwrap();
        for secret in ["alice", "bob", "corp", "laptop", "person", "100.64.9", "login"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    #[test]
    fn who_shared_no_name_shares_none() {
        let users = vec![user(1, "alice", "al@corp.com"), user(2, "al", "al@other.com")];
        let mut snapshot = Snapshot::new(users, Vec::new());
        redact(&mut snapshot);
        let names: Vec<(&str, &str)> =
            snapshot.users.iter().map(|user| (&*user.name, &*user.email)).collect();
        assert_eq!(
            names,
            [
                ("user-1", "user-1b@domain-1.example"),
                // `al` is what both had before `@`.
                ("user-1b", "user-1b@domain-2.example")
            ]
        );
    }

    #[test]
    fn what_belongs_together_still_does() {
        let mut snapshot = sample();
        redact(&mut snapshot);
        let text = serde_json::to_string_pretty(&snapshot).unwrap();
        insta::assert_snapshot!(text, @r#"
        {
          "users": [
            {
              "id": "1",
              "name": "user-1",
              "displayName": "display-1",
              "email": "user-1@domain-1.example",
              "providerId": "provider-1"
            },
            {
              "id": "2",
              "name": "user-2@domain-1.example",
              "displayName": "display-2",
              "email": "user-2@domain-1.example",
              "providerId": "provider-2"
            }
          ],
          "nodes": [
            {
              "id": "7",
              "name": "node-7",
              "givenName": "node-7",
              "user": {
                "id": "1",
                "name": "user-1"
              },
              "ipAddresses": [
                "100.64.0.7",
                "fd7a:115c:a1e0::7"
              ],
              "tags": [],
              "availableRoutes": [],
              "approvedRoutes": [
                "10.0.0.0/8"
              ]
            },
            {
              "id": "8",
              "name": "node-8",
              "givenName": "node-8",
              "user": {
                "id": "2",
                "name": "user-2@domain-1.example"
              },
              "ipAddresses": [
                "100.64.0.8",
                "fd7a:115c:a1e0::8"
              ],
              "tags": [],
              "availableRoutes": [],
              "approvedRoutes": [
                "10.0.0.0/8"
              ]
            }
          ]
        }
        "#);
        let mut again = sample();
        redact(&mut again);
        assert_eq!(serde_json::to_string_pretty(&again).unwrap(), text);
    }
}
