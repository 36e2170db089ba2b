//! Findings silenced where they stand: `// policy-ignore: RULE -- reason [until=2027-01-31]` on the
//! line of the finding or the one before it.

use foldhash::HashMap;

use crate::check::Date;
use crate::finding::{Finding, Findings, Source};
use crate::hujson::Document;
use crate::rules::{self, IGNORE_EXPIRED, IGNORE_MALFORMED, IGNORE_UNUSED, Rule};
use crate::span::{LineIndex, Span};

const MARKER: &str = "policy-ignore:";

/// A comment that silences a rule.
struct Ignore<'t> {
    rule: &'t str,
    until: Option<Date>,
    /// The comment.
    span: Span,
    used: bool,
}

/// The comments that silence, and where.
#[derive(Default)]
struct Ignores<'t> {
    all: Vec<Ignore<'t>>,
    /// Indexes into `all` by line and rule; of several alike the first counts. `None` is the whole
    /// file, which comments before its first value silence.
    at: HashMap<(Option<u32>, &'t str), usize>,
}

/// Takes out of `findings` what comments in `doc` silence, and adds what is wrong with those
/// comments. Without `today` no comment has ended.
///
/// Findings of Headscale's own stay: they cannot be silenced. So do those that were only counted.
/// Linear in text and findings.
pub(crate) fn apply(doc: &Document<'_>, findings: &mut Findings, today: Option<Date>) {
    for (rule, span, message, help) in silence(doc, findings, today, is_ours) {
        findings.push(rule, || Finding::new(rule, span, message).help(help));
    }
}

/// Whether a rule is none of a plugin's.
pub(crate) fn is_ours(rule: &str) -> bool {
    !rule.contains('/')
}

/// Takes out of the findings of plugins what comments in `doc` silence, and adds, in document order,
/// what is wrong with those comments: that their time is over, or that they silence nothing. That
/// is told of the rules of `plugins`, the names of those that ran.
///
/// The rest of the comments is for [`check()`](crate::check()). Without `today` no comment has ended.
/// Linear in text and findings.
///
/// # Examples
///
/// ```
/// use headscale_acl::hujson::Document;
/// use headscale_acl::silence_plugins;
///
/// let doc = Document::parse(b"{} // policy-ignore: owners/no-owner -- a robot's");
/// assert_eq!(silence_plugins(&doc, vec![], None, &[]), []);
/// let findings = silence_plugins(&doc, vec![], None, &["owners"]);
/// assert_eq!(findings[0].message, "there is no `owners/no-owner` here to ignore");
/// ```
#[must_use]
pub fn silence_plugins(
    doc: &Document<'_>,
    findings: Vec<Finding>,
    today: Option<Date>,
    plugins: &[&str],
) -> Vec<Finding> {
    let mut left = Findings::from(findings);
    let ran = |rule: &str| rule.split_once('/').is_some_and(|(of, _)| plugins.contains(&of));
    for (rule, span, message, help) in silence(doc, &mut left, today, ran) {
        if !std::ptr::eq(rule, &IGNORE_MALFORMED) {
            left.push(rule, || Finding::new(rule, span, message).help(help));
        }
    }
    left.into_sorted().0
}

/// What is wrong with a comment: the rule that it breaks, where, and how, with what to do.
type Wrong = (&'static Rule, Span, String, &'static str);

/// Takes out of `findings` what comments in `doc` silence. Returns what is wrong with those
/// comments: with their form, or with their use where `is_told` holds for their rule.
pub(crate) fn silence(
    doc: &Document<'_>,
    findings: &mut Findings,
    today: Option<Date>,
    is_told: impl Fn(&str) -> bool,
) -> Vec<Wrong> {
    let text = doc.text();
    if !text.contains(MARKER) {
        return Vec::new();
    }
    let mut ignores = Ignores::default();
    let mut wrong: Vec<Wrong> = Vec::new();
    let index = LineIndex::new(text.as_bytes());
    let first_value = doc.root().map_or(u32::MAX, |root| root.span().start);
    // From the last comment to the first, so that each knows the line that those below it precede.
    let mut below = None;
    for span in doc.comments().into_iter().rev() {
        let first = index.position(span.start).line;
        let last = index.position(span.end.saturating_sub(1)).line;
        let silenced = match below {
            Some((line, silenced)) if line == last + 1 => silenced,
            _ => last + 1,
        };
        let alone = index.line(text.as_bytes(), first).unwrap_or_default();
        if alone.trim_ascii_start().starts_with(b"//") {
            below = Some((first, silenced));
        }
        let comment = text.get(span.range()).unwrap_or_default();
        let Some((_, body)) = comment.split_once(MARKER) else { continue };
        match read(body.trim_end_matches("*/").trim()) {
            Ok((rule, until)) => {
                let lines = [Some(first), Some(silenced), None];
                for line in lines.into_iter().filter(|l| l.is_some() || span.start < first_value) {
                    ignores.at.insert((line, rule), ignores.all.len());
                }
                ignores.all.push(Ignore { rule, until, span, used: false });
            }
            Err(why) => wrong.push((&IGNORE_MALFORMED, span, why.to_owned(), HOW_TO_WRITE)),
        }
    }
    findings.retain(|finding| {
        let line = finding.span.map(|span| index.position(span.start).line);
        finding.source == Source::Headscale || !ignores.silence(finding, line, today)
    });
    for Ignore { rule, until, span, used } in ignores.all {
        if !is_told(rule) {
            continue;
        }
        wrong.push(match until.filter(|until| today.is_some_and(|today| *until < today)) {
            Some(Date { year, month, day }) => {
                let ended = format!("{year:04}-{month:02}-{day:02}");
                let message = format!("the time to ignore `{rule}` ended on {ended}");
                (&IGNORE_EXPIRED, span, message, "mend what it silenced, or give it more time")
            }
            // What tests cover is not asked for by every check.
            None if used || rules::is_about_coverage(rule) => continue,
            None => {
                let message = format!("there is no `{rule}` here to ignore");
                (&IGNORE_UNUSED, span, message, "remove the comment")
            }
        });
    }
    wrong
}

const HOW_TO_WRITE: &str = "write `// policy-ignore: RULE -- reason`, and `[until=2027-01-31]` at \
    the end if it is for a time";

impl Ignores<'_> {
    /// Whether a comment silences this finding; the comment is then of use, even if its time is
    /// over.
    fn silence(&mut self, finding: &Finding, line: Option<u32>, today: Option<Date>) -> bool {
        let at = self.at.get(&(line, &*finding.rule)).copied();
        let Some(ignore) = at.and_then(|at| self.all.get_mut(at)) else { return false };
        ignore.used = true;
        ignore.until.is_none_or(|until| today.is_none_or(|today| until >= today))
    }
}

/// Whether this is an id as those of plugins are: `NAME/id`.
fn is_of_plugin(rule: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    rule.split_once('/').is_some_and(|(plugin, id)| is_word(plugin) && is_word(id))
}

/// Reads what follows the marker: the rule, and until when.
fn read(body: &str) -> Result<(&str, Option<Date>), &'static str> {
    let Some((rule, reason)) = body.split_once("--") else {
        return Err("the comment gives no reason");
    };
    let rule = rule.trim();
    match rules::by_id(rule) {
        // What rules a plugin has is not known here.
        None if is_of_plugin(rule) => {}
        None => return Err("the comment names a rule that does not exist"),
        Some(known) if known.source == Source::Headscale => {
            return Err("what Headscale refuses cannot be ignored");
        }
        Some(_) => {}
    }
    let (reason, until) = match reason.rsplit_once("[until=") {
        None => (reason, None),
        Some((reason, end)) => {
            let date = end.trim_end().strip_suffix(']').and_then(Date::parse);
            (reason, Some(date.ok_or("the end is not a date such as `[until=2027-01-31]`")?))
        }
    };
    if reason.trim().is_empty() { Err("the comment gives no reason") } else { Ok((rule, until)) }
}
