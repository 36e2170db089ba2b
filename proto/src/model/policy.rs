//! The policy that Headscale has.

use jiff::Timestamp;
use serde::Deserialize;

use crate::wire::{or_default, time};

/// A policy as it is stored: comments and all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// Its text, HuJSON.
    #[serde(rename = "policy", deserialize_with = "or_default")]
    pub text: String,
    /// When it was set; `None` where it is read from a file.
    #[serde(deserialize_with = "time::deserialize")]
    pub updated_at: Option<Timestamp>,
}
