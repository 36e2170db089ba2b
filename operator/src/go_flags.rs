//! Flags of the Go operator that ours has under no such name, so that the command line of its
//! Deployment goes on working.

use clap::Args;
use headscale_service::logging::{Format, Level, LogArgs};

/// The flags. None is shown in help: who writes a command line anew has no use for them.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct GoFlags {
    /// The least that is logged: `debug`, `info`, `error`, `panic`, or how much of debugging
    #[arg(long, hide = true, value_name = "LEVEL", value_parser = level)]
    zap_log_level: Option<Level>,
    /// How log lines look: `json` or `console`
    #[arg(long, hide = true, value_name = "FORMAT", value_parser = format)]
    zap_encoder: Option<Format>,
    /// Log for developers: lines for people, of everything
    #[arg(long, hide = true, value_name = "BOOL", value_parser = boolean, num_args = 0..=1,
        require_equals = true, default_missing_value = "true")]
    zap_devel: Option<bool>,
    /// From which level on the stack is logged: ours has none
    #[arg(long, hide = true, value_name = "LEVEL")]
    zap_stacktrace_level: Option<String>,
    /// How times look in logs: ours are RFC 3339
    #[arg(long, hide = true, value_name = "ENCODING")]
    zap_time_encoding: Option<String>,
    /// Serve metrics over HTTPS, to those who may read them
    #[arg(long, hide = true, value_name = "BOOL", value_parser = boolean, num_args = 0..=1,
        require_equals = true, default_missing_value = "true")]
    metrics_secure: Option<bool>,
    /// The folder of the certificate for metrics
    #[arg(long, hide = true, value_name = "DIR")]
    metrics_cert_path: Option<String>,
    /// The certificate's file
    #[arg(long, hide = true, value_name = "NAME")]
    metrics_cert_name: Option<String>,
    /// The key's file
    #[arg(long, hide = true, value_name = "NAME")]
    metrics_cert_key: Option<String>,
    /// The folder of the certificate for webhooks: there are none
    #[arg(long, hide = true, value_name = "DIR")]
    webhook_cert_path: Option<String>,
    /// The certificate's file
    #[arg(long, hide = true, value_name = "NAME")]
    webhook_cert_name: Option<String>,
    /// The key's file
    #[arg(long, hide = true, value_name = "NAME")]
    webhook_cert_key: Option<String>,
    /// Serve metrics and webhooks over HTTP/2 too
    #[arg(long, hide = true, value_name = "BOOL", value_parser = boolean, num_args = 0..=1,
        require_equals = true, default_missing_value = "true")]
    enable_http2: Option<bool>,
}

impl GoFlags {
    /// Where logs go and how they look: as these flags say where they say it, else as `logs` has
    /// it.
    pub(crate) fn logs(&self, logs: &LogArgs) -> LogArgs {
        let (format, level) = match self.zap_devel {
            Some(true) => (Format::Text, Level::Debug),
            _ => (logs.log_format, logs.log_level),
        };
        LogArgs {
            log_format: self.zap_encoder.unwrap_or(format),
            log_level: self.zap_log_level.unwrap_or(level),
        }
    }

    /// Those that are given, and ask for what ours does not do.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        let flags = [
            ("--zap-stacktrace-level", self.zap_stacktrace_level.is_some()),
            ("--zap-time-encoding", self.zap_time_encoding.is_some()),
            ("--metrics-cert-path", self.metrics_cert_path.is_some()),
            ("--metrics-cert-name", self.metrics_cert_name.is_some()),
            ("--metrics-cert-key", self.metrics_cert_key.is_some()),
            ("--webhook-cert-path", self.webhook_cert_path.is_some()),
            ("--webhook-cert-name", self.webhook_cert_name.is_some()),
            ("--webhook-cert-key", self.webhook_cert_key.is_some()),
            ("--enable-http2", self.enable_http2 == Some(true)),
        ];
        flags.into_iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| flag).collect()
    }

    /// Whether HTTPS is asked for, for metrics. The Go operator has it where nothing is said, ours
    /// never: only who asks for it is told so.
    pub(crate) fn wants_secure_metrics(&self) -> bool {
        let has_certificate = self.metrics_cert_path.as_ref().is_some_and(|path| !path.is_empty());
        self.metrics_secure.unwrap_or(has_certificate)
    }
}

/// A truth value as Go reads it.
///
/// # Errors
///
/// What was expected.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

fn level(text: &str) -> Result<Level, String> {
    match &*text.to_ascii_lowercase() {
        "debug" => Ok(Level::Debug),
        "info" => Ok(Level::Info),
        // Of what only a panic logs there, there is nothing less here.
        "error" | "panic" => Ok(Level::Error),
        number => match number.parse::<u8>() {
            Ok(1..) => Ok(Level::Debug),
            _ => Err(format!("`{text}` is no level: write debug, info or error")),
        },
    }
}

fn format(text: &str) -> Result<Format, String> {
    match &*text.to_ascii_lowercase() {
        "json" => Ok(Format::Json),
        "console" => Ok(Format::Text),
        _ => Err(format!("`{text}` is no format: write json or console")),
    }
}
