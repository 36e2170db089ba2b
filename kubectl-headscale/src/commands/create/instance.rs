//! `kubectl headscale create instance`

use clap::{Args, ValueEnum};
use headscale_api::desired::check_name;
use serde_json::json;

use super::draft::{Draft, DraftArgs};
use super::findings::check_config;
use super::make::MakeArgs;
use crate::commands::Context;
use crate::error::CommandError;
use crate::exit::Exit;

/// The newest version of Headscale that was released when this program was.
pub(crate) const NEWEST: &str = "v0.29.2";

const EXAMPLES: &str = "\
Examples:
  # Make an instance that clients reach at an address
  kubectl headscale create instance vpn --server-url https://vpn.example.com

  # Make one behind an Ingress, with names for nodes, and wait until it runs
  kubectl headscale create instance vpn --server-url https://vpn.example.com \\
    --ingress-class nginx --base-domain tail.example.com --wait

  # Set anything else that Headscale's configuration has
  kubectl headscale create instance vpn --server-url https://vpn.example.com \\
    --set config.dns.nameservers.global='[1.1.1.1]' --set config.derp.server.enabled=true

  # Write a manifest for Git instead
  kubectl headscale create instance hs --server-url https://hs.example.com --dry-run=client -o yaml

Exit codes:
  0    made
  1    Headscale would not start with its configuration, the cluster refused it, or it was not ready
       in time
  2    wrong usage, or input that cannot be read
  130  Ctrl-C ended it";

/// Make an instance of Headscale
///
/// Writes a Headscale. The flags have what most need; --set and -f have the rest.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CreateInstanceArgs {
    /// Name of the instance
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    name: Option<String>,

    #[command(flatten)]
    instance: InstanceArgs,

    #[command(flatten)]
    make: MakeArgs,
}

/// What an instance should be.
#[derive(Debug, Default, Args)]
pub(crate) struct InstanceArgs {
    /// URL that clients connect to, such as https://vpn.example.com
    #[arg(long, value_name = "URL")]
    server_url: Option<String>,

    /// Version of Headscale, which is the tag of its image [default: v0.29.2]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,

    /// Image without its tag [default: headscale/headscale]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,

    /// How many servers: 0 or 1 [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    replicas: Option<i32>,

    /// Domain of the names of nodes, which is no part of the host of the URL
    #[arg(long, value_name = "DOMAIN")]
    base_domain: Option<String>,

    /// Where the policy is: `database` to change it while Headscale runs, `file` to mount it
    #[arg(long, value_name = "MODE")]
    policy_mode: Option<PolicyMode>,

    /// Size of the volume [default: 128Mi]
    #[arg(long, value_name = "SIZE")]
    storage_size: Option<String>,

    /// StorageClass of the volume
    #[arg(long, value_name = "NAME")]
    storage_class: Option<String>,

    /// Have an Ingress of this IngressClass
    #[arg(long, value_name = "NAME")]
    ingress_class: Option<String>,

    /// Secret with the certificate that the Ingress shows
    #[arg(long, value_name = "NAME")]
    ingress_tls_secret: Option<String>,

    /// Secret of the type kubernetes.io/tls that Headscale serves TLS with itself
    #[arg(long, value_name = "NAME")]
    tls_secret: Option<String>,

    /// Key of a Secret with the password of the PostgreSQL database
    #[arg(long, value_name = "SECRET:KEY", value_parser = reference)]
    database_password: Option<(String, String)>,

    /// Key of a Secret with the secret of the OIDC client
    #[arg(long, value_name = "SECRET:KEY", value_parser = reference)]
    oidc_client_secret: Option<(String, String)>,

    /// Go on although Headscale would not start with the configuration
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PolicyMode {
    Database,
    File,
}

/// Reads `NAME:KEY`.
pub(super) fn reference(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() => {
            Ok((name.to_owned(), key.to_owned()))
        }
        _ => Err("expected NAME:KEY, a name and a key of its data".to_owned()),
    }
}

impl InstanceArgs {
    /// The instance that flags, file and fields give, checked and told about.
    ///
    /// # Errors
    ///
    /// When it cannot be one, or Headscale would not start with its configuration.
    pub(crate) fn draft(
        &self,
        name: Option<&str>,
        args: &DraftArgs,
        context: &mut Context<'_>,
    ) -> Result<Draft, CommandError> {
        let mut draft = Draft::new("Headscale", name, args, context)?;
        let mode = self.policy_mode.map(|mode| match mode {
            PolicyMode::Database => "database",
            PolicyMode::File => "file",
        });
        for (path, value) in [
            ("spec.version", self.version.as_deref()),
            ("spec.image", self.image.as_deref()),
            ("spec.config.server_url", self.server_url.as_deref()),
            ("spec.config.dns.base_domain", self.base_domain.as_deref()),
            ("spec.config.policy.mode", mode),
            ("spec.persistent_volume_claim.size", self.storage_size.as_deref()),
            ("spec.persistent_volume_claim.storage_class_name", self.storage_class.as_deref()),
            ("spec.ingress.class_name", self.ingress_class.as_deref()),
            ("spec.ingress.tls_secret_name", self.ingress_tls_secret.as_deref()),
            ("spec.secrets.tls.name", self.tls_secret.as_deref()),
        ] {
            draft.put_if(path, value);
        }
        for (path, value) in [
            ("spec.secrets.database_password", &self.database_password),
            ("spec.secrets.oidc_client_secret", &self.oidc_client_secret),
        ] {
            let reference = value.as_ref();
            draft.put_if(path, reference.map(|(name, key)| json!({ "name": name, "key": key })));
        }
        draft.put_if("spec.replicas", self.replicas);
        draft.put_default("spec.version", NEWEST);
        draft.put_default("spec.replicas", 1);
        // Headscale wants a domain by default, and does not start without one.
        let has_dns =
            draft.has("/spec/config/dns/base_domain") || draft.has("/spec/config/dns/magic_dns");
        let is_nameless = args.filename.is_none() && !has_dns;
        if is_nameless {
            draft.put("spec.config.dns.magic_dns", false);
        }
        let url = draft.text("/spec/config/server_url");
        if url.is_none() {
            return Err(CommandError::usage("where do clients connect to?").hint(
                "--server-url names the address that they reach, as in \
                 --server-url https://vpn.example.com",
            ));
        }
        draft.check()?;
        check_name(draft.name()).map_err(|error| CommandError::usage(error.to_string()))?;
        check_config(&draft, self.force, &mut context.ui)?;
        if is_nameless {
            context.ui.note("nodes get no names: --base-domain is the domain to have them in");
        }
        Ok(draft)
    }
}

impl CreateInstanceArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let draft = self.instance.draft(self.name.as_deref(), &self.make.draft, context)?;
        self.make.make(draft, context)
    }
}
