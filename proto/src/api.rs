//! What can be asked of Headscale, whatever carries it.

use std::future::Future;

use headscale_keys::{ApiKey, KeyPrefix, ListedApiKey};
use jiff::Timestamp;

use crate::detect::Version;
use crate::error::Error;
use crate::model::{
    CreatedPreAuthKey, NewDebugNode, NewPreAuthKey, NewUser, Node, NodeExpiry, Policy, PreAuthKey,
    User, UserFilter,
};

/// The calls about API keys: the ones that the Unix socket of Headscale 0.29 and older has over
/// gRPC, and every version over HTTP.
///
/// One call is one request: nothing is repeated unless the call says so. Dropping a future gives
/// the answer up; the server may still act on the request.
pub trait ApiKeys {
    /// Makes a key that is valid until `expiration`, which Headscale keeps to the nanosecond.
    /// Never repeated: each request that arrives makes a key.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind). After any error whose
    /// [`may_have_acted`](Error::may_have_acted) is true the key may exist all the same.
    fn create_api_key(
        &self,
        expiration: Timestamp,
    ) -> impl Future<Output = Result<ApiKey, Error>> + Send;

    /// All keys that Headscale has, expired ones too.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind).
    fn list_api_keys(&self) -> impl Future<Output = Result<Vec<ListedApiKey>, Error>> + Send;

    /// Ends a key's life now; it stays listed.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) where there is none of this prefix.
    fn expire_api_key(&self, prefix: &KeyPrefix) -> impl Future<Output = Result<(), Error>> + Send;

    /// Removes a key.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) where there is none of this prefix.
    fn delete_api_key(&self, prefix: &KeyPrefix) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Everything that can be asked of Headscale over HTTP.
///
/// Names in paths must not be empty, `.` or `..`, or contain `/`: such a call fails as
/// [`Invalid`](crate::ErrorKind::Invalid) before anything is sent.
pub trait HeadscaleApi: ApiKeys {
    /// Which version it is, asked anew each time. It needs no API key.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where it is older than 0.28 or newer than
    /// 0.30; others as every call.
    fn version(&self) -> impl Future<Output = Result<Version, Error>> + Send;

    /// Whether Headscale answers, takes the API key and reaches its database.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::ErrorKind::Internal) where it does not reach its database.
    fn health(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// The users that the filter lets through, by their numbers; none where there is no such user.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind).
    fn list_users(
        &self,
        filter: &UserFilter,
    ) -> impl Future<Output = Result<Vec<User>, Error>> + Send;

    /// Makes a user.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) where one has the name.
    fn create_user(&self, user: &NewUser) -> impl Future<Output = Result<User, Error>> + Send;

    /// Gives a user another name.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), or
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) where another one has the name.
    fn rename_user(&self, id: u64, name: &str) -> impl Future<Output = Result<User, Error>> + Send;

    /// Removes a user and its pre-auth keys.
    ///
    /// **Headscale 0.28.0 removes the pre-auth keys of every user**, which 0.29 mended: make them
    /// anew afterwards.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), or [`Invalid`](crate::ErrorKind::Invalid) while it
    /// has nodes; in 0.28 tagged nodes that it registered count too.
    fn delete_user(&self, id: u64) -> impl Future<Output = Result<(), Error>> + Send;

    /// All nodes, or those of the user of this name.
    ///
    /// Reconcile from this: of a tagged node it names a user, `tagged-devices`, and it tells the
    /// routes that are served, which [`get_node`](Self::get_node) and the changes may leave out.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) where there is no such user.
    fn list_nodes(
        &self,
        user: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Node>, Error>> + Send;

    /// One node.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound).
    fn get_node(&self, id: u64) -> impl Future<Output = Result<Node, Error>> + Send;

    /// Removes a node.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound).
    fn delete_node(&self, id: u64) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sets when a node expires.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), and for [`NodeExpiry::Never`]
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on 0.28, which would expire the node: the
    /// version is asked for first.
    fn expire_node(
        &self,
        id: u64,
        expiry: NodeExpiry,
    ) -> impl Future<Output = Result<Node, Error>> + Send;

    /// Gives a node another name in the tailnet.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), or [`Invalid`](crate::ErrorKind::Invalid) where
    /// the name is no DNS label.
    fn rename_node(&self, id: u64, name: &str) -> impl Future<Output = Result<Node, Error>> + Send;

    /// Sets the tags of a node. It is of no user from then on, and there is no way back.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), or [`Invalid`](crate::ErrorKind::Invalid) where
    /// there is no tag, one is not `tag:NAME`, or the policy gives it no owner.
    fn set_tags(
        &self,
        id: u64,
        tags: &[String],
    ) -> impl Future<Output = Result<Node, Error>> + Send;

    /// Sets the routes that a node may serve; those that are not named are withdrawn. Either
    /// default route stands for both.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), or [`Invalid`](crate::ErrorKind::Invalid) where
    /// one is no prefix.
    fn approve_routes(
        &self,
        id: u64,
        routes: &[String],
    ) -> impl Future<Output = Result<Node, Error>> + Send;

    /// Registers a node that waits for it, by the id that it shows, for the user of this name. The
    /// version is asked for first: 0.28 has another call for it.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) where no node waits under this id or there is no
    /// such user, [`Invalid`](crate::ErrorKind::Invalid) where the id is none.
    fn register_node(
        &self,
        user: &str,
        id: &str,
    ) -> impl Future<Output = Result<Node, Error>> + Send;

    /// Makes up a node that waits to be registered, for tests.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) where there is no such user,
    /// [`Invalid`](crate::ErrorKind::Invalid) where the id is none.
    fn debug_create_node(
        &self,
        node: &NewDebugNode,
    ) -> impl Future<Output = Result<Node, Error>> + Send;

    /// Makes a pre-auth key. Never repeated: each request that arrives makes one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) where there is no such user,
    /// [`Invalid`](crate::ErrorKind::Invalid) where it has neither user nor tags or a tag is not
    /// `tag:NAME`.
    fn create_preauth_key(
        &self,
        key: &NewPreAuthKey,
    ) -> impl Future<Output = Result<CreatedPreAuthKey, Error>> + Send;

    /// All pre-auth keys, by their numbers, expired ones too.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind).
    fn list_preauth_keys(&self) -> impl Future<Output = Result<Vec<PreAuthKey>, Error>> + Send;

    /// Ends a pre-auth key's life now; it stays listed.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) on 0.30; 0.28 and 0.29 succeed where there is no
    /// such key.
    fn expire_preauth_key(&self, id: u64) -> impl Future<Output = Result<(), Error>> + Send;

    /// Removes a pre-auth key.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) on 0.30; 0.28 and 0.29 succeed where there is no
    /// such key.
    fn delete_preauth_key(&self, id: u64) -> impl Future<Output = Result<(), Error>> + Send;

    /// The policy; `None` where none was ever set.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind).
    fn policy(&self) -> impl Future<Output = Result<Option<Policy>, Error>> + Send;

    /// Sets the policy, which is stored as it is and in force at once.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) with Headscale's reason, also where it reads its
    /// policy from a file.
    fn set_policy(&self, text: &str) -> impl Future<Output = Result<Policy, Error>> + Send;

    /// Whether Headscale would take this policy.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) with Headscale's reason;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on 0.28.
    fn check_policy(&self, text: &str) -> impl Future<Output = Result<(), Error>> + Send;
}
