//! Plugins: found by their references, loaded, and asked.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use headscale_acl::{Date, Finding, Version, silence_plugins};
use headscale_policy_host::{
    Host, Options, Plugin, PluginError, Subject, Validator as _, View, builtins,
};
use headscale_policy_registry::{Reference, ReferenceError};
use serde_json::Value;

use super::pulls::{Pulls, Wake};
use crate::conditions::Verdict;

/// A plugin that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// As the spec names it.
    pub(super) reference: String,
    /// Its settings or values, an object.
    pub(super) values: Value,
}

/// A plugin that was found.
pub(super) struct Found {
    reference: String,
    component: Cow<'static, [u8]>,
    values: Value,
}

/// Where plugins come from, and what runs them. Nothing of it is there before the first is asked
/// for.
#[derive(Debug)]
pub(super) struct Plugins {
    cache: PathBuf,
    pulls: Pulls,
    host: OnceLock<Host>,
}

/// Reason of `Ready`: a plugin could not do its work.
pub(super) const PLUGIN_FAILED: &str = "PluginFailed";

/// That a plugin could not do its work.
pub(super) fn failed(reason: &str) -> Verdict {
    Verdict::bad(PLUGIN_FAILED, reason)
}

impl Plugins {
    /// Those that are kept in this directory, and may take `timeout` to come from a registry.
    pub(super) fn new(cache: &Path, timeout: Duration) -> Self {
        let pulls = Pulls::new(cache.join("plugins"), timeout);
        Self { cache: cache.to_owned(), pulls, host: OnceLock::new() }
    }

    /// Finds the component of a plugin. `wake` is called when one that is not here yet has come, or
    /// does not come.
    ///
    /// # Errors
    ///
    /// When there is none of that name, when the reference has no digest, and when the registry does
    /// not give it, or not yet.
    pub(super) async fn find(&self, wanted: &Wanted, wake: Wake) -> Result<Found, Verdict> {
        let Wanted { reference, values } = wanted;
        let component = self.component(reference, wake).await?;
        Ok(Found { reference: reference.clone(), component, values: values.clone() })
    }

    async fn component(&self, reference: &str, wake: Wake) -> Result<Cow<'static, [u8]>, Verdict> {
        let built_in = |name: &str| builtins().iter().find(|builtin| builtin.name == name);
        if let Some(builtin) = built_in(reference) {
            return Ok(Cow::Borrowed(builtin.component));
        }
        let parsed: Reference = reference
            .parse()
            .map_err(|error: ReferenceError| failed(&format!("{error}; {}", error.help)))?;
        let oci = match parsed {
            Reference::Builtin(builtin) => {
                let found = built_in(builtin.name()).map(|it| Cow::Borrowed(it.component));
                let names: Vec<&str> = builtins().iter().map(|builtin| builtin.name).collect();
                return found.ok_or_else(|| {
                    failed(&format!(
                        "there is no built-in plugin {:?}: there are {}",
                        builtin.name(),
                        names.join(" and ")
                    ))
                });
            }
            Reference::File(_) => {
                return Err(failed(&format!(
                    "plugin {reference} is a file, and the operator has none: push it to a \
                     registry (`kubectl headscale plugin push`), and write \
                     oci://REGISTRY/REPOSITORY:TAG@sha256:DIGEST"
                )));
            }
            Reference::Oci(oci) => oci,
        };
        let Some(digest) = oci.digest() else {
            return Err(failed(&format!(
                "plugin {reference} has no digest, and what a registry has under a tag may change: \
                 write {reference}@sha256:DIGEST, which `kubectl headscale plugin pull` prints"
            )));
        };
        Ok(Cow::Owned(self.pulls.component(&oci, digest, wake).await?))
    }

    fn host(&self) -> Result<Host, Verdict> {
        if let Some(host) = self.host.get() {
            return Ok(host.clone());
        }
        let cache = Some(self.cache.join("aot"));
        let host = Host::new(Options { cache, ..Options::default() });
        let host = host.map_err(|failure| failed(&format!("plugins cannot be run: {failure}")))?;
        if let Some(problem) = host.cache_problem() {
            tracing::info!("plugins are compiled each time: {problem}");
        }
        Ok(self.host.get_or_init(|| host).clone())
    }

    fn load(&self, found: &Found) -> Result<Plugin, Verdict> {
        self.host()?.load(&*found.reference, &found.component).map_err(|error| told(&error))
    }

    /// Has a plugin write a policy. Takes a while: it is for a thread of its own.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(super) fn render(&self, found: &Found) -> Result<String, Verdict> {
        let rendered = self.load(found)?.render(&found.values).map_err(|error| told(&error))?;
        Ok(rendered.text)
    }

    /// What plugins find in a policy that Headscale takes. Takes a while: it is for a thread of its
    /// own.
    ///
    /// # Errors
    ///
    /// When one of them cannot do its work, which says nothing of the policy.
    pub(super) fn judge(
        &self,
        plugins: &[Found],
        name: &str,
        text: &str,
        version: Version,
        today: Option<Date>,
    ) -> Result<Vec<Finding>, Verdict> {
        let (mut findings, mut ran) = (Vec::new(), Vec::new());
        let Ok(subject) = Subject::new(name, text.as_bytes(), None, version) else {
            return Ok(findings);
        };
        for found in plugins {
            let plugin = self.load(found)?;
            let validator = plugin.validator(&found.values).map_err(|error| told(&error))?;
            let view = View::new(subject.clone());
            let verdict = validator.validate(&view).map_err(|error| told(&error))?;
            findings.extend(verdict.findings);
            ran.push(plugin.descriptor().name.clone());
        }
        let ran: Vec<&str> = ran.iter().map(String::as_str).collect();
        Ok(silence_plugins(subject.document(), findings, today, &ran))
    }
}

fn told(error: &PluginError) -> Verdict {
    failed(&error.to_string())
}

/// The stack of a thread: a plugin takes at most 1 MiB of it, its compiler some more.
const STACK: usize = 8 << 20;

/// Does work that takes a while on a thread of its own; `None` where there is no thread to be had,
/// or it broke off.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("policy".to_owned()).stack_size(STACK);
    let started = thread.spawn(move || {
        // Whoever asked may be gone.
        sender.send(work()).ok();
    });
    started.ok()?;
    receiver.await.ok()
}
