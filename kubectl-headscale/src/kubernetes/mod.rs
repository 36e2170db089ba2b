//! The way to a cluster: kubectl's connection flags, kubeconfigs, and errors in kubectl's words.
//!
//! A command flattens [`ConnectionArgs`], and does all that needs the cluster in one [`block_on`]:
//!
//! ```ignore
//! kubernetes::block_on(async {
//!     let cluster = self.connection.connect(context.environment).await?;
//!     let users: Api<HeadscaleUser> = cluster.api();
//!     users.get("alice").await.map_err(|error| cluster.error(error))
//! })
//! ```

mod args;
mod client;
mod cluster;
mod duration;
mod error;
mod exec;
mod kubeconfig;
pub(crate) mod print;
mod proxy;
mod resource;
mod runtime;

pub(crate) use args::{ConnectionArgs, OPTIONS_HELP};
pub(crate) use cluster::{Cluster, FIELD_MANAGER};
pub(crate) use duration::{duration, go_duration};
pub(crate) use kubeconfig::load as load_kubeconfig;
pub(crate) use resource::{RESOURCES, Resource};
pub(crate) use runtime::{Interrupted, block_on, interruptible};
