//! A compiled policy that owns what it was made from.

use std::fmt;
use std::sync::{Arc, OnceLock};

use self_cell::self_cell;

use super::inventory::Inventory;
use super::network::Network;
use super::query::{accepted, read};
use super::symbolic::symbolic;
use crate::check::Checked;
use crate::hujson::Document;
use crate::policy::Policy;
use crate::semantics::{Semantics, Version};
use crate::tailnet::Tailnet;

/// A policy compiled for a tailnet, to be kept and asked for as long as it is needed: what
/// [`ask`](super::ask) makes for one question.
///
/// It remembers what its answers need, without locks, so it stays in the thread that made it.
pub struct Loaded(Compiled);

struct Text {
    doc: Document<'static>,
    /// Filled where it is made up from the policy, once that is read.
    tailnet: OnceLock<Arc<Tailnet>>,
    semantics: &'static Semantics,
    is_symbolic: bool,
}

struct Parts<'a> {
    policy: Policy<'a>,
    inventory: Inventory<'a>,
}

self_cell!(
    struct Read {
        owner: Text,
        #[covariant]
        dependent: Parts,
    }
);

type OwnNetwork<'a> = Network<'a, 'a>;

self_cell!(
    struct Compiled {
        owner: Read,
        #[not_covariant]
        dependent: OwnNetwork,
    }
);

impl Loaded {
    /// Compiles `text` for the nodes of `tailnet` as Headscale of `version` would; without a
    /// tailnet for nodes made up from the policy, see [`symbolic`].
    ///
    /// # Errors
    ///
    /// What is wrong with a policy that Headscale would not take.
    ///
    /// # Examples
    ///
    /// ```
    /// use headscale_acl::Version;
    /// use headscale_acl::engine::{Loaded, Question};
    ///
    /// let text = br#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22"]}]}"#;
    /// let loaded = Loaded::new(text, None, Version::V0_29).unwrap();
    /// for (port, allowed) in [("bob@:22", true), ("bob@:80", false)] {
    ///     let question = Question { from: "alice@", to: port, ..Question::default() };
    ///     let answer = loaded.ask(|network| network.explain(&question)).unwrap();
    ///     assert_eq!(answer.allowed, allowed);
    /// }
    /// ```
    pub fn new(
        text: &[u8],
        tailnet: Option<Arc<Tailnet>>,
        version: Version,
    ) -> Result<Self, Checked> {
        let doc = accepted(text, tailnet.as_deref(), version)?.into_owned();
        let is_symbolic = tailnet.is_none();
        let known = OnceLock::new();
        if let Some(tailnet) = tailnet {
            known.get_or_init(|| tailnet);
        }
        let text = Text { doc, tailnet: known, semantics: Semantics::of(version), is_symbolic };
        let read = Read::new(text, |text| {
            let policy = read(&text.doc, text.semantics);
            let tailnet = text.tailnet.get_or_init(|| Arc::new(symbolic(&policy)));
            Parts { policy, inventory: Inventory::of(tailnet) }
        });
        Ok(Self(Compiled::new(read, |read| {
            let (text, parts) = (read.borrow_owner(), read.borrow_dependent());
            let network = Network::new(&parts.policy, &text.doc, &parts.inventory, text.semantics);
            if text.is_symbolic { network.of_made_up_nodes() } else { network }
        })))
    }

    /// Asks the compiled policy.
    pub fn ask<T>(&self, question: impl FnOnce(&Network<'_, '_>) -> T) -> T {
        self.0.with_dependent(|_, network| question(network))
    }

    /// The document that the policy was read from.
    #[must_use]
    pub fn document(&self) -> &Document<'_> {
        &self.0.borrow_owner().borrow_owner().doc
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").finish_non_exhaustive()
    }
}
