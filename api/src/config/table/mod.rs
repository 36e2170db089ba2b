//! The keys of Headscale's `config.yaml`, of 0.28 to 0.30 and what older versions left behind.
//!
//! Facts: `hscontrol/types/config.go` of 0.28.0, 0.29.2 and the development head of 2026-07-21.

mod former;
mod network;
mod service;

use headscale_acl::Version::{self, V0_28, V0_29, V0_30};

use super::key::{Key, Kind, Refusal, Removed, Successor};

/// All keys; those of one group together, and those that are gone last.
pub(super) static ALL: [&[Key]; 3] = [network::KEYS, service::KEYS, former::KEYS];

const EVERY: &[Version] = &[V0_28, V0_29, V0_30];
const UP_TO_0_28: &[Version] = &[V0_28];
const UP_TO_0_29: &[Version] = &[V0_28, V0_29];
const SINCE_0_29: &[Version] = &[V0_29, V0_30];
const SINCE_0_30: &[Version] = &[V0_30];
const NONE: &[Version] = &[];

/// A key of these versions, with its kind and default.
const fn key(
    path: &'static str,
    kind: Kind,
    default: &'static str,
    versions: &'static [Version],
    doc: &'static str,
) -> Key {
    Key { path, kind, default, versions, removed: None, is_security: false, doc }
}

impl Key {
    /// The same, which decides who may do what.
    const fn security(mut self) -> Self {
        self.is_security = true;
        self
    }

    /// The same, which later versions do not have.
    const fn removed(mut self, successor: Successor, refusal: Refusal) -> Self {
        self.removed = Some(Removed { successor, refusal });
        self
    }
}
