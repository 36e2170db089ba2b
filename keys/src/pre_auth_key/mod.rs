//! One pre-auth key of one object, in one Secret: what is written down of it, and what to do next.
//!
//! The protocol is that of [API keys](crate::plan()): the unique expiration of a key is committed
//! to the Secret before Headscale is asked for the key, a key that was not published is fenced off
//! by a commit before it is deleted, and no other is begun while one may still come to be. What
//! differs is what keys are for:
//!
//! - A key that was published is expired and not deleted: Headscale lets a node that comes back
//!   with the key that it joined with in, also with one that has expired, and refuses one whose key
//!   it does not have; a node is ephemeral for as long as its key is there. Only a key that nothing
//!   can have joined with is deleted.
//! - A key that has expired or was used up is replaced only where that is asked for.
//! - A key that is not what is wanted any more is replaced, and expired at once.
//! - When the object goes, so do all of its keys.

mod plan;
mod record;
mod secret;

pub use crate::orphans::Why;
pub use plan::{Action, Claim, Listed, Need, Observed, State, Stored, Wanted, Waste, plan};
pub use record::{Aborted, Current, KeyName, Record, Retiring};
pub use secret::{
    EXPIRATION_ANNOTATION, KEY, KEY_ID_ANNOTATION, LABELS, Loaded, RECORD_ANNOTATION, load, ours,
    write,
};
