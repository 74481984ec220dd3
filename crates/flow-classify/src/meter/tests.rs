//! Meters against the RFCs' own words, token by token.

use super::*;
use proptest::prelude::*;

/// Which of the three, with what it takes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Rfc2697,
    Rfc2698,
    Rfc4115,
}

/// Two buckets as an RFC tells of them. A token is a part of a byte, as many as a second has ticks.
struct Oracle {
    kind: Kind,
    rates: [u64; 2],
    sizes: [u128; 2],
    tokens: [u128; 2],
    hz: u64,
}

impl Oracle {
    fn new(kind: Kind, buckets: [Bucket; 2], hz: u64) -> Self {
        let sizes = buckets.map(|bucket| u128::from(bucket.burst) * u128::from(hz));
        Self { kind, rates: buckets.map(|bucket| bucket.rate), sizes, tokens: sizes, hz }
    }

    /// "If Tc is less than CBS, Tc is incremented by one, else if Te is less than EBS, Te is
    /// incremented by one, else neither": so many times.
    fn rest_one_by_one(&mut self, ticks: u64) {
        let [first, second] = self.rates.map(|rate| rate * ticks);
        for _ in 0..first {
            if self.tokens[0] < self.sizes[0] {
                self.tokens[0] += 1;
            } else if matches!(self.kind, Kind::Rfc2697) && self.tokens[1] < self.sizes[1] {
                self.tokens[1] += 1;
            }
        }
        if !matches!(self.kind, Kind::Rfc2697) {
            let room = self.sizes[1] - self.tokens[1];
            self.tokens[1] += u128::from(second).min(room);
        }
    }

    /// The same for large numbers.
    fn rest(&mut self, ticks: u64) {
        let [first, second] = self.rates.map(|rate| u128::from(rate) * u128::from(ticks));
        let all = self.tokens[0] + first;
        self.tokens[0] = all.min(self.sizes[0]);
        let second = match self.kind {
            Kind::Rfc2697 => all - self.tokens[0],
            _ => second,
        };
        self.tokens[1] = (self.tokens[1] + second).min(self.sizes[1]);
    }

    fn color(&mut self, bytes: u32, had: Color) -> Color {
        let cost = u128::from(bytes) * u128::from(self.hz);
        let [committed, other] = self.tokens.map(|tokens| tokens >= cost);
        let found = match (self.kind, had) {
            (_, Color::Red) => Color::Red,
            (Kind::Rfc2698, _) if !other => Color::Red,
            (Kind::Rfc2698, Color::Yellow) => Color::Yellow,
            (Kind::Rfc2698, Color::Green) if !committed => Color::Yellow,
            (_, Color::Green) if committed => Color::Green,
            _ if other => Color::Yellow,
            _ => Color::Red,
        };
        let takes = match (self.kind, found) {
            (_, Color::Red) => [false, false],
            (Kind::Rfc2698, Color::Green) => [true, true],
            (_, Color::Green) => [true, false],
            (_, Color::Yellow) => [false, true],
        };
        for (tokens, _) in self.tokens.iter_mut().zip(takes).filter(|(_, takes)| *takes) {
            *tokens -= cost;
        }
        found
    }
}

/// A packet: ticks since the one before, its bytes, the colour that it has.
type Arrival = (u64, u32, Color);

fn colors() -> impl Strategy<Value = Color> {
    prop_oneof![3 => Just(Color::Green), 1 => Just(Color::Yellow), 1 => Just(Color::Red)]
}

fn run(
    kind: Kind,
    buckets: [Bucket; 2],
    hz: u64,
    rest: fn(&mut Oracle, u64),
    arrivals: &[Arrival],
) -> Result<(), TestCaseError> {
    let [committed, other] = buckets;
    match kind {
        Kind::Rfc2697 => {
            let Ok(profile) = SrTcm::new(committed, other.burst, hz) else { return Ok(()) };
            agree(&profile, Oracle::new(kind, buckets, hz), rest, arrivals)
        }
        Kind::Rfc2698 => {
            let Ok(profile) = TrTcm::new(committed, other, hz) else { return Ok(()) };
            agree(&profile, Oracle::new(kind, buckets, hz), rest, arrivals)
        }
        Kind::Rfc4115 => {
            let Ok(profile) = TrTcm4115::new(committed, other, hz) else { return Ok(()) };
            agree(&profile, Oracle::new(kind, buckets, hz), rest, arrivals)
        }
    }
}

fn agree(
    profile: &impl Profile,
    mut oracle: Oracle,
    rest: fn(&mut Oracle, u64),
    arrivals: &[Arrival],
) -> Result<(), TestCaseError> {
    // The clock wraps on the way.
    let mut now = u64::MAX - 5;
    let mut meter = Meter::full(profile, now);
    for (ticks, bytes, had) in arrivals {
        now = now.wrapping_add(*ticks);
        rest(&mut oracle, *ticks);
        let found = match had {
            Color::Green => meter.color(profile, now, *bytes),
            had => meter.remark(profile, now, *bytes, *had),
        };
        prop_assert_eq!(found, oracle.color(*bytes, *had));
        let Tokens { committed, other } = meter.tokens;
        prop_assert_eq!([committed, other].map(u128::from), oracle.tokens);
    }
    Ok(())
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Rfc2697), Just(Kind::Rfc2698), Just(Kind::Rfc4115)]
}

fn buckets(rate: u64, burst: u64) -> impl Strategy<Value = [Bucket; 2]> {
    let bucket = move || (0..=rate, 0..=burst).prop_map(|(rate, burst)| Bucket { rate, burst });
    [bucket(), bucket()]
}

proptest! {
    #[test]
    fn a_meter_colours_as_the_rfc_does_token_by_token(
        kind in kinds(), buckets in buckets(20, 30), hz in 1_u64..12,
        arrivals in prop::collection::vec((0_u64..12, 0_u32..12, colors()), 0..100),
    ) {
        run(kind, buckets, hz, Oracle::rest_one_by_one, &arrivals)?;
    }

    #[test]
    fn real_rates_and_any_pause_are_as_exact(
        kind in kinds(),
        buckets in buckets(100_000_000_000, 1 << 28),
        hz in prop_oneof![Just(1_000_000_u64), Just(2_596_000_000), Just(1 << 33)],
        arrivals in prop::collection::vec(
            (prop_oneof![0_u64..10_000, 0_u64..1 << 40, 0_u64..1 << 62],
             prop_oneof![64_u32..1519, any::<u32>()], colors()), 0..100),
    ) {
        run(kind, buckets, hz, Oracle::rest, &arrivals)?;
    }

    #[test]
    fn no_more_is_green_than_burst_and_rate_allow(
        committed in (1_u64..1 << 37, 1500_u64..1 << 24),
        gaps in prop::collection::vec(0_u64..100_000, 1..200),
    ) {
        let hz = 2_596_000_000;
        let committed = Bucket { rate: committed.0, burst: committed.1 };
        let profile = SrTcm::new(committed, 0, hz).unwrap();
        let mut meter = Meter::full(&profile, 0);
        let (mut now, mut green) = (0, 0);
        for gap in gaps {
            now += gap;
            green += if meter.color(&profile, now, 1500) == Color::Green { 1500_u128 } else { 0 };
            let limit = u128::from(committed.burst) * u128::from(hz)
                + u128::from(committed.rate) * u128::from(now);
            prop_assert!(green * u128::from(hz) <= limit);
        }
    }
}

#[test]
fn a_clock_that_steps_back_stands_still() {
    let profile = SrTcm::new(Bucket { rate: 1000, burst: 1000 }, 0, 1000).unwrap();
    let mut meter = Meter::full(&profile, 5000);
    assert_eq!(meter.color(&profile, 5000, 1000), Color::Green);
    assert_eq!(meter.color(&profile, 4000, 100), Color::Red);
    assert_eq!(meter.color(&profile, 5099, 100), Color::Red);
    assert_eq!(meter.color(&profile, 5100, 100), Color::Green);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_limit() {
    let bucket = Bucket { rate: 1000, burst: 1000 };
    let refused = |bucket, hz| SrTcm::new(bucket, 0, hz).unwrap_err();
    assert_eq!(refused(bucket, 0), Error::Clock { hz: 0 });
    assert_eq!(refused(Bucket { burst: 0, ..bucket }, 1), Error::NoBurst);
    assert_eq!(refused(Bucket { rate: 1 << 40, ..bucket }, 1), Error::Rate { rate: 1 << 40 });
    let burst = 1 << 30;
    let limit = (1 << 29) - 1;
    assert_eq!(refused(Bucket { burst, ..bucket }, 1 << 33), Error::Burst { burst, limit });
    let slow = Bucket { rate: 999, ..bucket };
    let error = Error::PeakBelowCommitted { committed: 1000, peak: 999 };
    assert_eq!(TrTcm::new(bucket, slow, 1000).unwrap_err(), error);
    assert!(TrTcm4115::new(bucket, slow, 1000).is_ok(), "there the rates are independent");
}
