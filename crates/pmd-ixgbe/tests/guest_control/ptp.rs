//! A slave of PTP's, of as little as it takes: it notes when Sync comes, asks for the delay, and notes when it has asked
//! (IEEE 1588-2008 §11.3; Annex F for Ethernet).

use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Port, Queues, Started};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Types of messages.
const SYNC: u8 = 0;
const DELAY_REQUEST: u8 = 1;
const FOLLOW_UP: u8 = 8;
const DELAY_RESPONSE: u8 = 9;

/// Who asks: a clock and its port.
const OURS: [u8; 10] = [2, 0, 0, 0xFF, 0xFE, 0, 0, 2, 0, 1];

/// What both ends have noted, in nanoseconds of their clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    sync_sent: i128,
    sync_came: i128,
    request_sent: i128,
    request_came: i128,
}

impl Exchange {
    /// How much later our clock is.
    pub(crate) fn offset(&self) -> i128 {
        (self.there() - self.back()) / 2
    }

    /// The mean of both ways.
    pub(crate) fn delay(&self) -> i128 {
        (self.there() + self.back()) / 2
    }

    fn there(&self) -> i128 {
        self.sync_came - self.sync_sent
    }

    fn back(&self) -> i128 {
        self.request_came - self.request_sent
    }

    /// From the Sync to the request, in which clocks that do not run alike drift apart.
    pub(crate) fn gap(&self) -> i128 {
        self.request_sent - self.sync_came
    }

    /// Between the Syncs of two.
    pub(crate) fn since(&self, other: &Exchange) -> i128 {
        self.sync_came - other.sync_came
    }
}

/// A message of PTP over Ethernet.
struct Message(Vec<u8>);

impl Message {
    fn kind(&self) -> u8 {
        self.0[0] & 0xF
    }

    fn sequence(&self) -> [u8; 2] {
        [self.0[30], self.0[31]]
    }

    /// The time in its body, as much later as its correction says (in 65,536ths).
    fn time(&self) -> i128 {
        let number = |range: std::ops::Range<usize>| {
            self.0[range].iter().fold(0i128, |sum, byte| sum << 8 | i128::from(*byte))
        };
        let correction = number(8..16) >> 16;
        match self.kind() {
            // The request came so much earlier than is said.
            DELAY_RESPONSE => number(34..40) * 1_000_000_000 + number(40..44) - correction,
            _ => number(34..40) * 1_000_000_000 + number(40..44) + correction,
        }
    }

    fn answers(&self) -> &[u8] {
        &self.0[44..54]
    }
}

pub(crate) struct Slave<'a> {
    pub(crate) port: &'a mut Port<Started>,
    queues: &'a mut Queues,
    pool: MbufPool,
    /// No frame has come since the last stamp was taken: the next Sync finds room for its own.
    has_room: bool,
    requests: u8,
}

impl<'a> Slave<'a> {
    pub(crate) fn new(port: &'a mut Port<Started>, queues: &'a mut Queues, pool: MbufPool) -> Self {
        Slave { port, queues, pool, has_room: false, requests: 0 }
    }

    /// An exchange from its beginning; one that something comes in between of is left.
    pub(crate) fn exchange(&mut self) -> Exchange {
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < PATIENCE, "no exchange");
            if let Some(exchange) = self.try_exchange() {
                return exchange;
            }
        }
    }

    fn try_exchange(&mut self) -> Option<Exchange> {
        let (sync, sync_came) = self.next_sync()?;
        let follow_up = self.next_of(FOLLOW_UP)?;
        if follow_up.sequence() != sync.sequence() {
            return None;
        }
        let request_sent = self.ask();
        let response = self.next_of(DELAY_RESPONSE)?;
        let is_ours = response.answers() == OURS && response.sequence() == [0, self.requests];
        is_ours.then(|| Exchange {
            sync_sent: follow_up.time(),
            sync_came,
            request_sent,
            request_came: response.time(),
        })
    }

    /// A Sync, and when it came. The card keeps one stamp, and says not whose: it is that of the first Sync which came
    /// when there was room for it.
    fn next_sync(&mut self) -> Option<(Message, i128)> {
        let sync = self.received().into_iter().find(|message| message.kind() == SYNC);
        let had_room = std::mem::replace(&mut self.has_room, sync.is_none());
        let stamp = self.port.rx_stamp().unwrap();
        Some((sync.filter(|_| had_room)?, nanoseconds(stamp?)))
    }

    /// The next message if it is of this type; none if it is a Sync, which has another stamp.
    fn next_of(&mut self, kind: u8) -> Option<Message> {
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < PATIENCE, "no message {kind}");
            let mut messages = self.received();
            if messages.iter().any(|message| message.kind() == SYNC) {
                self.has_room = false;
                return None;
            }
            if let Some(at) = messages.iter().position(|message| message.kind() == kind) {
                return Some(messages.swap_remove(at));
            }
        }
    }

    fn received(&mut self) -> Vec<Message> {
        let mut burst = Burst::with_limit(32);
        self.queues.rx[0].receive(&mut burst);
        let frames = burst.iter().map(|packet| packet.data());
        let ptp = frames.filter(|frame| frame.len() >= 14 + 44 && frame[12..14] == [0x88, 0xF7]);
        ptp.map(|frame| Message(frame[14..].to_vec())).collect()
    }

    /// Asks for the delay; says when that went out.
    fn ask(&mut self) -> i128 {
        self.requests += 1;
        let mut frame = vec![1, 0x1B, 0x19, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0x88, 0xF7];
        frame.extend([DELAY_REQUEST, 2, 0, 44]);
        frame.resize(14 + 44, 0);
        frame[34..44].copy_from_slice(&OURS);
        frame[44..48].copy_from_slice(&[0, self.requests, 1, 0x7F]);
        let mut packet = self.pool.alloc().unwrap();
        packet.append(frame.len()).unwrap().copy_from_slice(&frame);
        packet.stamp();
        let mut burst = Burst::new();
        burst.push(packet).unwrap();
        assert_eq!(self.queues.tx[0].send(&mut burst), 1);
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < PATIENCE, "no stamp of what was sent");
            if let Some(stamp) = self.port.tx_stamp().unwrap() {
                return nanoseconds(stamp);
            }
        }
    }
}

fn nanoseconds(time: Duration) -> i128 {
    time.as_nanos() as i128
}
