//! The messages of the API in JSON.

use serde_json::{Value, json};

use crate::moment::Moment;
use crate::options::Version;
use crate::secret;
use crate::state::{ApiKey, AuthKey, Data, Method, Node, State, User};

/// The user that tagged nodes are listed under.
const TAGGED_DEVICES: u64 = 2_147_455_555;

/// Writes messages as one version does.
pub(crate) struct Render<'s> {
    state: &'s State,
    version: Version,
}

impl<'s> Render<'s> {
    pub(crate) fn of(state: &'s State) -> Self {
        Self { state, version: state.version }
    }

    fn data(&self) -> &'s Data {
        self.state.data()
    }

    fn time(&self, moment: Moment) -> Value {
        json!(moment.written(self.version))
    }

    fn maybe(&self, moment: Option<Moment>) -> Value {
        moment.map_or(Value::Null, |moment| self.time(moment))
    }

    pub(crate) fn user(&self, user: &User) -> Value {
        // A user without a name is shown under what else is known.
        let name = match (user.name.as_str(), user.email.as_str()) {
            ("", "") => user.id.to_string(),
            ("", email) => email.to_owned(),
            (name, _) => name.to_owned(),
        };
        json!({
            "id": user.id.to_string(),
            "name": name,
            "createdAt": self.time(user.created_at),
            "displayName": user.display_name,
            "email": user.email,
            "providerId": "",
            "provider": "",
            "profilePicUrl": user.picture_url,
        })
    }

    fn user_of(&self, id: Option<u64>) -> Value {
        let user = id.and_then(|id| self.data().user(id));
        user.map_or(Value::Null, |user| self.user(user))
    }

    pub(crate) fn api_key(&self, key: &ApiKey) -> Value {
        json!({
            "id": key.id.to_string(),
            "prefix": masked_api_key(&key.prefix),
            "expiration": self.maybe(key.expiration),
            "createdAt": self.time(key.created_at),
            "lastSeen": null,
        })
    }

    /// With its text where it was just made.
    pub(crate) fn auth_key(&self, key: &AuthKey, text: Option<&str>) -> Value {
        let masked = || format!("{}{}-***", secret::AUTH_KEY, key.prefix);
        json!({
            "user": self.user_of(key.user),
            "id": key.id.to_string(),
            "key": text.map_or_else(masked, ToOwned::to_owned),
            "reusable": key.reusable,
            "ephemeral": key.ephemeral,
            "used": key.used,
            "expiration": self.time(key.expiration),
            "createdAt": self.time(key.created_at),
            "aclTags": key.tags,
        })
    }

    /// A node alone: its routes are those that the call tells, mostly none.
    pub(crate) fn node(&self, node: &Node, subnet_routes: &[String]) -> Value {
        let key = node.auth_key.and_then(|id| self.data().auth_keys.iter().find(|k| k.id == id));
        let method = match node.method {
            Method::Unspecified => "REGISTER_METHOD_UNSPECIFIED",
            Method::AuthKey => "REGISTER_METHOD_AUTH_KEY",
            Method::Cli => "REGISTER_METHOD_CLI",
        };
        json!({
            "id": node.id.to_string(),
            "machineKey": node.machine_key,
            "nodeKey": node.node_key,
            "discoKey": format!("discokey:{}", "0".repeat(64)),
            "ipAddresses": node.addresses,
            "name": node.hostname,
            "user": self.user_of(node.user),
            "lastSeen": self.maybe(node.last_seen),
            "expiry": self.maybe(node.expiry),
            "preAuthKey": key.map_or(Value::Null, |key| self.auth_key(key, None)),
            "createdAt": self.time(node.created_at),
            "registerMethod": method,
            "givenName": node.given_name,
            "online": false,
            "approvedRoutes": node.approved,
            "availableRoutes": node.announced,
            "subnetRoutes": subnet_routes,
            "tags": node.tags,
        })
    }

    /// A node in a list: with the routes that it serves, and tagged ones under a user of their own.
    pub(crate) fn listed_node(&self, node: &Node) -> Value {
        let mut routes = self.state.primary_routes(node);
        routes.extend(State::exit_routes(node));
        let mut listed = self.node(node, &routes);
        if !node.tags.is_empty() {
            listed["user"] = self.user(&User {
                id: TAGGED_DEVICES,
                name: "tagged-devices".to_owned(),
                display_name: "Tagged Devices".to_owned(),
                email: String::new(),
                picture_url: String::new(),
                created_at: Moment::zero(),
            });
        }
        listed
    }
}

/// How an API key is listed.
pub(crate) fn masked_api_key(prefix: &str) -> String {
    if prefix.len() == secret::PREFIX {
        format!("{}{prefix}-***", secret::API_KEY)
    } else {
        format!("{prefix}***")
    }
}
