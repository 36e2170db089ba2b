//! `junit`: a test report, as Jenkins, GitLab and others read it.
//!
//! A file is a suite and a finding a case in it. Only errors fail, because these systems know
//! nothing between passed and failed; warnings and infos pass and say so in their output.

use std::io;

use headscale_acl::{Finding, Severity};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::source::{Source, location};
use super::summary::{counted, listed};
use super::visible::{self, folded, visible};
use super::{FileReport, Report, Reporter};

/// Writes JUnit XML.
pub(super) struct Junit;

impl Reporter for Junit {
    fn report(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
        let mut junit = quick_junit::Report::new(env!("CARGO_PKG_NAME"));
        junit.add_test_suites(report.files.iter().map(suite));
        // Written at once, so that an error of `out` keeps its kind.
        let xml = junit.to_string().map_err(io::Error::other)?;
        out.write_all(xml.as_bytes())
    }
}

fn suite(file: &FileReport) -> TestSuite {
    let name = visible::name(&file.name);
    let mut suite = TestSuite::new(&name);
    if !file.findings.is_empty() {
        let source = Source::new(file);
        suite.add_test_cases(file.findings.iter().map(|finding| case(&name, &source, finding)));
    }
    let more = file.uncounted;
    if more.total() > 0 {
        let message =
            format!("{} only counted: {}", counted(more.total(), "more finding"), listed(more));
        let status =
            if more.errors > 0 { failure(&message, "error") } else { TestCaseStatus::success() };
        let mut case = TestCase::new(format!("{name}: {message}"), status);
        case.set_classname("more-findings");
        suite.add_test_case(case);
    }
    if suite.tests == 0 {
        let mut case = TestCase::new(&name, TestCaseStatus::success());
        case.set_classname("policy");
        suite.add_test_case(case);
    }
    suite
}

/// A finding as a test case: the rule is its class, so that systems group by rule.
fn case(name: &str, source: &Source<'_>, finding: &Finding) -> TestCase {
    let message = folded(&finding.message);
    let rule = visible::name(&finding.rule);
    let at = location(name, source, finding.span);
    let mut told = format!("{at}: {}[{rule}] {}", finding.severity, visible(&finding.message));
    if let Some(help) = &finding.help {
        told.push_str("\nhelp: ");
        told.push_str(&visible(help));
    }
    let title = format!("{at}: {}", visible::name(&message));
    let mut case = if finding.severity == Severity::Error {
        let mut status = failure(&message, &rule);
        status.set_description(told);
        TestCase::new(title, status)
    } else {
        let mut case = TestCase::new(title, TestCaseStatus::success());
        case.set_system_out(told);
        case
    };
    case.set_classname(rule);
    case.extra.insert("file".into(), name.into());
    if let Some(span) = finding.span {
        let (start, _) = source.places(span);
        case.extra.insert("line".into(), start.line.to_string().into());
    }
    case
}

fn failure(message: &str, kind: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(message).set_type(kind);
    status
}
