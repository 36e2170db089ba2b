//! A policy that Headscale has in its database.

use std::sync::Arc;

use headscale_acl::Version;
use headscale_api::kinds::Headscale;
use headscale_client::{ErrorKind, HeadscaleApi as _, HttpClient};

use super::document::Work;
use crate::conditions;
use crate::context::Context;
use crate::instance::AskError;
use crate::objects::Managed as _;

/// The policy that Headscale has in its database.
pub(super) async fn ask_policy(
    context: &Context,
    headscale: &Headscale,
) -> Result<Option<Arc<str>>, AskError> {
    let instance = context.instances.get(headscale).await?;
    let now = context.clock.now();
    match instance.policy(now).await {
        Err(error) if error.kind() == Some(ErrorKind::Unauthorized) => {
            let again = context.instances.get(headscale).await?;
            if Arc::ptr_eq(&again, &instance) {
                return Err(error);
            }
            Ok((*again.policy(now).await?.value).clone())
        }
        policy => Ok((*policy?.value).clone()),
    }
}

impl Work<'_> {
    /// Asks Headscale whether it takes a policy, where it can say.
    pub(super) async fn check(&self, text: &str, versions: &[Version]) -> Result<(), AskError> {
        if versions.first() < Some(&Version::V0_29) {
            return Ok(());
        }
        let instance = self.context.instances.get(self.headscale).await?;
        let call = async |http: &HttpClient| http.check_policy(text).await;
        match instance.ask("check_policy", call).await {
            Err(error) if error.kind() == Some(ErrorKind::Unsupported) => Ok(()),
            checked => checked,
        }
    }

    /// Gives the policy to Headscale, and reads it back. With the error it is told whether Headscale
    /// may have taken it.
    pub(super) async fn set(&self, text: &str) -> Result<(), (AskError, bool)> {
        let instance = self.context.instances.get(self.headscale).await;
        let instance = instance.map_err(|error| (error, false))?;
        let call = async |http: &HttpClient| http.set_policy(text).await;
        let set = instance.ask("set_policy", call).await;
        set.map_err(|error| {
            let may_have_acted = error.may_have_acted();
            (error, may_have_acted)
        })?;
        let now = self.context.clock.now();
        let kept = instance.policy(now).await.map_err(|error| (error, true))?;
        // Those who wait for owners of their tags learn of them.
        instance.tag_owners(now).await.ok();
        for key in self.context.keys_of(&self.at.0, &self.at.1) {
            if conditions::find(key.conditions(), "TagsOwned").is_some_and(|it| it.status != "True")
            {
                self.context.triggers.key(&key);
            }
        }
        if (*kept.value).as_deref() != Some(text) {
            let (namespace, headscale) = (&self.at.0, &self.at.1);
            tracing::warn!(namespace, headscale, "somebody else writes the policy too");
        }
        Ok(())
    }
}
