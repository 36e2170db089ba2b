//! `examples/large/policy.hujson`: a company with 25 teams, in 50 groups and 300 rules. Made, so
//! that it cannot rot, and in the standard format as it comes.

use std::iter;

/// Product teams. Each has two groups, five tags, a network and twelve rules.
const TEAMS: [&str; 25] = [
    "accounts",
    "analytics",
    "billing",
    "catalog",
    "checkout",
    "compliance",
    "content",
    "delivery",
    "fraud",
    "identity",
    "inventory",
    "invoicing",
    "logistics",
    "marketing",
    "messaging",
    "notifications",
    "orders",
    "payments",
    "pricing",
    "recommendations",
    "reporting",
    "returns",
    "search",
    "shipping",
    "warehouse",
];

const FIRST_NAMES: [&str; 23] = [
    "aisha", "bruno", "chen", "daria", "emeka", "farah", "gustav", "hana", "ivan", "jana", "kofi",
    "lucia", "mateo", "nadia", "omar", "priya", "quentin", "rosa", "sven", "tomoko", "uma",
    "viktor", "wanda",
];

const LAST_NAMES: [&str; 19] = [
    "abbott", "berg", "castro", "dubois", "eriksen", "fischer", "gupta", "haddad", "ito", "jensen",
    "kowalski", "lopez", "moreau", "novak", "okafor", "petrov", "rossi", "silva", "tanaka",
];

/// A composite printed on one line has at most this many bytes in the standard format.
const INLINE: usize = 78;

/// The whole text.
#[must_use]
pub fn render() -> String {
    let groups = members(
        2,
        TEAMS.iter().enumerate().flat_map(|(at, team)| {
            [
                (format!("group:{team}-engineers"), list(2, &people(at * 10, 6))),
                (format!("group:{team}-oncall"), list(2, &people(at * 10 + 3, 4))),
            ]
        }),
    );
    let hosts = members(
        2,
        TEAMS.iter().enumerate().map(|(at, team)| (format!("{team}-legacy"), quote(&network(at)))),
    );
    let shared = ["tag:backup", "tag:ci-runner", "tag:monitoring"]
        .map(|tag| (tag.to_owned(), list(2, &["group:identity-oncall".to_owned()])));
    let tag_owners = members(
        2,
        shared.into_iter().chain(TEAMS.iter().flat_map(|team| {
            let owner = list(2, &[format!("group:{team}-oncall")]);
            ["app-prod", "app-staging", "db-prod", "db-staging", "router"]
                .map(|role| (format!("tag:{team}-{role}"), owner.clone()))
        })),
    );
    let routes = members(
        3,
        TEAMS
            .iter()
            .enumerate()
            .map(|(at, team)| (network(at), list(3, &[format!("tag:{team}-router")]))),
    );
    let neighbours = TEAMS.iter().cycle().skip(1);
    let acls: String = iter::zip(TEAMS, neighbours)
        .flat_map(|(team, next)| rules(team, next))
        .map(|rule| rule.render())
        .collect();
    format!(
        r#"// A company with 25 product teams on one tailnet. Made by `cargo xtask generate`: change
// xtask/src/large_policy.rs, not this file.
{{
	// Engineers build a product and see its staging; the on-call group sees production.
	"groups": {{
{groups}	}},

	// Networks that are not on the tailnet: one for each team, behind its subnet router.
	"hosts": {{
{hosts}	}},

	// Whoever is on call may give a machine its team's tags.
	"tagOwners": {{
{tag_owners}	}},

	// A team's router may announce its team's network, and no other.
	"autoApprovers": {{
		"routes": {{
{routes}		}},
	}},

	"acls": [
{acls}	],
}}
"#
    )
}

/// One access rule and what it is for.
struct Rule {
    comment: String,
    src: Vec<String>,
    dst: Vec<String>,
}

impl Rule {
    fn render(&self) -> String {
        let parts = [
            ("action", quote("accept")),
            ("proto", quote("tcp")),
            ("src", list(3, &self.src)),
            ("dst", list(3, &self.dst)),
        ];
        let parts = members(3, parts.into_iter().map(|(name, value)| (name.to_owned(), value)));
        format!("\t\t// {}\n\t\t{{\n{parts}\t\t}},\n", self.comment)
    }
}

/// The twelve rules of a team whose production asks that of the `next` one.
fn rules(team: &str, next: &str) -> [Rule; 12] {
    let rule = |comment: &str, src: &[&str], dst: &[&str]| Rule {
        comment: fill(comment, team, next),
        src: src.iter().map(|text| fill(text, team, next)).collect(),
        dst: dst.iter().map(|text| fill(text, team, next)).collect(),
    };
    [
        rule(
            "TEAM: engineers try the product where nothing breaks.",
            &["group:TEAM-engineers"],
            &["tag:TEAM-app-staging:22,443,8080-8089"],
        ),
        rule(
            "TEAM: engineers look into the staging database.",
            &["group:TEAM-engineers"],
            &["tag:TEAM-db-staging:5432"],
        ),
        rule(
            "TEAM: production is for those on call.",
            &["group:TEAM-oncall"],
            &["tag:TEAM-app-prod:22,443,8080"],
        ),
        rule(
            "TEAM: so is its data.",
            &["group:TEAM-oncall"],
            &["tag:TEAM-db-prod:22,5432", "tag:TEAM-router:22"],
        ),
        rule(
            "TEAM: the application keeps its data in its own database.",
            &["tag:TEAM-app-prod"],
            &["tag:TEAM-db-prod:5432,6432"],
        ),
        rule(
            "TEAM: the same in staging.",
            &["tag:TEAM-app-staging"],
            &["tag:TEAM-db-staging:5432,6432"],
        ),
        rule(
            "TEAM asks NEXT for what it does not know itself.",
            &["tag:TEAM-app-prod"],
            &["tag:NEXT-app-prod:8443"],
        ),
        rule(
            "TEAM: the same in staging.",
            &["tag:TEAM-app-staging"],
            &["tag:NEXT-app-staging:8443"],
        ),
        rule(
            "TEAM: metrics are scraped, never pushed.",
            &["tag:monitoring"],
            &[
                "tag:TEAM-app-prod:9100",
                "tag:TEAM-app-staging:9100",
                "tag:TEAM-db-prod:9100,9187",
                "tag:TEAM-router:9100",
            ],
        ),
        rule(
            "TEAM: releases are rolled out by CI and by nobody's laptop.",
            &["tag:ci-runner"],
            &["tag:TEAM-app-prod:2222", "tag:TEAM-app-staging:2222"],
        ),
        rule(
            "TEAM: the nightly dump; staging has nothing worth keeping.",
            &["tag:backup"],
            &["tag:TEAM-db-prod:5433"],
        ),
        rule(
            "TEAM: what has not moved yet, through the team's subnet router.",
            &["group:TEAM-engineers", "tag:TEAM-app-prod"],
            &["TEAM-legacy:443,1521"],
        ),
    ]
}

fn fill(text: &str, team: &str, next: &str) -> String {
    text.replace("TEAM", team).replace("NEXT", next)
}

/// `count` different addresses, the same ones for the same `seed`.
fn people(seed: usize, count: usize) -> Vec<String> {
    let first = FIRST_NAMES.iter().cycle().skip(seed * 7 % FIRST_NAMES.len());
    let last = LAST_NAMES.iter().cycle().skip(seed * 5 % LAST_NAMES.len());
    iter::zip(first, last)
        .map(|(first, last)| format!("{first}.{last}@example.com"))
        .take(count)
        .collect()
}

fn network(at: usize) -> String {
    format!("10.40.{at}.0/24")
}

/// The members of an expanded object at `depth`, one to a line: the values of neighbours that take
/// one line each start in one column.
fn members(depth: usize, rows: impl Iterator<Item = (String, String)>) -> String {
    let rows: Vec<_> = rows.map(|(name, value)| (quote(&name), value)).collect();
    let indent = "\t".repeat(depth);
    rows.chunk_by(|a, b| is_line(a) && is_line(b))
        .flat_map(|run| {
            let width = run.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
            run.iter().map(move |(name, value)| (width, format!("{name}:"), value))
        })
        .map(|(width, name, value)| format!("{indent}{name:width$} {value},\n"))
        .collect()
}

fn is_line((_, value): &(String, String)) -> bool {
    !value.contains('\n')
}

/// An array of strings whose member stands at `depth`: on one line if it is short enough.
fn list(depth: usize, items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quote(item)).collect();
    let inline = format!("[{}]", items.join(", "));
    if inline.len() <= INLINE {
        return inline;
    }
    let indent = "\t".repeat(depth);
    let lines: String = items.iter().map(|item| format!("{indent}\t{item},\n")).collect();
    format!("[\n{lines}{indent}]")
}

/// A name or value of ours, none of which has a character to escape.
fn quote(text: &str) -> String {
    format!("\"{text}\"")
}
