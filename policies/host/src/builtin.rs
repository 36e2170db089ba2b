//! The plugins that this program brings.

use std::fmt;

/// A plugin that this program brings.
#[derive(Clone, Copy)]
pub struct Builtin {
    /// Its name, as in `builtin:keystone`.
    pub name: &'static str,
    /// The component, for [`Host::load`](crate::Host::load).
    pub component: &'static [u8],
    compiled: Compiled,
}

/// What the component of a [`Builtin`] was compiled to; empty where it was not.
///
/// Only this module makes such a value, of files that `build.rs` hands over.
#[derive(Clone, Copy)]
pub(crate) struct Compiled(&'static [u8]);

impl Compiled {
    pub(crate) const fn bytes(&self) -> &'static [u8] {
        self.0
    }
}

macro_rules! builtin {
    ($name:literal) => {
        Builtin {
            name: $name,
            component: include_bytes!(concat!("../../dist/", $name, ".wasm")),
            compiled: Compiled(include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".cwasm"))),
        }
    };
}

static BUILTINS: [Builtin; 2] = [builtin!("guardrails"), builtin!("keystone")];

/// The plugins that this program brings, by name.
///
/// # Examples
///
/// ```
/// use headscale_policy_host::{Host, Options, builtins};
///
/// let host = Host::new(Options::default()).unwrap();
/// let keystone = builtins().iter().find(|builtin| builtin.name == "keystone").unwrap();
/// let plugin = host.load("builtin:keystone", keystone.component).unwrap();
/// assert!(plugin.is_renderer());
/// ```
#[must_use]
pub fn builtins() -> &'static [Builtin] {
    &BUILTINS
}

impl Builtin {
    /// Whether the program brings it compiled too, as releases do, so that nothing is compiled when
    /// it is loaded.
    #[must_use]
    pub const fn is_compiled(&self) -> bool {
        !self.compiled.0.is_empty()
    }

    pub(crate) const fn compiled(&self) -> &Compiled {
        &self.compiled
    }
}

impl fmt::Debug for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builtin").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Builtin, Compiled, builtins};
    use crate::host::{Compilation, Host, Options, TARGET, precompile};

    /// A host whose only built-in plugin was compiled to `code`.
    fn host(component: &'static [u8], code: Vec<u8>) -> Host {
        let compiled = Compiled(Vec::leak(code));
        let own = vec![Builtin { name: "own", component, compiled }];
        Host::with_builtins(Options::default(), Vec::leak(own)).unwrap()
    }

    #[test]
    fn what_is_compiled_is_not_compiled_again() {
        let [guardrails, keystone] = builtins() else { unreachable!("there are two") };
        let code = precompile(guardrails.component, TARGET).unwrap();
        let host = host(guardrails.component, code);
        let plugin = host.load("builtin:guardrails", guardrails.component).unwrap();
        assert_eq!(*plugin.compilation(), Compilation::Embedded);
        assert_eq!(plugin.descriptor().name, "guardrails");
        // One that the program does not bring.
        let other = host.load("keystone.wasm", keystone.component).unwrap();
        assert_eq!(*other.compilation(), Compilation::NotStored(None));
    }

    #[test]
    fn code_that_the_runtime_refuses_is_compiled() {
        let component = builtins()[1].component;
        let good = precompile(component, TARGET).unwrap();
        let other_settings = {
            let engine = wasmtime::Engine::default();
            engine.precompile_component(component).unwrap()
        };
        let module = wasmtime::Engine::default().precompile_module(b"\0asm\x01\0\0\0").unwrap();
        // The runtime's version stands in the head, behind its length.
        let version = b"\x0248";
        let at = good.windows(version.len()).position(|bytes| bytes == version).unwrap();
        let mut other_version = good.clone();
        other_version[at + 1] = b'3';
        for (name, code) in [
            ("none", Vec::new()),
            ("text", b"# Plugins".to_vec()),
            ("the component itself", component.to_vec()),
            ("cut off", good[..good.len() / 2].to_vec()),
            ("of other settings", other_settings),
            ("of another version", other_version),
            ("of a module", module),
        ] {
            let plugin = host(component, code).load("builtin:keystone", component).unwrap();
            assert_eq!(*plugin.compilation(), Compilation::NotStored(None), "{name}");
            assert_eq!(plugin.descriptor().name, "keystone", "{name}");
        }
    }

    #[test]
    fn only_plugins_are_compiled_and_for_known_processors_only() {
        let component = builtins()[1].component;
        let refused = |bytes, target| precompile(bytes, target).unwrap_err().to_string();
        let message = refused(b"# Plugins", TARGET);
        assert!(message.starts_with("it is no WebAssembly: "), "{message}");
        let message = refused(component, "pdp11-unknown-none");
        assert!(message.starts_with("the engine cannot run it: "), "{message}");
    }
}
