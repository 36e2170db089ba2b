//! `maxFanOut`: how many nodes one reaches.

use headscale_policy_sdk::{Finding, Query};

use crate::judge::{Judge, because};
use crate::nodes::Nodes;
use crate::rules::{FAN_OUT_UNPROVED, WIDE_FAN_OUT};
use crate::settings::Settings;

/// Judges `maxFanOut`.
pub(crate) fn judge(judge: &mut Judge<'_>, settings: &Settings) {
    for (at, limit) in settings.max_fan_out.iter().enumerate() {
        let place = format!("/maxFanOut/{at}");
        if judge.reachability.is_symbolic() {
            let message = format!("settings{place} counts made-up nodes: name the tailnet");
            judge.add(Finding::new(FAN_OUT_UNPROVED, "", message));
        }
        for from in limit.from.iter() {
            let rows = judge.reachability.reachable_from(from);
            let Some(rows) = judge.ask(&format!("{place}/from"), &[from], rows) else { continue };
            let mut reached = Nodes::default();
            let mut widest: Option<(usize, String)> = None;
            for row in rows {
                let nodes = judge.behind(&row.destination);
                if widest.as_ref().is_none_or(|(most, _)| nodes.len() > *most) {
                    widest = Some((nodes.len(), row.destination));
                }
                reached.add(nodes);
            }
            let (count, most) = (reached.len(), limit.nodes);
            let Some((wide, to)) = widest.filter(|_| count > most) else { continue };
            let cause = judge.reachability.explain(&Query::new(from, &to)).ok();
            let rule = cause.and_then(|answer| answer.causes.into_iter().next());
            let nodes = if count == 1 { "node" } else { "nodes" };
            let message = format!(
                "{from} reaches {count} {nodes}, and may reach {most}: {wide} of them by {from} -> {to}{}",
                because(limit.reason.as_deref())
            );
            let pointer = rule.map(|cause| cause.rule).unwrap_or_default();
            judge.add(Finding::new(WIDE_FAN_OUT, &pointer, message));
        }
    }
}
