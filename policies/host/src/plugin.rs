//! A loaded plugin, and calls to it.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap};

use crate::answer::{Judge, Verdict};
use crate::bindings::exports::headscale::policy::{meta, renderer, validator};
use crate::bindings::headscale::policy::types as wit;
use crate::context::{Context, Log, Note};
use crate::descriptor::{Described, Descriptor};
use crate::error::{Call, Failure, PluginError, Problem};
use crate::host::{Compilation, Inner, Offers};
use crate::limits::{Hit, Limit};
use crate::schema::Schema;
use crate::subject::View;
use crate::text;
use crate::ticker::TICK;
use crate::validator::Validator;

/// A loaded plugin. A copy is a reference to the same.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    host: Arc<Inner>,
    label: String,
    pre: InstancePre<Context>,
    meta: meta::GuestIndices,
    validator: Option<validator::GuestIndices>,
    renderer: Option<renderer::GuestIndices>,
    described: Described,
    /// `NAME@VERSION`
    source: Arc<str>,
    compilation: Compilation,
}

/// What a call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Steps: the same for the same input.
    pub fuel: u64,
    /// Bytes of all its memories.
    pub memory: u64,
}

/// What a renderer wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// A policy or a part of one, as the plugin wrote it: nothing was checked but that it is UTF-8.
    pub text: String,
    /// The notes of the plugin.
    pub log: Vec<Note>,
    /// What it took.
    pub usage: Usage,
}

/// A plugin with its settings, ready to judge.
#[derive(Clone, Debug)]
pub struct PluginValidator {
    plugin: Plugin,
    settings: String,
}

/// What is left of a call that came to an end.
struct Ended<T> {
    value: T,
    log: Log,
    usage: Usage,
}

impl Plugin {
    pub(crate) fn of(
        host: Arc<Inner>,
        label: String,
        pre: &InstancePre<Context>,
        offers: Offers,
        compilation: Compilation,
    ) -> Result<Self, PluginError> {
        let failed = |failure| PluginError { plugin: label.clone(), failure };
        // What is exported under our names must have our types.
        let typed = |error: wasmtime::Error| {
            failed(Failure::Damaged(text::line(&format!("{error:#}"), 500)))
        };
        let meta = meta::GuestIndices::new(pre).map_err(typed)?;
        let validator = offers
            .validator
            .then(|| validator::GuestIndices::new(pre))
            .transpose()
            .map_err(typed)?;
        let renderer =
            offers.renderer.then(|| renderer::GuestIndices::new(pre)).transpose().map_err(typed)?;
        let told = run(&host, pre, Call::Describe, None, |store, instance| {
            meta.load(&mut *store, instance)?.call_describe(store)
        });
        let told = told.map_err(failed)?.value;
        let described = Described::of(told, validator.is_some())
            .map_err(|why| failed(Failure::Descriptor(why)))?;
        let Descriptor { name, version, .. } = &described.descriptor;
        let source = format!("{name}@{version}").into();
        Ok(Self(Arc::new(Loaded {
            host,
            label,
            pre: pre.clone(),
            meta,
            validator,
            renderer,
            described,
            source,
            compilation,
        })))
    }

    /// What messages call it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// What it told of itself.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.0.described.descriptor
    }

    /// Where its code came from.
    #[must_use]
    pub fn compilation(&self) -> &Compilation {
        &self.0.compilation
    }

    /// Whether it judges policies.
    #[must_use]
    pub fn is_validator(&self) -> bool {
        self.0.validator.is_some()
    }

    /// Whether it writes policies.
    #[must_use]
    pub fn is_renderer(&self) -> bool {
        self.0.renderer.is_some()
    }

    /// The plugin with its settings, ready to judge; `{}` is no settings.
    ///
    /// # Errors
    ///
    /// When it judges nothing, or does not take the settings: they are held against its schema
    /// first, then it is asked itself.
    pub fn validator(&self, settings: &Value) -> Result<PluginValidator, PluginError> {
        if !self.is_validator() {
            return Err(
                self.failed(Failure::Lacks("validator: it writes policies and judges none"))
            );
        }
        self.check("settings", self.0.described.settings.as_ref(), settings)?;
        let settings = settings.to_string();
        let meta = &self.0.meta;
        let checked = self.call(Call::CheckSettings, None, |store, instance| {
            meta.load(&mut *store, instance)?.call_check_settings(store, &settings)
        })?;
        if let Err(problems) = checked.value {
            let told = problems.iter().take(20).map(|problem| Problem {
                pointer: String::new(),
                message: text::line(problem, 500),
            });
            return Err(self.failed(Failure::Values { what: "settings", problems: told.collect() }));
        }
        Ok(PluginValidator { plugin: self.clone(), settings })
    }

    /// Has it write a policy from `params`.
    ///
    /// # Errors
    ///
    /// When it writes nothing, does not take the parameters, or fails.
    pub fn render(&self, params: &Value) -> Result<Rendered, PluginError> {
        let Some(renderer) = &self.0.renderer else {
            return Err(self.failed(Failure::Lacks("renderer: it judges policies and writes none")));
        };
        self.check("params", self.0.described.params.as_ref(), params)?;
        let params = params.to_string();
        let Ended { value, log, usage } = self.call(Call::Render, None, |store, instance| {
            renderer.load(&mut *store, instance)?.call_render(store, &params)
        })?;
        match value {
            Ok(text) => Ok(Rendered { text, log: log.notes, usage }),
            Err(message) => Err(self.refused(Call::Render, &message)),
        }
    }

    fn check(
        &self,
        what: &'static str,
        schema: Option<&Schema>,
        value: &Value,
    ) -> Result<(), PluginError> {
        let problems = match schema {
            Some(schema) => schema.problems(value),
            None if value.as_object().is_some_and(serde_json::Map::is_empty) => Vec::new(),
            None => {
                vec![Problem { pointer: String::new(), message: "it takes none".to_owned() }]
            }
        };
        if problems.is_empty() {
            return Ok(());
        }
        Err(self.failed(Failure::Values { what, problems }))
    }

    fn call<T>(
        &self,
        call: Call,
        view: Option<View>,
        run_in: impl FnOnce(&mut Store<Context>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<Ended<T>, PluginError> {
        run(&self.0.host, &self.0.pre, call, view, run_in).map_err(|failure| self.failed(failure))
    }

    fn failed(&self, failure: Failure) -> PluginError {
        PluginError { plugin: self.0.label.clone(), failure }
    }

    fn refused(&self, call: Call, message: &str) -> PluginError {
        self.failed(Failure::Refused { call, message: text::lines(message, 8 << 10) })
    }
}

/// Calls a fresh instance, which is thrown away afterwards: what one call did to it is nothing that
/// another one could see.
fn run<T>(
    host: &Inner,
    pre: &InstancePre<Context>,
    call: Call,
    view: Option<View>,
    run_in: impl FnOnce(&mut Store<Context>, &Instance) -> wasmtime::Result<T>,
) -> Result<Ended<T>, Failure> {
    let limits = &host.limits;
    let mut store = Store::new(&host.engine, Context::new(limits, view));
    store.limiter(|context| &mut context.meter);
    store.set_hostcall_fuel(limits.bytes(Limit::Results));
    // One tick more, because the first one is under way.
    let ticks = limits.time().as_millis() / TICK.as_millis() + 1;
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX));
    let fuel = limits.get(Limit::Fuel);
    let running = host.ticker.run(&host.engine);
    let result = store.set_fuel(fuel).and_then(|()| {
        let instance = pre.instantiate(&mut store)?;
        run_in(&mut store, &instance)
    });
    drop(running);
    let left = store.get_fuel().unwrap_or_default();
    let Context { meter, log, .. } = store.into_data();
    let usage = Usage { fuel: fuel.saturating_sub(left), memory: meter.memory() };
    match result {
        Ok(value) => Ok(Ended { value, log, usage }),
        Err(error) => Err(failure(host, call, &error, log.last())),
    }
}

fn failure(host: &Inner, call: Call, error: &wasmtime::Error, log: Option<String>) -> Failure {
    let hit = |limit| Hit::of(limit, &host.limits);
    let limit = |hit, log| Failure::Limit { call, hit, log };
    if let Some(hit) = error.downcast_ref::<Hit>() {
        return limit(*hit, log);
    }
    let known = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Some(Limit::Fuel),
        Some(Trap::Interrupt) => Some(Limit::Time),
        Some(Trap::StackOverflow) => Some(Limit::Stack),
        _ => None,
    };
    if let Some(known) = known {
        return limit(hit(known), log);
    }
    let words = text::line(&format!("{error:#}"), 500);
    if let Some(trap) = error.downcast_ref::<Trap>() {
        let reason = trap.to_string();
        let reason = reason.strip_prefix("wasm trap: ").unwrap_or(&reason).to_owned();
        return Failure::Trap { call, reason, log };
    }
    // These have no types of their own.
    if words.contains("fuel allocated for hostcalls has been exhausted") {
        return limit(hit(Limit::Results), log);
    }
    if words.contains("resource limit exceeded") {
        return limit(hit(Limit::Instances), log);
    }
    Failure::Answer { call, reason: words, log }
}

impl PluginValidator {
    /// The plugin.
    #[must_use]
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }
}

impl Validator for PluginValidator {
    fn descriptor(&self) -> &Descriptor {
        self.plugin.descriptor()
    }

    fn validate(&self, view: &View) -> Result<Verdict, PluginError> {
        let Self { plugin, settings } = self;
        let Some(validator) = &plugin.0.validator else {
            return Err(plugin.failed(Failure::Lacks("validator")));
        };
        let subject = view.subject();
        let document = |name: &str, text: &str| wit::Document {
            uri: name.to_owned(),
            content: text.to_owned(),
        };
        let request = validator::Request {
            policy: document(subject.name(), subject.plain()),
            previous: subject.previous().map(|(name, text)| document(name, text)),
            inventory: subject.inventory().map(str::to_owned),
            settings: settings.clone(),
        };
        let view = view.clone();
        let ended = plugin.call(Call::Validate, Some(view), |store, instance| {
            validator.load(&mut *store, instance)?.call_validate(store, &request)
        })?;
        let Ended { value, log, usage } = ended;
        match value {
            Ok(told) => {
                let descriptor = plugin.descriptor();
                let mut verdict = Judge::new(subject, descriptor, &plugin.0.source).read(told);
                if log.dropped > 0 {
                    verdict.notes.push(format!(
                        "{} of its notes are not kept, for they are more than the limit `log` of \
                         {} bytes",
                        log.dropped,
                        plugin.0.host.limits.get(Limit::Log),
                    ));
                }
                Ok(Verdict { log: log.notes, usage, ..verdict })
            }
            Err(message) => Err(plugin.refused(Call::Validate, &message)),
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("label", &self.0.label)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}
