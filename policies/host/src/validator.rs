//! Everything that judges policies, plugin or not.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use headscale_acl::{Checked, Options, Source, check, rules};

use crate::answer::Verdict;
use crate::descriptor::{Descriptor, Rule};
use crate::error::PluginError;
use crate::subject::{Subject, View};

/// Judges policies.
pub trait Validator: Sync {
    /// What it is.
    fn descriptor(&self) -> &Descriptor;

    /// Judges the policy that `view` shows. The same policy gets the same verdict.
    ///
    /// # Errors
    ///
    /// When it could not do its work, which says nothing of the policy.
    fn validate(&self, view: &View) -> Result<Verdict, PluginError>;
}

/// Our own lints.
#[derive(Clone, Debug)]
pub struct NativeLints(Descriptor);

impl Default for NativeLints {
    fn default() -> Self {
        let lints = rules::all().filter(|rule| rule.source == Source::Lint).map(|rule| Rule {
            id: rule.id.to_owned(),
            summary: rule.summary.to_owned(),
            default_severity: rule.severity,
            help: rule.explanation.to_owned(),
            tags: Vec::new(),
        });
        Self(Descriptor {
            name: "lint".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "What Headscale accepts and people regret".to_owned(),
            license: env!("CARGO_PKG_LICENSE").to_owned(),
            homepage: Some(env!("CARGO_PKG_REPOSITORY").to_owned()),
            rules: lints.collect(),
            settings_schema: None,
            params_schema: None,
            annotations: Vec::new(),
        })
    }
}

impl Validator for NativeLints {
    fn descriptor(&self) -> &Descriptor {
        &self.0
    }

    fn validate(&self, view: &View) -> Result<Verdict, PluginError> {
        let subject = view.subject();
        let tailnet = subject.tailnet().map(AsRef::as_ref);
        let options = Options { versions: &[subject.version()], tailnet, today: None };
        let Checked { mut findings, uncounted, .. } =
            check(subject.document().text().as_bytes(), &options);
        findings.retain(|finding| finding.source == Source::Lint);
        Ok(Verdict { findings, uncounted, ..Verdict::default() })
    }
}

/// Has all `validators` judge `subject`, as many at a time as there are processors.
///
/// The verdicts come in the order of the validators, each with its findings in document order, so
/// the same input gives the same output. One that fails leaves the others alone.
///
/// # Examples
///
/// ```
/// use headscale_acl::Version;
/// use headscale_policy_host::{NativeLints, Subject, Validator, run};
///
/// let text = br#"{"groups": {"group:dev": ["alice@"]}, "acls": []}"#;
/// let subject = Subject::new("policy.hujson", text, None, Version::V0_29).unwrap();
/// let lints = NativeLints::default();
/// let verdicts = run(&[&lints], &subject);
/// let verdict = verdicts[0].as_ref().unwrap();
/// assert!(verdict.findings.iter().any(|finding| finding.rule == "unused-group"));
/// ```
pub fn run(validators: &[&dyn Validator], subject: &Subject) -> Vec<Result<Verdict, PluginError>> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Result<Verdict, PluginError>>>> =
        Mutex::new(validators.iter().map(|_| None).collect());
    let work = || {
        let view = View::new(subject.clone());
        while let Some((at, validator)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            validators.get(at).map(|validator| (at, validator))
        } {
            let verdict = validator.validate(&view);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(slot) = done.get_mut(at) {
                *slot = Some(verdict);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..processors.min(validators.len()) {
            let thread = thread::Builder::new().stack_size(STACK);
            // Where no thread can be started, those that run do all the work.
            _ = thread.spawn_scoped(scope, work).is_ok();
        }
        work();
    });
    // Each was taken by one of the threads, which are all done.
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()
}

/// Stack of a thread: a plugin takes at most 1 MiB of it, see [`Limit::Stack`].
const STACK: usize = 4 << 20;
