//! Names that objects of the group carry in their metadata and status.

/// Finalizer of a `Headscale`, as the Go operator sets it.
pub const FINALIZER: &str = "headscale.infrado.cloud/finalizer";

/// Finalizer of a `HeadscaleUser`, as the Go operator sets it.
pub const USER_FINALIZER: &str = "headscale.infrado.cloud/user-finalizer";

/// Finalizer of a `HeadscalePreAuthKey`, as the Go operator sets it.
pub const PREAUTHKEY_FINALIZER: &str = "headscale.infrado.cloud/preauthkey-finalizer";

/// Finalizer of a `HeadscaleAutoApprover`, as the Go operator sets it.
pub const AUTOAPPROVER_FINALIZER: &str = "headscale.infrado.cloud/autoapprover-finalizer";

/// Finalizer of a `HeadscalePolicy`.
pub const POLICY_FINALIZER: &str = "headscale.infrado.cloud/policy-finalizer";

/// Annotation with the value `true`: leave this object and its children as they are.
pub const PAUSED_ANNOTATION: &str = "headscale.infrado.cloud/paused";

/// Annotation of a pod template: the hash of the configuration that its pods run with.
pub const CONFIG_HASH_ANNOTATION: &str = "headscale.infrado.cloud/config-hash";

/// Annotation of a pod template: the hash of the policy that its pods read from a file.
pub const POLICY_HASH_ANNOTATION: &str = "headscale.infrado.cloud/policy-hash";

/// Annotation of a pod template: the hash of the Secrets that its pods use.
pub const SECRETS_HASH_ANNOTATION: &str = "headscale.infrado.cloud/secrets-hash";

/// Annotation of a `CustomResourceDefinition`: its [`super::CRD_VERSION`], in decimal digits.
pub const CRD_VERSION_ANNOTATION: &str = "headscale.infrado.cloud/crd-version";

/// Label that says what an object belongs to.
pub const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";

/// The value of [`PART_OF_LABEL`].
pub const PART_OF: &str = "headscale";

/// Label of a Secret: what its key is for.
pub const TYPE_LABEL: &str = "headscale.infrado.cloud/type";

/// The value of [`TYPE_LABEL`] at the Secret of a pre-auth key.
pub const TYPE_PREAUTHKEY: &str = "preauth-key";

/// Condition type: the object is as its spec wants it, and works.
pub const READY: &str = "Ready";

/// Condition type: a change is under way.
pub const PROGRESSING: &str = "Progressing";

/// Condition type: something is broken and does not mend itself.
pub const DEGRADED: &str = "Degraded";

/// Condition type: the configuration has no findings that the version refuses.
pub const CONFIG_VALID: &str = "ConfigValid";

/// Condition type: the policy can be read, and Headscale takes it.
pub const POLICY_VALID: &str = "PolicyValid";

/// Condition type: the Secret has an API key that works.
pub const API_KEY_READY: &str = "APIKeyReady";

/// Condition type: more than one replica was asked for, and one runs.
pub const SINGLE_ACTIVE: &str = "SingleActive";
