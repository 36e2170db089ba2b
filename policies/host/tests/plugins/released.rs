//! Plugins that were built for released versions of the interface still run.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use headscale_policy_host::{Validator, View};
use serde_json::json;

use crate::guest::{Change, Guest, Repair, Told, told};
use crate::{host, subject};

fn released_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/released")
}

/// Uses what there is: settings, a note, a question, and findings with all that they can have; which
/// ones depends on the answer.
fn validator() -> Guest {
    let mut guest = Guest::new("released-validator")
        .version("1.2.3")
        .rules(&["reached", "not-reached"])
        .settings_schema(r#"{"type": "object", "properties": {"strict": {"type": "boolean"}}}"#)
        .with_log()
        .imports(
            r#"(import "headscale:policy/reachability@0.1.0" "can-reach"
                (func $can-reach (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#,
        );
    let (source, destination) = (guest.text("group:dev"), guest.text("tag:web"));
    let (protocol, note) = (guest.text("tcp"), guest.text("asking"));
    let answer = guest.words(&[0; 4]);
    let edits = vec![
        Change::Add("/acls/0/src/-".into(), r#""carol@""#.into()),
        Change::Replace("/acls/0/dst/0".into(), r#""tag:web:8443""#.into()),
        Change::Remove("/hosts".into()),
    ];
    let reached = guest.findings(&[
        Told {
            severity: Some(0),
            related: vec![("/groups/group:dev".into(), "these".into())],
            fixes: vec![Repair { title: "move it".into(), safe: true, edits }],
            ..told("reached", "/acls/0", "all of group:dev reach tag:web")
        },
        told("reached", "", ""),
    ]);
    let not_reached = guest.findings(&[told("not-reached", "", "they do not")]);
    guest.validate(&format!(
        "(call $log (i32.const 1) (i32.const {}) (i32.const {}))
        (call $can-reach (i32.const {}) (i32.const {}) (i32.const {}) (i32.const {})
            (i32.const 1) (i32.const {}) (i32.const {}) (i32.const 1) (i32.const 443)
            (i32.const {answer}))
        (select (i32.const {reached}) (i32.const {not_reached})
            (i32.and (i32.eqz (i32.load8_u (i32.const {answer})))
                (i32.eq (i32.load8_u (i32.const {})) (i32.const 2))))",
        note.0,
        note.1,
        source.0,
        source.1,
        destination.0,
        destination.1,
        protocol.0,
        protocol.1,
        answer + 4,
    ))
}

fn renderer() -> Guest {
    Guest::renderer("released-renderer", "{\"acls\": []}\n")
        .params_schema(r#"{"type": "object", "required": ["name"]}"#)
}

#[test]
#[ignore = "writes the plugins of the version that RELEASE names, once and for all"]
fn released() {
    let dir = released_dir().join(env::var("RELEASE").unwrap());
    for (name, guest) in [("validator.wasm", validator()), ("renderer.wasm", renderer())] {
        let path = dir.join(name);
        assert!(!path.exists(), "{} never changes", path.display());
        fs::write(path, guest.build()).unwrap();
    }
}

/// The version that a text of the interface is of.
fn version(wit: &str) -> &str {
    wit.split_once("package headscale:policy@").unwrap().1.split_once(';').unwrap().0
}

#[test]
fn a_released_version_never_changes() {
    let own = fs::read_to_string(released_dir().join("../policy.wit")).unwrap();
    let mut versions = 0;
    for entry in fs::read_dir(released_dir()).unwrap() {
        let dir = entry.unwrap().path();
        if !dir.is_dir() {
            continue;
        }
        versions += 1;
        let frozen = fs::read_to_string(dir.join("policy.wit")).unwrap();
        assert_eq!(Path::new(version(&frozen)), dir.file_name().unwrap());
        if version(&own) == version(&frozen) {
            assert!(
                own == frozen,
                "policies/wit/policy.wit is not what was released as {}: give it a new version",
                version(&own)
            );
        }
    }
    assert!(versions > 0);
}

#[test]
fn plugins_for_released_versions_run() {
    for version in ["0.1.0"] {
        let dir = released_dir().join(version);
        let load = |name: &str| host().load(name, &fs::read(dir.join(name)).unwrap()).unwrap();
        let plugin = load("validator.wasm");
        let descriptor = plugin.descriptor();
        assert_eq!((&*descriptor.name, &*descriptor.version), ("released-validator", "1.2.3"));
        let error = plugin.validator(&json!({"strict": 1})).unwrap_err().to_string();
        assert!(error.contains("its settings are wrong: "), "{error}");
        let validator = plugin.validator(&json!({"strict": true})).unwrap();
        let verdict = validator.validate(&View::new(subject())).unwrap();
        let found = verdict.findings.iter().map(|finding| {
            let fix = finding.fix.as_ref().map(|fix| &fix.title);
            format!(
                "{} {}: {} [{}] {:?} {fix:?}",
                finding.severity, finding.rule, finding.message, finding.source, finding.help
            )
        });
        insta::assert_snapshot!(found.collect::<Vec<_>>().join("\n"), @r#"
        warning released-validator/reached: reached is broken [plugin:released-validator@1.2.3] None None
        error released-validator/reached: all of group:dev reach tag:web [plugin:released-validator@1.2.3] Some("line 3, column 26: these") Some("move it")
        "#);
        assert_eq!(verdict.log[0].message, "asking");
        let rendered = load("renderer.wasm").render(&json!({"name": "x"})).unwrap();
        assert_eq!(rendered.text, "{\"acls\": []}\n");
    }
}
