//! What a plugin found, as findings of a check.
//!
//! All of it is untrusted: it is bounded, cleaned, and held against policy and descriptor.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use headscale_acl::engine::accepted;
use headscale_acl::hujson::{Change, Edit, Pointers, apply, change};
use headscale_acl::{Counts, Finding, Findings, Fix, LineIndex, Severity, Source, Span};

use crate::bindings::headscale::policy::types as wit;
use crate::context::Note;
use crate::descriptor::{Descriptor, Rule, UNDECLARED, severity};
use crate::plugin::Usage;
use crate::subject::Subject;
use crate::text;

/// Bytes of a message.
pub(crate) const MESSAGE: usize = 8 << 10;

/// How many other places of a finding are told.
const RELATED: usize = 10;

/// How many repairs of a finding are looked at, and edits of a repair.
const FIXES: usize = 5;
const EDITS: usize = 100;

/// Bytes of text that are read to try repairs. A repair costs the text for each of its edits and
/// once more to be checked.
const TRIED: usize = 64 << 20;

/// How many notes on a plugin are kept.
const NOTES: usize = 20;

/// What a validator found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The findings in document order, at most [`Findings::KEPT`].
    pub findings: Vec<Finding>,
    /// How many more there were of each severity.
    pub uncounted: Counts,
    /// What is wrong with the plugin's answer, for its author: rules that it did not declare,
    /// pointers that lead nowhere, repairs that do not work.
    pub notes: Vec<String>,
    /// What the plugin noted for its author.
    pub log: Vec<Note>,
    /// What the call took.
    pub usage: Usage,
}

/// Reads the answer of a plugin.
pub(crate) struct Judge<'a> {
    subject: &'a Subject,
    source: &'a Arc<str>,
    name: &'a str,
    rules: HashMap<&'a str, &'a Rule>,
    pointers: Pointers<'a>,
    lines: Option<LineIndex>,
    /// Bytes that may still be read to try repairs.
    left: usize,
    /// By number, because the order of findings is the plugin's.
    notes: Vec<String>,
    known: BTreeSet<String>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        subject: &'a Subject,
        descriptor: &'a Descriptor,
        source: &'a Arc<str>,
    ) -> Self {
        let rules = descriptor.rules.iter();
        Self {
            subject,
            source,
            name: &descriptor.name,
            rules: rules.map(|rule| (rule.id.as_str(), rule)).collect(),
            pointers: Pointers::new(subject.document()),
            lines: None,
            left: TRIED,
            notes: Vec::new(),
            known: BTreeSet::new(),
        }
    }

    pub(crate) fn read(mut self, told: Vec<wit::Finding>) -> Verdict {
        let mut uncounted = Counts::default();
        let mut findings = Vec::new();
        for finding in told {
            if findings.len() == Findings::KEPT {
                let severity = self.rule(&finding.rule).1;
                uncounted.add(finding.severity.map_or(severity, crate::descriptor::severity));
                continue;
            }
            let finding = self.finding(&finding);
            findings.push(finding);
        }
        if uncounted.total() > 0 {
            let more = uncounted.total();
            self.note(format!("{more} findings are only counted, beyond {}", Findings::KEPT));
        }
        findings.sort_by(Finding::document_order);
        Verdict { findings, uncounted, notes: self.notes, ..Verdict::default() }
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < NOTES && self.known.insert(note.clone()) {
            self.notes.push(note);
        }
    }

    /// The declared rule of this id with its severity, or that of findings of no rule.
    fn rule(&self, id: &str) -> (Option<&'a Rule>, Severity) {
        let rule = self.rules.get(format!("{}/{id}", self.name).as_str()).copied();
        (rule, rule.map_or(Severity::Warning, |rule| rule.default_severity))
    }

    fn finding(&mut self, told: &wit::Finding) -> Finding {
        let (rule, default) = self.rule(&told.rule);
        let mut message = text::line(&told.message, MESSAGE);
        let id = match rule {
            Some(rule) => {
                if message.is_empty() {
                    message.clone_from(&rule.summary);
                }
                rule.id.clone()
            }
            None => {
                let id = text::line(&told.rule, 100);
                self.note(format!(
                    "it found something by the rule {id:?}, which it did not declare"
                ));
                message = format!("{id:?}: {message}");
                format!("{}/{UNDECLARED}", self.name)
            }
        };
        let span = self.place(&told.pointer);
        let mut help = Vec::new();
        for related in told.related.iter().take(RELATED) {
            let message = text::line(&related.message, 1_000);
            if let Some(span) = self.place(&related.pointer) {
                let text = self.subject.document().text();
                let lines = self.lines.get_or_insert_with(|| LineIndex::new(text.as_bytes()));
                let at = lines.position(span.start);
                help.push(format!("line {}, column {}: {message}", at.line, at.column));
            } else if !message.is_empty() {
                help.push(message);
            }
        }
        let mut fix = None;
        for told in told.fixes.iter().take(FIXES) {
            let title = text::line(&told.title, 500);
            match self.edits(told) {
                Ok(edits) if told.safe && fix.is_none() => fix = Some(Fix { title, edits }),
                // What asks for judgement is told, and made by nobody.
                Ok(_) => help.push(title),
                Err(why) => self.note(format!("its repair {title:?} is left out: {why}")),
            }
        }
        Finding {
            rule: Cow::Owned(id),
            severity: told.severity.map_or(default, severity),
            source: Source::Plugin(Arc::clone(self.source)),
            message,
            help: (!help.is_empty()).then(|| help.join("; ")),
            span,
            fix,
        }
    }

    /// Where a pointer leads; the whole file for the root, and where it leads nowhere.
    fn place(&mut self, pointer: &str) -> Option<Span> {
        if pointer.is_empty() {
            return None;
        }
        let found = self.pointers.find(pointer).map(|node| node.span());
        if found.is_none() {
            let pointer = text::line(pointer, 200);
            self.note(format!("it found something at {pointer:?}, which the policy does not have"));
        }
        found
    }

    /// The edits of a repair after which Headscale still takes the policy.
    fn edits(&mut self, told: &wit::Fix) -> Result<Vec<Edit>, String> {
        if told.edits.is_empty() || told.edits.len() > EDITS {
            return Err(format!("it has {} edits, of 1 to {EDITS}", told.edits.len()));
        }
        let doc = self.subject.document();
        let cost = doc.text().len().saturating_mul(told.edits.len() + 1);
        self.left = self.left.checked_sub(cost).ok_or("there are too many repairs to try them")?;
        let changes: Vec<Change<'_>> = told
            .edits
            .iter()
            .map(|edit| match edit {
                wit::Edit::Add((pointer, json)) => Change::Add { pointer, json },
                wit::Edit::Replace((pointer, json)) => Change::Replace { pointer, json },
                wit::Edit::Remove(pointer) => Change::Remove { pointer },
            })
            .collect();
        let wrong = |error: &dyn std::fmt::Display| text::line(&error.to_string(), 300);
        let edits = change(doc, &changes).map_err(|error| wrong(&error))?;
        let repaired = apply(doc.text(), &edits).map_err(|error| wrong(&error))?;
        let tailnet = self.subject.tailnet().map(AsRef::as_ref);
        match accepted(repaired.as_bytes(), tailnet, self.subject.version()) {
            Ok(_) => Ok(edits),
            Err(checked) => {
                let errors = checked.findings.iter();
                let why =
                    errors.filter(|f| f.severity == Severity::Error).map(|f| &*f.message).next();
                let why = text::line(why.unwrap_or("it is no policy"), 300);
                Err(format!("Headscale would refuse the policy after it: {why}"))
            }
        }
    }
}
