//! Plugins made at test time, well-behaved and hostile.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod cache;
mod good;
mod guest;
mod hostile;
mod loading;
mod mutated;
mod released;

use headscale_acl::Version;
use headscale_policy_host::{
    Host, Options, Plugin, PluginError, Subject, Validator, Verdict, View,
};
use serde_json::json;

const POLICY: &str = r#"{
	// who is who
	"groups": {"group:dev": ["alice@", "bob@"]},
	"tagOwners": {"tag:web": ["alice@"]},
	"hosts": {"a/b": "10.0.0.1"},
	"acls": [
		{"action": "accept", "src": ["group:dev"], "dst": ["tag:web:443"]}, // the site
		{"action": "accept", "src": ["alice@"], "dst": ["tag:web:22"]},
	],
}
"#;

fn host() -> Host {
    Host::new(Options::default()).unwrap()
}

fn subject() -> Subject {
    Subject::new("policy.hujson", POLICY.as_bytes(), None, Version::V0_29).unwrap()
}

fn load(guest: &guest::Guest) -> Result<Plugin, PluginError> {
    host().load("./test.wasm", &guest.build())
}

fn validate(guest: &guest::Guest) -> Result<Verdict, PluginError> {
    load(guest)?.validator(&json!({}))?.validate(&View::new(subject()))
}
