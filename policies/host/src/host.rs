//! The runtime that all plugins share.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, OptLevel};

use crate::builtin::{Builtin, builtins};
use crate::cache::{Cache, Origin};
use crate::compiled::{Fresh, Proved};
use crate::context::{Context, add_log};
use crate::error::{Failure, PluginError};
use crate::limits::{Limit, Limits};
use crate::plugin::Plugin;
use crate::reachability::add_reachability;
use crate::scan::{scan, scan_surface};
use crate::ticker::Ticker;

/// What a host is made of.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What plugins may use.
    pub limits: Limits,
    /// Where compiled components are kept, such as `$XDG_CACHE_HOME/kubectl-headscale/aot`; it is
    /// made if it is missing. Nowhere where `None`.
    pub cache: Option<PathBuf>,
}

/// Loads plugins and runs them. A copy is a reference to the same.
///
/// # Examples
///
/// ```
/// use headscale_policy_host::{Host, Options};
///
/// let host = Host::new(Options::default()).unwrap();
/// let error = host.load("./readme.wasm", b"# Plugins").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "plugin ./readme.wasm: it is no WebAssembly: a plugin is a component, a binary file that \
///      starts with \\0asm",
/// );
/// ```
#[derive(Clone)]
pub struct Host(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    pub(crate) ticker: Ticker,
    linker: Linker<Context>,
    builtins: &'static [Builtin],
    cache: Option<Cache>,
    cache_problem: Option<String>,
}

/// Where the code of a plugin came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compilation {
    /// It came with this program: see [`Builtin::is_compiled`].
    Embedded,
    /// From the cache.
    Cached,
    /// It was compiled, and is in the cache now.
    Stored,
    /// It was compiled, and could not be kept for this reason; none where there is no cache.
    NotStored(Option<String>),
}

impl Host {
    /// Starts a runtime: no threads, and well below a millisecond.
    ///
    /// A cache that cannot be used is not used; [`Host::cache_problem`] says why.
    ///
    /// # Errors
    ///
    /// When the runtime does not know this machine.
    pub fn new(options: Options) -> Result<Self, Failure> {
        Self::with_builtins(options, builtins())
    }

    /// The same with other built-in plugins.
    pub(crate) fn with_builtins(
        options: Options,
        builtins: &'static [Builtin],
    ) -> Result<Self, Failure> {
        let Options { limits, cache: dir } = options;
        // Most plugins come compiled, so that the compiler is started only for those that do not.
        let engine = Engine::new(config(&limits).enable_compiler(false)).map_err(engine_failure)?;
        let mut linker = Linker::new(&engine);
        add_log(&mut linker)
            .and_then(|()| add_reachability(&mut linker))
            .map_err(engine_failure)?;
        let (cache, cache_problem) = match dir.map(|dir| Cache::open(&dir)) {
            None => (None, None),
            Some(Ok(cache)) => (Some(cache), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        let ticker = Ticker::default();
        let inner = Inner { engine, limits, ticker, linker, builtins, cache, cache_problem };
        Ok(Self(Arc::new(inner)))
    }

    /// Why there is no cache although one was asked for.
    #[must_use]
    pub fn cache_problem(&self) -> Option<&str> {
        self.0.cache_problem.as_deref()
    }

    /// What plugins may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Loads the plugin in `bytes`, a component; `label` is what messages call it, such as
    /// `./owners.wasm`.
    ///
    /// It is looked through, compiled or taken from the cache, and asked what it is.
    ///
    /// # Errors
    ///
    /// When it is no plugin, is one for another version of the interface, is too large, asks for
    /// imports that plugins are not given, or does not tell properly what it is.
    pub fn load(&self, label: impl Into<String>, bytes: &[u8]) -> Result<Plugin, PluginError> {
        let label = label.into();
        match self.compile(bytes) {
            Ok((pre, offers, compilation)) => {
                Plugin::of(Arc::clone(&self.0), label, &pre, offers, compilation)
            }
            Err(failure) => Err(PluginError { plugin: label, failure }),
        }
    }

    fn compile(
        &self,
        bytes: &[u8],
    ) -> Result<(InstancePre<Context>, Offers, Compilation), Failure> {
        let surface = scan_surface(bytes, &self.0.limits)?;
        let (component, compilation) = match self.embedded(bytes) {
            Some(component) => (component, Compilation::Embedded),
            None => self.cached_or_compiled(bytes)?,
        };
        let pre = self
            .0
            .linker
            .instantiate_pre(&component)
            .map_err(|error| Failure::Import(crate::text::line(&format!("{error:#}"), 500)))?;
        let offers =
            Offers { validator: surface.offers("validator"), renderer: surface.offers("renderer") };
        Ok((pre, offers, compilation))
    }

    /// The code of a built-in plugin, where it was built into this program.
    fn embedded(&self, bytes: &[u8]) -> Option<Component> {
        let builtin = self.0.builtins.iter().find(|builtin| builtin.component == bytes)?;
        Proved::embedded(builtin.compiled())?.load(&self.0.engine)
    }

    fn cached_or_compiled(&self, bytes: &[u8]) -> Result<(Component, Compilation), Failure> {
        let Inner { engine, limits, cache, cache_problem, .. } = &*self.0;
        let origin = cache.as_ref().map(|cache| (cache, Origin::of(engine, bytes)));
        let cached = origin.as_ref().and_then(|(cache, origin)| cache.load(engine, origin));
        if let Some(component) = cached {
            return Ok((component, Compilation::Cached));
        }
        scan(bytes, limits)?;
        let compiler = Engine::new(&config(limits)).map_err(engine_failure)?;
        let fresh = Fresh::compile(&compiler, bytes).map_err(|error| damaged(&error))?;
        let component = Proved::fresh(&fresh)
            .load(engine)
            .ok_or_else(|| Failure::Engine("code made for this machine does not run".to_owned()))?;
        let compilation = match origin.map(|(cache, origin)| cache.store(&origin, &fresh)) {
            None => Compilation::NotStored(cache_problem.clone()),
            Some(Ok(())) => Compilation::Stored,
            Some(Err(error)) => Compilation::NotStored(Some(error.to_string())),
        };
        Ok((component, compilation))
    }
}

/// The triple of what this program was built for, such as `x86_64-unknown-linux-gnu`.
pub const TARGET: &str = env!("HEADSCALE_TARGET");

/// Compiles a component ahead of time for programs that are built for the triple `target`.
///
/// The code needs only what every processor of the target has. A host takes it from nowhere but from
/// within the program itself, where `build.rs` puts it.
///
/// # Errors
///
/// When the component is none or too large, and when the runtime does not know the target or, beside
/// this machine's, its processor.
pub fn precompile(component: &[u8], target: &str) -> Result<Vec<u8>, Failure> {
    let limits = Limits::default();
    scan(component, &limits)?;
    let mut config = config(&limits);
    config.target(target).map_err(engine_failure)?;
    config.native_unwind_info(target.contains("-windows-"));
    let engine = Engine::new(&config).map_err(engine_failure)?;
    engine.precompile_component(component).map_err(|error| damaged(&error))
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it on so")]
fn engine_failure(error: wasmtime::Error) -> Failure {
    Failure::Engine(format!("{error:#}"))
}

fn damaged(error: &wasmtime::Error) -> Failure {
    Failure::Damaged(crate::text::line(&format!("{error:#}"), 500))
}

/// What a plugin exports beside `meta`.
#[derive(Clone, Copy)]
pub(crate) struct Offers {
    pub(crate) validator: bool,
    pub(crate) renderer: bool,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

fn config(limits: &Limits) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits.bytes(Limit::Stack))
        // Nobody looks at the frames of a plugin, and code without tables of them is smaller.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        // Windows takes no code without them.
        .native_unwind_info(cfg!(windows))
        // What comes here was optimised when it was made. Optimising again takes up to a third of a
        // cold start, and calls are hardly faster for it.
        .cranelift_opt_level(OptLevel::None)
        // The same result on every machine.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        // A few plugins at once must fit where address space is limited.
        .memory_reservation(64 << 20)
        .memory_reservation_for_growth(16 << 20)
        .memory_guard_size(64 << 10);
    config
}
