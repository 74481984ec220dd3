//! virtio-user to vhost-user and back: a vhost port on CPU 0 and a virtio-user port on CPU 1, in bursts
//! of 32, over every kind of ring: both sending back what they receive, or one sending and the other
//! receiving, frames of 64 and of 1500 bytes.
//!
//! The figure is taken at the virtio-user side: ours by our own count, testpmd's by what it has forwarded
//! when it is stopped. DPDK's to DPDK's is the peer of all three pairs that have an end of ours.

use super::dpdk::{self, Mode, Testpmd};
use super::pair::Program;
use super::report::{Bar, Row};
use super::{Contest, Sample};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A kind of ring, as each side is told of it.
struct Variant {
    name: &'static str,
    ours: &'static [&'static str],
    peer: &'static str,
}

/// Some are DPDK's vectorized paths; ours are what we have for such a ring.
const VARIANTS: &[Variant] = &[
    Variant { name: "split mergeable", ours: &["--mergeable"], peer: "mrg_rxbuf=1,in_order=0" },
    Variant { name: "split", ours: &[], peer: "mrg_rxbuf=0,in_order=0" },
    Variant { name: "split vectorized", ours: &[], peer: "mrg_rxbuf=0,in_order=0,vectorized=1" },
    Variant { name: "split in-order", ours: &["--in-order"], peer: "mrg_rxbuf=0,in_order=1" },
    Variant {
        name: "split mergeable in-order",
        ours: &["--in-order", "--mergeable"],
        peer: "mrg_rxbuf=1,in_order=1",
    },
    Variant {
        name: "packed mergeable",
        ours: &["--packed", "--mergeable"],
        peer: "packed_vq=1,mrg_rxbuf=1,in_order=0",
    },
    Variant { name: "packed", ours: &["--packed"], peer: "packed_vq=1,mrg_rxbuf=0,in_order=0" },
    Variant {
        name: "packed mergeable in-order",
        ours: &["--packed", "--in-order", "--mergeable"],
        peer: "packed_vq=1,mrg_rxbuf=1,in_order=1",
    },
    Variant {
        name: "packed in-order",
        ours: &["--packed", "--in-order"],
        peer: "packed_vq=1,mrg_rxbuf=0,in_order=1",
    },
    Variant {
        name: "packed in-order vectorized",
        ours: &["--packed", "--in-order"],
        peer: "packed_vq=1,mrg_rxbuf=0,in_order=1,vectorized=1",
    },
];

const START: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// What is sent which way.
#[derive(Debug, Clone, Copy)]
struct Load {
    name: &'static str,
    frame: u32,
    /// What the driver's end does and the device's, as ours is told and as testpmd is.
    driver: (&'static str, &'static str),
    device: (&'static str, &'static str),
    /// What testpmd counts at the driver's end.
    counter: &'static str,
    /// Over every kind of ring, or over those in [`FEW`].
    everywhere: bool,
}

const LOOP: (&str, &str) = ("loop", "io");
const SEND: (&str, &str) = ("send", "txonly");
const RECEIVE: (&str, &str) = ("receive", "rxonly");

/// A load of this name.
const fn load(name: &'static str, frame: u32, ways: [(&'static str, &'static str); 2]) -> Load {
    let [driver, device] = ways;
    Load { name, frame, driver, device, counter: "RX-packets:", everywhere: false }
}

const LOADS: &[Load] = &[
    Load { everywhere: true, ..load("64 B loop", 64, [LOOP, LOOP]) },
    load("1500 B loop", 1500, [LOOP, LOOP]),
    Load { counter: "TX-packets:", ..load("64 B transmit only", 64, [SEND, RECEIVE]) },
    load("64 B receive only", 64, [RECEIVE, SEND]),
];

/// The rings for loads that are not for all.
const FEW: &[&str] = &["split mergeable", "packed in-order vectorized"];

/// Whose an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Ours,
    Dpdk,
}

/// A driver and a device that are compared with DPDK's two, and how their case is called.
const PAIRS: &[(Whose, Whose, &str)] = &[
    (Whose::Ours, Whose::Ours, ""),
    (Whose::Ours, Whose::Dpdk, ", our driver alone"),
    (Whose::Dpdk, Whose::Ours, ", our device alone"),
];

#[derive(Debug)]
struct Virtio {
    ours: Program,
    seconds: f64,
    case: String,
    folder: PathBuf,
}

pub(super) fn contests(seconds: f64, case: &str) -> Result<Vec<Box<dyn Contest>>> {
    let cpus = thread::available_parallelism()?.get();
    ensure!(cpus >= 2, "this takes two CPUs, here is one");
    let ours = Program::ours("virtio_loop", &[])?;
    let folder = std::env::temp_dir().join(format!("linecard-virtio-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    Ok(vec![Box::new(Virtio { ours, seconds, case: case.to_owned(), folder })])
}

/// A child that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The device's end, whoever's it is.
enum Device {
    Ours { _child: Killed },
    Dpdk { _testpmd: Testpmd },
}

impl Virtio {
    fn socket(&self) -> PathBuf {
        self.folder.join("vhost.sock")
    }

    /// Our program as one end, on a CPU.
    fn our_program(&self, end: &str, cpu: &str, load: &Load, way: &str) -> Command {
        let mut command = Command::new(self.ours.path());
        command.arg(end).arg(self.socket()).args(["--cpu", cpu, "--way", way]);
        command.args(["--frame", &load.frame.to_string()]);
        command
    }

    fn our_device(&self, load: &Load) -> Result<Device> {
        let mut command = self.our_program("vhost", "0", load, load.device.0);
        let mut child = Killed(command.stdout(Stdio::piped()).spawn()?);
        let stdout = child.0.stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "our vhost port did not start");
        Ok(Device::Ours { _child: child })
    }

    fn their_device(&self, load: &Load) -> Result<Device> {
        let device = format!("net_vhost0,iface={},queues=1", self.socket().display());
        let more =
            [format!("--txpkts={}", load.frame), format!("--forward-mode={}", load.device.1)];
        let own: Vec<&str> = OWN.iter().copied().chain(more.iter().map(String::as_str)).collect();
        let testpmd = Testpmd::start_with(Mode::Alone, &[], &eal("0@0,1@0"), &[device], &own)?;
        Ok(Device::Dpdk { _testpmd: testpmd })
    }

    fn our_driver(&self, variant: &Variant, load: &Load) -> Result<f64> {
        let mut command = self.our_program("virtio", "1", load, load.driver.0);
        command.args(["--seconds", &self.seconds.to_string()]).args(variant.ours);
        let mut child = Killed(command.stdout(Stdio::piped()).spawn()?);
        let mut text = String::new();
        child.0.stdout.take().context("no standard output")?.read_to_string(&mut text)?;
        ensure!(child.0.wait()?.success(), "our virtio-user port failed");
        let value: serde_json::Value = serde_json::from_str(&text).context("our figure")?;
        value["mpps"].as_f64().context("our figure is no number")
    }

    fn their_driver(&self, variant: &Variant, load: &Load) -> Result<f64> {
        let socket = self.socket();
        let device =
            format!("net_virtio_user0,path={},queues=1,{}", socket.display(), variant.peer);
        let commands = self.folder.join("commands");
        let start = if load.driver == LOOP { "start tx_first 32" } else { "start" };
        fs::write(&commands, format!("set fwd {}\n{start}\n", load.driver.1))?;
        let more =
            [format!("--cmdline-file={}", commands.display()), format!("--txpkts={}", load.frame)];
        let own: Vec<&str> = OWN.iter().copied().chain(more.iter().map(String::as_str)).collect();
        let eal = eal("0@1,1@1");
        let testpmd = Testpmd::start_with(Mode::Alone, &[], &eal, &[device], &own)?;
        let start = Instant::now();
        thread::sleep(Duration::from_secs_f64(self.seconds));
        let elapsed = start.elapsed().as_secs_f64();
        let text = testpmd.finish()?;
        let count = text.rsplit(load.counter).next().and_then(|t| t.split_whitespace().next());
        let packets: f64 = count.context("no count in testpmd's output")?.parse()?;
        Ok(packets / elapsed / 1e6)
    }

    fn device(&self, whose: Whose, load: &Load) -> Result<Device> {
        // Left behind by one that was killed.
        let _ = fs::remove_file(self.socket());
        let device = match whose {
            Whose::Ours => self.our_device(load)?,
            Whose::Dpdk => self.their_device(load)?,
        };
        let end = Instant::now() + START;
        while !self.socket().exists() {
            ensure!(Instant::now() < end, "no socket within {START:?}");
            thread::sleep(POLL);
        }
        Ok(device)
    }

    /// How many packets a second a pair has, in millions.
    fn rate(&self, driver: Whose, device: Whose, part: &str) -> Result<f64> {
        let (variant, load) = parts_of(part)?;
        let _device = self.device(device, load)?;
        match driver {
            Whose::Ours => self.our_driver(variant, load),
            Whose::Dpdk => self.their_driver(variant, load),
        }
        .with_context(|| format!("{driver:?} to {device:?}, {part}"))
    }
}

fn sample(part: &str, pair: &str, value: f64) -> Sample {
    Sample { case: format!("{part}{pair}"), unit: "Mpps".to_owned(), value }
}

/// What testpmd has of mbufs and bursts.
const OWN: &[&str] = &["--total-num-mbufs=8192", "--burst=32", "--rxd=256", "--txd=256"];

/// EAL's options: memory that another process can map, by as few descriptors as there may be.
fn eal(lcores: &str) -> [&str; 6] {
    ["--lcores", lcores, "--in-memory", "--single-file-segments", "-m", "64"]
}

/// Every ring with every load that is for it, by name.
fn every_part() -> impl Iterator<Item = (String, &'static Variant, &'static Load)> {
    LOADS.iter().flat_map(|load| {
        let for_it = move |v: &&Variant| load.everywhere || FEW.contains(&v.name);
        let named = move |v: &'static Variant| (format!("{} {}", v.name, load.name), v, load);
        VARIANTS.iter().filter(for_it).map(named)
    })
}

fn parts_of(part: &str) -> Result<(&'static Variant, &'static Load)> {
    let found = every_part().find(|(name, ..)| name == part);
    found.map(|(_, variant, load)| (variant, load)).context("an unknown kind of ring")
}

impl Contest for Virtio {
    fn peer_name(&self) -> String {
        format!("testpmd {}", dpdk::version())
    }

    fn parts(&self) -> Vec<String> {
        every_part().map(|(name, ..)| name).filter(|name| name.contains(&self.case)).collect()
    }

    fn ours(&self, part: &str) -> Result<Vec<Sample>> {
        let one = |(driver, device, name): &(Whose, Whose, &str)| {
            Ok(sample(part, name, self.rate(*driver, *device, part)?))
        };
        PAIRS.iter().map(one).collect()
    }

    fn peer(&self, part: &str) -> Result<Vec<Sample>> {
        let rate = self.rate(Whose::Dpdk, Whose::Dpdk, part)?;
        Ok(PAIRS.iter().map(|(_, _, name)| sample(part, name, rate)).collect())
    }

    /// Our best ring beside DPDK's best.
    fn summary(&self, rows: &[Row]) -> Option<Row> {
        let load = LOADS.iter().find(|load| load.everywhere)?;
        let of_load = || rows.iter().filter(|row| row.case.ends_with(load.name));
        let best =
            |figures: fn(&Row) -> Option<f64>| of_load().filter_map(figures).reduce(f64::max);
        let figures = [best(|row| row.ours), best(|row| row.peer)];
        let case = format!("best ring {}", load.name);
        figures[0]?;
        let bar = Bar::AtLeast(1.2);
        Some(Row::new("virtio", &self.peer_name(), &case, "Mpps", bar, figures))
    }
}

impl Drop for Virtio {
    fn drop(&mut self) {
        // It is in nobody's way.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ring_loops_and_some_have_every_load() {
        let names: Vec<String> = every_part().map(|(name, ..)| name).collect();
        assert_eq!(names.len(), VARIANTS.len() + FEW.len() * (LOADS.len() - 1));
        for name in FEW {
            let all =
                names.iter().filter(|part| parts_of(part).is_ok_and(|(v, _)| v.name == *name));
            assert_eq!(all.count(), LOADS.len(), "{name}");
        }
        assert!(parts_of("a ring that there is not").is_err());
    }
}
