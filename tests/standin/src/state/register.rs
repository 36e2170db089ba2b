//! How nodes come in.

use super::nodes::check_old;
use super::stored::Method;
use super::{Node, State, routes};
use crate::failure::{Code, Failure};
use crate::options::Version;
use crate::secret;

/// How long ids of logins are on 0.28, and what follows the prefix of later ones.
const ID_LENGTH: usize = 24;

/// A login in progress.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    hostname: String,
    machine_key: String,
    node_key: String,
    announced: Vec<String>,
}

/// What a machine says of itself when it comes with a pre-auth key.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// The text of the pre-auth key.
    pub auth_key: String,
    /// Its own name.
    pub hostname: String,
    /// `mkey:` and 64 hexadecimal digits; empty for those of a new machine.
    pub machine_key: String,
    /// `nodekey:` and 64 hexadecimal digits; empty for a new login.
    pub node_key: String,
    /// The routes that it announces.
    pub routes: Vec<String>,
}

impl State {
    /// Puts a login in progress, as a test's stand-in for a client, and gives the node to be shown
    /// for it.
    pub(crate) fn debug_node(
        &mut self,
        user: &str,
        key: &str,
        name: &str,
        announces: &[String],
    ) -> Result<Node, Failure> {
        let owner = self.user_by_name(user, "looking up user")?;
        let announced = routes::announced(announces)
            .map_err(|why| Failure::below(400, "parsing routes", why))?;
        self.check_auth_id(key).map_err(|why| Failure::below(400, "debug creating node", why))?;
        let login = Pending {
            hostname: name.to_owned(),
            machine_key: new_key("mkey"),
            node_key: new_key("nodekey"),
            announced: announced.clone(),
        };
        let zero = crate::moment::Moment::zero();
        let shown = Node {
            id: 0,
            machine_key: login.machine_key.clone(),
            node_key: login.node_key.clone(),
            hostname: name.to_owned(),
            given_name: String::new(),
            user: Some(owner),
            auth_key: None,
            method: Method::Unspecified,
            addresses: Vec::new(),
            created_at: zero,
            last_seen: Some(zero),
            expiry: Some(zero),
            approved: Vec::new(),
            announced,
            tags: Vec::new(),
        };
        self.pending.insert(key.to_owned(), login);
        Ok(shown)
    }

    /// Lets a login in progress in, as a node of the user of that name.
    pub(crate) fn register_node(&mut self, user: &str, key: &str) -> Result<Node, Failure> {
        const DOING: &str = "registering node";
        self.check_auth_id(key).map_err(|why| Failure::below(400, DOING, why))?;
        let owner = self.user_by_name(user, "looking up user").map_err(|failure| {
            let message = format!("looking up user: {}", failure.message);
            failure.message(message)
        })?;
        let Some(login) = self.pending.get(key).cloned() else {
            return Err(Failure::below(404, DOING, "node not found in registration cache"));
        };
        let mut node = self.new_node(login, Method::Cli);
        node.user = Some(owner);
        // Logins of the debug call carry the zero time, which later versions keep too.
        node.expiry = Some(crate::moment::Moment::zero());
        let node = self.add_node(node)?;
        self.pending.remove(key);
        Ok(node)
    }

    /// Answers a login that waits, without making a node of it.
    pub(crate) fn answer_login(&mut self, key: &str) -> Result<(), Failure> {
        self.check_auth_id(key).map_err(|why| {
            let message = format!("invalid auth_id: {why}");
            Failure::below(400, "invalid auth_id", why).code(Code::InvalidArgument).message(message)
        })?;
        if self.pending.contains_key(key) {
            return Ok(());
        }
        let words = format!("no pending auth session for auth_id {key}");
        Err(Failure::plain(Code::NotFound, 404, words))
    }

    /// Lets a machine in that has a pre-auth key; gives its node. Fails with the words that the
    /// machine is told.
    pub(crate) fn register_with_key(&mut self, machine: &Registration) -> Result<Node, String> {
        let (version, now) = (self.version, self.clock.now());
        let unknown = || {
            if version == Version::V0_28 {
                "handling register with auth key: auth-key not found".to_owned()
            } else {
                "invalid pre auth key".to_owned()
            }
        };
        let (prefix, secret) = secret::split_auth_key(&machine.auth_key).ok_or_else(unknown)?;
        let is_asked =
            |key: &&super::AuthKey| key.prefix == prefix && key.hash == secret::hash(secret);
        let key = self.data.auth_keys.iter().find(is_asked).cloned().ok_or_else(unknown)?;
        let is_tagged = !key.tags.is_empty();
        let known = self.data.nodes.iter().find(|node| {
            let same_machine = node.machine_key == machine.machine_key;
            let same_owner = if is_tagged { !node.tags.is_empty() } else { node.user == key.user };
            same_machine && same_owner
        });
        let known = known.filter(|_| !is_tagged || version > Version::V0_28).cloned();
        let comes_back = known.as_ref().is_some_and(|node| node.node_key == machine.node_key);
        if !comes_back && key.expiration.is_past(now) {
            return Err("authkey expired".to_owned());
        }
        if !comes_back && key.used && !key.reusable {
            return Err("authkey already used".to_owned());
        }
        let announced = routes::announced(&machine.routes)?;
        let or_new = |given: &str, kind: &str| {
            if given.is_empty() { new_key(kind) } else { given.to_owned() }
        };
        let login = Pending {
            hostname: machine.hostname.clone(),
            machine_key: or_new(&machine.machine_key, "mkey"),
            node_key: or_new(&machine.node_key, "nodekey"),
            announced,
        };
        let mut node = self.new_node(login, Method::AuthKey);
        if let Some(known) = known {
            (node.id, node.given_name) = (known.id, known.given_name);
            (node.addresses, node.approved) = (known.addresses, known.approved);
            node.created_at = known.created_at;
        }
        node.auth_key = Some(key.id);
        node.tags.clone_from(&key.tags);
        node.user = key.user.filter(|_| !is_tagged || version == Version::V0_28);
        let node = self.add_node(node).map_err(|failure| failure.message)?;
        let used = self.change(|data| {
            for stored in data.auth_keys.iter_mut().filter(|stored| stored.id == key.id) {
                stored.used = true;
            }
            Ok(())
        });
        used.map_err(|failure| failure.message)?;
        Ok(node)
    }

    /// A node without number and address, of nobody.
    fn new_node(&self, login: Pending, method: Method) -> Node {
        let keeps_name = self.version > Version::V0_28;
        let hostname = if keeps_name {
            login.hostname
        } else {
            old_hostname(&login.hostname, &login.machine_key)
        };
        let is_debug = method == Method::Cli;
        Node {
            id: 0,
            machine_key: login.machine_key,
            node_key: login.node_key,
            given_name: String::new(),
            hostname,
            user: None,
            auth_key: None,
            method,
            addresses: Vec::new(),
            created_at: self.now(),
            last_seen: Some(self.now()),
            expiry: None,
            approved: Vec::new(),
            // The debug call's routes are lost from 0.29 on.
            announced: if is_debug && keeps_name { Vec::new() } else { login.announced },
            tags: Vec::new(),
        }
    }

    /// Stores a node: a new one where it has no number yet.
    fn add_node(&mut self, mut node: Node) -> Result<Node, Failure> {
        let version = self.version;
        self.change(|data| {
            if node.id == 0 {
                data.last.node += 1;
                node.id = data.last.node;
                node.addresses = addresses(node.id);
                let taken: Vec<&str> = data.nodes.iter().map(|n| n.given_name.as_str()).collect();
                node.given_name = given_name(version, &node.hostname, &taken);
            }
            data.nodes.retain(|other| other.id != node.id);
            data.nodes.push(node.clone());
            data.nodes.sort_by_key(|node| node.id);
            Ok(node)
        })
    }

    /// Whether an id of a login has the form of one; else the version's words for what is wrong.
    fn check_auth_id(&self, id: &str) -> Result<(), String> {
        if self.version == Version::V0_28 {
            let is_right = id.len() == ID_LENGTH;
            return is_right
                .then_some(())
                .ok_or_else(|| format!("registration ID must be {ID_LENGTH} characters long"));
        }
        let expected = secret::AUTH_REQUEST.len() + ID_LENGTH;
        if !id.starts_with(secret::AUTH_REQUEST) {
            let prefix = secret::AUTH_REQUEST;
            return Err(format!("auth ID has invalid prefix: expected prefix {prefix:?}"));
        }
        if id.len() != expected {
            let length = id.len();
            return Err(format!("auth ID has invalid length: expected {expected}, got {length}"));
        }
        Ok(())
    }
}

fn new_key(kind: &str) -> String {
    format!("{kind}:{}", secret::random_hex(32))
}

/// The addresses of the `n`-th node: one after the other, below 2^16.
fn addresses(n: u64) -> Vec<String> {
    vec![format!("100.64.{}.{}", n / 256 % 256, n % 256), format!("fd7a:115c:a1e0::{n:x}")]
}

/// The name under which 0.28 keeps a machine.
fn old_hostname(name: &str, machine_key: &str) -> String {
    if name.is_empty() {
        return format!("node-{}", &machine_key[..8]);
    }
    let lower = name.to_lowercase();
    if check_old(&lower).is_ok() { lower } else { format!("invalid-{}", secret::random_hex(4)) }
}

/// A name in DNS that no other node has.
fn given_name(version: Version, hostname: &str, taken: &[&str]) -> String {
    if version == Version::V0_28 {
        let name = hostname.to_owned();
        let is_taken = taken.contains(&name.as_str());
        return if is_taken { format!("{name}-{}", secret::random_hex(4)) } else { name };
    }
    let label = label(hostname);
    let base = if label.is_empty() { "node".to_owned() } else { label };
    let numbered = (1..).map(|n| format!("{base}-{n}"));
    std::iter::once(base.clone())
        .chain(numbered)
        .find(|name| !taken.contains(&name.as_str()))
        .unwrap_or(base)
}

/// A label of DNS made from any name: separators become hyphens, the rest is dropped.
fn label(hostname: &str) -> String {
    let kept = hostname.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    kept.chars()
        .filter_map(|c| match c {
            ' ' | '.' | '@' | '_' | '-' => Some('-'),
            c if c.is_ascii_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}
