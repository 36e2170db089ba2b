//! A snapshot of the users and nodes that a policy is about.

use foldhash::HashMap;
use std::net::IpAddr;

use serde_json::{Map, Value};
use thiserror::Error;

/// The user that the REST API shows for tagged nodes: they have none.
const TAGGED_DEVICES: u64 = 2_147_455_555;

/// Members that nodes have and users do not: what a bare list is told by.
const NODE_MEMBERS: [&str; 6] =
    ["ipAddresses", "ip_addresses", "givenName", "given_name", "user", "tags"];

/// Users and nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tailnet {
    /// The users, in the order of the snapshot.
    pub users: Vec<User>,
    /// The nodes, in the order of the snapshot.
    pub nodes: Vec<Node>,
    /// Indexes into `users` by name, e-mail and provider id.
    by_token: HashMap<String, Vec<usize>>,
    /// Where the users are those that the nodes name: the nodes, by index, that say something else
    /// of their user than an earlier one. `None` where the users were listed.
    pub(crate) contradicting: Option<Vec<usize>>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Id in Headscale's database.
    pub id: u64,
    /// Login name, without `@`.
    pub name: String,
    /// Name to show; may be empty.
    pub display_name: String,
    /// E-mail address; may be empty.
    pub email: String,
    /// Id at the identity provider; may be empty.
    pub provider_id: String,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Id in Headscale's database.
    pub id: u64,
    /// Host name.
    pub name: String,
    /// Name in the tailnet's DNS; may be empty.
    pub given_name: String,
    /// Id of its user; `None` for a tagged node.
    pub user: Option<u64>,
    /// Its addresses in the tailnet.
    pub addresses: Vec<IpAddr>,
    /// Its tags: `tag:web`.
    pub tags: Vec<String>,
    /// The routes that it announces, as prefixes.
    pub available_routes: Vec<String>,
    /// The routes that were approved, as prefixes.
    pub approved_routes: Vec<String>,
}

/// The users that a token in a policy stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserMatch<'t> {
    /// No user.
    None,
    /// Exactly one.
    One(&'t User),
    /// More than one, in the order of the snapshot: the token is ambiguous.
    Several(Vec<&'t User>),
}

/// Why a document is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}: expected {expected}, found {found}")]
pub struct TailnetError {
    /// Where, as an RFC 6901 pointer; `/` for the document itself.
    pub path: String,
    /// What was expected there.
    pub expected: &'static str,
    /// What stands there instead.
    pub found: String,
}

impl Tailnet {
    /// A tailnet of these users and nodes.
    #[must_use]
    pub fn new(users: Vec<User>, nodes: Vec<Node>) -> Self {
        let mut by_token: HashMap<String, Vec<usize>> = HashMap::default();
        for (index, user) in users.iter().enumerate() {
            // A user without a provider id has none to be named by; an empty e-mail address or name
            // is named by the empty token, as for Headscale.
            let provider = Some(&user.provider_id).filter(|id| !id.is_empty());
            for token in [&user.name, &user.email].into_iter().chain(provider) {
                let found = by_token.entry(token.clone()).or_default();
                if found.last() != Some(&index) {
                    found.push(index);
                }
            }
        }
        Self { users, nodes, by_token, contradicting: None }
    }

    /// Reads a snapshot: `{"users": […], "nodes": […]}` in the field names of Headscale's REST API,
    /// one of its answers, or a bare list of users or nodes as the command line prints it
    /// (camelCase or snake_case, ids as strings or numbers). Unknown members are ignored. Where no
    /// users are listed they are those that the nodes name, each id once.
    ///
    /// What can be read and still is wrong is told by [`defects()`](crate::defects()).
    ///
    /// # Errors
    ///
    /// The first place that cannot be read.
    pub fn from_value(value: &Value) -> Result<Self, TailnetError> {
        let (users, nodes, listed) = match value {
            Value::Object(object) => {
                if let Some(value) = ["user", "node"].iter().find_map(|key| object.get(*key)) {
                    return Self::from_value(&Value::Array(vec![value.clone()]));
                }
                if !object.contains_key("users") && !object.contains_key("nodes") {
                    return Err(TailnetError::new(
                        "/",
                        "an object with `users` and `nodes`",
                        value,
                    ));
                }
                let listed = object.get("users").is_some_and(|users| !users.is_null());
                (list(object, "users")?, list(object, "nodes")?, listed)
            }
            Value::Array(items) => {
                let is_node =
                    |item: &Value| NODE_MEMBERS.iter().any(|name| item.get(name).is_some());
                if items.iter().any(is_node) {
                    (&[][..], &**items, false)
                } else {
                    (&**items, &[][..], true)
                }
            }
            Value::Null => (&[][..], &[][..], true),
            other => {
                return Err(TailnetError::new("/", "an object with `users` and `nodes`", other));
            }
        };
        let user = |(at, value)| User::from_value(&format!("/users/{at}"), value);
        let node = |(at, value)| Node::from_value(&format!("/nodes/{at}"), value);
        let (users, contradicting) = if listed || nodes.is_empty() {
            (users.iter().enumerate().map(user).collect::<Result<_, _>>()?, None)
        } else {
            let (users, contradicting) = users_of(nodes)?;
            (users, Some(contradicting))
        };
        let nodes = nodes.iter().enumerate().map(node).collect::<Result<_, _>>()?;
        Ok(Self { contradicting, ..Self::new(users, nodes) })
    }

    /// The users that `token` names: by provider id first, which decides alone, else by e-mail or
    /// name. One `@` at the end is dropped (Headscale asks for an `@` in every user).
    #[must_use]
    pub fn find_user(&self, token: &str) -> UserMatch<'_> {
        let token = token.strip_suffix('@').unwrap_or(token);
        let indexes = self.by_token.get(token).map(Vec::as_slice).unwrap_or_default();
        let found: Vec<&User> = indexes.iter().filter_map(|at| self.users.get(*at)).collect();
        let by_provider = found.iter().find(|user| !token.is_empty() && user.provider_id == token);
        match (by_provider, found.as_slice()) {
            (Some(user), _) => UserMatch::One(user),
            (None, []) => UserMatch::None,
            (None, [user]) => UserMatch::One(user),
            (None, _) => UserMatch::Several(found),
        }
    }
}

/// The users that nodes name, each id once, in the order of the nodes; and the nodes, by index, that
/// say something else of their user than an earlier one.
fn users_of(nodes: &[Value]) -> Result<(Vec<User>, Vec<usize>), TailnetError> {
    let mut users: Vec<User> = Vec::new();
    let mut by_id: HashMap<u64, usize> = HashMap::default();
    let mut contradicting = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let Some(user) = node.get("user").filter(|user| !user.is_null()) else { continue };
        let user = User::from_value(&format!("/nodes/{index}/user"), user)?;
        if user.id == 0 || user.id == TAGGED_DEVICES {
            continue;
        }
        match by_id.get(&user.id).and_then(|known| users.get_mut(*known)) {
            Some(known) => {
                if !known.learn(user) {
                    contradicting.push(index);
                }
            }
            None => {
                by_id.insert(user.id, users.len());
                users.push(user);
            }
        }
    }
    Ok((users, contradicting))
}

impl User {
    /// Takes over what `other` says beyond this one. Returns whether they agree on the rest.
    fn learn(&mut self, other: Self) -> bool {
        let mut agree = true;
        for (known, said) in [
            (&mut self.name, other.name),
            (&mut self.display_name, other.display_name),
            (&mut self.email, other.email),
            (&mut self.provider_id, other.provider_id),
        ] {
            if known.is_empty() {
                *known = said;
            } else {
                agree &= said.is_empty() || *known == said;
            }
        }
        agree
    }

    fn from_value(path: &str, value: &Value) -> Result<Self, TailnetError> {
        let object = object(path, value)?;
        Ok(Self {
            id: id(path, object)?,
            name: text(path, object, "name", "name")?,
            display_name: text(path, object, "displayName", "display_name")?,
            email: text(path, object, "email", "email")?,
            provider_id: text(path, object, "providerId", "provider_id")?,
        })
    }
}

impl Node {
    fn from_value(path: &str, value: &Value) -> Result<Self, TailnetError> {
        let object = object(path, value)?;
        let user = match object.get("user") {
            None | Some(Value::Null) => None,
            Some(user) => {
                let path = format!("{path}/user");
                let user = id(&path, self::object(&path, user)?)?;
                Some(user).filter(|user| *user != TAGGED_DEVICES)
            }
        };
        let addresses = texts(path, object, "ipAddresses", "ip_addresses")?;
        let addresses = addresses.into_iter().enumerate().map(|(at, text)| {
            text.parse().map_err(|_| TailnetError {
                path: format!("{path}/ipAddresses/{at}"),
                expected: "an IP address",
                found: format!("{text:?}"),
            })
        });
        Ok(Self {
            id: id(path, object)?,
            name: text(path, object, "name", "name")?,
            given_name: text(path, object, "givenName", "given_name")?,
            user,
            addresses: addresses.collect::<Result<_, _>>()?,
            tags: texts(path, object, "tags", "tags")?,
            available_routes: texts(path, object, "availableRoutes", "available_routes")?,
            approved_routes: texts(path, object, "approvedRoutes", "approved_routes")?,
        })
    }
}

impl TailnetError {
    fn new(path: &str, expected: &'static str, found: &Value) -> Self {
        let found = match found {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
            Value::Array(_) => "an array".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        };
        Self { path: path.to_owned(), expected, found }
    }
}

fn list<'v>(object: &'v Map<String, Value>, key: &str) -> Result<&'v [Value], TailnetError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(TailnetError::new(&format!("/{key}"), "an array", other)),
    }
}

fn object<'v>(path: &str, value: &'v Value) -> Result<&'v Map<String, Value>, TailnetError> {
    value.as_object().ok_or_else(|| TailnetError::new(path, "an object", value))
}

fn id(path: &str, object: &Map<String, Value>) -> Result<u64, TailnetError> {
    let value = object.get("id").unwrap_or(&Value::Null);
    let id = match value {
        Value::String(text) => text.parse().ok(),
        Value::Null => Some(0),
        value => value.as_u64(),
    };
    id.ok_or_else(|| TailnetError::new(&format!("{path}/id"), "a number", value))
}

fn text(
    path: &str,
    object: &Map<String, Value>,
    camel: &str,
    snake: &str,
) -> Result<String, TailnetError> {
    match object.get(camel).or_else(|| object.get(snake)) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(TailnetError::new(&format!("{path}/{camel}"), "a string", other)),
    }
}

fn texts(
    path: &str,
    object: &Map<String, Value>,
    camel: &str,
    snake: &str,
) -> Result<Vec<String>, TailnetError> {
    let path = format!("{path}/{camel}");
    match object.get(camel).or_else(|| object.get(snake)) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .enumerate()
            .map(|(at, item)| match item {
                Value::String(text) => Ok(text.clone()),
                other => Err(TailnetError::new(&format!("{path}/{at}"), "a string", other)),
            })
            .collect(),
        Some(other) => Err(TailnetError::new(&path, "an array of strings", other)),
    }
}
