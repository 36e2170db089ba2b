//! Everything that tests a policy, run at once: its own tests, suites, what they cover, and which
//! mistakes they would notice.

use std::fmt;

use crate::check::{Checked, Date, Options, OwnTests, check_and, failed_tests};
use crate::engine::{Change, Coverage, Fate, Inventory, Mutant, NameCoverage, Network, symbolic};
use crate::finding::{Finding, Findings, Severity};
use crate::hujson::Document;
use crate::rules::{MUTANT_SURVIVES, NAME_UNTESTED, RULE_UNTESTED};
use crate::semantics::{Semantics, Version};
use crate::span::{LineIndex, Span};
use crate::suite::Entry;
use crate::tailnet::Tailnet;
use crate::{engine, suppress};

/// A suite, for its own tailnet or that of the run.
#[derive(Clone, Copy, Debug)]
pub struct Suite<'s> {
    /// Its entries.
    pub entries: &'s [Entry],
    /// Its own tailnet.
    pub tailnet: Option<&'s Tailnet>,
}

/// What to test a policy with.
#[derive(Clone)]
pub struct Verification<'a> {
    /// Its name, to tell where a rule stands.
    pub name: &'a str,
    /// The users and nodes; without them they are made up from the policy.
    pub tailnet: Option<&'a Tailnet>,
    /// The version of Headscale.
    pub version: Version,
    /// Whether to run the policy's own `tests` and `sshTests`.
    pub own_tests: bool,
    /// The suites.
    pub suites: &'a [Suite<'a>],
    /// Whether to tell which rules and names no test goes through.
    pub coverage: bool,
    /// Whether to break the policy rule by rule, and tell what no test notices.
    pub mutate: bool,
    /// Today, for `policy-ignore` comments with an end.
    pub today: Option<Date>,
    /// Told how many broken policies are tested, and of how many.
    pub progress: &'a dyn Fn(usize, usize),
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Findings in the policy: failed tests, and what `coverage` and `mutate` find.
    pub policy: Checked,
    /// Findings in each suite, in the order of its entries.
    pub suites: Vec<Vec<Finding>>,
    /// How many entries of the policy's own tests ran.
    pub own_tests: usize,
    /// How many entries of suites ran.
    pub entries: usize,
    /// How many of those do not hold.
    pub broken: usize,
    /// What tests cover, where that was asked for.
    pub coverage: Option<Tally>,
    /// How many mistakes tests notice, where that was asked for.
    pub mutants: Option<Tally>,
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many of them.
    pub part: usize,
    /// How many there are.
    pub whole: usize,
}

impl Tally {
    fn add(&mut self, counts: bool) {
        self.part += usize::from(counts);
        self.whole += 1;
    }
}

/// Tests a policy.
///
/// Costs what [`Network::failed_tests`] and [`Entry::verify`] do; with mutants all of it up to three
/// times for each rule of the policy.
///
/// # Errors
///
/// What is wrong with a policy that Headscale would not take whatever its tests say.
///
/// # Examples
///
/// ```
/// use headscale_acl::engine::Expect;
/// use headscale_acl::suite::{Entry, EntryKind};
/// use headscale_acl::verify::{Suite, Verification, verify};
///
/// let text = br#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22"]}]}"#;
/// let never = Entry {
///     kind: EntryKind::Never,
///     name: None,
///     from: vec!["alice@".to_owned()],
///     to: "bob@".to_owned(),
///     protocol: None,
///     expect: Expect::None,
///     span: None,
/// };
/// let suites = [Suite { entries: &[never], tailnet: None }];
/// let verified = verify(text, &Verification { suites: &suites, ..Verification::default() }).unwrap();
/// assert_eq!(verified.broken, 1);
/// ```
pub fn verify(text: &[u8], verification: &Verification<'_>) -> Result<Verified, Checked> {
    let Verification { tailnet, version, .. } = *verification;
    let options = Options { versions: &[version], tailnet, today: None };
    let checked = check_and(text, &options, OwnTests::Skip);
    if checked.findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(checked);
    }
    let doc = Document::parse(if text.is_empty() { b"null" } else { text });
    let semantics = Semantics::of(version);
    let policy = engine::read(&doc, semantics);
    let made_up;
    let (tailnet, is_made_up) = match tailnet {
        Some(tailnet) => (tailnet, false),
        None => {
            made_up = symbolic(&policy);
            (&made_up, true)
        }
    };
    let inventory = Inventory::of(tailnet);
    let mut run = Run {
        verification,
        lines: LineIndex::new(text),
        findings: Findings::new(),
        coverage: None,
        mutants: Vec::new(),
        verified: Verified {
            suites: vec![Vec::new(); verification.suites.len()],
            ..Verified::default()
        },
    };
    // Suites for the tailnet of the run go together with the policy's own tests.
    let common = (verification.suites.iter().enumerate())
        .filter(|(_, suite)| suite.tailnet.is_none())
        .map(|(at, suite)| (at, suite.entries));
    let network = Network::new(&policy, &doc, &inventory, semantics);
    let network = if is_made_up { network.of_made_up_nodes() } else { network };
    run.environment(&network, verification.own_tests, &common.collect::<Vec<_>>());
    for (at, suite) in verification.suites.iter().enumerate() {
        let Some(tailnet) = suite.tailnet else { continue };
        let inventory = Inventory::of(tailnet);
        let network = Network::new(&policy, &doc, &inventory, semantics);
        run.environment(&network, false, &[(at, suite.entries)]);
    }
    Ok(run.end(&doc))
}

impl fmt::Debug for Verification<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Default for Verification<'_> {
    fn default() -> Self {
        Self {
            name: "policy",
            tailnet: None,
            version: Version::DEFAULT,
            own_tests: true,
            suites: &[],
            coverage: false,
            mutate: false,
            today: None,
            progress: &|_, _| {},
        }
    }
}

/// What is known so far.
struct Run<'a> {
    verification: &'a Verification<'a>,
    lines: LineIndex,
    findings: Findings,
    coverage: Option<Coverage>,
    /// Mistakes, and what becomes of each where it is noticed best.
    mutants: Vec<(Mutant, Fate)>,
    verified: Verified,
}

impl Run<'_> {
    /// Runs what is for one tailnet: the policy's own tests perhaps, and suites by number.
    fn environment(
        &mut self,
        network: &Network<'_, '_>,
        own_tests: bool,
        suites: &[(usize, &[Entry])],
    ) {
        let (lines, name) = (&self.lines, self.verification.name);
        let place = |span: Span| {
            let at = lines.position(span.start);
            format!("{name}:{}:{}", at.line, at.column)
        };
        let coverage = self.coverage.get_or_insert_with(|| network.untested());
        if own_tests {
            let failed = failed_tests(network);
            self.findings.append(failed);
            self.verified.own_tests = network.own_tests();
            network.own_touches().iter().for_each(|touched| coverage.add(touched));
        }
        let mut outcomes = Vec::new();
        for (at, entries) in suites {
            for entry in *entries {
                let verdict = entry.verify(network, &place);
                self.verified.entries += 1;
                self.verified.broken += usize::from(!verdict.holds);
                coverage.add(&verdict.touched);
                outcomes.push(verdict.holds);
                if let Some(findings) = self.verified.suites.get_mut(*at) {
                    findings.extend(verdict.finding);
                }
            }
        }
        if !self.verification.mutate {
            return;
        }
        let failures = |network: &Network<'_, '_>| {
            let mut failures = Vec::new();
            if own_tests {
                network.failed_tests(&mut |failure| failures.push(failure.to_string()));
            }
            failures
        };
        let before = failures(network);
        let mut notices = |broken: &Network<'_, '_>| {
            let mut entries = suites.iter().flat_map(|(_, entries)| *entries).zip(&outcomes);
            failures(broken) != before
                || entries
                    .any(|(entry, holds)| entry.verify(broken, &|_| String::new()).holds != *holds)
        };
        let mutants = network.mutants(&mut notices, self.verification.progress);
        if self.mutants.is_empty() {
            self.mutants = mutants;
            return;
        }
        for ((_, known), (_, fate)) in self.mutants.iter_mut().zip(mutants) {
            *known = fate.max(*known);
        }
    }

    fn end(mut self, doc: &Document<'_>) -> Verified {
        if let Some(coverage) = self.coverage.take().filter(|_| self.verification.coverage) {
            self.verified.coverage = Some(self.tell_coverage(&coverage));
        }
        if self.verification.mutate {
            self.verified.mutants = Some(self.tell_mutants());
        }
        suppress::silence(doc, &mut self.findings, self.verification.today, suppress::is_ours);
        Verified { policy: Checked::from(self.findings), ..self.verified }
    }

    fn tell_coverage(&mut self, coverage: &Coverage) -> Tally {
        let mut tally = Tally::default();
        for rule in &coverage.rules {
            tally.add(rule.tests > 0);
            let name = rule.section.entry(rule.index);
            if rule.tests == 0 {
                self.findings.push(&RULE_UNTESTED, || {
                    let message = format!("no test goes through {name}");
                    Finding::new(&RULE_UNTESTED, rule.span, message).help(
                        "expect what it allows under `accept` of `tests` or `sshTests`, or in a suite",
                    )
                });
                continue;
            }
            let mut untested = |names: &[NameCoverage], side: &str| {
                for NameCoverage { name: alias, span, .. } in
                    names.iter().filter(|name| !name.is_tested)
                {
                    self.findings.push(&NAME_UNTESTED, || {
                        let message = format!("no test goes through {name} {side} {alias}");
                        Finding::new(&NAME_UNTESTED, *span, message)
                            .help("expect in a test what it brings")
                    });
                }
            };
            untested(&rule.sources, "from");
            untested(&rule.destinations, "to");
        }
        tally
    }

    fn tell_mutants(&mut self) -> Tally {
        let mut tally = Tally::default();
        for (mutant, fate) in std::mem::take(&mut self.mutants) {
            if fate != Fate::Same {
                tally.add(fate == Fate::Noticed);
            }
            if fate != Fate::Survives {
                continue;
            }
            self.findings.push(&MUTANT_SURVIVES, || {
                let (rule, change) = (mutant.section.entry(mutant.index), mutant.change.as_str());
                let message = format!("no test notices when {rule} {change}");
                let help = match mutant.change {
                    Change::Removed => "expect under `accept` what only this rule allows",
                    _ => "expect under `deny` what this must not open",
                };
                Finding::new(&MUTANT_SURVIVES, mutant.span, message).help(help)
            });
        }
        tally
    }
}
