//! What is no plugin, or none for this host.

use std::fmt::Write as _;

use headscale_policy_host::{Host, Limits, Options};

use crate::guest::{Guest, component};
use crate::{host, load};

fn refused(bytes: &[u8]) -> String {
    host().load("./test.wasm", bytes).unwrap_err().to_string()
}

#[test]
fn what_is_no_plugin_is_told_as_what_it_is() {
    let good = Guest::new("good").build();
    let other = component(
        "package a:b@1.0.0; world w { export c: func() -> u32; }",
        "w",
        wat::parse_str(r#"(module (func (export "c") (result i32) i32.const 0))"#).unwrap(),
    );
    let wit = include_str!("../../../wit/policy.wit").replace(
        "world validator-plugin {",
        "world validator-plugin { import other: interface { f: func(); }",
    );
    let greedy = Guest::new("greedy")
        .world("validator-plugin", &wit)
        .imports(r#"(import "other" "f" (func))"#)
        .build();
    let compiled = wasmtime_component(&good);
    let mut cut: Vec<(usize, String)> = Vec::new();
    for end in [9, 100, good.len() / 2, good.len() - 1] {
        cut.push((end, refused(&good[..end])));
    }
    for (end, message) in cut {
        let start = "plugin ./test.wasm: the component is damaged or cut off: ";
        assert!(message.starts_with(start), "cut at {end}: {message}");
    }
    let mut flipped = good.clone();
    let middle = flipped.len() / 3;
    flipped[middle] ^= 0xff;
    // A component whose data was changed may still be one; it never does harm.
    drop(host().load("./test.wasm", &flipped));
    for (name, bytes, expected) in [
        (
            "empty",
            &b""[..],
            "it is no WebAssembly: a plugin is a component, a binary file that starts with \\0asm",
        ),
        (
            "text",
            b"(component)",
            "it is no WebAssembly: a plugin is a component, a binary file that starts with \\0asm",
        ),
        (
            "core module",
            &Guest::new("x").module(),
            "it is a core module: make a component of it (`plugin build` does)",
        ),
        (
            "compiled",
            &compiled,
            "it is compiled code, which is never taken, because nothing could tell what it does: give the component that it was made from",
        ),
        (
            "other world",
            &other,
            "it is no policy plugin: it exports `c`, and not `headscale:policy/meta@0.1.0`",
        ),
        (
            "greedy",
            &greedy,
            "it imports `other`, and plugins are given `log` and `reachability` of headscale:policy only: build it without WASI (`plugin build` does)",
        ),
        (
            "newer",
            &Guest::new("x").interface("0.2.0").build(),
            "it needs version 0.2.0 of the interface headscale:policy, and this program serves 0.1.0: update this program, or take an older version of the plugin",
        ),
        (
            "older",
            &Guest::new("x").interface("0.0.9").build(),
            "it needs version 0.0.9 of the interface headscale:policy, and this program serves 0.1.0: take a newer version of the plugin",
        ),
    ] {
        assert_eq!(refused(bytes), format!("plugin ./test.wasm: {expected}"), "{name}");
    }
    // A newer patch of the same minor adds what this one does not ask for.
    load(&Guest::new("x").interface("0.1.7")).unwrap();
}

/// What the runtime compiles of a component, as a file of it would be.
fn wasmtime_component(bytes: &[u8]) -> Vec<u8> {
    let engine = wasmtime::Engine::default();
    wasmtime::component::Component::from_binary(&engine, bytes).unwrap().serialize().unwrap()
}

#[test]
fn what_would_cost_too_much_to_compile_is_not_compiled() {
    let functions = "(func)".repeat(50_001);
    let bomb = Guest::new("bomb").rest(&functions).build();
    let blocks = format!("(func {})", "(drop (i32.const 1))".repeat(60_000));
    let code = Guest::new("code").rest(&blocks.repeat(2)).build();
    let whole = Guest::new("huge").build();
    let mut huge = vec![0; 200 << 20];
    huge[..whole.len()].copy_from_slice(&whole);
    // Small ones that would take a compiler minutes, and gigabytes.
    let many = 4_000;
    let mut merging = format!("(func (param i32) (result i32) (local {})", "i32 ".repeat(many));
    let mut stacked = "(func (param i32) (result i32) ".to_owned();
    let mut nested = merging.clone();
    for at in 1..many {
        let set = format!("(local.set {at} (i32.add (local.get {}) (local.get 0)))", at - 1);
        write!(merging, "(if (local.get 0) (then {set}))").unwrap();
        stacked.push_str(&"(i32.add (local.get 0) (i32.const 1))".repeat(10));
        nested.push_str(if at < 500 { "(loop " } else { "" });
        nested.push_str(&set);
    }
    nested.push_str(&"(br_if 0 (local.get 1)))".repeat(499));
    stacked.push_str(&"(if (local.get 0) (then))".repeat(16_000));
    stacked.push_str(&"i32.add ".repeat(10 * (many - 1) - 1));
    let bombs = [merging + "(local.get 0))", stacked + ")", nested + "(local.get 1))"];
    for bomb in bombs {
        let bomb = Guest::new("bomb").rest(&bomb).build();
        assert!(bomb.len() < 1 << 20);
        assert_eq!(
            refused(&bomb),
            "plugin ./test.wasm: the component has more than 5000000 branches times values, the \
             limit `branches`; raise it with --plugin-limit branches=5000000"
        );
    }
    let limits = || {
        let mut limits = Limits::default();
        limits.set("code=200KiB").unwrap();
        limits
    };
    let small = Host::new(Options { limits: limits(), cache: None }).unwrap();
    for (host, bytes, limit) in [
        (
            host(),
            &bomb,
            "50000 functions, the limit `functions`; raise it with --plugin-limit functions=50000",
        ),
        (small, &code, "204800 bytes, the limit `code`; raise it with --plugin-limit code=204800"),
        (
            host(),
            &huge,
            "33554432 bytes, the limit `size`; raise it with --plugin-limit size=33554432",
        ),
    ] {
        let error = host.load("./test.wasm", bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("plugin ./test.wasm: the component has more than {limit}")
        );
    }
}

#[test]
fn what_a_plugin_tells_of_itself_must_hold() {
    for (guest, why) in [
        (
            Guest::new("Not A Name"),
            "the name \"Not A Name\" is none: expected lower-case letters, digits and `-`, at most 63, first a letter",
        ),
        (Guest::new("x").version("1"), "the version \"1\" is not semantic: expected such as 1.2.0"),
        (Guest::new("x").rules(&["a", "b", "a"]), "the rule id \"a\" stands there twice"),
        (Guest::new("x").rules(&["a_b"]), "the rule id \"a_b\" is not in kebab-case"),
        (Guest::new("x").rules(&["undeclared"]), "the rule id \"undeclared\" is the host's own"),
        (Guest::new("x").rules(&[]), "a validator has at least one rule"),
        (
            Guest::new("x").settings_schema("{"),
            "its settings-schema is not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            Guest::new("x").settings_schema(r##"{"$ref": "#"}"##),
            "its settings-schema refers to `#`, and `#/…` within itself is all that it can",
        ),
    ] {
        let error = load(&guest).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("plugin ./test.wasm: its descriptor is wrong: {why}")
        );
    }
}
