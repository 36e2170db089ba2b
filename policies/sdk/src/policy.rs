//! A policy, typed, with the place of everything in it.
//!
//! Names of members are read as Headscale reads them, in any case (`"ACLs"`), and pointers keep
//! them as they are written. Members that are not known here are ignored: the host refuses what
//! Headscale would.

use serde_json::Value;

use crate::pointer;

/// A policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `groups`
    pub groups: Vec<Group>,
    /// `tagOwners`
    pub tag_owners: Vec<TagOwner>,
    /// `hosts`
    pub hosts: Vec<Host>,
    /// `acls`
    pub acls: Vec<Acl>,
    /// `grants`
    pub grants: Vec<Grant>,
    /// `ssh`
    pub ssh: Vec<Ssh>,
    /// `autoApprovers`
    pub auto_approvers: AutoApprovers,
    /// `nodeAttrs`
    pub node_attrs: Vec<NodeAttr>,
    /// `tests`
    pub tests: Vec<Test>,
    /// `sshTests`
    pub ssh_tests: Vec<SshTest>,
    /// Whether there are neither `acls` nor `grants`: Headscale then lets everything through.
    pub allows_everything: bool,
    /// `randomizeClientPort`
    pub randomize_client_port: bool,
}

/// People by one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Where it stands.
    pub pointer: String,
    /// `group:…`
    pub name: String,
    /// Users, with `@`.
    pub members: Vec<String>,
}

/// Who may give a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagOwner {
    /// Where it stands.
    pub pointer: String,
    /// `tag:…`
    pub tag: String,
    /// Users, groups and tags.
    pub owners: Vec<String>,
}

/// A name for an address or a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Where it stands.
    pub pointer: String,
    /// The name.
    pub name: String,
    /// The address or prefix.
    pub address: String,
}

/// A rule of `acls`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    /// Where it stands.
    pub pointer: String,
    /// The protocol, if it names one.
    pub proto: Option<String>,
    /// Who connects.
    pub src: Vec<String>,
    /// To whom, with ports: `tag:web:80,443`.
    pub dst: Vec<String>,
}

/// A rule of `grants`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Where it stands.
    pub pointer: String,
    /// Who connects.
    pub src: Vec<String>,
    /// To whom.
    pub dst: Vec<String>,
    /// Protocols and ports: `tcp:443`, `*`.
    pub ip: Vec<String>,
    /// Names of the application capabilities that it gives.
    pub app: Vec<String>,
    /// Tags of the routers that it goes through.
    pub via: Vec<String>,
}

/// A rule of `ssh`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssh {
    /// Where it stands.
    pub pointer: String,
    /// `accept` or `check`.
    pub action: String,
    /// Who logs in.
    pub src: Vec<String>,
    /// Where.
    pub dst: Vec<String>,
    /// As whom.
    pub users: Vec<String>,
    /// How long a fresh login serves, for `check`.
    pub check_period: Option<String>,
}

/// What nobody has to approve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutoApprovers {
    /// Routes.
    pub routes: Vec<Route>,
    /// Who may be an exit node.
    pub exit_node: Vec<String>,
}

/// Who may lead to a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Where it stands.
    pub pointer: String,
    /// The prefix.
    pub prefix: String,
    /// Users, groups and tags.
    pub approvers: Vec<String>,
}

/// Attributes of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeAttr {
    /// Where it stands.
    pub pointer: String,
    /// Whose.
    pub target: Vec<String>,
    /// Which.
    pub attr: Vec<String>,
}

/// A test of `tests`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Test {
    /// Where it stands.
    pub pointer: String,
    /// Who connects.
    pub src: String,
    /// The protocol, if it names one.
    pub proto: Option<String>,
    /// What must be reached.
    pub accept: Vec<String>,
    /// What must not.
    pub deny: Vec<String>,
}

/// A test of `sshTests`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshTest {
    /// Where it stands.
    pub pointer: String,
    /// Who logs in.
    pub src: String,
    /// Where.
    pub dst: Vec<String>,
    /// As whom it must be let in.
    pub accept: Vec<String>,
    /// As whom it must not.
    pub deny: Vec<String>,
    /// As whom after a fresh login.
    pub check: Vec<String>,
}

impl Policy {
    /// Reads the JSON text of a policy that Headscale takes. What has another type than it should
    /// counts as missing; an empty text is a policy without rules.
    ///
    /// # Errors
    /// When it is not JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// use headscale_policy_sdk::Policy;
    ///
    /// let policy = Policy::parse(r#"{"ACLs": [{"action": "accept", "src": ["a@"], "dst": ["*:*"]}]}"#);
    /// let acl = &policy.unwrap().acls[0];
    /// assert_eq!((&*acl.pointer, &*acl.dst[0]), ("/ACLs/0", "*:*"));
    /// ```
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        if text.trim().is_empty() {
            return Ok(Self { allows_everything: true, ..Self::default() });
        }
        let value: Value = serde_json::from_str(text)?;
        let root = At { value: &value, pointer: String::new() };
        let approvers = root.member("autoApprovers");
        Ok(Self {
            groups: root.named("groups", |at, name| Group {
                members: at.strings(),
                pointer: at.pointer,
                name,
            }),
            tag_owners: root.named("tagOwners", |at, tag| TagOwner {
                owners: at.strings(),
                pointer: at.pointer,
                tag,
            }),
            hosts: root.named("hosts", |at, name| Host {
                address: at.string(),
                pointer: at.pointer,
                name,
            }),
            acls: root.list("acls", |at| Acl {
                proto: at.text("proto"),
                src: at.texts("src"),
                dst: at.texts("dst"),
                pointer: at.pointer,
            }),
            grants: root.list("grants", |at| Grant {
                src: at.texts("src"),
                dst: at.texts("dst"),
                ip: at.texts("ip"),
                app: at.named("app", |_, name| name),
                via: at.texts("via"),
                pointer: at.pointer,
            }),
            ssh: root.list("ssh", |at| Ssh {
                action: at.text("action").unwrap_or_default(),
                src: at.texts("src"),
                dst: at.texts("dst"),
                users: at.texts("users"),
                check_period: at.text("checkPeriod"),
                pointer: at.pointer,
            }),
            auto_approvers: AutoApprovers {
                routes: approvers.as_ref().map_or_else(Vec::new, |at| {
                    at.named("routes", |at, prefix| Route {
                        approvers: at.strings(),
                        pointer: at.pointer,
                        prefix,
                    })
                }),
                exit_node: approvers.map_or_else(Vec::new, |at| at.texts("exitNode")),
            },
            node_attrs: root.list("nodeAttrs", |at| NodeAttr {
                target: at.texts("target"),
                attr: at.texts("attr"),
                pointer: at.pointer,
            }),
            tests: root.list("tests", |at| Test {
                src: at.text("src").unwrap_or_default(),
                proto: at.text("proto"),
                accept: at.texts("accept"),
                deny: at.texts("deny"),
                pointer: at.pointer,
            }),
            ssh_tests: root.list("sshTests", |at| SshTest {
                src: at.text("src").unwrap_or_default(),
                dst: at.texts("dst"),
                accept: at.texts("accept"),
                deny: at.texts("deny"),
                check: at.texts("check"),
                pointer: at.pointer,
            }),
            allows_everything: root.member("acls").is_none() && root.member("grants").is_none(),
            randomize_client_port: root
                .member("randomizeClientPort")
                .is_some_and(|at| at.value.as_bool() == Some(true)),
        })
    }

    /// The group of a name: `group:dev`.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }
}

/// A value and where it stands.
struct At<'v> {
    value: &'v Value,
    pointer: String,
}

impl<'v> At<'v> {
    /// A member that is there and not `null`, whatever case its name is written in.
    fn member(&self, name: &str) -> Option<Self> {
        let members = self.value.as_object()?;
        let mut found = members.iter().filter(|(_, value)| !value.is_null());
        let (name, value) = found.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(Self { value, pointer: pointer::member(&self.pointer, name) })
    }

    fn list<T>(&self, name: &str, read: impl Fn(Self) -> T) -> Vec<T> {
        let Some(list) = self.member(name) else { return Vec::new() };
        let elements = list.value.as_array().into_iter().flatten().enumerate();
        elements
            .map(|(at, value)| read(Self { value, pointer: pointer::element(&list.pointer, at) }))
            .collect()
    }

    fn named<T>(&self, name: &str, read: impl Fn(Self, String) -> T) -> Vec<T> {
        let Some(object) = self.member(name) else { return Vec::new() };
        let members = object.value.as_object().into_iter().flatten();
        members
            .map(|(name, value)| {
                let pointer = pointer::member(&object.pointer, name);
                read(Self { value, pointer }, name.clone())
            })
            .collect()
    }

    fn string(&self) -> String {
        self.value.as_str().unwrap_or_default().to_owned()
    }

    fn strings(&self) -> Vec<String> {
        let elements = self.value.as_array().into_iter().flatten();
        elements.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.member(name).map(|at| at.string()).filter(|text| !text.is_empty())
    }

    fn texts(&self, name: &str) -> Vec<String> {
        self.member(name).map_or_else(Vec::new, |at| at.strings())
    }
}
