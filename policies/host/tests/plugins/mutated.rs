//! Components and answers that were cut, flipped and spliced: whatever comes of them, it is a verdict
//! or an error, and the host goes on.

use std::sync::LazyLock;

use headscale_policy_host::{Host, Limits, Options, Validator, View};
use proptest::prelude::*;
use serde_json::json;

use crate::guest::{Guest, told};
use crate::subject;

static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    Guest::new("mutant").with_log().finds(&[told("rule", "/acls/0/src", "found")]).build()
});

static HOST: LazyLock<Host> = LazyLock::new(|| {
    let mut limits = Limits::default();
    for limit in ["fuel=1000000", "time=10s", "memory=4MiB"] {
        limits.set(limit).unwrap();
    }
    Host::new(Options { limits, cache: None }).unwrap()
});

/// An edit of bytes: where, how many go, and what comes.
fn edits() -> impl Strategy<Value = Vec<(usize, usize, Vec<u8>)>> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..6),
        // Numbers in LEB128 that are larger than what they count.
        Just(vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];
    prop::collection::vec((any::<usize>(), 0..4_usize, bytes), 1..4)
}

/// Loads a plugin and has it judge, as far as that goes.
fn judged(bytes: &[u8]) -> bool {
    let plugin = HOST.load("./mutant.wasm", bytes);
    let validator = plugin.and_then(|plugin| plugin.validator(&json!({})));
    let verdict = validator.and_then(|validator| validator.validate(&View::new(subject())));
    match verdict {
        Ok(_) => true,
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with("plugin ./mutant.wasm: "), "{told}");
            // A message may have lines.
            let is_hidden = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
            assert!(!told.chars().any(is_hidden), "{told}");
            false
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_plugin_or_an_error(edits in edits(), cut in any::<usize>()) {
        let mut bytes = COMPONENT.clone();
        for (at, gone, new) in edits {
            let at = at % bytes.len();
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, new);
        }
        if cut % 8 == 0 {
            bytes.truncate(cut % (bytes.len() + 1));
        }
        judged(&bytes);
    }

    #[test]
    fn any_answer_is_a_verdict_or_an_error(words in prop::collection::vec(any::<u32>(), 0..14)) {
        let mut guest = Guest::new("mutant");
        // The first words say of what kind and where the answer is: small ones lead furthest.
        let words: Vec<usize> = words
            .iter()
            .enumerate()
            .map(|(at, word)| if at < 1 { (word % 3) as usize } else { (word % 8_192) as usize })
            .collect();
        let at = guest.words(&words);
        judged(&guest.validate(&format!("i32.const {at}")).build());
    }
}

#[test]
fn unchanged_it_is_a_plugin() {
    assert!(judged(&COMPONENT));
}
