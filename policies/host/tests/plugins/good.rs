//! What a plugin can do.

use std::sync::Arc;

use headscale_acl::hujson::apply;
use headscale_acl::{LineIndex, Severity, Source, Tailnet, Version};
use headscale_policy_host::{Level, NativeLints, Subject, Validator, View, run};
use serde_json::json;

use crate::guest::{Change, Guest, Repair, Told, told};
use crate::{POLICY, host, load, subject, validate};

/// The finding's place in the policy: `line:column text`.
fn place(finding: &headscale_acl::Finding) -> String {
    let Some(span) = finding.span else { return "file".to_owned() };
    let at = LineIndex::new(POLICY.as_bytes()).position(span.start);
    format!("{}:{} {}", at.line, at.column, POLICY.get(span.range()).unwrap())
}

#[test]
fn findings_stand_where_their_pointers_lead() {
    let guest = Guest::new("owners").version("1.2.3").rules(&["no-owner", "other"]).finds(&[
        Told { severity: Some(0), ..told("no-owner", "/acls/1/src/0", "nobody owns it") },
        told("other", "/hosts/a~1b", "an address"),
        Told {
            related: vec![("/acls/0".into(), "the other rule".into()), ("".into(), "this".into())],
            ..told("other", "", "all of it")
        },
        Told { severity: Some(2), ..told("other", "/acls/0/dst", "") },
    ]);
    let verdict = validate(&guest).unwrap();
    let shown: Vec<String> = verdict
        .findings
        .iter()
        .map(|f| format!("{} {} {} {} [{}]", place(f), f.severity, f.rule, f.message, f.source))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    file warning owners/other all of it [plugin:owners@1.2.3]
    5:19 "10.0.0.1" warning owners/other an address [plugin:owners@1.2.3]
    7:53 ["tag:web:443"] info owners/other other is broken [plugin:owners@1.2.3]
    8:32 "alice@" error owners/no-owner nobody owns it [plugin:owners@1.2.3]
    "#);
    assert_eq!(verdict.findings[0].help.as_deref(), Some("line 7, column 3: the other rule; this"));
    assert_eq!(verdict.findings[0].source, Source::Plugin("owners@1.2.3".into()));
    assert_eq!(verdict.notes, [""; 0]);
    assert!(verdict.usage.fuel > 0 && verdict.usage.memory > 0);
}

#[test]
fn a_plugin_is_what_it_tells() {
    let plugin = load(&Guest::new("owners").settings_schema(r#"{"type": "object"}"#)).unwrap();
    assert!(plugin.is_validator() && !plugin.is_renderer());
    let descriptor = plugin.descriptor();
    assert_eq!((&*descriptor.name, &*descriptor.version), ("owners", "1.0.0"));
    assert_eq!(descriptor.rules[0].id, "owners/rule");
    assert_eq!(descriptor.rules[0].default_severity, Severity::Warning);
    assert_eq!(descriptor.settings_schema, Some(json!({"type": "object"})));
}

#[test]
fn notes_are_kept_for_the_author() {
    let mut guest = Guest::new("chatty").with_log();
    let (at, len) = guest.text("looked at\n2 rules");
    let guest = guest.validate(&format!(
        "(call $log (i32.const 2) (i32.const {at}) (i32.const {len})) (i32.const 1024)"
    ));
    let verdict = validate(&guest).unwrap();
    assert_eq!(verdict.log.len(), 1);
    assert_eq!(
        (verdict.log[0].level, &*verdict.log[0].message),
        (Level::Info, "looked at\n2 rules")
    );
}

/// A plugin that asks `can-reach` and finds what the answer is, as its first rule.
fn asking(source: &str, destination: &str, port: Option<u16>) -> Guest {
    let mut guest =
        Guest::new("asks").rules(&["none", "some", "all", "unknown", "empty", "invalid"]).imports(
            r#"(import "headscale:policy/reachability@0.1.0" "can-reach"
            (func $can-reach (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#,
        );
    let (source, destination) = (guest.text(source), guest.text(destination));
    let answers: Vec<usize> = ["none", "some", "all", "unknown", "empty", "invalid"]
        .map(|rule| guest.findings(&[told(rule, "", rule)]))
        .to_vec();
    let table = guest.words(&answers);
    let answer = guest.words(&[0; 4]);
    let port = port.map_or((0, 0), |port| (1, port));
    // The answer is `ok` with the extent in the byte at 4, or `err` with the problem there.
    guest.validate(&format!(
        "(call $can-reach (i32.const {}) (i32.const {}) (i32.const {}) (i32.const {})
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const {}) (i32.const {})
            (i32.const {answer}))
        (i32.load (i32.add (i32.const {table}) (i32.mul (i32.const 4) (i32.add
            (i32.load8_u (i32.const {}))
            (i32.mul (i32.const 3) (i32.load8_u (i32.const {answer})))))))",
        source.0,
        source.1,
        destination.0,
        destination.1,
        port.0,
        port.1,
        answer + 4,
    ))
}

#[test]
fn plugins_ask_who_reaches_what() {
    for (source, destination, port, expected) in [
        ("group:dev", "tag:web", Some(443), "all"),
        ("group:dev", "tag:web", Some(22), "some"),
        ("bob@", "tag:web", Some(22), "none"),
        ("bob@", "tag:web", None, "all"),
        ("carol@", "tag:web", None, "empty"),
        ("nobody", "tag:web", None, "unknown"),
        ("autogroup:self", "tag:web", None, "invalid"),
        // A port within the name is none of the interface's.
        ("bob@", "tag:web:22", None, "empty"),
    ] {
        let verdict = validate(&asking(source, destination, port)).unwrap();
        let messages: Vec<&str> = verdict.findings.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(messages, [expected], "{source} to {destination}");
    }
}

#[test]
fn answers_are_for_the_tailnet_that_is_given() {
    let tailnet = json!({
        "users": [{"id": 1, "name": "alice"}],
        "nodes": [
            {"id": 1, "name": "laptop", "user": {"id": 1}, "ipAddresses": ["100.64.0.1"]},
            {"id": 2, "name": "web1", "tags": ["tag:web"], "ipAddresses": ["100.64.0.2"]},
        ],
    });
    let tailnet = Arc::new(Tailnet::from_value(&tailnet).unwrap());
    let subject = Subject::new("p", POLICY.as_bytes(), Some(tailnet), Version::V0_29).unwrap();
    let plugin = host().load("./asks.wasm", &asking("laptop", "100.64.0.2", Some(22)).build());
    let validator = plugin.unwrap().validator(&json!({})).unwrap();
    let verdict = validator.validate(&View::new(subject)).unwrap();
    assert_eq!(verdict.findings[0].message, "all");
}

#[test]
fn the_same_input_costs_the_same_fuel() {
    let plugin = load(&asking("group:dev", "tag:web", Some(22))).unwrap();
    let validator = plugin.validator(&json!({})).unwrap();
    let shared = View::new(subject());
    let first = validator.validate(&shared).unwrap();
    // Compiled already, or not yet.
    assert_eq!(validator.validate(&shared).unwrap(), first);
    assert_eq!(validator.validate(&View::new(subject())).unwrap(), first);
}

#[test]
fn safe_repairs_are_made_on_the_text() {
    let repair =
        |safe, edits: &[Change]| Repair { title: "do it".into(), safe, edits: edits.to_vec() };
    let finds = |fix: Repair| {
        let guest =
            Guest::new("fixes").finds(&[Told { fixes: vec![fix], ..told("rule", "", "bad") }]);
        let verdict = validate(&guest).unwrap();
        (verdict.findings[0].clone(), verdict.notes)
    };
    let (finding, notes) = finds(repair(
        true,
        &[
            Change::Remove("/acls/1".into()),
            Change::Add("/groups/group:ops".into(), r#"["carol@"]"#.into()),
        ],
    ));
    assert_eq!(notes, [""; 0]);
    let repaired = apply(POLICY, &finding.fix.unwrap().edits).unwrap();
    insta::assert_snapshot!(repaired, @r#"
    {
    	// who is who
    	"groups": {"group:dev": ["alice@", "bob@"], "group:ops": ["carol@"]},
    	"tagOwners": {"tag:web": ["alice@"]},
    	"hosts": {"a/b": "10.0.0.1"},
    	"acls": [
    		{"action": "accept", "src": ["group:dev"], "dst": ["tag:web:443"]}, // the site
    	],
    }
    "#);

    let (finding, notes) = finds(repair(false, &[Change::Remove("/acls/1".into())]));
    assert_eq!((finding.fix, finding.help.as_deref(), notes.len()), (None, Some("do it"), 0));

    for (edit, why) in [
        (Change::Remove("/acls/7".into()), "there is no place \"/acls/7\""),
        (Change::Add("/acls/-".into(), "{".into()), "the value for \"/acls/-\" is not JSON"),
        (
            Change::Remove("/tagOwners/tag:web".into()),
            "Headscale would refuse the policy after it: ",
        ),
    ] {
        let (finding, notes) = finds(repair(true, &[edit]));
        assert_eq!(finding.fix, None);
        assert!(
            notes[0].starts_with(&format!("its repair \"do it\" is left out: {why}")),
            "{notes:?}"
        );
    }
}

#[test]
fn settings_are_checked_by_schema_and_then_by_the_plugin() {
    let schema = r#"{"type": "object", "properties": {"max": {"type": "integer"}}, "additionalProperties": false}"#;
    let plugin = load(&Guest::new("limits").settings_schema(schema)).unwrap();
    plugin.validator(&json!({"max": 3})).unwrap();
    let error = plugin.validator(&json!({"max": "three"})).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"plugin ./test.wasm: its settings are wrong: /max: "three" is not of type "integer""#
    );
    let error = load(&Guest::new("limits")).unwrap().validator(&json!({"max": 3})).unwrap_err();
    assert_eq!(error.to_string(), "plugin ./test.wasm: its settings are wrong: it takes none");

    let mut guest = Guest::new("limits");
    let (at, len) = guest.text("max is\nodd");
    let list = guest.words(&[at, len]);
    let result = guest.words(&[1, list, 1]);
    let guest = guest.check(&format!("i32.const {result}"));
    let error = load(&guest).unwrap().validator(&json!({})).unwrap_err();
    assert_eq!(error.to_string(), "plugin ./test.wasm: its settings are wrong: max is odd");
}

#[test]
fn renderers_write_what_their_parameters_say() {
    let schema = r#"{"type": "object", "required": ["team"]}"#;
    let plugin = load(&Guest::renderer("writes", "{ /* hi */ }").params_schema(schema)).unwrap();
    assert!(!plugin.is_validator() && plugin.is_renderer());
    assert_eq!(plugin.render(&json!({"team": "a"})).unwrap().text, "{ /* hi */ }");
    let error = plugin.render(&json!({})).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"plugin ./test.wasm: its params are wrong: "team" is a required property"#
    );
    let error = plugin.validator(&json!({})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "plugin ./test.wasm: it has no validator: it writes policies and judges none"
    );
    let mut guest = Guest::renderer("writes", "");
    let refusal = guest.refusal("no team\nof that name");
    let error = load(&guest.render(&format!("i32.const {refusal}"))).unwrap().render(&json!({}));
    assert_eq!(
        error.unwrap_err().to_string(),
        "plugin ./test.wasm: `render` failed: no team\nof that name"
    );
}

#[test]
fn verdicts_come_in_the_order_of_the_validators() {
    let host = host();
    let validators: Vec<_> = (0..20)
        .map(|at| {
            let name = format!("p{at}");
            let guest = match at % 4 {
                3 => Guest::new(&name).validate("unreachable"),
                _ => Guest::new(&name)
                    .finds(&[told("rule", "/acls/1", "second"), told("rule", "/acls/0", "first")]),
            };
            let plugin = host.load(format!("./{name}.wasm"), &guest.build()).unwrap();
            plugin.validator(&json!({})).unwrap()
        })
        .collect();
    let lints = NativeLints::default();
    let all: Vec<&dyn Validator> =
        validators.iter().map(|v| v as &dyn Validator).chain([&lints as &dyn Validator]).collect();
    let verdicts = run(&all, &subject());
    assert_eq!(verdicts.len(), 21);
    for (at, verdict) in verdicts.iter().take(20).enumerate() {
        match verdict {
            Ok(verdict) => {
                let told: Vec<_> =
                    verdict.findings.iter().map(|f| format!("{} {}", f.rule, f.message)).collect();
                assert_eq!(told, [format!("p{at}/rule first"), format!("p{at}/rule second")]);
            }
            Err(error) => assert_eq!((&*error.plugin, at % 4), (&*format!("./p{at}.wasm"), 3)),
        }
    }
    let lints = verdicts[20].as_ref().unwrap();
    assert!(lints.findings.iter().all(|f| f.source == Source::Lint) && !lints.findings.is_empty());
    assert_eq!(run(&all, &subject()), verdicts);
}
