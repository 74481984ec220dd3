//! What a meter's colours cost: the twin of `benches/dpdk/meter_perf.c`, which has the method.
#![expect(clippy::print_stderr, reason = "remarks are for who runs it, rows for who reads it")]

use clap::Parser;
use linecard_benches::routes::Draw;
use linecard_benches::{Options, cycles, pin, row, tsc_hz};
use linecard_flow_classify::meter::{Bucket, Color, Meter, Profile, SrTcm, TrTcm, TrTcm4115};

const UNIT: &str = "cycles/packet";
const METERS: u64 = 4096;
const PACKETS: usize = 1 << 16;
const BURST: usize = 32;
const RATE: u64 = 50_000_000;
const SIZE: u64 = 4096;

struct Packet {
    meter: u32,
    bytes: u32,
    color: Color,
}

fn packets() -> Vec<Packet> {
    let colors = [Color::Green, Color::Green, Color::Yellow, Color::Red];
    let mut draw = Draw::new(5);
    let mut packet = || Packet {
        meter: (draw.next() % METERS) as u32,
        bytes: 64 + (draw.next() % 1455) as u32,
        color: colors[(draw.next() % 4) as usize],
    };
    (0..PACKETS).map(|_| packet()).collect()
}

fn main() {
    let options = Options::parse();
    pin(0);
    let hz = tsc_hz() as u64;
    let (slow, fast) = (Bucket { rate: RATE, burst: SIZE }, Bucket { rate: 2 * RATE, burst: SIZE });
    let packets = packets();
    let single = SrTcm::new(slow, SIZE, hz).expect("a profile");
    profile(&options, "srTCM", &single, &packets);
    profile(&options, "trTCM", &TrTcm::new(slow, fast, hz).expect("a profile"), &packets);
    let both = TrTcm4115::new(slow, slow, hz).expect("a profile");
    profile(&options, "trTCM 4115", &both, &packets);
}

fn profile(options: &Options, name: &str, profile: &impl Profile, packets: &[Packet]) {
    let blind = |meter: &mut Meter, now, it: &Packet| meter.color(profile, now, it.bytes);
    case(options, &format!("meter {name} blind"), profile, packets, blind);
    let aware =
        |meter: &mut Meter, now, it: &Packet| meter.remark(profile, now, it.bytes, it.color);
    case(options, &format!("meter {name} aware"), profile, packets, aware);
}

fn case(
    options: &Options,
    name: &str,
    profile: &impl Profile,
    packets: &[Packet],
    color: impl Fn(&mut Meter, u64, &Packet) -> Color,
) {
    if !options.wants(name) {
        return;
    }
    let mut meters = vec![Meter::full(profile, cycles()); METERS as usize];
    let mut colors = vec![Color::Green; PACKETS];
    let mut turn = || {
        let start = cycles();
        for (packets, colors) in packets.chunks(BURST).zip(colors.chunks_mut(BURST)) {
            let now = cycles();
            for (packet, to) in packets.iter().zip(colors) {
                *to = color(&mut meters[packet.meter as usize], now, packet);
            }
        }
        cycles() - start
    };
    turn();
    let (budget, mut spent, mut times) = (options.cycles(0.2), 0, 0);
    while times == 0 || spent < budget {
        spent += turn();
        times += 1;
    }
    let seen = |color| colors.iter().filter(|it| **it == color).count();
    let [green, yellow, red] = [Color::Green, Color::Yellow, Color::Red].map(seen);
    eprintln!("{name}: green {green}, yellow {yellow}, red {red}");
    row(name, UNIT, spent as f64 / (times * PACKETS) as f64);
}
