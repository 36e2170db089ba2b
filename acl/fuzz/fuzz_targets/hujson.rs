//! Any bytes: nothing panics, and what reads without errors keeps doing so in every form.

#![no_main]

use headscale_acl::hujson::{Document, format, minimize, standardize, strictness};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let doc = Document::parse(bytes);
    let once = format(&doc);
    let standard = standardize(&doc);
    let small = minimize(&doc);
    strictness::check(&doc, drop);
    if !doc.errors().is_empty() {
        return;
    }

    let again = Document::parse(once.as_bytes());
    assert_eq!(again.errors(), [], "formatted: {once:?}");
    assert_eq!(format(&again), once, "formatting again changes the text");
    assert!(
        again.is_standard() || !doc.is_standard(),
        "JSON became HuJSON: {once:?}"
    );
    // Formatting writes strings with escapes anew; without one the value is the same text.
    if !doc.text().contains('\\') {
        assert_eq!(minimize(&again), small, "formatting changed the value");
    }
    assert_eq!(standard.len(), doc.text().len());
    for json in [standard, small] {
        let plain = Document::parse(json.as_bytes());
        assert_eq!(plain.errors(), [], "{json:?}");
        assert!(plain.is_standard(), "{json:?}");
    }
});
