//! Policy texts of any size: valid ones as people write them, and hostile ones.

use std::fmt::Write as _;

/// A valid policy of about `size` bytes, at least 1 KB: sections as people write them, with
/// comments, aligned and unaligned members, short arrays on one line and long ones over several.
#[must_use]
pub fn valid(size: usize) -> String {
    // A team with its group, tag, host and two rules takes about 400 bytes.
    let teams = (size / 400).max(1);
    let mut text = String::from("// Who may talk to whom.\n{\n\t\"groups\": {\n");
    // Writing to a String cannot fail.
    for team in 0..teams {
        _ = write!(
            text,
            "\t\t// Team {team}, see the wiki for who is who.\n\
             \t\t\"group:team-{team}\": [\"alice{team}@example.com\", \"bob{team}@example.com\"],\n"
        );
    }
    text.push_str("\t},\n\t\"tagOwners\": {\n");
    for team in 0..teams {
        _ = writeln!(text, "\t\t\"tag:service-{team}\": [\"group:team-{team}\"],");
    }
    text.push_str("\t},\n\t\"hosts\": {\n");
    for team in 0..teams {
        let (high, low) = (team / 256 % 256, team % 256);
        _ = writeln!(text, "\t\t\"host-{team}\": \"10.{high}.{low}.0/24\",");
    }
    text.push_str("\t},\n\t\"acls\": [\n");
    for team in 0..teams {
        _ = write!(
            text,
            "\t\t{{\n\t\t\t\"action\": \"accept\",\n\t\t\t\"src\":    [\"group:team-{team}\"],\n\
             \t\t\t\"dst\": [\n\t\t\t\t\"tag:service-{team}:80,443\", // web\n\
             \t\t\t\t\"host-{team}:22\",\n\t\t\t],\n\t\t}},\n\
             \t\t{{\"action\":\"accept\",\"proto\":\"udp\",\"src\":[\"*\"],\
             \"dst\":[\"host-{team}:53\"]}},\n"
        );
    }
    text.push_str("\t],\n}\n");
    text
}

/// Texts of about `size` bytes that are made to hurt, by name.
#[must_use]
pub fn hostile(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let list = |item: &str| {
        let items = item.repeat(size / item.len());
        format!("{{\"acls\":[{{\"src\":[{items}\"*\"],\"dst\":[\"*:*\"]}}]}}").into_bytes()
    };
    let map = |section: &str, entry: &dyn Fn(usize) -> String| {
        let mut text = format!("{{\"{section}\":{{");
        let mut at = 0;
        while text.len() < size {
            text.push_str(&entry(at));
            at += 1;
        }
        text.push_str("\"tag:z\":[]}}");
        text.into_bytes()
    };
    vec![
        ("brackets that are never closed", "[".repeat(size).into_bytes()),
        ("objects in objects", "{\"a\":".repeat(size / 5).into_bytes()),
        ("a million hosts that do not exist", list("\"alice\",")),
        ("a million wrong types", list("1,")),
        ("a million commas too many", list(",")),
        ("a million bad literals", list("x,")),
        ("names in single quotes", list("'a',")),
        ("one huge string", format!("{{\"acls\":\"{}\"}}", "a".repeat(size)).into_bytes()),
        ("one huge bad string", format!("\"{}\\x\"", "a".repeat(size)).into_bytes()),
        ("one huge name", list(&format!("\"{}\",", "a".repeat(size / 2)))),
        ("one huge comment", format!("/*{}*/{{}}", "*".repeat(size)).into_bytes()),
        ("comments that are not closed", "/*".repeat(size / 2).into_bytes()),
        ("hash comments", "#\n".repeat(size / 2).into_bytes()),
        ("bytes that are not UTF-8", vec![0xff; size]),
        ("strings that are not UTF-8", [&b"[\""[..], &vec![0xff; size], b"\"]"].concat()),
        ("lone surrogates", list("\"\\ud800\",")),
        ("one name again and again", map("tagOwners", &|_| "\"tag:a\":[],".to_owned())),
        (
            "one route in many spellings",
            map("autoApprovers\":{\"routes", &|at| format!("\"fd00:{:x}::/16\":[],", at % 2)),
        ),
        ("unknown fields", map("ssh", &|at| format!("\"f{at}\":1,"))),
        (
            "tags that own each other",
            map("tagOwners", &|at| format!("\"tag:t{at}\":[\"tag:t{}\"],", at + 1)),
        ),
        (
            "tags that do not exist",
            map("tagOwners", &|at| format!("\"tag:t{at}\":[\"tag:missing{at}\"],")),
        ),
        ("notes in rules", {
            let note = "{\"#\":1e999},".repeat(size / 12);
            format!("{{\"acls\":[{note}{{}}]}}").into_bytes()
        }),
        ("silencing comments", {
            let ignore = "// policy-ignore: wildcard-rule -- x\n".repeat(size / 37);
            format!("{ignore}{{\"acls\":[{{\"src\":[\"*\"],\"dst\":[\"*:*\"]}}]}}").into_bytes()
        }),
        ("rules that say the same", {
            let rule = "{\"src\":[\"*\"],\"dst\":[\"*:*\"]},".repeat(size / 29);
            format!("{{\"acls\":[{rule}]}}").into_bytes()
        }),
    ]
}
