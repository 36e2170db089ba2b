//! Instances that are reached by their address.

use headscale_client::HttpClient;
use headscale_keys::ApiKey;
use secrecy::{ExposeSecret as _, SecretString};

use super::args::ElsewhereArgs;
use super::connector::{Connection, Connector};
use super::key;
use crate::environment::Environment;
use crate::error::CommandError;
use crate::input::read_file_up_to;

/// No key and no bundle of certificates is as large.
const MAX_BYTES: u64 = 4 << 20;

/// The instance at an address.
pub(super) struct Direct<'a> {
    pub(super) address: &'a str,
    pub(super) args: &'a ElsewhereArgs,
}

impl Connector for Direct<'_> {
    async fn connect(&self, environment: &Environment) -> Result<Connection, CommandError> {
        let (key, place) = self.key(environment)?;
        let mut builder = HttpClient::builder(self.address).api_key(key);
        if let Some(file) = &self.args.ca_file {
            let name = file.display().to_string();
            builder = builder.ca(read_file_up_to(MAX_BYTES, &environment.cwd.join(file), &name)?);
        }
        let client = builder.build().map_err(|error| CommandError::usage(error.to_string()))?;
        Ok(Connection { client, name: self.address.to_owned(), key: place, tunnel: None })
    }
}

impl Direct<'_> {
    /// The key, and where it comes from.
    fn key(&self, environment: &Environment) -> Result<(ApiKey, String), CommandError> {
        let (text, place) = match (&self.args.api_key_file, &self.args.api_key_env) {
            (Some(file), _) => {
                let name = file.display().to_string();
                let bytes = read_file_up_to(MAX_BYTES, &environment.cwd.join(file), &name)?;
                (String::from_utf8(bytes).ok().map(SecretString::from), name)
            }
            (None, variable) => {
                let variable = variable.as_deref().unwrap_or_default();
                let Some(value) = (environment.variable)(variable) else {
                    let message = format!("the variable {variable} has no API key: it is not set");
                    return Err(CommandError::usage(message)
                        .hint("set it, or name a file with --api-key-file"));
                };
                (value.into_string().ok().map(SecretString::from), format!("${variable}"))
            }
        };
        let key = text.and_then(|text| key::parse(text.expose_secret()));
        let Some(key) = key else { return Err(key::none_in(&place)) };
        Ok((key, place))
    }
}
