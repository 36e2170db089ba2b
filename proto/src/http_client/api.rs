//! Every call, over HTTP.

use headscale_keys::{ApiKey, KeyPrefix, ListedApiKey};
use jiff::Timestamp;

use crate::api::{ApiKeys, HeadscaleApi};
use crate::detect::{self, Version};
use crate::error::Error;
use crate::model::{
    CreatedPreAuthKey, NewDebugNode, NewPreAuthKey, NewUser, Node, NodeExpiry, Policy, PreAuthKey,
    User, UserFilter,
};
use crate::requests::{self, api_keys, nodes, policy, preauth_keys, users};

use super::HttpClient;

impl ApiKeys for HttpClient {
    async fn create_api_key(&self, expiration: Timestamp) -> Result<ApiKey, Error> {
        api_keys::create(self, expiration).await
    }

    async fn list_api_keys(&self) -> Result<Vec<ListedApiKey>, Error> {
        api_keys::list(self).await
    }

    async fn expire_api_key(&self, prefix: &KeyPrefix) -> Result<(), Error> {
        api_keys::expire(self, prefix).await
    }

    async fn delete_api_key(&self, prefix: &KeyPrefix) -> Result<(), Error> {
        api_keys::delete(self, prefix).await
    }
}

impl HeadscaleApi for HttpClient {
    async fn version(&self) -> Result<Version, Error> {
        // Whoever answers is not known yet, and these answers need no key.
        let anonymous = Self { authorization: None, ..self.clone() };
        detect::version(&anonymous).await
    }

    async fn health(&self) -> Result<(), Error> {
        requests::health(self).await
    }

    async fn list_users(&self, filter: &UserFilter) -> Result<Vec<User>, Error> {
        users::list(self, filter).await
    }

    async fn create_user(&self, user: &NewUser) -> Result<User, Error> {
        users::create(self, user).await
    }

    async fn rename_user(&self, id: u64, name: &str) -> Result<User, Error> {
        users::rename(self, id, name).await
    }

    async fn delete_user(&self, id: u64) -> Result<(), Error> {
        users::delete(self, id).await
    }

    async fn list_nodes(&self, user: Option<&str>) -> Result<Vec<Node>, Error> {
        nodes::list(self, user).await
    }

    async fn get_node(&self, id: u64) -> Result<Node, Error> {
        nodes::get(self, id).await
    }

    async fn delete_node(&self, id: u64) -> Result<(), Error> {
        nodes::delete(self, id).await
    }

    async fn expire_node(&self, id: u64, expiry: NodeExpiry) -> Result<Node, Error> {
        if expiry == NodeExpiry::Never {
            nodes::can_never_expire(self.version().await?.release)?;
        }
        nodes::expire(self, id, expiry).await
    }

    async fn rename_node(&self, id: u64, name: &str) -> Result<Node, Error> {
        nodes::rename(self, id, name).await
    }

    async fn set_tags(&self, id: u64, tags: &[String]) -> Result<Node, Error> {
        nodes::set_tags(self, id, tags).await
    }

    async fn approve_routes(&self, id: u64, routes: &[String]) -> Result<Node, Error> {
        nodes::approve_routes(self, id, routes).await
    }

    async fn register_node(&self, user: &str, id: &str) -> Result<Node, Error> {
        let release = self.version().await?.release;
        nodes::register(self, release, user, id).await
    }

    async fn debug_create_node(&self, node: &NewDebugNode) -> Result<Node, Error> {
        nodes::debug_create(self, node).await
    }

    async fn create_preauth_key(&self, key: &NewPreAuthKey) -> Result<CreatedPreAuthKey, Error> {
        preauth_keys::create(self, key).await
    }

    async fn list_preauth_keys(&self) -> Result<Vec<PreAuthKey>, Error> {
        preauth_keys::list(self).await
    }

    async fn expire_preauth_key(&self, id: u64) -> Result<(), Error> {
        preauth_keys::expire(self, id).await
    }

    async fn delete_preauth_key(&self, id: u64) -> Result<(), Error> {
        preauth_keys::delete(self, id).await
    }

    async fn policy(&self) -> Result<Option<Policy>, Error> {
        policy::get(self).await
    }

    async fn set_policy(&self, text: &str) -> Result<Policy, Error> {
        policy::set(self, text).await
    }

    async fn check_policy(&self, text: &str) -> Result<(), Error> {
        let release = self.version().await?.release;
        policy::check(self, release, text).await
    }
}
