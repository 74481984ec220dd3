//! Frames that DPDK or the kernel leaves undone, on a wire that takes none: large ones cut, sums right, say tshark and
//! the kernel at the far end. DPDK's testpmd is on the other side of our virtio ports.

use crate::capture::{packets, write};
use crate::{Outcome, PATIENCE, PROGRAM, forwarder, stop};
use linecard_testbed::netns::{Netns, Veth};
use linecard_testbed::programs::capture::{Capture, tshark_complaints, tshark_fields};
use linecard_testbed::programs::{Program, ProgramError, Running, ping};
use linecard_testbed::{Need, needs};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Bytes of TCP in a large frame, and in each that it is cut into.
const LARGE: usize = 7000;
const SEGMENT: usize = 1000;
/// Bytes of UDP in a frame that wants its checksum only.
const SMALL: usize = 500;
const TCP: u8 = 6;
const UDP: u8 = 17;

fn can() -> bool {
    let tools = ["ip", "ping", "ethtool", "tcpdump", "tshark", "dpdk-testpmd"].map(Need::Tool);
    needs(&[&[Need::Root, Need::HugePages(100)][..], &tools].concat())
}

/// An Ethernet frame whose sums are not filled in.
fn undone(ipv6: bool, protocol: u8, payload: usize) -> Vec<u8> {
    let len = payload + if protocol == TCP { 20 } else { 8 };
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    if ipv6 {
        frame.extend([0x86, 0xDD, 0x60, 0, 0, 0]);
        frame.extend((len as u16).to_be_bytes());
        frame.extend([protocol, 64]);
        for end in [1, 2] {
            frame.extend([0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
        }
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + len as u16).to_be_bytes());
        frame.extend([0, 1, 0x40, 0, 64, protocol, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2]);
    }
    frame.extend([0x03, 0xE8, 0x07, 0xD0]);
    if protocol == TCP {
        // Sequence number 1, acknowledgement 1, ACK and PSH.
        frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0x10, 0, 0xDE, 0xAD, 0, 0]);
    } else {
        frame.extend((len as u16).to_be_bytes());
        frame.extend([0xDE, 0xAD]);
    }
    frame.extend(bytes(payload));
    frame
}

fn bytes(n: usize) -> impl Iterator<Item = u8> {
    (0..n).map(|at| (at * 7 + at / 251) as u8)
}

/// A testpmd with these devices.
fn testpmd(eal: &str, devices: [&str; 2], app: &str) -> Result<Running, ProgramError> {
    let words = format!("--no-pci --no-telemetry --lcores 0@(0-1),1@(0-1) {eal}");
    let devices = devices.into_iter().flat_map(|device| ["--vdev", device]);
    let program = Program::new("dpdk-testpmd").words(&words).args(devices).args(["--"]);
    let mut running = program.words("--interactive").words(app).spawn()?;
    running.wait_for("testpmd>", PATIENCE)?;
    Ok(running)
}

/// One that sends what is in a capture over a virtio-user device, and leaves to it to cut and sum.
fn sender(capture: &Path, socket: &Path, packed: u8) -> Result<Running, ProgramError> {
    let source = format!("net_pcap0,rx_pcap={},tx_pcap=/dev/null", capture.display());
    let device = format!("net_virtio_user0,path={},queues=1,packed_vq={packed}", socket.display());
    let app = "--no-flush-rx --total-num-mbufs=2048 --mbuf-size=10240 --max-pkt-len=9200";
    let eal = "--in-memory --single-file-segments -m 160";
    let mut running = testpmd(eal, [&source, &device], app)?;
    let lines = "port stop 1|csum set ip sw 1|csum set tcp hw 1|csum set udp hw 1|\
                 tso set 1000 1|set fwd csum|port start 1";
    for line in lines.split('|') {
        running.send_line(line)?;
    }
    running.wait_for("testpmd> port start 1", PATIENCE)?;
    running.send_line("start")?;
    Ok(running)
}

/// Namespaces with a plain cable between them: our AF_PACKET port is on its second end.
struct Wire {
    far: Netns,
    home: Netns,
    cable: Veth,
}

impl Wire {
    fn lay() -> Result<Self, ProgramError> {
        let (far, home) = (Netns::new("far")?, Netns::new("home")?);
        let cable = Veth::between(&far, &home)?;
        far.plain(cable.first())?;
        home.plain(cable.second())?;
        Ok(Wire { far, home, cable })
    }

    fn capture(&self, filter: &str, file: &Path) -> Result<Capture, ProgramError> {
        Capture::start(&self.far, self.cable.first(), filter, file)
    }

    fn forwarder(&self, ports: &str) -> Result<Running, ProgramError> {
        let last = format!("--port af-packet:iface={}", self.cable.second());
        let words = format!("--offloads pass {ports} {last}");
        forwarder(self.home.program(PROGRAM), &words)
    }

    fn arrived(&self) -> Result<u64, ProgramError> {
        Ok(self.far.counters(self.cable.first())?.rx_packets)
    }

    fn await_arrival(&self, of: u64) -> Outcome {
        let start = Instant::now();
        while self.arrived()? < of {
            assert!(start.elapsed() < PATIENCE, "{} of {of} frames", self.arrived()?);
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// What came out is the payload in segments, each summed right, and the datagram, too.
fn assert_cut_and_summed(file: &Path, ipv6: bool) -> Outcome {
    let ip = if ipv6 { "ipv6" } else { "ip" };
    let fields =
        ["tcp.len", "tcp.seq_raw", "tcp.checksum.status", "ip.checksum.status", "tcp.payload"];
    let rows = tshark_fields(file, &format!("tcp && {ip}"), &fields)?;
    assert_eq!(rows.len(), LARGE / SEGMENT, "{rows:?}");
    let mut payload = String::new();
    for (i, row) in rows.iter().enumerate() {
        let expected = [SEGMENT.to_string(), (1 + i * SEGMENT).to_string(), "1".into()];
        assert_eq!(row[..3], expected, "segment {i}");
        assert_eq!(row[3], if ipv6 { "" } else { "1" }, "the checksum of IPv4");
        payload.push_str(&row[4]);
    }
    let hex = |n| bytes(n).map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(payload == hex(LARGE), "the payload is another");
    let rows = tshark_fields(file, &format!("udp && {ip}"), &["udp.checksum.status", "data.data"])?;
    assert_eq!(rows, [["1".to_owned(), hex(SMALL)]], "the datagram");
    Ok(())
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn what_a_virtio_user_of_testpmd_leaves_undone_is_done_on_the_wire() -> Outcome {
    if !can() {
        return Ok(());
    }
    let frames = [(false, TCP, LARGE), (true, TCP, LARGE), (false, UDP, SMALL), (true, UDP, SMALL)];
    for packed in [0, 1] {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let undone = frames.map(|(ipv6, protocol, payload)| undone(ipv6, protocol, payload));
        write(&at("undone.pcap"), &packets(undone));
        let wire = Wire::lay()?;
        let capture = wire.capture("tcp or udp", &at("wire.pcap"))?;
        let before = wire.arrived()?;
        let running = wire.forwarder(&format!("--port vhost:path={}", at("socket").display()))?;
        let testpmd = sender(&at("undone.pcap"), &at("socket"), packed)?;
        wire.await_arrival(before + 2 * (LARGE / SEGMENT) as u64 + 2)?;
        let file = capture.stop()?.path;
        drop(testpmd);
        stop(running)?;
        assert_eq!(tshark_complaints(&file)?, Vec::<String>::new());
        for ipv6 in [false, true] {
            assert_cut_and_summed(&file, ipv6)?;
        }
    }
    Ok(())
}

/// Bytes per packet that a testpmd had received when it was asked for a port's counters first. It ends, as it keeps what
/// it prints until then.
fn average(mut testpmd: Running) -> Result<u64, ProgramError> {
    testpmd.send_line("quit")?;
    let said = testpmd.wait(PATIENCE)?.stdout;
    let number = |label: &str| {
        let (_, after) = said.split_once(label).expect("it counts");
        after.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).expect("a number")
    };
    Ok(number("RX-bytes:") / number("RX-packets:").max(1))
}

/// Waits until nothing more is written to a capture, which may be behind the wire.
fn await_quiet(file: &Path) {
    let len = || std::fs::metadata(file).map_or(0, |about| about.len());
    let mut before = None;
    while before != Some(len()) {
        before = Some(len());
        sleep(Duration::from_millis(300));
    }
}

/// Bytes from one namespace to the other by TCP.
fn transfer(from: &Netns, to: &Netns, address: &str, n: usize) -> Outcome {
    let listener = to.inside(|| TcpListener::bind((address, 7000)).expect("an address"))?;
    let all: Vec<u8> = bytes(n).collect();
    let mut came = Vec::new();
    std::thread::scope(|scope| {
        let received = scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
            stream.read_to_end(&mut came).expect("all of it");
        });
        let connect = || TcpStream::connect((address, 7000)).expect("a listener");
        let mut stream = from.inside(connect)?;
        stream.write_all(&all).expect("all of it");
        stream.shutdown(Shutdown::Write).expect("an end");
        received.join().expect("it received");
        Ok::<_, ProgramError>(())
    })?;
    assert!(came == all, "{} of {n} bytes came, or others", came.len());
    Ok(())
}

/// A TAP, our virtio-user, testpmd between two `net_vhost`, our virtio-user, an AF_PACKET port, a wire.
#[test]
#[ignore = "host level: cargo xtask test host"]
fn what_the_kernel_leaves_undone_passes_testpmd_uncut_and_is_done_on_the_wire() -> Outcome {
    if !can() {
        return Ok(());
    }
    const BYTES: usize = 3_000_000;
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let devices = [0, 1].map(|i| {
        let socket = at(&format!("socket{i}"));
        format!("net_vhost{i},iface={socket},queues=1,tso=1,legacy-ol-flags=1")
    });
    let eal = "--no-huge --no-shconf -m 512";
    let mut testpmd = testpmd(eal, [&devices[0], &devices[1]], "--total-num-mbufs=16384")?;
    testpmd.send_line("set fwd io")?;
    testpmd.send_line("start")?;
    testpmd.wait_for("testpmd> start", PATIENCE)?;
    let (near, wire) = (Netns::new("near")?, Wire::lay()?);
    let tap = format!("lcw{:x}", std::process::id());
    let port = |i| format!("--port virtio-user:path={}", at(&format!("socket{i}")));
    let running = wire.forwarder(&format!("--port tap:name={tap} {} {}", port(0), port(1)))?;
    wire.home.ip(&format!("link set {tap} netns {}", near.name())).run()?;
    near.address(&tap, "198.51.100.1/24")?;
    wire.far.address(wire.cable.first(), "198.51.100.2/24")?;
    let start = Instant::now();
    while ping(&near, "198.51.100.2", 1)?.received == 0 {
        assert!(start.elapsed() < PATIENCE, "no answer");
    }
    let file = folder.path().join("wire.pcap");
    let capture = wire.capture("tcp and dst 198.51.100.2", &file)?;
    transfer(&near, &wire.far, "198.51.100.2", BYTES)?;
    // Before acknowledgements of the other way make the frames fewer bytes.
    testpmd.send_line("show port stats 0")?;
    await_quiet(&file);
    let captured = capture.stop()?;
    transfer(&wire.far, &near, "198.51.100.1", BYTES)?;
    let average = average(testpmd)?;
    assert!(average > 3000, "{average} bytes a frame in testpmd: somebody has cut them");
    assert!(captured.packets as usize > BYTES / 1460, "{captured:?}");
    let rows = tshark_fields(&file, "tcp", &["tcp.len", "tcp.checksum.status"])?;
    for row in &rows {
        assert!(row[0].parse::<usize>().expect("a length") <= 1460 && row[1] == "1", "{row:?}");
    }
    stop(running)?;
    Ok(())
}
