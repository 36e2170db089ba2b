//! What is wrong with a policy or a configuration, told before it is sent.

use headscale_acl::{Checked, Finding, Options, Severity, Version, check};
use headscale_api::config::ConfigFinding;
use headscale_api::desired::{Inputs, findings, release};
use headscale_api::kinds::Headscale;

use super::draft::Draft;
use crate::commands::Context;
use crate::error::CommandError;
use crate::report::{FileReport, Format, Report, reporter};
use crate::ui::Ui;
use crate::version::CLIENT;

/// More is told by `policy check`.
const TOLD: usize = 10;

/// Checks the policy `text`, called `name`, as the newest released version reads it, and tells what is
/// wrong.
///
/// # Errors
///
/// When Headscale would refuse it, unless it is `forced`.
pub(super) fn check_policy(
    name: &str,
    text: &str,
    forced: bool,
    context: &mut Context<'_>,
) -> Result<(), CommandError> {
    let options = Options {
        versions: &[Version::DEFAULT],
        today: Some(context.environment.today),
        ..Options::default()
    };
    let Checked { findings, uncounted, .. } = check(text.as_bytes(), &options);
    let is_refused = has_errors(&findings);
    if is_refused || findings.iter().any(|finding| finding.severity == Severity::Warning) {
        let file = FileReport { name: name.to_owned(), text: text.into(), findings, uncounted };
        let report = Report {
            files: vec![file],
            tool_version: CLIENT.to_owned(),
            max_findings: TOLD,
            ..Report::default()
        };
        let mut told = Vec::new();
        // Nothing fails to be written to a vector.
        reporter(Format::Text, context.ui.error_style()).report(&report, &mut told).ok();
        context.ui.tell(&String::from_utf8_lossy(&told));
    }
    if is_refused && !forced {
        return Err(CommandError::failed("Headscale would refuse the policy: nothing was sent")
            .hint("--force sends it all the same"));
    }
    Ok(())
}

fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Checks the configuration that an instance will have, and tells what is wrong and what was changed
/// to suit its version.
///
/// # Errors
///
/// When Headscale would not start with it, unless it is `forced`.
pub(super) fn check_config(
    draft: &Draft,
    forced: bool,
    ui: &mut Ui<'_>,
) -> Result<(), CommandError> {
    let headscale: Headscale = serde_json::from_value(draft.object.clone()).map_err(|error| {
        CommandError::usage(format!("the instance does not fit its kind: {error}"))
    })?;
    let version = release(&headscale.spec.version);
    let findings = findings(&headscale, &Inputs::default());
    let mut refused = 0;
    for finding in &findings {
        let ConfigFinding {
            finding: Finding { severity, message, help, rule, .. }, pointer, ..
        } = finding;
        let line = draft.placed(&format!("/spec/config{pointer}"), message);
        let mut told = CommandError::failed(format!("{line} ({rule})"));
        told.hints.extend(help.clone());
        match severity {
            Severity::Error => refused += 1,
            Severity::Warning => told.label = "warning".into(),
            Severity::Info => told.label = "note".into(),
        }
        ui.error(&told);
    }
    if refused > 0 && !forced {
        return Err(CommandError::failed(format!(
            "Headscale {version} would not start with this configuration, or not do what it says"
        ))
        .hint("--force goes on all the same"));
    }
    Ok(())
}
