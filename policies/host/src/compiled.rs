//! Compiled code that is taken as it is: the one place that the compiler does not check.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::builtin::Compiled;

/// Code that this host compiled itself, or that was built into it, and that is as it was compiled.
///
/// The runtime runs such code without looking at it, so a value is made only of what the compiler
/// gave, and only where that is proved.
pub(crate) struct Proved<'b>(&'b [u8]);

/// What the compiler has just made.
pub(crate) struct Fresh(Vec<u8>);

impl Fresh {
    /// Compiles a component. `compiler` is an engine that can.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(crate) fn compile(compiler: &Engine, component: &[u8]) -> wasmtime::Result<Self> {
        compiler.precompile_component(component).map(Self)
    }

    /// The code, to be kept.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'b> Proved<'b> {
    /// Code that was compiled just now.
    pub(crate) fn fresh(fresh: &'b Fresh) -> Self {
        Self(&fresh.0)
    }

    /// Bytes whose seal was held against their content.
    pub(crate) fn sealed(bytes: &'b [u8], seal: &[u8], computed: &[u8]) -> Option<Self> {
        // In constant time, so that nobody learns a seal by trying.
        let differ = seal.iter().zip(computed).fold(0, |sum, (a, b)| sum | (a ^ b));
        (differ == 0 && seal.len() == computed.len() && !seal.is_empty()).then_some(Self(bytes))
    }

    /// Code that was built into this program, if it was.
    pub(crate) fn embedded(compiled: &'b Compiled) -> Option<Self> {
        (!compiled.bytes().is_empty()).then(|| Self(compiled.bytes()))
    }

    /// The component, or nothing where it was compiled by another version of the runtime, with
    /// other settings, or for another processor.
    #[expect(unsafe_code, reason = "the runtime offers no safe way to load compiled code")]
    pub(crate) fn load(&self, engine: &Engine) -> Option<Component> {
        // SAFETY: `deserialize` asks for bytes that `Component::serialize` or
        // `Engine::precompile_component` returned, unchanged. A `Proved` holds just that:
        //
        // - fresh, nobody but `Fresh::compile` makes a `Fresh`, of what the compiler returned;
        // - sealed, its seal is a keyed digest over these bytes with a key that only this user's
        //   caches have, and only `cache::Cache::store` makes seals, of a `Fresh`;
        // - embedded, they are a part of this program as its own code is: `build.rs` took them from
        //   where `host::precompile` had put them, by order of whoever built the program.
        //
        // The bytes are in memory, so nobody changes them between the proof and here. That version,
        // settings and processor are the same is checked by the runtime itself, which then returns
        // an error.
        unsafe { Component::deserialize(engine, self.0) }.ok()
    }
}
