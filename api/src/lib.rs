//! The Kubernetes kinds of Headscale (`headscale.infrado.cloud/v1beta1`), Headscale's configuration,
//! and the objects that an instance and the operator are made of.
//!
//! Pure: nothing here knows a clock, a network, a file system or randomness.

#![forbid(unsafe_code)]

pub mod config;
pub mod desired;
pub mod kinds;
pub mod operator;
