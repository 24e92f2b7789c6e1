//! What registrations, views and picks have to tell, as single values: see [`client::Metric`](crate::client::Metric).

use super::registered::{Registered, RegistrationState, RegistrationStatus};
use super::view::ViewStats;
use super::{CheckReport, PickStats, ServiceStats, Services, ViewHealth};
use crate::client::Metric;

impl Registered {
    /// Where it stands and what it took, and where its health checks stand, as single values. Never blocks.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let mut all = registration_metrics(self.status());
        all.extend(self.checks().iter().flat_map(check_metrics));
        let instance = self.instance();
        let about = |metric: Metric| metric.label("service", &instance.service).label("id", &instance.id);
        all.into_iter().map(about).collect()
    }
}

impl Services {
    /// What the view has done and holds, and what was picked from it, as single values. Never blocks.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let mut all = vec![
            Metric::flag("menagerie_view_fresh", self.health().is_fresh()),
            Metric::flag("menagerie_view_ended", matches!(self.health(), ViewHealth::Ended(_))),
        ];
        all.extend(self.stats().metrics());
        all.extend(planted!("operations_metric_untold").then(|| Metric::flag("menagerie_view_untold", true)));
        all.into_iter().map(|metric| metric.label("service", self.service())).collect()
    }
}

fn registration_metrics(status: RegistrationStatus) -> Vec<Metric> {
    let RegistrationStatus { state, writes, refusal, wish, losses, last_loss: _ } = status;
    let states = ["pending", "registered", "conflict", "withdrawn", "ended"];
    let present = match state {
        RegistrationState::Pending => "pending",
        RegistrationState::Registered => "registered",
        RegistrationState::Conflict(_) => "conflict",
        RegistrationState::Withdrawn => "withdrawn",
        RegistrationState::Ended(_) => "ended",
    };
    let is =
        |state: &str| Metric::flag("menagerie_registration_state", state == present).label("state", state);
    let mut all: Vec<_> = states.into_iter().map(is).collect();
    all.push(Metric::counter("menagerie_registration_writes_total", writes));
    all.push(Metric::flag("menagerie_registration_refused", refusal.is_some()));
    all.push(Metric::counter("menagerie_registration_wishes_total", wish));
    all.push(Metric::counter("menagerie_registration_losses_total", losses));
    all
}

fn check_metrics(report: &CheckReport) -> Vec<Metric> {
    let CheckReport { name, is_up, runs, failures, turns, failure: _ } = report;
    let all = [
        Metric::flag("menagerie_health_check_up", *is_up),
        Metric::counter("menagerie_health_check_runs_total", *runs),
        Metric::counter("menagerie_health_check_failures_total", *failures),
        Metric::counter("menagerie_health_check_turns_total", *turns),
    ];
    all.into_iter().map(|metric| metric.label("check", &**name)).collect()
}

impl ServiceStats {
    /// The same as single values.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let Self { view, instances, invalid_now, passed_over, age, picks } = *self;
        let mut all = vec![
            Metric::level("menagerie_view_instances", instances),
            Metric::level("menagerie_view_invalid", invalid_now),
            Metric::gauge("menagerie_view_stale_seconds", age.as_secs_f64()),
            Metric::level("menagerie_picks_passed_over", passed_over),
        ];
        all.extend(view_metrics(view));
        all.extend(pick_metrics(picks));
        all
    }
}

fn view_metrics(stats: ViewStats) -> [Metric; 8] {
    // Without `..`, here and above: what is counted later is told later, or this does not compile.
    let ViewStats { reads, events, gaps, invalid, held_down_now, held_down, held_back_now, held_back } =
        stats;
    [
        Metric::counter("menagerie_view_reads_total", reads),
        Metric::counter("menagerie_view_events_total", events),
        Metric::counter("menagerie_view_gaps_total", gaps),
        Metric::counter("menagerie_view_invalid_total", invalid),
        Metric::level("menagerie_view_held_down", held_down_now),
        Metric::counter("menagerie_view_held_down_total", held_down),
        Metric::level("menagerie_view_held_back", held_back_now),
        Metric::counter("menagerie_view_held_back_total", held_back),
    ]
}

fn pick_metrics(stats: PickStats) -> [Metric; 7] {
    let PickStats { picked, empty, probes, succeeded, failed, suspected, ejected } = stats;
    [
        Metric::counter("menagerie_picks_total", picked),
        Metric::counter("menagerie_picks_empty_total", empty),
        Metric::counter("menagerie_picks_probes_total", probes),
        Metric::counter("menagerie_picks_succeeded_total", succeeded),
        Metric::counter("menagerie_picks_failed_total", failed),
        Metric::counter("menagerie_picks_suspected_total", suspected),
        Metric::counter("menagerie_picks_ejected_total", ejected),
    ]
}
