//! Our verdicts, sentences and positions against Headscale's own answers, case by case; a policy's
//! own tests among them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use headscale_acl::hujson::{Document, Node};
use headscale_acl::{Finding, LineIndex, Options, Severity, Source, Span, Tailnet, Version, check};
use headscale_testkit::conformance::{PolicyCase, committed, external, plain};
use headscale_testkit::tell;

/// How many answers of one kind agree.
#[derive(Default)]
struct Agreement {
    agreed: usize,
    of: usize,
}

impl std::fmt::Display for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.agreed, self.of)
    }
}

/// What a file of cases comes to.
#[derive(Default)]
struct Tally {
    verdicts: Agreement,
    sentences: Agreement,
    positions: Agreement,
    /// Cases whose own tests fail.
    failed_tests: Agreement,
    wrong: Vec<String>,
}

impl Tally {
    fn of(cases: &[PolicyCase]) -> Self {
        let mut tally = Self::default();
        for case in cases {
            tally.add(case);
        }
        tally
    }

    fn add(&mut self, case: &PolicyCase) {
        let version: Version = case.version.parse().unwrap();
        let tailnet = Tailnet::from_value(&case.tailnet).unwrap();
        let options =
            Options { versions: &[version], tailnet: Some(&tailnet), ..Options::default() };
        let findings = check(case.policy.as_bytes(), &options).findings;
        let errors: Vec<&Finding> = findings
            .iter()
            .filter(|f| f.source == Source::Headscale && f.severity == Severity::Error)
            .collect();
        let said: Vec<String> = errors.iter().map(|f| plain(&f.message)).collect();

        let error = case.expect.error.as_deref();
        let context = || format!("{}: {error:?}, ours: {said:?}", case.id);
        count(&mut self.verdicts, said.is_empty() == error.is_none(), &mut self.wrong, context);
        // The service words its refusals in its own way.
        if case.expect.stage == "saas" {
            return;
        }
        if let Some(mut sentences) = case.expect.sentences() {
            let all = sentences.iter().all(|sentence| said.contains(sentence));
            if case.expect.own_tests_fail() {
                // Nothing else is wrong, so what we say is all that Headscale says, and no more.
                let mut said = said.clone();
                sentences.sort_unstable();
                said.sort_unstable();
                count(&mut self.failed_tests, sentences == said, &mut self.wrong, context);
            } else {
                count(&mut self.sentences, all, &mut self.wrong, context);
            }
        }
        if let Some(place) = error.and_then(Place::of) {
            let there = place.is_that_of_one(&case.policy, &errors);
            count(&mut self.positions, there, &mut self.wrong, context);
        }
    }

    fn assert_whole(&self, file: &str) {
        let Self { verdicts, sentences, positions, failed_tests, wrong } = self;
        tell(&format!(
            "conformance {file}: verdicts {verdicts}, sentences {sentences}, positions {positions}, \
             failed tests {failed_tests}"
        ));
        assert!(wrong.is_empty(), "{file}: {} differ:\n{}", wrong.len(), wrong.join("\n"));
    }
}

fn count(
    agreement: &mut Agreement,
    agrees: bool,
    wrong: &mut Vec<String>,
    context: impl Fn() -> String,
) {
    agreement.of += 1;
    if agrees {
        agreement.agreed += 1;
    } else {
        wrong.push(context());
    }
}

/// Where Headscale's parsers say that a mistake is.
enum Place<'e> {
    /// `hujson: line 3, column 4`: the very character.
    Character { line: u32, column: u32 },
    /// `within "/acls/0/src"`: somewhere in the value, or its name.
    Within(&'e str),
}

impl<'e> Place<'e> {
    fn of(error: &'e str) -> Option<Self> {
        if let Some((_, place)) = error.split_once("hujson: line ") {
            let (line, rest) = place.split_once(", column ")?;
            let (column, _) = rest.split_once(':')?;
            return Some(Self::Character {
                line: line.parse().ok()?,
                column: column.parse().ok()?,
            });
        }
        let (_, pointer) = error.split_once(" within \"")?;
        Some(Self::Within(pointer.split_once('"')?.0))
    }

    fn is_that_of_one(&self, policy: &str, errors: &[&Finding]) -> bool {
        let index = LineIndex::new(policy.as_bytes());
        let mut spans = errors.iter().filter_map(|error| error.span);
        match *self {
            Self::Character { line, column } => spans.any(|span| {
                let start = index.position(span.start);
                (start.line, start.column) == (line, column)
            }),
            Self::Within(pointer) => {
                let doc = Document::parse(policy.as_bytes());
                let member = doc.root().and_then(|root| at_pointer(root, pointer));
                member.is_some_and(|member| spans.any(|span| member.contains(span)))
            }
        }
    }
}

/// The span of the value at an RFC 6901 pointer, with its name where it has one.
fn at_pointer(root: Node<'_>, pointer: &str) -> Option<Span> {
    let mut at = root;
    let mut span = root.span();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let named = at.members().filter(|m| m.name.as_str().is_some_and(|name| name == token));
        if let Some(member) = named.last() {
            at = member.value;
            span = Span::new(member.name.span().start, member.value.span().end);
        } else {
            at = at.elements().nth(token.parse().ok()?)?;
            span = at.span();
        }
    }
    Some(span)
}

macro_rules! agreement {
    ($($test:ident: $read:ident($file:literal);)*) => {$(
        #[test]
        fn $test() {
            agreement!(@$read $file);
        }
    )*};
    (@committed $file:literal) => {
        Tally::of(&committed($file)).assert_whole($file);
    };
    (@external $file:literal) => {
        if let Some(cases) = external($file) {
            Tally::of(&cases).assert_whole($file);
        }
    };
}

agreement! {
    random_0_28: committed("random/headscale-0.28.0.jsonl.gz");
    random_0_29: committed("random/headscale-0.29.2.jsonl.gz");
    probes_0_28: committed("probes-0.28.0.jsonl.gz");
    probes_0_29: committed("probes-0.29.2.jsonl.gz");
    saas_acl: external("saas/acl.jsonl.gz");
    saas_grant: external("saas/grant.jsonl.gz");
    saas_policytest: external("saas/policytest.jsonl.gz");
    saas_routes: external("saas/routes.jsonl.gz");
    saas_ssh: external("saas/ssh.jsonl.gz");
    saas_sshtest: external("saas/sshtest.jsonl.gz");
}
