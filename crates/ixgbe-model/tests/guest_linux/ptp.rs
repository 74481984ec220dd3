//! `ptp4l` is the judge of the clock and of stamps: one card's clock follows the other's.

use crate::stage::{End, eventually_or};
use linecard_testbed::programs::Running;

/// Nanoseconds that the follower may be off, once it follows: some ticks of both clocks, and what its servo makes of them.
const OFF: i64 = 50;

/// Nanoseconds of the wire's delay, as it may be measured: 50, give or take as much as [`OFF`] says.
const DELAY: std::ops::RangeInclusive<i64> = 25..=75;

/// Exchanges in a row that are to be that good.
const EXCHANGES: usize = 8;

/// One card's clock is the master, the other's follows. How long it takes is not asked, nor what is measured before: only
/// that there comes a time when all is as it should be.
pub(crate) fn one_clock_follows_the_other(master: &End, follower: &End) {
    let master = start(master, "");
    let follower = start(follower, "-s");
    let is_good = |(off, delay): &(i64, i64)| off.abs() <= OFF && DELAY.contains(delay);
    let follows = || {
        let said = follower.printed();
        let all: Vec<_> = said.lines().filter_map(measured).collect();
        let last = all.len().checked_sub(EXCHANGES).map(|from| &all[from..]);
        last.is_some_and(|last| last.iter().all(is_good))
    };
    eventually_or(follows, || format!("{}\n{}", master.printed(), follower.printed()));
}

fn start(end: &End, words: &str) -> Running {
    let own = format!("-i {} --uds_address=/tmp/{0} {words}", end.name);
    let common = "-2 -H -m -q --logSyncInterval=-3 --logMinDelayReqInterval=-3 \
        --logAnnounceInterval=-3 --announceReceiptTimeout=10 --summary_interval=-3 --first_step_threshold=0.00000005 \
        --tx_timestamp_timeout=5000 --fault_reset_interval=0";
    end.netns.program("ptp4l").words(common).words(&own).spawn().unwrap()
}

/// Offset and delay of a line, of a servo that is locked (`s2`).
fn measured(line: &str) -> Option<(i64, i64)> {
    let mut words = line.split_once("master offset")?.1.split_whitespace();
    let offset = words.next()?.parse().ok()?;
    let (state, delay) = (words.next()?, words.next_back()?.parse().ok()?);
    (state == "s2").then_some((offset, delay))
}
