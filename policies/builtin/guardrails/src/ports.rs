//! Ports and ranges of ports.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;

/// A port, or a range of ports as text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Ports {
    Number(u16),
    Range(String),
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(port) => write!(f, "{port}"),
            Self::Range(text) => f.write_str(text),
        }
    }
}

/// From the first port to the last.
pub(crate) type Range = (u16, u16);

/// The ranges that are written; none where one cannot be read.
pub(crate) fn ranges(ports: &[Ports]) -> Option<Vec<Range>> {
    let range = |ports: &Ports| match ports {
        Ports::Number(0) => None,
        Ports::Number(port) => Some((*port, *port)),
        Ports::Range(text) => read(text).into_iter().next(),
    };
    ports.iter().map(range).collect()
}

/// The ranges of an answer: `22`, `80,8000-8100`, `*`. What cannot be read counts as all ports, so
/// that nothing is overlooked.
pub(crate) fn answered(text: &str) -> Vec<Range> {
    text.split(',').map(|part| read(part).unwrap_or((1, u16::MAX))).collect()
}

fn read(text: &str) -> Option<Range> {
    let text = text.trim();
    if text == "*" {
        return Some((1, u16::MAX));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range: Range = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (range.0 > 0 && range.0 <= range.1).then_some(range)
}

/// One port for each part of `wanted` that rules treat alike, where `answers` are the ranges that
/// they open: what holds for it holds for all of its part.
pub(crate) fn samples(wanted: &[Range], answers: &[Range]) -> Vec<u16> {
    let mut samples = BTreeSet::new();
    for (first, last) in wanted {
        samples.insert(*first);
        for (from, to) in answers {
            let behind = to.checked_add(1);
            let cuts = [Some(*from), behind].into_iter().flatten();
            samples.extend(cuts.filter(|cut| (first..=last).contains(&cut)));
        }
    }
    samples.into_iter().collect()
}

/// The first port that is both wanted and answered.
pub(crate) fn common(wanted: &[Range], answers: &[Range]) -> Option<u16> {
    let both = wanted.iter().flat_map(|(first, last)| {
        answers.iter().map(move |(from, to)| (*first.max(from), *last.min(to)))
    });
    both.filter(|(first, last)| first <= last).map(|(first, _)| first).min()
}
