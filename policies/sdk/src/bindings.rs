//! What `policies/wit` says, as Rust.

wit_bindgen::generate!({
    path: "../wit",
    world: "plugin",
    pub_export_macro: true,
    generate_unused_types: true,
    runtime_path: "::headscale_policy_sdk::__private::wit_bindgen::rt",
    additional_derives: [PartialEq, Eq, Hash],
});
