//! The operator of Headscale: what is declared is what runs.
//!
//! Each kind is looked after in three steps: what is there is observed, [`decide`](user::decide)
//! says what comes next and is pure, and that one thing is done. Nothing that matters is kept in
//! memory: whatever an operator dies over, the next one goes on from what is stored.
//!
//! - [`headscale`]: `Headscale`, an instance with its objects, from version to version;
//! - [`user`]: `HeadscaleUser`, a user in Headscale;
//! - [`pre_auth_key`]: `HeadscalePreAuthKey`, a key in a Secret, by the protocol of
//!   [`headscale_keys::pre_auth_key`];
//! - [`reissue`]: nodes whose auth keys are made anew, by the protocol of
//!   [`headscale_keys::reissue`];
//! - [`policy`]: `HeadscalePolicy`, `HeadscaleAutoApprover` and `spec.acl_policy`, one document;
//! - [`instance`]: how a Headscale is reached and asked, by everything that asks it;
//! - [`stored`]: objects of which parts cannot be read;
//! - [`lease`]: who of several operators is at work.

#![forbid(unsafe_code)]

pub mod cli;
pub mod conditions;
mod context;
mod events;
mod go_flags;
pub mod headscale;
pub mod instance;
mod lanes;
pub mod lease;
mod metrics;
pub mod names;
mod objects;
mod pause;
pub mod policy;
mod poll;
pub mod pre_auth_key;
pub mod reissue;
mod run;
mod secret_home;
pub mod stored;
pub mod user;
mod watch;

pub(crate) use headscale_service::kubernetes;
