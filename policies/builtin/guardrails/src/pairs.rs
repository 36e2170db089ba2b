//! `never`, `always` and `closedPorts`: who reaches whom on which ports.

use headscale_policy_sdk::{Extent, Finding, Query};

use crate::judge::{ByRule, Judge, because, traffic};
use crate::ports::{Range, answered, common, ranges, samples};
use crate::rules::{FORBIDDEN_ACCESS, MISSING_ACCESS, OPEN_PORT};
use crate::settings::{Pair, Settings};

/// Protocols that have ports; a question with a port is about one of them.
const WITH_PORTS: [&str; 3] = ["tcp", "udp", "sctp"];

/// Judges `never`.
pub(crate) fn never(judge: &mut Judge<'_>, settings: &Settings) {
    for (at, pair) in settings.never.iter().enumerate() {
        let place = format!("/never/{at}");
        each(pair, |from, to| {
            let protocols = match &pair.proto {
                Some(proto) => vec![proto.as_str()],
                None => WITH_PORTS.to_vec(),
            };
            let Some(queries) = queries(judge, &place, pair, (from, to), &protocols) else {
                return;
            };
            let mut causes = ByRule::default();
            for query in queries {
                let answer = judge.reachability.explain(&query);
                let Some(answer) = judge.ask(&place, &[from, to], answer) else { return };
                if answer.extent != Extent::None {
                    causes.add(judge.policy, &answer.causes, &query, from);
                }
            }
            let what = format!("{from} must not reach {to}{}", on_ports(pair));
            for finding in causes.findings(FORBIDDEN_ACCESS, &what, pair.reason.as_deref()) {
                judge.add(finding);
            }
        });
    }
}

/// Judges `always`.
pub(crate) fn always(judge: &mut Judge<'_>, settings: &Settings) {
    for (at, pair) in settings.always.iter().enumerate() {
        let place = format!("/always/{at}");
        each(pair, |from, to| {
            let protocols = [pair.proto.as_deref().unwrap_or("tcp")];
            let Some(queries) = queries(judge, &place, pair, (from, to), &protocols) else {
                return;
            };
            for query in queries {
                let answer = judge.reachability.explain(&query);
                let Some(answer) = judge.ask(&place, &[from, to], answer) else { return };
                if answer.extent == Extent::All {
                    continue;
                }
                let example = match answer.denied {
                    Some((from, to)) => format!("{from} does not reach {to}"),
                    None => "no rule lets it through".to_owned(),
                };
                let mut rules = answer.causes.iter().map(|cause| cause.rule.as_str());
                let message = format!(
                    "{from} must reach {to} on {}: {example}{}",
                    traffic(&query),
                    because(pair.reason.as_deref())
                );
                let mut finding =
                    Finding::new(MISSING_ACCESS, rules.next().unwrap_or_default(), message);
                for rule in rules {
                    finding = finding.related(rule, "lets a part of it through");
                }
                // The first gap says enough: one rule mostly closes all of them.
                judge.add(finding);
                return;
            }
        });
    }
}

/// Judges `closedPorts`.
pub(crate) fn closed_ports(judge: &mut Judge<'_>, settings: &Settings) {
    for (at, closed) in settings.closed_ports.iter().enumerate() {
        let place = format!("/closedPorts/{at}");
        let Some(wanted) = ranges(&closed.ports) else { continue };
        let except = judge.everyone(&format!("{place}/except"), closed.except.iter());
        for to in closed.to.iter() {
            let rows = judge.reachability.who_can_reach(to, None);
            let Some(rows) = judge.ask(&format!("{place}/to"), &[to], rows) else { continue };
            let mut causes = ByRule::default();
            for row in rows {
                let Some(port) = common(&wanted, &answered(&row.ports)) else { continue };
                let protocols = WITH_PORTS.into_iter().filter(|protocol| {
                    row.protocol == "*" || row.protocol.split(',').any(|p| p.trim() == *protocol)
                });
                let source = judge.behind(&row.source);
                let beyond = source.beyond(&except);
                // All of a name is told by the name; a part of it node by node.
                let asked = match beyond.len() {
                    0 if source.is_empty() => vec![row.source.as_str()],
                    n if n == source.beyond(&Default::default()).len() => vec![row.source.as_str()],
                    _ => beyond,
                };
                for protocol in protocols {
                    for from in &asked {
                        let query = Query::new(from, to).protocol(protocol).port(port);
                        let Ok(answer) = judge.reachability.explain(&query) else { continue };
                        if answer.extent != Extent::None {
                            causes.add(judge.policy, &answer.causes, &query, source.name(from));
                        }
                    }
                }
            }
            let ports: Vec<String> = closed.ports.iter().map(ToString::to_string).collect();
            let but: Vec<&str> = closed.except.iter().collect();
            let but =
                if but.is_empty() { String::new() } else { format!(" but for {}", but.join(", ")) };
            let what = format!("{to} is closed on {}{but}", ports.join(","));
            for finding in causes.findings(OPEN_PORT, &what, closed.reason.as_deref()) {
                judge.add(finding);
            }
        }
    }
}

fn each<'p>(pair: &'p Pair, mut judge: impl FnMut(&'p str, &'p str)) {
    for from in pair.from.iter() {
        for to in pair.to.iter() {
            judge(from, to);
        }
    }
}

/// The questions that a pair comes to: one for each protocol and each port that rules may treat in
/// a way of its own.
fn queries(
    judge: &mut Judge<'_>,
    place: &str,
    pair: &Pair,
    (from, to): (&str, &str),
    protocols: &[&str],
) -> Option<Vec<Query>> {
    let wanted = ranges(&pair.ports)?;
    let query = Query::new(from, to);
    if wanted.is_empty() {
        return Some(vec![match &pair.proto {
            Some(proto) => query.protocol(proto),
            None => query,
        }]);
    }
    let rows = judge.reachability.reachable_from(from);
    let rows = judge.ask(place, &[from], rows)?;
    let opened: Vec<Range> = rows.iter().flat_map(|row| answered(&row.ports)).collect();
    let samples = samples(&wanted, &opened);
    let queries = protocols.iter().flat_map(|protocol| {
        let query = query.clone().protocol(protocol);
        samples.iter().map(move |port| query.clone().port(*port))
    });
    Some(queries.collect())
}

fn on_ports(pair: &Pair) -> String {
    let ports: Vec<String> = pair.ports.iter().map(ToString::to_string).collect();
    let parts = pair.proto.iter().cloned().chain((!ports.is_empty()).then(|| ports.join(",")));
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { String::new() } else { format!(" on {}", parts.join(" ")) }
}
