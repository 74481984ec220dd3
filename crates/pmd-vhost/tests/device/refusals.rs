//! Paths that cannot be listened at, and front-ends that are not what they should be: an error that says
//! what is wrong, or a connection that ends, and nothing left behind.

use crate::guest::{Guest, Manner, PATIENCE, connect};
use crate::traffic::{LONG, Pair};
use linecard_mbuf::MbufPool;
use linecard_pmd_core::{Error, Port, PortConfig, Queues, Started};
use linecard_pmd_vhost::{Mode, VhostOptions, VhostPort};
use linecard_virtqueue::Features;
use linecard_virtqueue::vhost_user::Request;
use linecard_virtqueue::vhost_user::message::{VRING_NO_FD, VringState};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use tempfile::TempDir;

fn opened(path: &Path) -> Result<VhostPort, Error> {
    VhostPort::open(VhostOptions::new("vhost0", path))
}

fn refusal(path: &Path) -> String {
    opened(path).expect_err("it cannot be").to_string()
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("they are listed").count()
}

#[test]
fn a_path_that_is_taken_or_cannot_be_is_a_clear_error() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    std::fs::write(&path, "a file").expect("written");
    let error = refusal(&path);
    assert!(error.contains("no socket: give another path"), "{error}");
    assert_eq!(std::fs::read(&path).expect("it is left alone"), b"a file");
    std::fs::remove_file(&path).expect("removed");
    let theirs = UnixListener::bind(&path).expect("a socket");
    let error = refusal(&path);
    assert!(error.contains("another process listens there"), "{error}");
    // One that is left over is replaced.
    drop(theirs);
    drop(opened(&path).expect("nobody has it"));
    assert!(!path.exists());
    let error = refusal(&dir.path().join("no/such/folder"));
    assert!(error.contains("make the folder first"), "{error}");
    let error = refusal(&dir.path().join("x".repeat(120)));
    assert!(error.contains("107 bytes"), "{error}");
    for queues in [0, 65] {
        let options = VhostOptions::new("vhost0", &path).queues(queues);
        let error = VhostPort::open(options).expect_err("too few or many").to_string();
        assert!(error.contains("queue pairs") && error.contains("64"), "{error}");
    }
    assert!(!path.exists());
}

#[test]
fn a_socket_of_another_kind_is_left_to_its_owner() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    let theirs = UnixDatagram::bind(&path).expect("a socket");
    let error = refusal(&path);
    assert!(error.contains("in use"), "{error}");
    let ours = UnixDatagram::unbound().expect("a socket");
    ours.send_to(b"still there", &path).expect("somebody reads it");
    drop(theirs);
}

/// Somebody who listens and takes nobody, with one who waits for it already.
fn busy(path: &Path) -> (UnixListener, UnixStream) {
    let listener = UnixListener::bind(path).expect("a socket");
    // SAFETY: `listen` takes no pointers. One may wait, and nobody else.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    (listener, UnixStream::connect(path).expect("one may wait"))
}

#[test]
fn a_client_whose_front_end_takes_nobody_ends_when_it_is_told_to() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    let _busy = busy(&path);
    assert!(refusal(&path).contains("in use"), "and it is not waited for");
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let options = VhostOptions::new("vhost0", path).mode(Mode::Client);
        let pool = MbufPool::builder("p").size(255).cache(0).build().expect("a pool");
        let port = Port::open(VhostPort::open(options).expect("it opens"));
        let port = port.configure(PortConfig::new(&pool)).expect("it can");
        drop(port.start().expect("it starts"));
        ended.send(()).expect("somebody waits");
    });
    end.recv_timeout(PATIENCE).expect("it ends");
}

#[test]
fn a_client_whose_front_end_never_comes_ends_at_once_when_it_is_told_to() {
    let dir = TempDir::new().expect("a folder");
    let options = VhostOptions::new("vhost0", dir.path().join("s")).mode(Mode::Client);
    let pool = MbufPool::builder("p").size(255).cache(0).build().expect("a pool");
    let port = Port::open(VhostPort::open(options).expect("it opens"));
    let (mut port, queues) =
        port.configure(PortConfig::new(&pool)).expect("it can").start().expect("it starts");
    assert!(!port.link().expect("it can be told").is_up());
    drop((queues, port));
    assert_eq!(pool.in_use(), 0);
}

/// A port that nobody has connected to.
fn port(dir: &TempDir) -> (Port<Started>, Queues, MbufPool) {
    let pool = MbufPool::builder("p").size(1023).cache(0).build().expect("a pool");
    let port = Port::open(opened(&dir.path().join("s")).expect("it opens"));
    let port = port.configure(PortConfig::new(&pool)).expect("it can");
    let (port, queues) = port.start().expect("it starts");
    (port, queues, pool)
}

/// Waits until the other side has closed the socket.
fn closes(mut socket: UnixStream) {
    socket.set_read_timeout(Some(PATIENCE)).expect("it can");
    let mut rest = Vec::new();
    let end = socket.read_to_end(&mut rest);
    assert!(end.is_ok() || end.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset));
}

#[test]
fn a_front_end_of_another_version_or_that_hangs_up_in_the_middle_leaves_nothing_behind() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    let (port, queues, pool) = port(&dir);
    let before = files();
    let head = |flags: u32, size: u32| {
        [Request::SetMemTable as u32, flags, size].map(u32::to_ne_bytes).concat()
    };
    for says in [head(2, 0), head(1, u32::MAX), [head(1, 40), vec![0; 7]].concat(), vec![5; 3]] {
        let mut socket = connect(&path, || false).expect("it listens");
        socket.write_all(&says).expect("written");
        socket.shutdown(std::net::Shutdown::Write).expect("it can");
        closes(socket);
    }
    // And the next one is served.
    let guest = Guest::start(&path, Manner::default()).expect("a guest");
    drop(guest);
    let start = std::time::Instant::now();
    while files() > before {
        assert!(start.elapsed() < LONG, "{} descriptors, and {before} before", files());
    }
    drop((queues, port));
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn rings_of_a_front_end_without_memory_do_not_start_and_those_of_the_next_do() {
    for packed in [false, true] {
        let manner = Manner { packed, ..Manner::default() };
        let mut pair = Pair::new(manner);
        let path = pair.path();
        // The first guest goes; one that shares nothing comes.
        let bare = Guest::new(UnixStream::pair().expect("a pair").0, manner).expect("a guest");
        drop(std::mem::replace(&mut pair.guest, bare));
        let mut bare = Guest::new(connect(&path, || false).expect("it listens"), manner)
            .expect("a guest that shares nothing");
        bare.front.agree(manner.features()).expect("they agree");
        for i in 0..2 {
            bare.set_up_ring(i, 0).expect("it is told");
            bare.front.number(Request::SetVringEnable, i, 1).expect("it is told");
        }
        let state = VringState { index: 0, num: 0 };
        // An answer: all before it has been obeyed, and nothing hangs.
        bare.front.ask::<_, VringState>(Request::GetVringBase, &state).expect("it ends");
        let mut burst = linecard_mbuf::Burst::new();
        assert_eq!(pair.queues.rx[0].receive(&mut burst), 0);
        assert!(!pair.port.link().expect("it can be told").is_up());
        drop(bare);
        pair.guest = Guest::start(&path, manner).expect("a guest");
        assert!(pair.guest.send(0, &[7; 64]));
        assert_eq!(pair.receive(0).len(), 1);
        pair.end();
    }
}

#[test]
fn features_that_were_not_offered_and_rings_before_features_are_refused() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    let (port, queues, pool) = port(&dir);
    let guest = Guest::new(connect(&path, || false).expect("it listens"), Manner::default());
    let guest = guest.expect("a guest that has said nothing");
    // The port was not asked for checksums, so that the guest may not leave them undone.
    let asks = Features::VERSION_1 | Features::PROTOCOL_FEATURES;
    guest.front.agree(asks).expect("they agree");
    let beyond = (asks | Features::HOST_TSO4 | Features::CSUM).bits();
    assert!(!guest.front.tell_and_wait(Request::SetFeatures, &beyond, &[]).expect("an answer"));
    // A ring of which nothing has been said.
    let refused = guest.front.tell_and_wait(Request::SetVringKick, &VRING_NO_FD, &[]);
    assert!(!refused.expect("an answer"));
    drop((guest, queues, port));
    assert_eq!(pool.in_use(), 0);
}
