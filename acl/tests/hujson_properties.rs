//! What holds for every text: nothing panics, and no operation loses what it should keep.

use headscale_acl::hujson::{Document, Kind, format, minimize, quote, standardize, strictness};
use headscale_acl::{Options, check};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// White space and comments, also of odd shapes.
fn gap() -> impl Strategy<Value = String> {
    let blank = "[ \t\r\n]{1,4}".boxed();
    let line = "//[^\n]{0,12}\n".boxed();
    // No `/` comes after a star before the end.
    let block = "/\\*(\\*{0,2}[ \t\r\na\u{e9}\u{3000}]/?){0,8}\\*{0,2}\\*/".boxed();
    let piece = prop_oneof![4 => blank, 1 => line, 1 => block];
    prop_oneof![
        4 => Just(String::new()),
        4 => vec(piece, 1..4).prop_map(|pieces| pieces.concat()),
    ]
}

/// A string literal without escapes.
fn plain() -> BoxedStrategy<String> {
    "\"[a-z@:* ]{0,90}\"".boxed()
}

/// A string literal, each character raw or as one of its escapes.
fn string() -> BoxedStrategy<String> {
    let unicode = |c: char| {
        let mut units = [0; 2];
        let escaped = c.encode_utf16(&mut units).iter();
        escaped.map(|unit| format!("\\u{unit:04x}")).collect()
    };
    let char = (any::<char>(), 0..8).prop_map(move |(c, how)| match how {
        0 => unicode(c),
        1 => "\\/".to_owned(),
        2 => "\\n".to_owned(),
        _ if c < ' ' || matches!(c, '"' | '\\') => unicode(c),
        _ => c.to_string(),
    });
    let odd = vec(char, 0..12).prop_map(|chars| format!("\"{}\"", chars.concat()));
    prop_oneof![plain(), odd].boxed()
}

/// A value with white space and comments between its tokens.
fn value(string: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,3})?([eE][-+]?[0-9])?".boxed();
    let word = select(vec!["true", "false", "null"]).prop_map(str::to_owned);
    let scalar = prop_oneof![string.clone(), number, word];
    scalar.prop_recursive(6, 64, 6, move |inner| {
        let element = (gap(), inner.clone(), gap()).prop_map(|(a, v, b)| a + &v + &b);
        let member = (gap(), string.clone(), gap(), gap(), inner, gap())
            .prop_map(|(a, name, b, c, v, d)| a + &name + &b + ":" + &c + &v + &d);
        let within = |open: char, items: Vec<String>, close: char, trailing: Option<String>| {
            let trailing = trailing.map(|gap| ",".to_owned() + &gap).unwrap_or_default();
            format!("{open}{}{trailing}{close}", items.join(","))
        };
        let trailing = || proptest::option::of(gap());
        prop_oneof![
            gap().prop_map(|gap| format!("{{{gap}}}")),
            gap().prop_map(|gap| format!("[{gap}]")),
            (vec(element, 1..6), trailing()).prop_map(move |(v, t)| within('[', v, ']', t)),
            (vec(member, 1..6), trailing()).prop_map(move |(v, t)| within('{', v, '}', t)),
        ]
    })
}

fn hujson(string: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    (gap(), value(string), gap()).prop_map(|(before, value, after)| before + &value + &after)
}

/// Bytes that look enough like HuJSON to get far into the parser.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let token: Vec<&[u8]> = vec![
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"\"a\"",
        b"\\",
        b"'",
        b"/",
        b"*",
        b"//",
        b"/*",
        b"*/",
        b"\n",
        b"\r",
        b" ",
        b"1",
        b"-0.5e3",
        b"true",
        b"x",
        b"=",
        b"#",
        b"\xff",
        b"\xc3",
        b"\xef\xbb\xbf",
        b"\xc2\xa0",
        b"\\ud800",
        b"\"\\udc00\"",
        b"\0",
    ];
    vec(select(token), 0..40).prop_map(|tokens| tokens.concat())
}

/// What a text says: each value in order with what tells it apart, strings decoded.
fn meaning(doc: &Document<'_>) -> Vec<(Kind, String, usize)> {
    let said = |node: headscale_acl::hujson::Node<'_>| {
        let children = node.elements().count() + node.members().count();
        let text = match node.as_str() {
            Some(text) => text.into_owned(),
            None if children == 0 => minimize(&Document::parse(node.raw().as_bytes())),
            None => String::new(),
        };
        (node.kind(), text, children)
    };
    doc.nodes().map(said).collect()
}

fn survives(bytes: &[u8]) {
    let doc = Document::parse(bytes);
    let outputs = [format(&doc), standardize(&doc), minimize(&doc)];
    strictness::check(&doc, drop);
    drop(check(bytes, &Options::default()));
    if doc.errors().is_empty() {
        for output in outputs {
            assert_eq!(Document::parse(output.as_bytes()).errors(), [], "{output:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_bytes_are_survived(bytes in any::<Vec<u8>>()) {
        survives(&bytes);
    }

    #[test]
    fn broken_hujson_is_survived(bytes in soup()) {
        survives(&bytes);
    }

    #[test]
    fn hujson_cut_anywhere_is_survived(text in hujson(string()), at in any::<prop::sample::Index>()) {
        survives(&text.as_bytes()[..at.index(text.len())]);
    }

    #[test]
    fn formatting_keeps_the_value_and_is_done_once(text in hujson(string())) {
        let doc = Document::parse(text.as_bytes());
        prop_assert_eq!(doc.errors(), []);
        let once = format(&doc);
        let again = Document::parse(once.as_bytes());
        prop_assert_eq!(again.errors(), []);
        prop_assert!(again.is_standard() || !doc.is_standard());
        prop_assert_eq!(meaning(&again), meaning(&doc));
        prop_assert_eq!(format(&again), once);
    }

    #[test]
    fn formatting_changes_white_space_and_last_commas_only(text in hujson(plain())) {
        let ink = |text: &str| -> String {
            text.chars().filter(|c| !c.is_whitespace() && *c != ',').collect()
        };
        let out = format(&Document::parse(text.as_bytes()));
        prop_assert_eq!(ink(&out), ink(&text));
    }

    #[test]
    fn standard_json_is_as_long_and_json(text in hujson(string())) {
        let doc = Document::parse(text.as_bytes());
        let standard = standardize(&doc);
        prop_assert_eq!(standard.len(), text.len());
        let json: serde_json::Value = serde_json::from_str(&standard).unwrap();
        let small: serde_json::Value = serde_json::from_str(&minimize(&doc)).unwrap();
        prop_assert_eq!(&small, &json);
        prop_assert_eq!(Document::parse(standard.as_bytes()).is_standard(), true);
    }

    #[test]
    fn quoted_text_reads_back(value in any::<String>()) {
        let json = quote(&value);
        let doc = Document::parse(json.as_bytes());
        prop_assert_eq!(doc.errors(), []);
        let read = doc.root().and_then(|root| root.as_str());
        prop_assert_eq!(read.as_deref(), Some(&*value));
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
    }
}
