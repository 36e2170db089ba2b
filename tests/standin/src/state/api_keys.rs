//! API keys.

use jiff::Timestamp;

use super::{ApiKey, State};
use crate::failure::{Code, Failure};
use crate::moment::Moment;
use crate::secret;

impl State {
    /// Makes a key and gives its text. Without an expiration it is born expired.
    pub(crate) fn create_api_key(&mut self, expiration: Option<Moment>) -> Result<String, Failure> {
        let (version, created_at) = (self.version, self.now());
        let text = self.change(|data| {
            data.last.api_key += 1;
            let id = data.last.api_key;
            let made = secret::make(version, secret::API_KEY, id);
            let expiration = Some(expiration.unwrap_or_else(Moment::zero));
            let (prefix, hash) = (made.prefix, made.hash);
            data.api_keys.push(ApiKey { id, prefix, hash, expiration, created_at });
            Ok(made.text)
        })?;
        self.ever.push(text.clone());
        Ok(text)
    }

    /// Stores a key of either format as if it had been made by another server.
    pub(crate) fn plant_api_key(
        &mut self,
        text: &str,
        expiration: Option<Timestamp>,
    ) -> Result<(), Failure> {
        let created_at = self.now();
        let (prefix, secret) = secret::split_api_key(text)
            .ok_or_else(|| Failure::plain(Code::InvalidArgument, 400, "not an API key"))?;
        let (prefix, hash) = (prefix.to_owned(), secret::hash(secret));
        let expiration = expiration.map(Moment::from);
        self.change(|data| {
            data.last.api_key += 1;
            let id = data.last.api_key;
            data.api_keys.push(ApiKey { id, prefix, hash, expiration, created_at });
            Ok(())
        })?;
        self.ever.push(text.to_owned());
        Ok(())
    }

    /// Lets a key expire now.
    pub(crate) fn expire_api_key(&mut self, id: u64, prefix: &str) -> Result<(), Failure> {
        let (id, now) = (self.find_api_key(id, prefix)?, self.now());
        self.change(|data| {
            for key in data.api_keys.iter_mut().filter(|key| key.id == id) {
                key.expiration = Some(now);
            }
            Ok(())
        })
    }

    /// Removes a key.
    pub(crate) fn delete_api_key(&mut self, id: u64, prefix: &str) -> Result<(), Failure> {
        let id = self.find_api_key(id, prefix)?;
        self.change(|data| {
            data.api_keys.retain(|key| key.id != id);
            Ok(())
        })
    }

    /// Whether a call with this key is let in.
    pub(crate) fn authenticates(&self, text: &str) -> bool {
        let Some((prefix, secret)) = secret::split_api_key(text) else { return false };
        let Some(key) = self.data.api_keys.iter().find(|key| key.prefix == prefix) else {
            return false;
        };
        let is_expired = key.expiration.is_some_and(|at| at.is_past(self.clock.now()));
        key.hash == secret::hash(secret) && !is_expired
    }

    fn find_api_key(&self, id: u64, prefix: &str) -> Result<u64, Failure> {
        let conflict = |words: &str| Err(Failure::plain(Code::InvalidArgument, 400, words));
        let found = match (id, prefix) {
            (0, "") => return conflict("must provide id or prefix"),
            (0, shown) => {
                let prefix = stored_prefix(shown)?;
                self.data.api_keys.iter().find(|key| key.prefix == prefix)
            }
            (id, "") => self.data.api_keys.iter().find(|key| key.id == id),
            _ => return conflict("provide either id or prefix, not both"),
        };
        let missing = || Failure::below(404, "getting api key", "record not found");
        found.map(|key| key.id).ok_or_else(missing)
    }
}

/// The stored prefix of one as it is shown: masked, bare, or the beginning of a whole key.
fn stored_prefix(shown: &str) -> Result<&str, Failure> {
    let Some((_, rest)) = shown.split_once(secret::API_KEY) else { return Ok(shown) };
    let unreadable = |why: &str| {
        Failure::below(500, "getting api key", format!("failed to parse ApiKey: {why}"))
    };
    let (prefix, _) =
        rest.split_at_checked(secret::PREFIX).ok_or_else(|| unreadable("prefix too short"))?;
    if !secret::is_url_safe(prefix) {
        return Err(unreadable("prefix contains invalid characters"));
    }
    Ok(prefix)
}
