//! "Did you mean": the known name that is nearest to an unknown one.

/// Longer names are not compared: no person reads them either.
const LONGEST: usize = 100;

/// The candidate that differs least from `name`, if it differs by no more than a third of it; of
/// several such the first in the alphabet. Upper and lower case, `_` and `-` do not count.
///
/// Costs the number of candidates times the square of the name's length, which is bounded.
pub(crate) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    if name.len() > LONGEST {
        return None;
    }
    let name = plain(name);
    let farthest = (name.len() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 2 * LONGEST)
        .map(|candidate| (strsim::damerau_levenshtein(&name, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= farthest)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["acls", "groups", "tagOwners"];
        assert_eq!(nearest("aclz", known), Some("acls"));
        assert_eq!(nearest("tag_owner", known), Some("tagOwners"));
        assert_eq!(nearest("postures", known), None);
    }
}
