//! What is judged.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use headscale_acl::engine::Loaded;
use headscale_acl::hujson::{self, Document};
use headscale_acl::tailnet::User;
use headscale_acl::{Checked, Tailnet, Version, check_syntax};
use serde_json::{Value, json};

/// A policy to judge, with what is known around it. A copy is a reference to the same.
#[derive(Clone)]
pub struct Subject(Arc<Inner>);

struct Inner {
    name: String,
    doc: Document<'static>,
    plain: String,
    tailnet: Option<Arc<Tailnet>>,
    version: Version,
    previous: Option<(String, String)>,
    inventory: OnceLock<Option<String>>,
}

impl Subject {
    /// A policy for Headscale of `version`, and for the nodes of `tailnet` if they are known.
    /// `name` is what messages call it.
    ///
    /// Validators are meant for policies that Headscale takes, and here only the text is read: what
    /// it refuses beyond that is for [`headscale_acl::check()`] to say before. Of another one,
    /// questions about reachability have no answer.
    ///
    /// # Errors
    ///
    /// What is wrong with a text that is no HuJSON.
    pub fn new(
        name: impl Into<String>,
        text: &[u8],
        tailnet: Option<Arc<Tailnet>>,
        version: Version,
    ) -> Result<Self, Checked> {
        let doc = readable(text)?;
        let plain = hujson::standardize(&doc);
        Ok(Self(Arc::new(Inner {
            name: name.into(),
            doc,
            plain,
            tailnet,
            version,
            previous: None,
            inventory: OnceLock::new(),
        })))
    }

    /// The same with the policy before the change, by its name and text.
    ///
    /// # Errors
    ///
    /// What is wrong with a text that is no HuJSON.
    pub fn after(self, name: impl Into<String>, text: &[u8]) -> Result<Self, Checked> {
        let previous = Some((name.into(), hujson::standardize(&readable(text)?)));
        let Inner { name, doc, plain, tailnet, version, .. } = &*self.0;
        Ok(Self(Arc::new(Inner {
            name: name.clone(),
            doc: doc.clone(),
            plain: plain.clone(),
            tailnet: tailnet.clone(),
            version: *version,
            previous,
            inventory: OnceLock::new(),
        })))
    }

    /// What messages call the policy.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The policy.
    #[must_use]
    pub fn document(&self) -> &Document<'static> {
        &self.0.doc
    }

    /// The policy as plain JSON, every byte where it stands in the text.
    #[must_use]
    pub fn plain(&self) -> &str {
        &self.0.plain
    }

    /// The users and nodes that it is for.
    #[must_use]
    pub fn tailnet(&self) -> Option<&Arc<Tailnet>> {
        self.0.tailnet.as_ref()
    }

    /// The version of Headscale that it is for.
    #[must_use]
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// The policy before the change: its name and plain JSON.
    #[must_use]
    pub fn previous(&self) -> Option<(&str, &str)> {
        self.0.previous.as_ref().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The tailnet as plugins are told of it.
    pub(crate) fn inventory(&self) -> Option<&str> {
        let made = || self.0.tailnet.as_deref().map(|tailnet| inventory(tailnet).to_string());
        self.0.inventory.get_or_init(made).as_deref()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("name", &self.0.name).finish_non_exhaustive()
    }
}

fn readable(text: &[u8]) -> Result<Document<'static>, Checked> {
    let text = if text.is_empty() { b"null" } else { text };
    let doc = Document::parse(text);
    let checked = check_syntax(&doc);
    if checked.findings.is_empty() { Ok(doc.into_owned()) } else { Err(checked) }
}

/// `{"users": […], "nodes": […]}` in the field names of Headscale's REST API.
fn inventory(tailnet: &Tailnet) -> Value {
    let users = tailnet.users.iter().map(|user| {
        json!({
            "id": user.id.to_string(),
            "name": user.name,
            "displayName": user.display_name,
            "email": user.email,
            "providerId": user.provider_id,
        })
    });
    let by_id: HashMap<u64, &User> = tailnet.users.iter().map(|user| (user.id, user)).collect();
    let nodes = tailnet.nodes.iter().map(|node| {
        let owner = node.user.and_then(|id| by_id.get(&id));
        json!({
            "id": node.id.to_string(),
            "name": node.name,
            "givenName": node.given_name,
            "user": owner.map(|user| json!({"id": user.id.to_string(), "name": user.name})),
            "ipAddresses": node.addresses,
            "tags": node.tags,
            "availableRoutes": node.available_routes,
            "approvedRoutes": node.approved_routes,
        })
    });
    json!({"users": users.collect::<Value>(), "nodes": nodes.collect::<Value>()})
}

/// A subject as one thread sees it: it is compiled when somebody first asks what reaches what, and
/// kept for whoever asks next. A copy is a reference to the same.
#[derive(Clone, Debug)]
pub struct View(Rc<Compiled>);

#[derive(Debug)]
struct Compiled {
    subject: Subject,
    policy: OnceCell<Option<Loaded>>,
}

impl View {
    /// Nothing is compiled yet.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self(Rc::new(Compiled { subject, policy: OnceCell::new() }))
    }

    /// What is judged.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.0.subject
    }

    /// The compiled policy; `None` where Headscale would not take it.
    #[must_use]
    pub fn policy(&self) -> Option<&Loaded> {
        let subject = self.subject();
        let text = subject.document().text();
        let load = || Loaded::new(text.as_bytes(), subject.tailnet().cloned(), subject.version());
        self.0.policy.get_or_init(|| load().ok()).as_ref()
    }
}
