//! Names that the operator writes, beside those of the kinds.

/// Under which the operator writes objects, and by which Events say who posts them.
pub const FIELD_MANAGER: &str = "headscale-operator";

/// Annotation of an object with the value `true`: when the object is deleted, it goes at once, and
/// whatever it stands for in Headscale stays there.
pub const FORCE_DELETE_ANNOTATION: &str = "headscale.infrado.cloud/force-delete";

/// Annotation of an object: the Headscale in which it was made. The operator writes it before it
/// makes anything, and from then on `headscaleRef` must not change.
pub const INSTANCE_ANNOTATION: &str = "headscale.infrado.cloud/instance";

/// Label of a Secret: the uid of the object that it belongs to.
pub const OWNER_LABEL: &str = "headscale.infrado.cloud/owner-uid";

pub use headscale_api::operator::LEASE;

/// Label by which the Secrets of the operator and of the sidecar are watched.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "headscale-operator";

/// Label of the state Secret of a node whose auth key is reissued: the name of the
/// HeadscalePreAuthKey that its keys are like.
pub const REISSUE_LABEL: &str = "headscale.infrado.cloud/reissue";

/// Annotation of a child of an instance: a hash of what was applied. One that is still there as it
/// was is not applied again.
pub const APPLIED_ANNOTATION: &str = "headscale.infrado.cloud/applied-hash";

/// Annotation of a StatefulSet: the version of Headscale that its pod is made from, which the image
/// does not say where it has a digest.
pub const VERSION_ANNOTATION: &str = "headscale.infrado.cloud/version";

/// Annotation of a HeadscalePreAuthKey: names of state Secrets, with commas between them and `*` for
/// any end of a name, whose nodes may have their keys made like it. Without it any of its namespace.
pub const REISSUE_TO_ANNOTATION: &str = "headscale.infrado.cloud/reissue-to";

/// Annotation of a state Secret: what becomes of the old node, `Recreate` or `KeepOld`.
pub const REISSUE_POLICY_ANNOTATION: &str = "headscale.infrado.cloud/reissue-policy";

/// Annotation of a HeadscalePreAuthKey: what is left of its bucket of tokens for
/// reissues.
pub const REISSUE_LIMIT_ANNOTATION: &str = "headscale.infrado.cloud/reissue-limit";

/// Label of a Secret of the operator: what it is for.
pub const TYPE_LABEL: &str = "headscale.infrado.cloud/type";

/// The value of [`TYPE_LABEL`] of the config Secret of a node.
pub const REISSUE_CONFIG: &str = "reissue-config";

/// Annotation of the config Secret of a node: the HeadscalePreAuthKey that its keys are like. The
/// label of the state Secret counts when the config Secret is made, and must not change after.
pub const REISSUE_KEY_ANNOTATION: &str = "reissue.headscale.infrado.cloud/preauth-key";

/// Annotation of the config Secret of a node: what is known of its keys, as JSON.
pub const REISSUE_RECORD_ANNOTATION: &str = "reissue.headscale.infrado.cloud/record";
