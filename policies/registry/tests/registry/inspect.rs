//! What is read of components without running them.

use headscale_policy_registry::{Inspection, Kind, inspect};
use proptest::prelude::*;

use crate::support;

fn told(inspection: &Inspection) -> String {
    let externs = |title: &str, externs: &[headscale_policy_registry::Extern]| -> String {
        let lines = externs.iter().map(|found| {
            let what = if found.capability { "" } else { " (types)" };
            format!("{title} {}{what}\n", found.name)
        });
        lines.collect()
    };
    externs("imports", &inspection.imports) + &externs("exports", &inspection.exports)
}

fn of_text(text: &str) -> Inspection {
    inspect(&wat::parse_str(text).expect("well-formed")).expect("readable")
}

#[test]
fn a_plugin() {
    let component = support::component("a");
    let inspection = inspect(&component).expect("readable");
    assert_eq!(inspection.kind, Kind::Component);
    assert_eq!(inspection.size, component.len() as u64);
    insta::assert_snapshot!(told(&inspection), @r"
    imports headscale:policy/log@0.1.0
    imports headscale:policy/types@0.1.0 (types)
    exports headscale:policy/meta@0.1.0 (types)
    ");
    let capabilities: Vec<&str> = inspection.capabilities().collect();
    assert_eq!(capabilities, ["headscale:policy/log@0.1.0"]);
}

#[test]
fn only_what_the_component_itself_imports_counts() {
    let inspection = of_text(
        r#"(component
            (component $inner
                (import "inner:only/imports@1.0.0" (func))
                (core module (import "env" "memory" (memory 1)))
            )
            (import "b:resources/types@1.0.0" (instance (export "file" (type (sub resource)))))
            (import "a:nested/types@1.0.0" (instance
                (export "types" (instance (type $a (list u8)) (export "a" (type (eq $a)))))
            ))
            (import "c:nested/funcs@1.0.0" (instance
                (export "inner" (instance (export "call" (func))))
            ))
            (import "run" (func $run))
            (type $t (list u8))
            (import "t" (type (eq $t)))
            (export "out" (func $run))
        )"#,
    );
    insta::assert_snapshot!(told(&inspection));
}

#[test]
fn what_is_no_component() {
    let module = of_text("(module (func (export \"run\")))");
    assert_eq!((module.kind, module.exports.len()), (Kind::CoreModule, 0));
    for other in [&b""[..], b"\0as", b"#!/bin/sh\n", b"\x7fELF"] {
        assert_eq!(inspect(other).expect("readable").kind, Kind::Other);
    }
    let mut component = support::component("a");
    component.truncate(component.len() - 1);
    let mut later = support::component("a");
    later[4] = 0x7f;
    let errors = [inspect(b"\0asm"), inspect(&component), inspect(&later)]
        .map(|error| error.expect_err("it is broken").to_string());
    insta::assert_snapshot!(errors.join("\n"));
}

proptest! {
    /// Broken components are refused or read, and nothing else happens.
    #[test]
    fn any_damage(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut component = support::component("a");
        let at = at.index(component.len());
        component[at] = byte;
        if cut {
            component.truncate(at);
        }
        if let Ok(inspection) = inspect(&component) {
            prop_assert_eq!(inspection.size, component.len() as u64);
        }
    }
}
