//! Where the plugins of a run come from.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use headscale_policy_host::{Hit, Host, Limit, Limits, Options, Plugin, PluginValidator, builtins};
use headscale_policy_registry::{
    Client, Credentials, Entry, LOCK_FILE, Lock, Mode, OciReference, Options as RegistryOptions,
    Reference, Store, block_on,
};

use super::{Wanted, fetch_error, lock_error, plugin_error, registry_error, store_error};
use crate::environment::Environment;
use crate::error::CommandError;
use crate::input::{InputError, read_file_up_to};
use crate::suggest::did_you_mean;
use crate::ui::Ui;

/// Where plugins come from, and what they may use.
pub(crate) struct Source<'e> {
    environment: &'e Environment,
    /// The lock file, relative to the current directory.
    lock: PathBuf,
    mode: Mode,
    host: Host,
}

impl<'e> Source<'e> {
    /// Plugins by the lock file beside `config`, or in the current directory where there is none.
    /// With `locked` only those of registries that it has. Tells of a cache that cannot be used.
    ///
    /// # Errors
    ///
    /// When the runtime does not know this machine.
    pub(crate) fn new(
        environment: &'e Environment,
        config: Option<&Path>,
        limits: Limits,
        locked: bool,
        ui: &mut Ui<'_>,
    ) -> Result<Self, CommandError> {
        let cache = environment.cache.as_deref().map(compiled);
        let host = Host::new(Options { limits, cache })
            .map_err(|failure| CommandError::plugin(failure.to_string()))?;
        if let Some(problem) = host.cache_problem() {
            ui.note(&format!("plugins are compiled each time: {problem}"));
        }
        let lock = config.and_then(Path::parent).unwrap_or(Path::new("")).join(LOCK_FILE);
        let mode = if locked { Mode::Locked } else { Mode::Unlocked };
        Ok(Self { environment, lock, mode, host })
    }

    /// Loads a plugin.
    ///
    /// # Errors
    ///
    /// When it cannot be had, is not what the lock file says, or is no plugin.
    pub(crate) fn load(
        &self,
        reference: &Reference,
        base: &Path,
        ui: &mut Ui<'_>,
    ) -> Result<Plugin, CommandError> {
        let bytes = self.component(reference, base, ui)?;
        ui.progress(Some(&format!("loading {reference}")));
        let loaded = self.host.load(reference.to_string(), &bytes);
        ui.progress(None);
        loaded.map_err(|error| plugin_error(&error))
    }

    /// Loads a plugin that judges, with its settings.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and when it does not take the settings.
    pub(crate) fn validator(
        &self,
        wanted: &Wanted,
        ui: &mut Ui<'_>,
    ) -> Result<PluginValidator, CommandError> {
        let plugin = self.load(&wanted.reference, &wanted.base, ui)?;
        plugin.validator(&wanted.settings.value).map_err(|error| wanted.settings.error(&error))
    }

    /// The component that a reference means.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub(crate) fn component(
        &self,
        reference: &Reference,
        base: &Path,
        ui: &mut Ui<'_>,
    ) -> Result<Cow<'static, [u8]>, CommandError> {
        match reference {
            Reference::File(file) => {
                let path = file.path(base);
                let most = self.host.limits().get(Limit::Size);
                let name = path.display().to_string();
                let read = read_file_up_to(most, &self.environment.cwd.join(&path), &name);
                read.map(Cow::Owned).map_err(|error| match error {
                    InputError::TooLarge { .. } => {
                        let hit = Hit { limit: Limit::Size, value: most };
                        CommandError::plugin(format!("plugin {reference}: the component has {hit}"))
                    }
                    error => error.into(),
                })
            }
            Reference::Builtin(builtin) => {
                let known = builtins().iter().find(|known| known.name == builtin.name());
                known.map(|known| Cow::Borrowed(known.component)).ok_or_else(|| {
                    let names: Vec<&str> = builtins().iter().map(|known| known.name).collect();
                    let wanted = builtin.name();
                    let hint = did_you_mean(wanted, names.iter().copied())
                        .unwrap_or_else(|| format!("built in are {}", names.join(" and ")));
                    CommandError::usage(format!("there is no built-in plugin {wanted:?}"))
                        .hint(hint)
                })
            }
            Reference::Oci(oci) => self.pulled_component(oci, ui).map(Cow::Owned),
        }
    }

    fn pulled_component(
        &self,
        reference: &OciReference,
        ui: &mut Ui<'_>,
    ) -> Result<Vec<u8>, CommandError> {
        let lock = self.read_lock()?;
        let pin = lock.pin(reference, self.mode).map_err(|error| lock_error(&error))?;
        let pinned = reference.pinned(pin.manifest().clone());
        let store = self.store()?;
        let client = client(self.environment);
        ui.progress(Some(&format!("pulling {pinned}")));
        let fetched = block_on(client.fetch(&store, &pinned));
        ui.progress(None);
        let artifact = fetched
            .map_err(|error| registry_error(&error))?
            .map_err(|error| fetch_error(&error))?;
        if let Some(entry) = lock.entry(reference) {
            Entry::check(entry, &artifact).map_err(|error| lock_error(&error))?;
        }
        Ok(artifact.into_component())
    }

    /// What was agreed to.
    ///
    /// # Errors
    ///
    /// When the lock file cannot be read.
    pub(crate) fn read_lock(&self) -> Result<Lock, CommandError> {
        Lock::read(&self.environment.cwd.join(&self.lock)).map_err(|error| lock_error(&error))
    }

    /// The lock file, relative to the current directory.
    pub(crate) fn lock_file(&self) -> &Path {
        &self.lock
    }

    /// Where pulled plugins are kept.
    ///
    /// # Errors
    ///
    /// When there is no such directory and none can be made.
    pub(crate) fn store(&self) -> Result<Store, CommandError> {
        let cache = cache(self.environment)?;
        Store::open(pulled(cache)).map_err(|error| store_error(&error))
    }
}

/// Where what can be made again is kept.
///
/// # Errors
///
/// When the environment names no such directory.
pub(crate) fn cache(environment: &Environment) -> Result<&Path, CommandError> {
    environment.cache.as_deref().ok_or_else(|| {
        CommandError::usage("there is no directory to keep plugins in")
            .hint("set XDG_CACHE_HOME or HOME")
    })
}

/// Where compiled plugins are in the cache.
pub(crate) fn compiled(cache: &Path) -> PathBuf {
    cache.join("aot")
}

/// Where pulled plugins are in the cache.
pub(crate) fn pulled(cache: &Path) -> PathBuf {
    cache.join("plugins")
}

/// A client of registries with the credentials of docker's configuration.
pub(crate) fn client(environment: &Environment) -> Client {
    let credentials = match &environment.docker_config {
        Some(file) => Credentials::DockerConfig(file.clone()),
        None => Credentials::None,
    };
    Client::new(RegistryOptions { credentials, ..RegistryOptions::default() })
}
