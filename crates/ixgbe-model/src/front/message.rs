//! Messages of QEMU's link to a device in another process: a header of 16 bytes, a payload, and
//! file descriptors beside it.

use std::fs::File;
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::system_memory::Told;

const HEADER: usize = 16;
const LONGEST: usize = 192;
const REGIONS: usize = 8;
const RETURN: u32 = 1;

/// What QEMU asks for.
#[derive(Debug)]
pub(crate) enum Request {
    SystemMemory(Vec<Told>),
    ConfigWrite {
        offset: u8,
        value: u32,
        size: u8,
    },
    ConfigRead {
        offset: u8,
        size: u8,
    },
    BarWrite {
        address: u64,
        value: u64,
        size: u8,
    },
    BarRead {
        address: u64,
        size: u8,
    },
    /// Event file descriptors for the pin, which only KVM listens to.
    PinEvents,
    Reset,
}

/// The link.
#[derive(Debug)]
pub(crate) struct Link {
    socket: UnixStream,
}

impl Link {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { socket }
    }

    pub(crate) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// The next request; it waits for it. `None` when QEMU has gone.
    pub(crate) fn next(&mut self) -> io::Result<Option<Request>> {
        let mut header = [0; HEADER];
        let Some(files) = self.fill(&mut header)? else { return Ok(None) };
        let command = u32_at(&header, 0);
        let len = usize::try_from(u64_at(&header, 8)).unwrap_or(usize::MAX);
        if len > LONGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message of QEMU's is too long",
            ));
        }
        let mut payload = [0; LONGEST];
        let Some(more) = self.fill(&mut payload[..len])? else { return Ok(None) };
        let files = files.into_iter().chain(more).collect();
        decode(command, &payload, files).map(Some)
    }

    /// Fills `bytes`, with what files come beside them. `None` at the end of the stream.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<Option<Vec<File>>> {
        let mut files = Vec::new();
        let mut have = 0;
        while have < bytes.len() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(REGIONS))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut bytes[have..])];
            let got = match recvmsg(&self.socket, &mut parts, &mut beside, RecvFlags::CMSG_CLOEXEC)
            {
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                got => got?.bytes,
            };
            for message in beside.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    files.extend(rights.map(File::from));
                }
            }
            if got == 0 {
                return Ok(None);
            }
            have += got;
        }
        Ok(Some(files))
    }

    pub(crate) fn answer(&mut self, value: u64) -> io::Result<()> {
        let mut message = [0; HEADER + 8];
        message[..4].copy_from_slice(&RETURN.to_ne_bytes());
        message[8..16].copy_from_slice(&8u64.to_ne_bytes());
        message[16..].copy_from_slice(&value.to_ne_bytes());
        self.socket.write_all(&message)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn decode(command: u32, payload: &[u8; LONGEST], files: Vec<File>) -> io::Result<Request> {
    let offset = u32_at(payload, 0) as u8;
    let config_size = u32_at(payload, 8) as u8;
    let (address, size) = (u64_at(payload, 0), u32_at(payload, 16) as u8);
    Ok(match command {
        0 => Request::SystemMemory(regions(payload, files)),
        2 => Request::ConfigWrite { offset, value: u32_at(payload, 4), size: config_size },
        3 => Request::ConfigRead { offset, size: config_size },
        4 => Request::BarWrite { address, value: u64_at(payload, 8), size },
        5 => Request::BarRead { address, size },
        6 => Request::PinEvents,
        7 => Request::Reset,
        _ => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an unknown command of QEMU's"));
        }
    })
}

fn regions(payload: &[u8; LONGEST], files: Vec<File>) -> Vec<Told> {
    let told = |(index, file)| Told {
        address: u64_at(payload, 8 * index),
        len: u64_at(payload, 64 + 8 * index),
        offset: u64_at(payload, 128 + 8 * index),
        file,
    };
    files.into_iter().take(REGIONS).enumerate().map(told).collect()
}
