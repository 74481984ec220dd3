//! One end of a vhost-user socket, sending back what it receives in bursts of 32: `vhost PATH` makes
//! the socket, `virtio PATH` connects to it, sends the first packets (`--first` bursts), and after
//! `--seconds` prints how many came back a second. DPDK's twin is `dpdk-testpmd` with `net_vhost` and
//! `net_virtio_user`, both forwarding `io` (or `txonly` and `rxonly`, as `--way` says).
//!
//! `both PATH` has both ends in one thread, and sends `--first` bursts to and fro, one after the other, and says how
//! long that took: for counting instructions, by `callgrind` or by the clock of a guest that counts them.

#![expect(clippy::print_stdout, reason = "what it measures goes to standard output")]

use clap::{Parser, ValueEnum};
use linecard_benches::pin;
use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Driver, Port, PortConfig, Queues, RxOffloads};
use linecard_pmd_vhost::{VhostOptions, VhostPort};
use linecard_pmd_virtio::{Choice, RingOptions, UserOptions, VirtioPort};
use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Packets of a burst, as testpmd has it.
const BURST: usize = 32;

#[derive(Parser, Debug)]
struct Arguments {
    /// Which end
    #[arg(value_enum)]
    end: End,
    /// The socket
    path: PathBuf,
    /// The CPU to be on
    #[arg(long, default_value_t = 0)]
    cpu: usize,
    /// Seconds to measure, after a tenth of them to warm up
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Bursts of 32 that are sent first
    #[arg(long, default_value_t = 32)]
    first: usize,
    /// Bytes of a frame
    #[arg(long, default_value_t = 60)]
    frame: usize,
    /// Packed rings
    #[arg(long)]
    packed: bool,
    /// Frames over several buffers
    #[arg(long)]
    mergeable: bool,
    /// Buffers used in order
    #[arg(long)]
    in_order: bool,
    /// Read a byte of every frame, as a program that looks at headers does
    #[arg(long)]
    touch: bool,
    /// Only send, or only receive
    #[arg(long, value_enum, default_value = "loop")]
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum End {
    Vhost,
    Virtio,
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    Loop,
    Send,
    Receive,
}

fn choice(on: bool) -> Choice {
    if on { Choice::On } else { Choice::Off }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    pin(arguments.cpu);
    let pool = MbufPool::builder("loop").size(8191).build()?;
    match arguments.end {
        End::Vhost => {
            run(&arguments, &pool, VhostPort::open(VhostOptions::new("vhost", &arguments.path))?)
        }
        End::Virtio => run(&arguments, &pool, driver(&arguments)?),
        End::Both => both(&arguments, &pool),
    }
}

fn driver(arguments: &Arguments) -> Result<VirtioPort, Box<dyn Error>> {
    let rings = RingOptions {
        packed: choice(arguments.packed),
        mergeable: choice(arguments.mergeable),
        in_order: choice(arguments.in_order),
        ..RingOptions::default()
    };
    Ok(VirtioPort::user(UserOptions::new("virtio", &arguments.path).rings(rings))?)
}

/// Sends bursts through both ends, in one thread; says how many packets came back.
fn both(arguments: &Arguments, pool: &MbufPool) -> Result<(), Box<dyn Error>> {
    let config = || PortConfig::new(pool).rx_descriptors(256).tx_descriptors(256);
    let scattered = config().rx_offloads(RxOffloads::SCATTER);
    let device = VhostPort::open(VhostOptions::new("vhost", &arguments.path))?;
    let (_device, mut far) = Port::open(device).configure(scattered.clone())?.start()?;
    let config = if arguments.mergeable { scattered } else { config() };
    let (_port, mut near) = Port::open(driver(arguments)?).configure(config)?.start()?;
    let mut burst = Burst::with_limit(BURST);
    // Until the device has found the rings, nothing comes.
    let end = Instant::now() + Duration::from_secs(60);
    while far.rx[0].receive(&mut burst) == 0 && Instant::now() < end {
        near.tx[0].send(&mut frames(arguments, pool)?);
    }
    let (mut packets, start) = (0, Instant::now());
    for _ in 0..arguments.first {
        near.tx[0].send(&mut burst);
        burst.clear();
        far.rx[0].receive(&mut burst);
        far.tx[0].send(&mut burst);
        burst.clear();
        packets += near.rx[0].receive(&mut burst);
    }
    let took = start.elapsed().as_nanos();
    let path = near.rx[0].path().name;
    println!("{{\"packets\":{packets},\"nanoseconds\":{took},\"path\":\"{path}\"}}");
    Ok(())
}

fn run(
    arguments: &Arguments,
    pool: &MbufPool,
    driver: impl Driver + 'static,
) -> Result<(), Box<dyn Error>> {
    let mut config = PortConfig::new(pool).rx_descriptors(256).tx_descriptors(256);
    if arguments.mergeable || arguments.end == End::Vhost {
        config = config.rx_offloads(RxOffloads::SCATTER);
    }
    let (_port, mut queues) = Port::open(driver).configure(config)?.start()?;
    if arguments.end == End::Vhost {
        println!("ready");
        // Until it is killed.
        forward(arguments, pool, &mut queues, Duration::from_secs(3600));
        return Ok(());
    }
    send_first(arguments, pool, &mut queues)?;
    forward(arguments, pool, &mut queues, Duration::from_secs_f64(arguments.seconds / 10.0));
    let start = Instant::now();
    let time = Duration::from_secs_f64(arguments.seconds);
    let packets = forward(arguments, pool, &mut queues, time);
    let mpps = packets as f64 / start.elapsed().as_secs_f64() / 1e6;
    println!("{{\"mpps\":{mpps},\"path\":\"{}\"}}", queues.rx[0].path().name);
    Ok(())
}

fn send_first(
    arguments: &Arguments,
    pool: &MbufPool,
    queues: &mut Queues,
) -> Result<(), Box<dyn Error>> {
    let bursts = if arguments.way == Way::Loop { arguments.first } else { 0 };
    for _ in 0..bursts {
        let mut burst = frames(arguments, pool)?;
        let end = Instant::now() + Duration::from_secs(1);
        while !burst.is_empty() && Instant::now() < end {
            queues.tx[0].send(&mut burst);
        }
    }
    Ok(())
}

fn frames(arguments: &Arguments, pool: &MbufPool) -> Result<Burst, Box<dyn Error>> {
    let mut burst = Burst::with_limit(BURST);
    while !burst.is_full() {
        let mut packet = pool.alloc().ok_or("the pool is empty")?;
        packet.append(arguments.frame)?.fill(0);
        let _ = burst.push(packet);
    }
    Ok(burst)
}

/// Forwards for so long; says how many packets were received (or, if only sending, sent).
fn forward(arguments: &Arguments, pool: &MbufPool, queues: &mut Queues, time: Duration) -> u64 {
    let (rx, tx) = (&mut queues.rx[0], &mut queues.tx[0]);
    let end = Instant::now() + time;
    let (mut packets, mut burst) = (0, Burst::with_limit(BURST));
    while Instant::now() < end {
        for _ in 0..1024 {
            match arguments.way {
                Way::Loop => {
                    packets += rx.receive(&mut burst) as u64;
                    if arguments.touch {
                        for packet in burst.iter() {
                            black_box(packet.data()[0]);
                        }
                    }
                    if !burst.is_empty() {
                        tx.send(&mut burst);
                    }
                    burst.clear();
                }
                Way::Receive => {
                    packets += rx.receive(&mut burst) as u64;
                    burst.clear();
                }
                Way::Send => {
                    if let Ok(mut burst) = frames(arguments, pool) {
                        packets += tx.send(&mut burst) as u64;
                    }
                }
            }
        }
    }
    packets
}
