//! What the calls to one instance say about it: how many are under way, how long they take, how many fail.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::registry::limits::{FAILURE_LATENCY_FACTOR, LATENCY_DECAY, LATENCY_MOST};

/// The calls to one instance, counted by all who call it. Every method is a handful of atomic operations.
#[derive(Debug, Default)]
pub struct Load {
    in_flight: AtomicU32,
    /// A [`PeakEwma`], packed.
    latency: AtomicU64,
    /// Failures since the last success.
    consecutive: AtomicU32,
    /// Since the last comparison of success rates.
    successes: AtomicU32,
    failures: AtomicU32,
    /// Somebody waits for a success: the instance is a suspect, or back on trial.
    on_trial: AtomicBool,
}

impl Load {
    /// A call begins.
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A call is over, whatever became of it.
    pub fn end(&self) {
        // One `end` for each `begin`; a caller's mistake must not wrap into four billion calls.
        let less = |in_flight: u32| in_flight.checked_sub(1);
        let _ = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Calls under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The latency at `now_ms`, decayed since the last call; `None` before the first call came back.
    #[must_use]
    pub fn latency(&self, now_ms: u32) -> Option<Duration> {
        let ewma = PeakEwma::unpack(self.latency.load(Ordering::Relaxed));
        ewma.is_known().then(|| Duration::from_secs_f32(ewma.at(now_ms, LATENCY_DECAY)))
    }

    /// Whether one more call costs no more here than there: latency times calls under way. While one of the latencies is
    /// not known, calls alone count.
    ///
    /// It takes no clock: both latencies decay alike, so that the one which is less now is less at any time.
    #[inline]
    pub(super) fn costs_at_most(&self, other: &Self) -> bool {
        let (here, there) = (self.in_flight(), other.in_flight());
        let ewma = |load: &Self| PeakEwma::unpack(load.latency.load(Ordering::Relaxed));
        let (own, others) = (ewma(self), ewma(other));
        if !own.is_known() || !others.is_known() {
            return here <= there;
        }
        let latest = if is_later(own.at_ms, others.at_ms) { own.at_ms } else { others.at_ms };
        let times = |calls: u32| f32::from(u16::try_from(calls).unwrap_or(u16::MAX)) + 1.0;
        own.at(latest, LATENCY_DECAY) * times(here) <= others.at(latest, LATENCY_DECAY) * times(there)
    }

    /// A call that took `latency` succeeded at `now_ms`. Says whether somebody waits for that.
    pub(in crate::registry) fn succeeded(&self, latency: Duration, now_ms: u32) -> bool {
        self.observe(|_| latency, now_ms);
        self.worked()
    }

    /// A call succeeded that nobody took the time of.
    pub(in crate::registry) fn worked(&self) -> bool {
        self.successes.fetch_add(1, Ordering::Relaxed);
        if self.consecutive.load(Ordering::Relaxed) != 0 {
            self.consecutive.store(0, Ordering::Relaxed);
        }
        self.on_trial.load(Ordering::Relaxed)
    }

    /// A call that took `latency` failed at `now_ms`.
    pub(in crate::registry) fn failed(&self, latency: Duration, now_ms: u32) {
        let penalty = |present: Duration| match planted!("balance_fast_failures") {
            true => latency,
            false => latency.max(present * FAILURE_LATENCY_FACTOR),
        };
        self.observe(penalty, now_ms);
    }

    fn observe(&self, sample: impl Fn(Duration) -> Duration, now_ms: u32) {
        let next = |packed: u64| {
            let ewma = PeakEwma::unpack(packed);
            let present = Duration::from_secs_f32(ewma.at(now_ms, LATENCY_DECAY));
            Some(ewma.after(sample(present), now_ms, LATENCY_DECAY).pack())
        };
        let _ = self.latency.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// Counts a failure; the number of those in a row.
    pub(super) fn count_failure(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.consecutive.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub(super) fn forget_consecutive(&self) {
        self.consecutive.store(0, Ordering::Relaxed);
    }

    /// Successes and failures since the last time this was asked.
    pub(super) fn take_window(&self) -> (u32, u32) {
        (self.successes.swap(0, Ordering::Relaxed), self.failures.swap(0, Ordering::Relaxed))
    }

    pub(super) fn set_on_trial(&self, on_trial: bool) {
        self.on_trial.store(on_trial, Ordering::Relaxed);
    }
}

/// A latency that rises at once and falls slowly (Finagle's peak EWMA): what one slow call taught is forgotten only as fast
/// as faster ones, or time, speak against it.
///
/// Time is counted in milliseconds from any moment, modulo 2^32.
///
/// ```
/// use std::time::Duration;
/// use menagerie::registry::balance::PeakEwma;
///
/// let (decay, ms) = (Duration::from_secs(10), Duration::from_millis);
/// let calm = PeakEwma::default().after(ms(10), 0, decay);
/// let peak = calm.after(ms(500), 1_000, decay);
/// assert!(peak.at(1_000, decay) > 0.499, "a peak counts at once");
/// let later = peak.after(ms(10), 2_000, decay);
/// assert!(later.at(2_000, decay) > 0.4, "and is not forgotten by the next call");
/// assert!(later.at(32_000, decay) < 0.03, "but by time");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeakEwma {
    seconds: f32,
    at_ms: u32,
}

impl PeakEwma {
    /// The average after a call of length `sample` came back at `now_ms`.
    #[must_use]
    pub fn after(self, sample: Duration, now_ms: u32, decay: Duration) -> Self {
        // The least that is told from "not known".
        let sample = sample.clamp(Duration::from_nanos(1), LATENCY_MOST).as_secs_f32();
        let kept = self.kept(now_ms, decay);
        let is_peak = sample > self.seconds && !planted!("balance_latency_without_peak");
        let seconds = if is_peak { sample } else { sample + (self.seconds - sample) * kept };
        // Of two calls that come back at once, the one that is told later may have ended earlier.
        let at_ms = if is_later(now_ms, self.at_ms) || !self.is_known() { now_ms } else { self.at_ms };
        Self { seconds, at_ms }
    }

    /// The average at `now_ms`, in seconds: it falls while nobody calls, so that a slow instance is tried again.
    #[must_use]
    pub fn at(self, now_ms: u32, decay: Duration) -> f32 {
        if planted!("balance_latency_never_decays") {
            return self.seconds;
        }
        self.seconds * self.kept(now_ms, decay)
    }

    /// Whether a call has come back yet.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.seconds > 0.0
    }

    /// How much of the average is left at `now_ms`.
    #[inline]
    fn kept(self, now_ms: u32, decay: Duration) -> f32 {
        if !is_later(now_ms, self.at_ms) {
            return 1.0;
        }
        let passed = Duration::from_millis(u64::from(now_ms.wrapping_sub(self.at_ms)));
        (-passed.as_secs_f32() / decay.as_secs_f32()).exp()
    }

    fn pack(self) -> u64 {
        u64::from(self.seconds.to_bits()) << 32 | u64::from(self.at_ms)
    }

    fn unpack(packed: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = packed.to_be_bytes();
        let (seconds, at_ms) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        Self { seconds: f32::from_bits(seconds), at_ms }
    }
}

/// Whether `now_ms` lies behind `then_ms`, the shorter way round.
fn is_later(now_ms: u32, then_ms: u32) -> bool {
    (1..=u32::MAX / 2).contains(&now_ms.wrapping_sub(then_ms))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    proptest! {
        #[test]
        fn an_average_lies_between_what_it_was_and_what_came_and_survives_packing(
            samples in proptest::collection::vec((0..100_000u64, any::<u32>()), 1..50),
        ) {
            let mut ewma = PeakEwma::default();
            for (sample, now) in samples {
                let before = ewma.seconds;
                ewma = ewma.after(MS(sample), now, LATENCY_DECAY);
                let sample = MS(sample).clamp(Duration::from_nanos(1), LATENCY_MOST).as_secs_f32();
                prop_assert!(ewma.seconds >= sample.min(before) * 0.999 && ewma.seconds <= sample.max(before) * 1.001);
                prop_assert_eq!(PeakEwma::unpack(ewma.pack()), ewma);
                prop_assert!(ewma.at(now, LATENCY_DECAY) <= ewma.seconds);
            }
        }
    }

    #[test]
    fn a_peak_counts_at_once_and_falls_slowly() {
        let calm = PeakEwma::default().after(MS(10), 0, MS(10_000));
        let peak = calm.after(MS(1000), 1, MS(10_000));
        assert!(peak.at(1, MS(10_000)) > 0.999);
        // A third is left after the time of decay, whether others call or not.
        let alone = peak.at(10_001, MS(10_000));
        assert!((0.3..0.4).contains(&alone), "{alone}");
        let called = (0..1000).fold(peak, |ewma, at| ewma.after(MS(10), 11 + at * 10, MS(10_000)));
        assert!((0.3..0.4).contains(&called.at(10_001, MS(10_000))), "{called:?}");
    }

    #[test]
    fn the_clock_of_milliseconds_wraps() {
        let before = PeakEwma::default().after(MS(1000), u32::MAX - 999, MS(10_000));
        let after = before.at(1000, MS(10_000));
        assert!((0.8..0.83).contains(&after), "two seconds passed: {after}");
        assert!(before.at(u32::MAX - 2000, MS(10_000)) > 0.999, "told too late is no time passed");
    }

    #[test]
    fn an_instance_that_fails_fast_is_no_fast_one() {
        let load = Load::default();
        assert_eq!(load.latency(0), None);
        load.succeeded(MS(100), 0);
        load.failed(MS(1), 0);
        assert!(load.latency(0).unwrap() >= MS(399));
        (0..20).for_each(|_| load.failed(MS(1), 0));
        assert!(load.latency(0).unwrap() <= LATENCY_MOST, "bounded");
    }

    #[test]
    fn calls_under_way_never_wrap() {
        let load = Load::default();
        load.begin();
        load.end();
        load.end();
        assert_eq!(load.in_flight(), 0);
    }
}
