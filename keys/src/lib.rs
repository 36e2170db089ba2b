//! What keys of Headscale are and how they are looked after, as data: their formats, the record of
//! an API key that is rotated, the plan of its next step, and both sides of the protocol by which a
//! node has its auth key reissued.
//!
//! Nothing here does I/O, knows a clock or makes randomness: time, and whatever else comes from
//! outside, are parameters. The sidecar and the operator act on what this crate says.
//!
//! ```
//! use headscale_keys::ApiKey;
//!
//! let key = ApiKey::parse(&format!("hskey-api-{}-{}", "-A_PGBw4kQ2x", "s".repeat(64)))?;
//! assert_eq!(key.prefix().as_str(), "-A_PGBw4kQ2x");
//! // The secret part is printed nowhere.
//! assert_eq!(format!("{key:?}"), "ApiKey(hskey-api--A_PGBw4kQ2x-***)");
//! # Ok::<(), headscale_keys::KeyFormatError>(())
//! ```

#![forbid(unsafe_code)]

mod api_key;
mod attempts;
mod auth_key;
mod current;
mod orphans;
mod plan;
pub mod pre_auth_key;
mod prefix;
mod record;
pub mod reissue;
pub mod secret;
mod settings;
mod token;
mod witness;

pub use api_key::{ApiKey, ListedApiKey};
pub use attempts::Attempts;
pub use auth_key::AuthKey;
pub use current::{Aborted, Current, Record, Retiring, Verified};
pub use orphans::Why;
pub use plan::{Action, Need, Observed, State, Stored, Waste, plan};
pub use prefix::{KeyFormatError, KeyPrefix};
pub use record::{Intent, Published};
pub use secret::{Contents, Foreign, Loaded};
pub use settings::{Settings, SettingsError};
pub use token::Token;
pub use witness::Witness;
