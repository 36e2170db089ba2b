//! Keys: how they are made, hashed and read.

use sha2::{Digest as _, Sha256};

use crate::options::Version;

/// What API keys begin with.
pub(crate) const API_KEY: &str = "hskey-api-";
/// What pre-auth keys begin with.
pub(crate) const AUTH_KEY: &str = "hskey-auth-";
/// What the ids of logins in progress begin with, from 0.29 on.
pub(crate) const AUTH_REQUEST: &str = "hskey-authreq-";
/// How many characters of a key tell it from others.
pub(crate) const PREFIX: usize = 12;
/// How many characters of a key are secret.
const SECRET: usize = 64;
/// The same of keys of 0.27 and older, `<7>.<32>`.
const LEGACY_PREFIX: usize = 7;

const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A new key: its text, shown once, and what is stored of it.
pub(crate) struct Made {
    pub(crate) text: String,
    pub(crate) prefix: String,
    pub(crate) hash: String,
}

/// Makes the `n`-th key of a kind. On 0.29 and older every third has a prefix that begins with `-`,
/// and every third one with `_` in it and `-` at its end, so that tests meet them.
pub(crate) fn make(version: Version, kind: &str, n: u64) -> Made {
    let mut prefix = random(version, PREFIX);
    if version.has_grpc() {
        match n % 3 {
            1 => prefix.replace_range(..1, "-"),
            2 => {
                prefix.replace_range(5..6, "_");
                prefix.replace_range(PREFIX - 1.., "-");
            }
            _ => {}
        }
    }
    let secret = random(version, SECRET);
    Made { text: format!("{kind}{prefix}-{secret}"), hash: hash(&secret), prefix }
}

/// What is stored of a secret. The real one is slower.
pub(crate) fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// The prefix and the secret of an API key of either format.
pub(crate) fn split_api_key(text: &str) -> Option<(&str, &str)> {
    let Some((_, rest)) = text.split_once(API_KEY) else {
        return text.split_once('.').filter(|(prefix, _)| prefix.len() == LEGACY_PREFIX);
    };
    split(rest)
}

/// The prefix and the secret of a pre-auth key.
pub(crate) fn split_auth_key(text: &str) -> Option<(&str, &str)> {
    text.split_once(AUTH_KEY).and_then(|(_, rest)| split(rest))
}

fn split(rest: &str) -> Option<(&str, &str)> {
    let (prefix, rest) = rest.split_at_checked(PREFIX)?;
    let secret = rest.strip_prefix('-').filter(|secret| secret.len() == SECRET)?;
    (is_url_safe(prefix) && is_url_safe(secret)).then_some((prefix, secret))
}

/// Whether `text` has no characters but those of unpadded base64 for URLs.
pub(crate) fn is_url_safe(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// `length` random characters in the alphabet of `version`'s keys.
pub(crate) fn random(version: Version, length: usize) -> String {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    if version.has_grpc() {
        bytes.iter().map(|byte| char::from(URL_SAFE[usize::from(byte % 64)])).collect()
    } else {
        let mut text = hex(&bytes);
        text.truncate(length);
        text
    }
}

/// Random bytes in hexadecimal, as in the keys of nodes.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).expect("the system has random bytes");
    hex(&random)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_lengths_and_alphabets_of_their_version() {
        for version in Version::ALL {
            for n in 1..7 {
                let api = make(version, API_KEY, n);
                assert_eq!(api.text.len(), 87);
                let (prefix, secret) = split_api_key(&api.text).unwrap();
                assert_eq!((prefix, hash(secret)), (api.prefix.as_str(), api.hash));
                let auth = make(version, AUTH_KEY, n);
                assert_eq!(auth.text.len(), 88);
                assert!(split_auth_key(&auth.text).is_some());
            }
        }
        let hex = make(Version::V0_30, API_KEY, 1);
        assert!(hex.prefix.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
        assert!(make(Version::V0_29, API_KEY, 1).prefix.starts_with('-'));
        assert!(make(Version::V0_28, API_KEY, 2).prefix.contains('_'));
    }

    #[test]
    fn old_keys_are_split_at_their_dot() {
        assert_eq!(split_api_key("abcdefg.rest-of_it"), Some(("abcdefg", "rest-of_it")));
        assert_eq!(split_api_key("abcdef.rest"), None);
        assert_eq!(split_api_key("hskey-api-short"), None);
    }
}
