//! Which version of Headscale answers.

use std::fmt;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::answer::Answer;
use crate::call::{Call, Exchange};
use crate::error::{Error, ErrorKind};
use crate::wire::or_default;

const OPERATION: &str = "ask for the version";

/// A version of Headscale that this client speaks to, but for its patch number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// 0.28.
    V0_28,
    /// 0.29.
    V0_29,
    /// 0.30.
    V0_30,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0_28 => "0.28",
            Self::V0_29 => "0.29",
            Self::V0_30 => "0.30",
        })
    }
}

/// What Headscale says of its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Which one it is, by what it says or, of a build without a proper number, by what it has.
    pub release: Release,
    /// What it says, such as `v0.29.2` or `dev`; empty where it says nothing.
    pub reported: String,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.reported.strip_prefix('v').unwrap_or(&self.reported);
        if number.is_empty() {
            self.release.fmt(f)
        } else if number.starts_with(&self.release.to_string()) {
            f.write_str(number)
        } else {
            write!(f, "{} ({number})", self.release)
        }
    }
}

#[derive(Deserialize)]
struct Reported {
    #[serde(default, deserialize_with = "or_default")]
    version: String,
}

/// Asks what it is, without a key.
pub(crate) async fn version(carrier: &impl Exchange) -> Result<Version, Error> {
    let answer = carrier.exchange(Call::new(OPERATION, Method::GET, "/version")).await?;
    let reported = match answer.status {
        StatusCode::OK => serde_json::from_slice::<Reported>(&answer.body).ok(),
        // Not on a Unix socket, and maybe not through what stands before Headscale.
        StatusCode::NOT_FOUND => None,
        _ => return Err(refusal(&answer)),
    };
    let reported = reported.map(|reported| reported.version).unwrap_or_default();
    let release = match Numbers::read(&reported) {
        Some(numbers) => match numbers.release(&reported)? {
            Some(release) => release,
            None => by_features(carrier).await?,
        },
        None => by_features(carrier).await?,
    };
    Ok(Version { release, reported })
}

/// What stands in a version's text.
#[derive(Debug, PartialEq, Eq)]
struct Numbers {
    major: u64,
    minor: u64,
    is_release: bool,
}

impl Numbers {
    /// Reads `v1.2.3`, with or without the `v`, a pre-release after `-` and metadata after `+`.
    fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, _) = text.split_once('+').unwrap_or((text, ""));
        let (numbers, is_release) = match text.split_once('-') {
            Some((numbers, _)) => (numbers, false),
            None => (text, true),
        };
        let mut numbers = numbers.split('.').map(str::parse);
        let major = numbers.next()?.ok()?;
        let minor = numbers.next()?.ok()?;
        numbers.all(|number| number.is_ok()).then_some(Self { major, minor, is_release })
    }

    /// Which one it is; `None` where the number does not say it: a build between releases is named
    /// after the one before it, and has what comes after.
    fn release(&self, reported: &str) -> Result<Option<Release>, Error> {
        let release = match (self.major, self.minor) {
            (0, 28) => Release::V0_28,
            (0, 29) => Release::V0_29,
            (0, 30) => Release::V0_30,
            (0, ..28) if !self.is_release => return Ok(None),
            _ => return Err(unsupported(reported)),
        };
        Ok(self.is_release.then_some(release))
    }
}

/// Tells versions apart by what they publish of themselves without a key.
async fn by_features(carrier: &impl Exchange) -> Result<Release, Error> {
    let call = Call::new(OPERATION, Method::GET, "/api/v1/openapi.yaml");
    let answer = carrier.exchange(call).await?;
    match answer.status {
        // Older ones have pages that are blank.
        StatusCode::OK if answer.content_type.contains("openapi") => return Ok(Release::V0_30),
        StatusCode::OK | StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => {}
        _ => return Err(refusal(&answer)),
    }
    let call = Call::new(OPERATION, Method::GET, "/swagger/v1/openapiv2.json");
    let answer = carrier.exchange(call).await?;
    let document: Value = match answer.status {
        StatusCode::OK => serde_json::from_slice(&answer.body).unwrap_or_default(),
        StatusCode::NOT_FOUND => Value::Null,
        _ => return Err(refusal(&answer)),
    };
    let has = |path: &str, method: &str| {
        document.get("paths").and_then(|paths| paths.get(path)?.get(method)).is_some()
    };
    if has("/api/v1/policy/check", "post") {
        Ok(Release::V0_29)
    } else if has("/api/v1/preauthkey", "delete") {
        Ok(Release::V0_28)
    } else if has("/api/v1/user", "get") {
        Err(unsupported("older than 0.28"))
    } else {
        let why = "what answers is not Headscale, or only a part of it can be reached: neither \
                   /version nor a description of its API is there";
        Err(Error::answered(OPERATION, ErrorKind::Protocol, why))
    }
}

/// An error, or that what answers is not understood.
fn refusal(answer: &Answer) -> Error {
    match answer.success(OPERATION) {
        Err(error) => error,
        Ok(()) => Error::protocol(OPERATION, "the answer is not understood"),
    }
}

fn unsupported(reported: &str) -> Error {
    let why = format!("Headscale {reported} is not supported: 0.28, 0.29 and 0.30 are");
    Error::answered(OPERATION, ErrorKind::Unsupported, &why)
}
