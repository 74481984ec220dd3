//! virtio-user to vhost-user and back: a vhost port on CPU 0 and a virtio-user port on CPU 1, both
//! sending back 64-byte frames (60 and their checksum) in bursts of 32, over every kind of ring.
//!
//! The figure is what comes back at the virtio-user side: ours by our own count, testpmd's by what it
//! has forwarded when it is stopped. Besides ours to ours beside DPDK's to DPDK's there are the mixed
//! pairs: our driver before DPDK's device beside DPDK's driver before our device.

use super::dpdk::{self, Mode, Testpmd};
use super::pair::Program;
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

/// The last two of DPDK's are its vectorized paths; ours are what we have for such a ring.
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
    Variant {
        name: "packed in-order vectorized",
        ours: &["--packed", "--in-order"],
        peer: "packed_vq=1,mrg_rxbuf=0,in_order=1,vectorized=1",
    },
];

const START: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Who is beside whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sides {
    /// Both ends ours, beside both ends DPDK's.
    Same,
    /// Our driver and DPDK's device, beside DPDK's driver and our device.
    Mixed,
}

#[derive(Debug)]
struct Virtio {
    ours: Program,
    sides: Sides,
    seconds: f64,
    case: String,
    folder: PathBuf,
}

pub(super) fn contests(seconds: f64, case: &str) -> Result<Vec<Box<dyn Contest>>> {
    let cpus = thread::available_parallelism()?.get();
    ensure!(cpus >= 2, "this takes two CPUs, here is one");
    let make = |sides| -> Result<Box<dyn Contest>> {
        let ours = Program::ours("virtio_loop", &[])?;
        let name = format!("linecard-virtio-{}-{sides:?}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        Ok(Box::new(Virtio { ours, sides, seconds, case: case.to_owned(), folder }))
    };
    Ok(vec![make(Sides::Same)?, make(Sides::Mixed)?])
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

    fn our_program(&self, end: &str, more: &[&str]) -> Command {
        let mut command = Command::new(self.ours.path());
        command.arg(end).arg(self.socket()).args(more);
        command
    }

    fn our_device(&self) -> Result<Device> {
        let mut command = self.our_program("vhost", &["--cpu", "0"]);
        let mut child = Killed(command.stdout(Stdio::piped()).spawn()?);
        let stdout = child.0.stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "our vhost port did not start");
        Ok(Device::Ours { _child: child })
    }

    fn their_device(&self) -> Result<Device> {
        let device = format!("net_vhost0,iface={},queues=1", self.socket().display());
        let testpmd = Testpmd::start_with(Mode::Alone, &[], &eal("0@0,1@0"), &[device], OWN)?;
        Ok(Device::Dpdk { _testpmd: testpmd })
    }

    fn our_driver(&self, variant: &Variant) -> Result<f64> {
        let seconds = self.seconds.to_string();
        let mut command = self.our_program("virtio", &["--cpu", "1", "--seconds", &seconds]);
        let mut child = Killed(command.args(variant.ours).stdout(Stdio::piped()).spawn()?);
        let mut text = String::new();
        child.0.stdout.take().context("no standard output")?.read_to_string(&mut text)?;
        ensure!(child.0.wait()?.success(), "our virtio-user port failed");
        let value: serde_json::Value = serde_json::from_str(&text).context("our figure")?;
        value["mpps"].as_f64().context("our figure is no number")
    }

    fn their_driver(&self, variant: &Variant) -> Result<f64> {
        let socket = self.socket();
        let device =
            format!("net_virtio_user0,path={},queues=1,{}", socket.display(), variant.peer);
        let commands = self.folder.join("commands");
        fs::write(&commands, "set fwd io\nstart tx_first 32\n")?;
        let file = format!("--cmdline-file={}", commands.display());
        let own = [OWN, &[file.as_str()]].concat();
        let eal = eal("0@1,1@1");
        let testpmd = Testpmd::start_with(Mode::Alone, &[], &eal, &[device], &own)?;
        let start = Instant::now();
        thread::sleep(Duration::from_secs_f64(self.seconds));
        let elapsed = start.elapsed().as_secs_f64();
        let text = testpmd.finish()?;
        let count = text.rsplit("RX-packets:").next().and_then(|t| t.split_whitespace().next());
        let packets: f64 = count.context("no RX-packets in testpmd's output")?.parse()?;
        Ok(packets / elapsed / 1e6)
    }

    fn device(&self, ours: bool) -> Result<Device> {
        // Left behind by one that was killed.
        let _ = fs::remove_file(self.socket());
        let device = if ours { self.our_device()? } else { self.their_device()? };
        let end = Instant::now() + START;
        while !self.socket().exists() {
            ensure!(Instant::now() < end, "no socket within {START:?}");
            thread::sleep(POLL);
        }
        Ok(device)
    }

    fn sample(&self, part: &str, value: f64) -> Vec<Sample> {
        let how = match self.sides {
            Sides::Same => "",
            Sides::Mixed => ", our driver and DPDK's device beside the opposite",
        };
        let (case, unit) = (format!("{part} 64 B loop{how}"), "Mpps".to_owned());
        vec![Sample { case, unit, value }]
    }
}

/// What testpmd has of mbufs and bursts.
const OWN: &[&str] = &["--total-num-mbufs=8192", "--burst=32", "--rxd=256", "--txd=256"];

/// EAL's options: memory that another process can map, by as few descriptors as there may be.
fn eal(lcores: &str) -> [&str; 6] {
    ["--lcores", lcores, "--in-memory", "--single-file-segments", "-m", "64"]
}

fn variant(part: &str) -> Result<&'static Variant> {
    VARIANTS.iter().find(|variant| variant.name == part).context("an unknown kind of ring")
}

impl Contest for Virtio {
    fn peer_name(&self) -> String {
        format!("testpmd {}", dpdk::version())
    }

    fn parts(&self) -> Vec<String> {
        let names = VARIANTS.iter().map(|variant| variant.name.to_owned());
        names.filter(|name| name.contains(&self.case)).collect()
    }

    fn ours(&self, part: &str) -> Result<Vec<Sample>> {
        let _device = self.device(self.sides == Sides::Same)?;
        Ok(self.sample(part, self.our_driver(variant(part)?)?))
    }

    fn peer(&self, part: &str) -> Result<Vec<Sample>> {
        let _device = self.device(self.sides == Sides::Mixed)?;
        Ok(self.sample(part, self.their_driver(variant(part)?)?))
    }
}

impl Drop for Virtio {
    fn drop(&mut self) {
        // It is in nobody's way.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
