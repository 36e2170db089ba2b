//! Cases run on a plugin, and held against what it found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headscale_acl::hujson::{Document, Node, Pointers};
use headscale_acl::{Finding, Options, Severity, Span, Tailnet, Version, check};
use headscale_policy_host::{Plugin, PluginError, Subject, Validator, Verdict, run};
use serde::Serialize;
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::{Case, Cases, Expectation, Expected, Given};
use crate::yaml;

impl Cases {
    /// Runs the cases that `chosen` takes, each twice.
    pub(crate) fn run(&self, plugin: &Plugin, chosen: impl Fn(&str) -> bool) -> Outcome {
        let rules = &plugin.descriptor().rules;
        let mut outcome = Outcome {
            cases: Vec::new(),
            never_fired: rules.iter().map(|rule| rule.id.clone()).collect(),
            never_silent: rules.iter().map(|rule| rule.id.clone()).collect(),
        };
        for case in self.cases.iter().filter(|case| chosen(&case.name)) {
            let Ran { problems, fuel, fired } = case.run(plugin);
            if let Some(fired) = fired {
                outcome.never_fired.retain(|rule| !fired.contains(rule));
                outcome.never_silent.retain(|rule| fired.contains(rule));
            }
            let problems = problems.into_iter().map(|(at, message)| {
                yaml::at(at.unwrap_or(case.location), message).in_file(&self.name)
            });
            outcome.cases.push(CaseOutcome {
                name: case.name.clone(),
                fuel,
                problems: problems.collect(),
            });
        }
        outcome
    }
}

/// What came of a run of cases.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    /// Of each case, in their order.
    pub(crate) cases: Vec<CaseOutcome>,
    /// Rules that no case has a finding of.
    pub(crate) never_fired: Vec<String>,
    /// Rules that every case has a finding of.
    pub(crate) never_silent: Vec<String>,
}

/// What came of a case.
#[derive(Debug, Serialize)]
pub(crate) struct CaseOutcome {
    /// Its name.
    pub(crate) name: String,
    /// Steps that it took; nothing where it broke off.
    pub(crate) fuel: Option<u64>,
    /// Why it failed, each with its place; it passed where there is nothing.
    pub(crate) problems: Vec<String>,
}

/// What came of running a case.
#[derive(Default)]
struct Ran {
    problems: Vec<(Option<Location>, String)>,
    fuel: Option<u64>,
    /// The rules of the findings; nothing where there was no verdict.
    fired: Option<BTreeSet<String>>,
}

impl Ran {
    fn failed(message: impl Into<String>) -> Self {
        Self { problems: vec![(None, message.into())], ..Self::default() }
    }
}

impl Case {
    fn run(&self, plugin: &Plugin) -> Ran {
        match &self.given {
            Given::Policy { text, settings, tailnet, version } => {
                let options = Options {
                    versions: &[*version],
                    tailnet: tailnet.as_deref(),
                    ..Options::default()
                };
                let refused = check(text.as_bytes(), &options).findings;
                let refused = refused.iter().find(|finding| finding.severity == Severity::Error);
                if let Some(finding) = refused {
                    return Ran::failed(format!(
                        "Headscale {version} refuses the policy, so no plugin would see it: {}",
                        finding.message
                    ));
                }
                self.judge(plugin, text, settings, tailnet.clone(), *version)
            }
            Given::Params(params) => self.render(plugin, params),
        }
    }

    fn judge(
        &self,
        plugin: &Plugin,
        text: &str,
        settings: &Value,
        tailnet: Option<Arc<Tailnet>>,
        version: Version,
    ) -> Ran {
        let validator = match plugin.validator(settings) {
            Ok(validator) => validator,
            Err(error) => return self.broke_off(&error),
        };
        let Ok(subject) = Subject::new(&*self.name, text.as_bytes(), tailnet, version) else {
            return Ran::failed("the policy is no HuJSON");
        };
        let judge = || run(&[&validator as &dyn Validator], &subject).pop();
        let (first, second) = match (judge(), judge()) {
            (Some(Ok(first)), Some(Ok(second))) => (first, second),
            (Some(Err(error)), _) | (_, Some(Err(error))) => return self.broke_off(&error),
            _ => return Ran::failed("it gave no verdict"),
        };
        let mut ran = Ran { fuel: Some(first.usage.fuel), ..Ran::default() };
        if first.findings != second.findings {
            ran.problems.push((None, "it found something else the second time".to_owned()));
        } else if first.usage.fuel != second.usage.fuel {
            ran.problems.push((
                None,
                format!(
                    "it took {} steps, and {} the second time: what it does must follow from its \
                     input alone",
                    first.usage.fuel, second.usage.fuel
                ),
            ));
        }
        let rules = first.findings.iter().map(|finding| finding.rule.clone().into_owned());
        ran.fired = Some(rules.collect());
        ran.problems.extend(first.notes.iter().map(|note| (None, note.clone())));
        self.compare(plugin, text, &first, &mut ran);
        ran
    }

    /// Holds what was found against what is expected.
    fn compare(&self, plugin: &Plugin, text: &str, verdict: &Verdict, ran: &mut Ran) {
        let expected = match &self.expected {
            Expected::Findings(expected) => expected,
            Expected::Error(error) => {
                let count = verdict.findings.len();
                let message =
                    format!("expected the error {error:?}, and it judged: {count} findings");
                return ran.problems.push((None, message));
            }
            Expected::Text(_) => return,
        };
        let doc = Document::parse(text.as_bytes());
        let mut pointers = Pointers::new(&doc);
        let plugin_name = &plugin.descriptor().name;
        // Each finding meets one expectation at most. Those that say more choose first, so that one
        // that says little does not take what another one needs.
        let mut order: Vec<(usize, &Spanned<Expectation>)> = expected.iter().enumerate().collect();
        order.sort_by_key(|(_, expectation)| std::cmp::Reverse(expectation.value.detail()));
        let mut left: Vec<&Finding> = verdict.findings.iter().collect();
        let mut missed = BTreeMap::new();
        for (at, Spanned { value, referenced, .. }) in order {
            let span =
                value.pointer.as_deref().map(|pointer| pointers.find(pointer).map(Node::span));
            let met = left.iter().position(|finding| value.is(finding, plugin_name, span));
            match met {
                Some(met) => _ = left.remove(met),
                None => {
                    let nowhere = if span == Some(None) { ", a pointer to nothing" } else { "" };
                    let message = format!("expected, and not found: {value}{nowhere}");
                    missed.insert(at, (Some(*referenced), message));
                }
            }
        }
        ran.problems.extend(missed.into_values());
        for finding in left {
            let Finding { rule, severity, message, .. } = finding;
            let place = finding.span.and_then(|span| pointer_to(&doc, span)).map_or_else(
                || "for the whole policy".to_owned(),
                |pointer| format!("at {pointer:?}"),
            );
            ran.problems.push((
                None,
                format!("found, and not expected: {severity} {rule} {place}: {message}"),
            ));
        }
        if verdict.uncounted.total() > 0 {
            let more = verdict.uncounted.total();
            ran.problems.push((None, format!("{more} more findings were only counted")));
        }
    }

    fn render(&self, plugin: &Plugin, params: &Value) -> Ran {
        let (first, second) = match (plugin.render(params), plugin.render(params)) {
            (Ok(first), Ok(second)) => (first, second),
            (Err(error), _) | (_, Err(error)) => return self.broke_off(&error),
        };
        let mut ran = Ran { fuel: Some(first.usage.fuel), ..Ran::default() };
        if first != second {
            ran.problems.push((None, "it wrote something else the second time".to_owned()));
        }
        match &self.expected {
            Expected::Text(text) if *text == first.text => {}
            Expected::Text(text) => ran.problems.push((None, difference(text, &first.text))),
            Expected::Error(error) => {
                let message = format!("expected the error {error:?}, and it rendered");
                ran.problems.push((None, message));
            }
            Expected::Findings(_) => {}
        }
        ran
    }

    fn broke_off(&self, error: &PluginError) -> Ran {
        let told = error.failure.to_string();
        match &self.expected {
            Expected::Error(expected) if told.contains(expected) => Ran::default(),
            Expected::Error(expected) => {
                Ran::failed(format!("expected the error {expected:?}, and it says: {told}"))
            }
            Expected::Findings(_) | Expected::Text(_) => Ran::failed(told),
        }
    }
}

impl Expectation {
    /// How much it says.
    fn detail(&self) -> usize {
        usize::from(self.pointer.is_some())
            + usize::from(self.severity.is_some())
            + self.message.as_ref().map_or(0, |message| 1 + message.len())
    }

    /// Whether `finding` is what is expected. `span` is where the pointer leads, if there is one.
    fn is(&self, finding: &Finding, plugin: &str, span: Option<Option<Span>>) -> bool {
        let bare = finding.rule.strip_prefix(plugin).and_then(|rest| rest.strip_prefix('/'));
        (finding.rule == self.rule || bare == Some(&*self.rule))
            && span.is_none_or(|span| span.is_some() && span == finding.span)
            && self.severity.is_none_or(|severity| severity == finding.severity)
            && self.message.as_ref().is_none_or(|part| finding.message.contains(part))
    }
}

impl std::fmt::Display for Expectation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(severity) = self.severity {
            write!(f, "{severity} ")?;
        }
        f.write_str(&self.rule)?;
        if let Some(pointer) = &self.pointer {
            write!(f, " at {pointer:?}")?;
        }
        if let Some(message) = &self.message {
            write!(f, " with {message:?}")?;
        }
        Ok(())
    }
}

/// The pointer to the value at `span`. Linear in the document.
fn pointer_to(doc: &Document<'_>, span: Span) -> Option<String> {
    let mut pointer = String::new();
    let mut node = doc.root()?;
    while node.span() != span {
        let holds =
            |child: Node<'_>| child.span().start <= span.start && span.end <= child.span().end;
        let member = node.members().find(|member| holds(member.value));
        if let Some(member) = member {
            let name = member.name.as_str().unwrap_or_default();
            pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            node = member.value;
            continue;
        }
        let (at, element) = node.elements().enumerate().find(|(_, element)| holds(*element))?;
        pointer = format!("{pointer}/{at}");
        node = element;
    }
    Some(pointer)
}

/// Where two texts part.
fn difference(expected: &str, found: &str) -> String {
    let mut line = 0;
    let (mut expected, mut found) = (expected.lines(), found.lines());
    loop {
        line += 1;
        match (expected.next(), found.next()) {
            (Some(a), Some(b)) if a == b => {}
            (None, None) => return "it rendered another end of the text".to_owned(),
            (a, b) => {
                let told = |line: Option<&str>| {
                    line.map_or_else(|| "the end".to_owned(), |line| format!("{line:?}"))
                };
                return format!("line {line}: expected {}, and it rendered {}", told(a), told(b));
            }
        }
    }
}
