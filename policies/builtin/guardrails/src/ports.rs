//! Ports and ranges of ports.

use std::collections::BTreeSet;

use headscale_policy_sdk::ports::PortRange;

/// From the first port to the last.
pub(crate) type Range = (u16, u16);

/// The ranges that are written; none where one cannot be read.
pub(crate) fn ranges(ports: &[PortRange]) -> Option<Vec<Range>> {
    ports.iter().map(PortRange::bounds).collect()
}

/// The ranges of an answer: `22`, `80,8000-8100`, `*`. What cannot be read counts as all ports, so
/// that nothing is overlooked.
pub(crate) fn answered(text: &str) -> Vec<Range> {
    text.split(',').map(|part| PortRange::new(part).bounds().unwrap_or((1, u16::MAX))).collect()
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
