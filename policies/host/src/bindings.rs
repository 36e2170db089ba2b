//! What the interface of `policies/wit` is in Rust.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "plugin",
});
