//! The table of keys.

use std::collections::BTreeSet;

use headscale_acl::Version;
use headscale_api::config::{Kind, Successor, key, keys};

#[test]
fn paths_are_unique_and_in_lower_case() {
    let mut paths = BTreeSet::new();
    for key in keys() {
        assert!(paths.insert(key.path), "{} stands twice", key.path);
        assert_eq!(key.path, key.path.to_lowercase());
        let above = keys().find(|other| other.path.starts_with(&format!("{}.", key.path)));
        assert_eq!(above, None, "{} is a key and a group", key.path);
    }
}

#[test]
fn what_was_removed_says_what_came_of_it() {
    for key in keys() {
        let is_in_newest = key.is_in(Version::V0_30);
        assert_eq!(key.removed.is_none(), is_in_newest, "{}", key.path);
        if let Some(Successor::Key(new)) = key.removed.map(|removed| removed.successor) {
            let new = keys().find(|key| key.path == new).expect("the successor is a key");
            assert!(new.is_in(Version::V0_30), "{}", new.path);
        }
    }
}

#[test]
fn versions_are_without_gaps() {
    for key in keys() {
        assert!(key.versions.is_sorted(), "{}", key.path);
        let since = key.since().map(Version::as_str);
        let until = key.until().map(Version::as_str);
        match key.path {
            "trusted_proxies" => assert_eq!((since, until), (Some("0.29"), None)),
            "grpc_listen_addr" => assert_eq!((since, until), (None, Some("0.29"))),
            "server_url" | "ip_prefixes" => assert_eq!((since, until), (None, None)),
            _ => {}
        }
    }
}

#[test]
fn every_key_is_documented_in_a_sentence() {
    for key in keys() {
        assert!(key.doc.ends_with('.') && key.doc.len() > 20, "{}", key.path);
        if let Kind::Choice(words) = key.kind {
            let is_known = key.default.is_empty() || words.contains(&key.default);
            assert!(is_known, "{}", key.path);
        }
    }
}

#[test]
fn keys_are_found_in_any_case() {
    assert_eq!(key("DNS.Magic_DNS").map(|key| key.path), Some("dns.magic_dns"));
    assert_eq!(key("dns"), None);
}
