//! Routes of nodes, found by what they overlap.

use super::ip_set::IpSet;
use crate::policy::Prefix;

/// The distinct routes of some nodes, in ascending order.
#[derive(Debug, Default)]
pub(crate) struct RouteIndex {
    /// Each route without host bits, with the indexes of the nodes that have it, ascending.
    routes: Vec<(Prefix, Vec<u32>)>,
    /// Lengths of the IPv4 and of the IPv6 routes, ascending.
    lengths: [Vec<u8>; 2],
    /// All that the routes hold.
    reached: IpSet,
}

impl RouteIndex {
    /// Indexes routes of nodes, the nodes in ascending order.
    pub(crate) fn of(routes: impl IntoIterator<Item = (u32, Prefix)>) -> Self {
        let mut routes: Vec<(Prefix, u32)> =
            routes.into_iter().map(|(node, route)| (route.masked(), node)).collect();
        routes.sort_unstable();
        routes.dedup();
        let by_route = routes.chunk_by(|a, b| a.0 == b.0).filter_map(|nodes| {
            let (route, _) = nodes.first()?;
            Some((*route, nodes.iter().map(|(_, node)| *node).collect()))
        });
        let routes: Vec<(Prefix, Vec<u32>)> = by_route.collect();
        let lengths = [true, false].map(|v4| {
            let of_family = routes.iter().filter(|(route, _)| route.addr.is_ipv4() == v4);
            let mut lengths: Vec<u8> = of_family.map(|(route, _)| route.bits).collect();
            lengths.sort_unstable();
            lengths.dedup();
            lengths
        });
        let reached = IpSet::of_all(routes.iter().map(|(route, _)| *route));
        Self { routes, lengths, reached }
    }

    /// Nodes with a route that overlaps `prefix`, by route: a search where there is none, else one
    /// for each length of a route that is wider, plus the routes found.
    pub(crate) fn overlapping(&self, prefix: Prefix) -> impl Iterator<Item = &[u32]> {
        let any = self.reached.overlaps(prefix);
        let prefix = prefix.masked();
        let [v4, v6] = &self.lengths;
        let lengths = if prefix.addr.is_ipv4() { v4 } else { v6 };
        let wider = lengths
            .iter()
            .take_while(move |bits| any && **bits < prefix.bits)
            .filter_map(move |bits| self.nodes_with(Prefix { bits: *bits, ..prefix }.masked()));
        let from = if any {
            self.routes.partition_point(|(route, _)| *route < prefix)
        } else {
            usize::MAX
        };
        let within = self.routes.iter().skip(from);
        let within = within.take_while(move |(route, _)| prefix.contains(route.addr));
        wider.chain(within.map(|(_, nodes)| nodes.as_slice()))
    }

    /// Nodes with a route that holds an address of `set`, by route. Costs a search for each route,
    /// or for each prefix of the set where those are fewer.
    pub(crate) fn within<'r>(&'r self, set: &IpSet) -> Vec<&'r [u32]> {
        if set.parts() < self.routes.len() {
            set.prefixes().flat_map(|prefix| self.overlapping(prefix)).collect()
        } else {
            let routes = self.routes.iter().filter(|(route, _)| set.overlaps(*route));
            routes.map(|(_, nodes)| nodes.as_slice()).collect()
        }
    }

    fn nodes_with(&self, route: Prefix) -> Option<&[u32]> {
        let at = self.routes.binary_search_by_key(&route, |(route, _)| *route).ok()?;
        self.routes.get(at).map(|(_, nodes)| nodes.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_routes_are_found_from_both_sides() {
        let prefix = |text: &str| Prefix::parse(text).unwrap();
        let routes =
            ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "192.168.0.0/24", "::/0"];
        let index = RouteIndex::of((0..).zip(routes.map(prefix)));
        let found = |text: &str| -> Vec<u32> {
            let mut found: Vec<u32> = index.overlapping(prefix(text)).flatten().copied().collect();
            found.sort_unstable();
            found
        };
        assert_eq!(found("10.1.0.0/16"), [0, 1, 2, 3]);
        assert_eq!(found("10.1.3.0/24"), [0, 1, 2]);
        assert_eq!(found("11.0.0.0/8"), [0]);
        assert_eq!(found("fd00::1"), [5]);
        assert_eq!(index.within(&IpSet::of(prefix("192.168.0.7"))).concat(), [0, 4]);
    }
}
