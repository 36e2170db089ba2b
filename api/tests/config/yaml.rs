//! Reading and writing the file.

use headscale_api::config::{from_yaml, to_yaml};
use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;
use serde_json::{Map, Value, json};

#[test]
fn texts_that_some_yaml_takes_for_something_else_are_quoted() {
    let config = json!({
        "b": {"mode": "0770", "truth": "yes", "date": "2026-01-01", "address": "0.0.0.0:8080"},
        "a": [{"name": "x", "list": [], "none": null}, [1, 2.5, true], "line\nand \"more\""],
        "empty": {},
        "url": "https://a.example.com/x?y=1",
        "path": "/var/lib/headscale/db.sqlite",
    });
    let Value::Object(config) = config else { panic!("an object") };
    insta::assert_snapshot!(to_yaml(&config), @r#"
    a:
      -
        list: []
        name: x
        none: null
      -
        - 1
        - 2.5
        - true
      - "line\nand \"more\""
    b:
      address: "0.0.0.0:8080"
      date: "2026-01-01"
      mode: "0770"
      truth: "yes"
    empty: {}
    path: /var/lib/headscale/db.sqlite
    url: "https://a.example.com/x?y=1"
    "#);
}

#[test]
fn files_are_read_as_headscale_reads_them() {
    let read = |text: &str| from_yaml(text).expect("YAML");
    assert_eq!(
        read("a: 0770\nb: yes\nc: 0o770\nd: true"),
        json!({"a": 504, "b": "yes", "c": 504, "d": true})
    );
    assert_eq!(read(""), Value::Null);
    assert!(from_yaml("a: 1\na: 2").is_err());
    let place = from_yaml("a: 1\nb: [").expect_err("not YAML").location().expect("a place");
    assert_eq!(place.line(), 2);
}

/// Any value that JSON has.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        proptest::strategy::Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z0-9.:/ -]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(Config::with_cases(256))]

    #[test]
    fn what_is_written_reads_the_same(value in value()) {
        let config: Map<String, Value> = [("value".to_owned(), value)].into_iter().collect();
        let text = to_yaml(&config);
        let read = from_yaml(&text).map_err(|error| error.to_string());
        assert_eq!(read, Ok(Value::Object(config)), "{text}");
    }
}
