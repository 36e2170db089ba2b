//! What someone who misspelt a name most likely meant.

/// Names less alike than this are not worth telling; the measure is between 0 and 1.
const ALIKE: f64 = 0.8;
/// How many are told at most.
const TOLD: usize = 3;

/// The names most like `name`, best first; empty where none is.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut alike: Vec<(f64, &str)> = names
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .collect();
    alike.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    alike.into_iter().take(TOLD).map(|(_, name)| name).collect()
}

/// `did you mean "a" or "b"?`, or `None` where nothing is alike.
pub(crate) fn did_you_mean<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let quoted: Vec<String> =
        nearest(name, names).into_iter().map(|name| format!("{name:?}")).collect();
    (!quoted.is_empty()).then(|| format!("did you mean {}?", quoted.join(" or ")))
}
