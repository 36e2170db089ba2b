//! Where policy plugins come from: how they are named, what was agreed to, and how they travel.
//!
//! - [`Reference`] is what people write: `./x.wasm`, `builtin:NAME`, `oci://…`.
//! - [`Lock`] is `.headscale-policy.lock`: the digests and imports that were agreed to.
//! - [`inspect`] reads what a component imports and exports, and runs nothing.
//! - [`Artifact`] is a plugin as registries keep it, [`Client`] pulls and pushes it, and [`Store`]
//!   keeps what was pulled.
//!
//! All but [`Client`], [`Store`], [`Credentials`] and the reading and writing of the lock file is
//! pure. Programs without an async runtime use [`block_on`]:
//!
//! ```no_run
//! use headscale_policy_registry::{Client, Lock, LOCK_FILE, Mode, OciReference, Store, block_on};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open("cache/plugins")?;
//! let lock = Lock::read(LOCK_FILE.as_ref())?;
//! let reference: OciReference = "oci://ghcr.io/acme/rules:1.2".parse()?;
//! let pin = lock.pin(&reference, Mode::Locked)?;
//! let pinned = reference.pinned(pin.manifest().clone());
//! let artifact = block_on(Client::default().fetch(&store, &pinned))??;
//! if let Some(entry) = lock.entry(&reference) {
//!     entry.check(&artifact)?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A program exits with 5 for [`LockError`] (but for its `Io`), [`StoreError::Damaged`] and
//! [`Error::Integrity`]; with 4 for [`Error::NotFound`], [`Error::Unauthorized`] and
//! [`Error::Unavailable`]; with 2 for all else.

mod artifact;
mod client;
mod credentials;
mod digest;
mod error;
mod inspect;
mod lock;
mod reference;
mod store;

pub use artifact::{
    Annotations, Artifact, ArtifactError, COMPONENT_TYPE, CONFIG_TYPE, MANIFEST_TYPE,
    MAX_COMPONENT_BYTES, MAX_DOCUMENT_BYTES, Part,
};
pub use client::{Client, FetchError, Options, Transport, block_on};
pub use credentials::{Credential, CredentialError, Credentials, docker_config_file};
pub use digest::{Digest, DigestError};
pub use error::Error;
pub use inspect::{Extern, InspectError, Inspection, Kind, inspect};
pub use lock::{Change, Entry, LOCK_FILE, Lock, LockError, Mode, Pin};
pub use reference::{BuiltinReference, FileReference, OciReference, Reference, ReferenceError};
pub use store::{Pruned, Store, StoreError, Stored};
