//! Both sides of the protocol by which a node has its auth key reissued, as data.
//!
//! A node that cannot log in puts the key that failed into its state Secret (the marker). The
//! operator makes another one and writes it into the config Secret, from where it reaches the node
//! as a mounted file. The node sees a key that differs from the one that failed, clears the marker,
//! which acknowledges, and logs in. Comparing the marker with the config's key tells all there is
//! to know: equal or empty is pending, different is answered, absent is idle.
//!
//! ```text
//! node      cannot log in with K1, disconnects     state.reissue_authkey = K1
//! operator  marker present, config's key is K1     deletes the old node, config.AuthKey = K2
//! node      config's key is neither empty nor K1   clears the marker, logs in with K2
//! operator  device_id set, no marker               drops K2 from the config
//! ```
//!
//! The protocol is the one of Tailscale's containerboot and Kubernetes operator, field for field:
//! either side may be theirs. [`Watch`] is the node's side, [`decide`] the operator's.

mod config;
mod fields;
mod node;
mod operator;
mod patch;
mod signal;
mod watch;

pub use config::{
    CONFIG_FIELDS, CONFIG_VERSION, MAX_KNOWN_CAPABILITY, choose_config, config_capability,
};
pub use fields::{
    CURRENT_PROFILE, DEVICE_FQDN, DEVICE_ID, DEVICE_IPS, KNOWN_PROFILES, MACHINE_KEY, POD_UID,
    REISSUE_AUTHKEY, TAILSCALE_CAPVER,
};
pub use node::{Clearing, clear, is_answer, marker, publish, request, reset_at_boot};
pub use operator::{
    Answer, Config, Control, Intent, KeyId, KeyView, NodeId, NodeView, Occasion, Policy, Replica,
    decide,
};
pub use patch::SecretPatch;
pub use signal::{Cause, DaemonState, Refusal, Signal};
pub use watch::{Action, OnNewKey, Watch};
