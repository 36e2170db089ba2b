//! Keys and prefixes of every version are read by length, and never shown.

use headscale_keys::{ApiKey, AuthKey, KeyFormatError, KeyPrefix};
use proptest::prelude::*;

fn secret() -> String {
    "-_".repeat(32)
}

#[test]
fn api_keys_are_cut_by_length() {
    for (text, prefix) in [
        (format!("hskey-api-0123456789ab-{}", "a".repeat(64)), "0123456789ab"),
        // The alphabet of 0.28 and 0.29 has dashes, also at the ends.
        (format!("hskey-api--A_PGBw4kQ2--{}", secret()), "-A_PGBw4kQ2-"),
        (format!("hskey-api--------------{}", secret()), "------------"),
        // From before 0.28.
        (format!("ab-de_g.{}", "s".repeat(32)), "ab-de_g"),
    ] {
        let key = ApiKey::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(key.prefix().as_str(), prefix);
        assert_eq!(key.expose(), text);
    }
}

#[test]
fn what_is_no_whole_api_key_is_refused_without_being_repeated() {
    let whole = format!("hskey-api-0123456789ab-{}", "a".repeat(64));
    for text in [
        "",
        "hskey-api-",
        "hskey-api-0123456789ab",
        "hskey-api-0123456789ab-***",
        whole.trim_end_matches('a'),
        whole.strip_suffix('a').expect("an a"),
        &format!("{whole}a"),
        &format!(" {whole}"),
        &format!("{whole}\n"),
        &whole.replace("api", "auth"),
        &whole.replace("89ab-", "89ab."),
        "ab-de_g",
        "ab-de_g.",
        "ab-de_.gsecret",
        "ab de_g.secret",
        "äöüä.secret",
    ] {
        let error = ApiKey::parse(text).expect_err(text);
        assert_eq!(error, KeyFormatError::ApiKey);
        assert!(text.len() <= "hskey-api-".len() || !error.to_string().contains(text), "{error}");
    }
}

#[test]
fn prefixes_are_read_as_headscale_lists_them() {
    for (text, prefix) in [
        ("hskey-api--A_PGBw4kQ2--***", "-A_PGBw4kQ2-"),
        ("hskey-auth-0123456789ab-***", "0123456789ab"),
        ("0123456789ab", "0123456789ab"),
        ("1234567***", "1234567"),
        ("1234567", "1234567"),
    ] {
        assert_eq!(KeyPrefix::parse(text).expect(text).as_str(), prefix);
    }
    for text in ["", "***", "12345678", "hskey-api-0123456789ab", "0123456789a/", "hskey-api-***"] {
        assert_eq!(KeyPrefix::parse(text), Err(KeyFormatError::Prefix), "{text}");
    }
}

#[test]
fn keys_show_their_prefix_and_no_more() {
    let api = format!("hskey-api-0123456789ab-{}", "q".repeat(64));
    let legacy = format!("1234567.{}", "q".repeat(32));
    let auth = format!("hskey-auth-0123456789ab-{}", "q".repeat(64));
    let shown = [
        format!("{:?}", ApiKey::parse(&api).expect("a key")),
        format!("{:?}", ApiKey::parse(&legacy).expect("a key")),
        format!("{:?}", AuthKey::new(&auth)),
        format!("{:?}", AuthKey::new("qqqqqqqqqqqqqqqqqq")),
        format!("{:?}", AuthKey::new("")),
    ];
    assert_eq!(
        shown,
        [
            "ApiKey(hskey-api-0123456789ab-***)",
            "ApiKey(1234567.***)",
            "AuthKey(hskey-auth-0123456789ab-***)",
            "AuthKey(***)",
            "AuthKey(empty)",
        ]
    );
}

proptest! {
    /// No text makes reading panic, and what is read comes back whole.
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        if let Ok(key) = ApiKey::parse(&text) {
            prop_assert_eq!(key.expose(), &text);
        }
        prop_assert!(KeyPrefix::parse(&text).map_or(true, |prefix| text.contains(prefix.as_str())));
        let auth = AuthKey::new(&text);
        prop_assert_eq!(auth.expose(), &text);
    }

    /// Keys of the form of each version are read, whatever characters they got.
    #[test]
    fn every_key_that_headscale_makes_is_read(
        prefix in "[A-Za-z0-9_-]{12}",
        secret in "[A-Za-z0-9_-]{64}",
    ) {
        let key = ApiKey::parse(&format!("hskey-api-{prefix}-{secret}")).expect("a key");
        prop_assert_eq!(key.prefix().as_str(), &prefix);
        let key = AuthKey::new(&format!("hskey-auth-{prefix}-{secret}"));
        prop_assert_eq!(key.prefix().expect("a prefix").as_str(), &prefix);
    }
}
