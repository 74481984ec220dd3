//! The XDP program that hands frames to sockets: five instructions, loaded as they are.
//!
//! Nothing outlives this process: a link detaches its program when its last descriptor is closed.

use super::check;
use libc::{c_int, c_long};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use zerocopy::{Immutable, IntoBytes};

const BPF_MAP_CREATE: c_int = 0;
const BPF_MAP_UPDATE_ELEM: c_int = 2;
const BPF_PROG_LOAD: c_int = 5;
const BPF_LINK_CREATE: c_int = 28;
const BPF_MAP_TYPE_XSKMAP: u32 = 17;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;

/// Where a program runs. The values are the kernel's `XDP_FLAGS_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Hook {
    /// Behind the driver, on what it has made of a frame: any driver.
    Generic = 1 << 1,
    /// In the driver: where it has such a place.
    Native = 1 << 2,
}

/// `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, IntoBytes, Immutable)]
struct Instruction {
    code: u8,
    /// Destination in the lower four bits, source in the upper.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: from << 4 | to, offset, immediate }
}

/// `return bpf_redirect_map(&sockets, context->rx_queue_index, XDP_PASS);`: a frame of a queue that has
/// no socket goes on to the kernel's stack.
const fn redirect(map: c_int) -> [Instruction; 6] {
    const LOAD_WORD: u8 = 0x61;
    const LOAD_MAP: u8 = 0x18;
    const MOVE: u8 = 0xB7;
    const CALL: u8 = 0x85;
    const EXIT: u8 = 0x95;
    const RX_QUEUE_INDEX: i16 = 16;
    const XDP_PASS: i32 = 2;
    const REDIRECT_MAP: i32 = 51;
    [
        instruction(LOAD_WORD, 2, 1, RX_QUEUE_INDEX, 0),
        instruction(LOAD_MAP, 1, 1, 0, map),
        instruction(0, 0, 0, 0, 0),
        instruction(MOVE, 3, 0, 0, XDP_PASS),
        instruction(CALL, 0, 0, 0, REDIRECT_MAP),
        instruction(EXIT, 0, 0, 0, 0),
    ]
}

/// Which socket takes the frames of which queue of an interface.
#[derive(Debug)]
pub(crate) struct SocketMap(OwnedFd);

/// `union bpf_attr` for `BPF_MAP_CREATE`, as far as it is used; what is missing is zero.
#[repr(C)]
#[derive(IntoBytes, Immutable)]
struct MapRequest {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
}

/// … for `BPF_MAP_UPDATE_ELEM`.
#[repr(C)]
#[derive(IntoBytes, Immutable)]
struct ElementRequest {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// … for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(IntoBytes, Immutable)]
struct ProgramRequest {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach: u32,
}

/// … for `BPF_LINK_CREATE`.
#[repr(C)]
#[derive(IntoBytes, Immutable)]
struct LinkRequest {
    program: u32,
    interface: u32,
    attach: u32,
    flags: u32,
}

/// The system call. The addresses in `request`, if any, are those of values that the caller borrows.
fn bpf<T: IntoBytes + Immutable>(command: c_int, request: &T) -> io::Result<c_int> {
    let len = size_of::<T>() as c_long;
    let at = request.as_bytes().as_ptr();
    // SAFETY: the request is readable over its length, and so is what it points to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, c_long::from(command), at, len) };
    check(result as c_int)
}

fn descriptor<T: IntoBytes + Immutable>(command: c_int, request: &T) -> io::Result<OwnedFd> {
    let fd = bpf(command, request)?;
    // SAFETY: just made, and ours alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Where something is, for the kernel to read: exposed, so that the compiler knows that it is read.
fn address<T>(of: *const T) -> u64 {
    of.expose_provenance() as u64
}

fn number(fd: &impl AsRawFd) -> u32 {
    fd.as_raw_fd() as u32
}

impl SocketMap {
    /// For so many queues.
    pub(crate) fn new(queues: usize) -> io::Result<Self> {
        let entries = queues as u32;
        let request = MapRequest { kind: BPF_MAP_TYPE_XSKMAP, key_size: 4, value_size: 4, entries };
        descriptor(BPF_MAP_CREATE, &request).map(SocketMap)
    }

    /// Has the frames of a queue go to a socket, which is bound to it.
    pub(crate) fn set(&self, queue: u32, socket: &impl AsRawFd) -> io::Result<()> {
        let value = number(socket);
        let (key, value) = (address(&raw const queue), address(&raw const value));
        let map = number(&self.0);
        let request = ElementRequest { map, padding: 0, key, value, flags: 0 };
        bpf(BPF_MAP_UPDATE_ELEM, &request).map(drop)
    }
}

/// The program, running on an interface until this is dropped.
#[derive(Debug)]
pub(crate) struct Redirection {
    _link: OwnedFd,
    _map: SocketMap,
}

impl Redirection {
    /// Has the interface hand frames to the sockets of `map`.
    ///
    /// # Errors
    /// With the map, to try another place.
    pub(crate) fn attach(
        map: SocketMap,
        interface: c_int,
        hook: Hook,
    ) -> Result<Self, (io::Error, SocketMap)> {
        let link = load(&map).and_then(|program| {
            let (program, interface) = (number(&program), interface as u32);
            let request = LinkRequest { program, interface, attach: BPF_XDP, flags: hook as u32 };
            descriptor(BPF_LINK_CREATE, &request)
        });
        match link {
            Ok(link) => Ok(Redirection { _link: link, _map: map }),
            Err(error) => Err((error, map)),
        }
    }
}

fn load(map: &SocketMap) -> io::Result<OwnedFd> {
    let code = redirect(map.0.as_raw_fd());
    let license = c"MIT";
    let mut name = [0; 16];
    name[..8].copy_from_slice(b"linecard");
    let request = ProgramRequest {
        kind: BPF_PROG_TYPE_XDP,
        instructions: code.len() as u32,
        code: address(code.as_ptr()),
        license: address(license.as_ptr()),
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel: 0,
        flags: 0,
        name,
        interface: 0,
        attach: BPF_XDP,
    };
    descriptor(BPF_PROG_LOAD, &request)
}

const _: () = assert!(size_of::<Instruction>() == 8);
