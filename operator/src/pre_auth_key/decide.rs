//! What a key is to be, from its object.

use std::collections::BTreeSet;

use headscale_acl::policy::Nanoseconds;
use headscale_api::kinds::{HeadscalePreAuthKeySpec, HeadscaleUser, HeadscaleUserStatus};
use headscale_client::{NewPreAuthKey, PreAuthKey, User};
use headscale_keys::pre_auth_key::Wanted;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use crate::conditions::Verdict;
use crate::stored::INVALID_SPEC;

/// How long a key lives where nothing is said.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// The longest name of a Secret.
const LONGEST_NAME: usize = 253;

/// What a key is made for. Another one is made where any of it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Headscale's number of the user.
    pub user: Option<u64>,
    /// Whether more than one node may use it.
    pub reusable: bool,
    /// Whether its nodes go when they are away.
    pub ephemeral: bool,
    /// The tags of its nodes.
    pub tags: BTreeSet<String>,
    /// How long it lives.
    pub lifetime: SignedDuration,
}

impl Shape {
    /// The key that the protocol looks after, replaced when a third of its life is left where it
    /// is to `rotate`.
    #[must_use]
    pub fn wanted(&self, rotate: bool) -> Wanted {
        let user = self.user.map_or_else(|| "none".to_owned(), |user| user.to_string());
        let tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
        let made_for = format!(
            "user={user} reusable={} ephemeral={} tags={} lifetime={}ms",
            self.reusable,
            self.ephemeral,
            tags.join(","),
            self.lifetime.as_millis()
        );
        let rotation = rotate.then(|| self.lifetime / 3);
        Wanted { made_for, lifetime: self.lifetime, rotation }
    }

    /// Whether a key that Headscale lists is of this shape, as far as it shows.
    #[must_use]
    pub fn fits(&self, listed: &PreAuthKey) -> bool {
        let user = listed.user.as_ref().map(|user| user.id);
        // Where a key has tags, whose it is does not matter to its nodes.
        (self.user == user || !self.tags.is_empty())
            && self.reusable == listed.reusable
            && self.ephemeral == listed.ephemeral
            && self.tags.iter().eq(listed.acl_tags.iter().collect::<BTreeSet<_>>())
    }

    /// What Headscale is asked for.
    #[must_use]
    pub fn request(&self, expiration: Timestamp) -> NewPreAuthKey {
        NewPreAuthKey {
            user: self.user,
            reusable: self.reusable,
            ephemeral: self.ephemeral,
            expiration,
            acl_tags: self.tags.iter().cloned().collect(),
        }
    }
}

/// Whose key it is.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// The user of this object; `None` where there is no such object.
    Reference(Option<&'a HeadscaleUser>),
    /// The user of this number, where Headscale has it.
    Number(u64),
    /// Nobody's: it has tags.
    Nobody,
}

/// The name of the Secret that the key of this object is kept in.
#[must_use]
pub fn secret_name<'a>(name: &'a str, spec: &'a HeadscalePreAuthKeySpec) -> &'a str {
    spec.secret_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(name)
}

/// The HeadscaleUser that the spec names. The Go operator writes an empty name for none.
#[must_use]
pub fn user_ref(spec: &HeadscalePreAuthKeySpec) -> Option<&str> {
    spec.headscale_user_ref.as_deref().filter(|name| !name.is_empty())
}

/// The number of the user that the spec names.
#[must_use]
pub fn user_id(spec: &HeadscalePreAuthKeySpec) -> Option<u64> {
    spec.user_id.and_then(|id| u64::try_from(id).ok()).filter(|id| *id != 0)
}

fn invalid(message: String) -> Verdict {
    Verdict::bad(INVALID_SPEC, message)
}

/// What can be said of the spec alone: the lifetime and the tags.
///
/// # Errors
///
/// What `Ready` says where there can be no such key.
pub fn check(
    name: &str,
    spec: &HeadscalePreAuthKeySpec,
) -> Result<(SignedDuration, BTreeSet<String>), Verdict> {
    let (user_ref, user_id) = (user_ref(spec), user_id(spec));
    if user_ref.is_some() && user_id.is_some() {
        return Err(invalid(
            "spec.headscaleUserRef and spec.userId are both given: remove one of them".to_owned(),
        ));
    }
    if user_ref.is_none() && user_id.is_none() && spec.tags.is_empty() {
        return Err(invalid(
            "one of spec.headscaleUserRef, spec.userId or spec.tags must be given".to_owned(),
        ));
    }
    let lifetime = match spec.expiration.as_deref() {
        None => LIFETIME,
        Some(text) => {
            let read = Nanoseconds::parse_go(text).map(|read| SignedDuration::from_nanos(read.0));
            read.map_err(|_| {
                invalid(format!(
                    "spec.expiration is `{text}`, expected hours, minutes and seconds such as 24h \
                     or 1h30m"
                ))
            })?
        }
    };
    if lifetime < SignedDuration::from_secs(1) {
        return Err(invalid(format!(
            "spec.expiration is {lifetime:#}: Headscale has no key that never expires, and one of \
             less than a second would be expired when it is made. Write for how long the key is \
             good, such as 24h"
        )));
    }
    for tag in &spec.tags {
        if tag.to_lowercase() != *tag {
            return Err(invalid(format!(
                "spec.tags has {tag}: Headscale takes lower case only, write {}",
                tag.to_lowercase()
            )));
        }
        if tag.strip_prefix("tag:").is_none_or(|name| name.is_empty() || name.contains(' ')) {
            return Err(invalid(format!("spec.tags has `{tag}`, expected one such as tag:ci")));
        }
    }
    let secret = secret_name(name, spec);
    if !is_object_name(secret) {
        return Err(invalid(format!(
            "spec.secretName is `{secret}`, which no Secret can be called: lower-case letters, \
             digits, `-` and `.`, at most {LONGEST_NAME} characters"
        )));
    }
    Ok((lifetime, spec.tags.iter().cloned().collect()))
}

fn is_object_name(name: &str) -> bool {
    let is_label = |label: &str| {
        label.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= LONGEST_NAME && name.split('.').all(is_label)
}

/// What the key is to be.
///
/// # Errors
///
/// What `Ready` says where there can be none yet, or at all.
pub fn shape(
    name: &str,
    spec: &HeadscalePreAuthKeySpec,
    owner: Owner<'_>,
    users: &[User],
) -> Result<Shape, Verdict> {
    let (lifetime, tags) = check(name, spec)?;
    let user = match owner {
        Owner::Nobody => None,
        Owner::Number(id) if users.iter().any(|user| user.id == id) => Some(id),
        Owner::Number(id) => {
            return Err(Verdict::bad(
                "UserNotFound",
                format!(
                    "Headscale {} has no user with the id {id} (`headscale users list`): correct \
                     spec.userId",
                    spec.headscale_ref
                ),
            ));
        }
        Owner::Reference(user) => Some(referenced(spec, user, users)?),
    };
    let is = |flag: Option<bool>| flag == Some(true);
    Ok(Shape { user, reusable: is(spec.reusable), ephemeral: is(spec.ephemeral), tags, lifetime })
}

fn referenced(
    spec: &HeadscalePreAuthKeySpec,
    user: Option<&HeadscaleUser>,
    users: &[User],
) -> Result<u64, Verdict> {
    let name = user_ref(spec).unwrap_or_default();
    let Some(user) = user else {
        return Err(Verdict::bad(
            "UserNotFound",
            format!("HeadscaleUser {name} not found: make it, or correct spec.headscaleUserRef"),
        ));
    };
    if user.spec.headscale_ref != spec.headscale_ref {
        return Err(invalid(format!(
            "HeadscaleUser {name} is a user of Headscale {}, and the key is for Headscale {}: \
             name a user of that one",
            user.spec.headscale_ref, spec.headscale_ref
        )));
    }
    let not_ready = |why: &str| {
        Verdict::bad("UserNotReady", format!("HeadscaleUser {} {why}", user.name_any()))
    };
    if user.metadata.deletion_timestamp.is_some() {
        return Err(not_ready("is being deleted"));
    }
    let status = user.status.clone().unwrap_or_default();
    let HeadscaleUserStatus { user_id: Some(id), .. } = status else {
        return Err(not_ready("is not in Headscale yet: see its condition Ready"));
    };
    let id: u64 = id.parse().map_err(|_| {
        Verdict::bad(
            "InvalidUserID",
            format!("HeadscaleUser {name}: status.userId is `{id}`, expected a number"),
        )
    })?;
    if !users.iter().any(|user| user.id == id) {
        return Err(not_ready("is not in Headscale any more, and will be made anew"));
    }
    Ok(id)
}
