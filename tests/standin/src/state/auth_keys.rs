//! Pre-auth keys.

use super::{AuthKey, State};
use crate::failure::{Code, Failure};
use crate::moment::Moment;
use crate::options::Version;
use crate::secret;

/// What a new pre-auth key shall be.
#[derive(Clone, Debug)]
pub(crate) struct NewAuthKey {
    /// 0 for none.
    pub(crate) user: u64,
    pub(crate) reusable: bool,
    pub(crate) ephemeral: bool,
    pub(crate) expiration: Option<Moment>,
    pub(crate) tags: Vec<String>,
}

impl State {
    /// Makes a key; gives its text and what is stored of it.
    pub(crate) fn create_auth_key(
        &mut self,
        wanted: NewAuthKey,
    ) -> Result<(String, AuthKey), Failure> {
        const DOING: &str = "creating pre-auth key";
        for tag in &wanted.tags {
            if let Err(why) = check_tag(self.version, tag) {
                return Err(Failure::below(400, "invalid tag", why).code(Code::InvalidArgument));
            }
        }
        let user = (wanted.user != 0).then_some(wanted.user);
        if user.is_some_and(|id| self.data.user(id).is_none()) {
            return Err(Failure::user_not_found(DOING));
        }
        if user.is_none() && wanted.tags.is_empty() {
            let why = "auth-key must be either tagged or owned by user";
            return Err(Failure::below(400, DOING, why));
        }
        let mut tags = wanted.tags;
        tags.sort_unstable();
        tags.dedup();
        let (version, created_at) = (self.version, self.now());
        let (text, key) = self.change(|data| {
            data.last.auth_key += 1;
            let id = data.last.auth_key;
            let made = secret::make(version, secret::AUTH_KEY, id);
            let key = AuthKey {
                id,
                prefix: made.prefix,
                hash: made.hash,
                user,
                reusable: wanted.reusable,
                ephemeral: wanted.ephemeral,
                used: false,
                expiration: wanted.expiration.unwrap_or_else(Moment::zero),
                created_at,
                tags,
            };
            data.auth_keys.push(key.clone());
            Ok((made.text, key))
        })?;
        self.ever.push(text.clone());
        Ok((text, key))
    }

    /// Lets a key expire now. Before 0.30 it need not be there.
    pub(crate) fn expire_auth_key(&mut self, id: u64) -> Result<(), Failure> {
        self.must_have_auth_key(id, "expiring pre-auth key")?;
        let now = self.now();
        self.change(|data| {
            for key in data.auth_keys.iter_mut().filter(|key| key.id == id) {
                key.expiration = now;
            }
            Ok(())
        })
    }

    /// Removes a key. Before 0.30 it need not be there.
    pub(crate) fn delete_auth_key(&mut self, id: u64) -> Result<(), Failure> {
        self.must_have_auth_key(id, "deleting pre-auth key")?;
        self.change(|data| {
            data.remove_auth_keys(|key| key.id == id);
            Ok(())
        })
    }

    fn must_have_auth_key(&self, id: u64, doing: &str) -> Result<(), Failure> {
        let is_there = self.data.auth_keys.iter().any(|key| key.id == id);
        if is_there || self.version < Version::V0_30 {
            return Ok(());
        }
        Err(Failure::below(404, doing, "auth-key not found: record not found"))
    }
}

/// Whether a tag has the form of one; else Headscale's words for what is wrong.
pub(super) fn check_tag(version: Version, tag: &str) -> Result<(), &'static str> {
    if !tag.starts_with("tag:") {
        Err("tag must start with the string 'tag:'")
    } else if tag.to_lowercase() != tag {
        Err("tag should be lowercase")
    } else if tag.split_whitespace().count() > 1 {
        Err(if version == Version::V0_28 {
            "tag should not contains space"
        } else {
            "tags must not contain spaces"
        })
    } else {
        Ok(())
    }
}
