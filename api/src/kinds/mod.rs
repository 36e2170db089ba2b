//! The kinds of `headscale.infrado.cloud/v1beta1`.
//!
//! The schemas accept what both releases of the Go operator (v0.2.2 and v0.5) stored or published,
//! and have no defaults: what a user left out stays left out, and [`crate::desired`] decides what
//! that means. Doc comments of fields are what `kubectl explain` shows.

mod auto_approver;
mod column;
mod crds;
mod headscale;
pub mod names;
mod policy;
mod pre_auth_key;
mod quantity;
mod reference;
mod schema;
mod tolerant;
mod user;
mod yaml;

pub use auto_approver::{
    ApprovedRoute, HeadscaleAutoApprover, HeadscaleAutoApproverSpec, HeadscaleAutoApproverStatus,
};
pub use crds::{CRD_VERSION, crds};
pub use headscale::{
    AclPolicySpec, ApiKeySpec, CamelApiKeySpec, Headscale, HeadscaleSpec, HeadscaleStatus,
    IngressSpec, PersistentVolumeClaimSpec, SecretKeyRef, SecretsSpec, ServiceSpec, ServiceType,
    TlsSecretRef, UpgradeSpec,
};
pub use policy::{
    ConfigMapKeyRef, HeadscalePolicy, HeadscalePolicySpec, HeadscalePolicyStatus, PluginRef,
    PolicyFinding, ReachabilityDiff, ReachabilityRow, RenderSpec,
};
pub use pre_auth_key::{HeadscalePreAuthKey, HeadscalePreAuthKeySpec, HeadscalePreAuthKeyStatus};
pub use quantity::Quantity;
pub use reference::reference;
pub use user::{HeadscaleUser, HeadscaleUserSpec, HeadscaleUserStatus};
pub use yaml::{crd_files, crds_yaml};

/// The API group of all kinds.
pub const GROUP: &str = "headscale.infrado.cloud";

/// The only version of the group.
pub const VERSION: &str = "v1beta1";

/// `GROUP/VERSION`, as manifests write it.
pub const API_VERSION: &str = "headscale.infrado.cloud/v1beta1";

/// An object whose members the API server does not look into.
pub type OpenObject = serde_json::Map<String, serde_json::Value>;
