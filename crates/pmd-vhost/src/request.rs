//! What a front-end asks, with its payload checked for size; and what it is answered.
//!
//! The layouts and the socket are `linecard-virtqueue`'s, shared with our own front-end. They are not
//! rust-vmm's: `vhost` 0.16 refuses, on the back-end's side, `IOTLB_MSG`, `NET_SET_MTU`, `SEND_RARP`,
//! `GET_STATUS` and `SET_STATUS`, and owns the loop.

use linecard_virtqueue::vhost_user::message::{
    Inflight, Iotlb, Log, MAX_REGIONS, Memory, Region, Request as Code, SingleRegion, VRING_INDEX,
    VRING_NO_FD, VringAddr, VringState,
};
use linecard_virtqueue::vhost_user::{Message, WireError};
use std::os::fd::OwnedFd;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a front-end may not say. The message is answered with a refusal if it wants an answer; else its
/// connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("message {code} with {got} bytes of payload: it has {wanted}")]
    Size { code: u32, got: usize, wanted: usize },
    #[error("message {code} with {got} descriptors: it has {wanted}")]
    Descriptors { code: u32, got: usize, wanted: usize },
    #[error("message {0}, which this back-end does not know and did not offer")]
    Unknown(u32),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

impl Wrong {
    /// A message that is well-formed and cannot be obeyed.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Wrong::Refused(why.into())
    }
}

/// Which of a ring's descriptors a message brings.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) index: u32,
    /// None: poll instead.
    pub(crate) fd: Option<OwnedFd>,
}

/// A message of the front-end's. Field by field as the protocol has it.
#[derive(Debug)]
pub(crate) enum Request {
    Features,
    SetFeatures(u64),
    SetOwner,
    ResetOwner,
    SetMemory(Vec<(Region, OwnedFd)>),
    SetLog(Log, OwnedFd),
    SetLogFd,
    SetSize(VringState),
    SetAddress(VringAddr),
    SetBase(VringState),
    Base(u32),
    SetKick(Ring),
    SetCall(Ring),
    SetError(Ring),
    ProtocolFeatures,
    SetProtocolFeatures(u64),
    QueuePairs,
    SetEnabled(VringState),
    SendRarp([u8; 6]),
    SetMtu(u64),
    SetBackendChannel(OwnedFd),
    Translate(Iotlb),
    Inflight(Inflight),
    SetInflight(Inflight, OwnedFd),
    ResetDevice,
    MemorySlots,
    AddMemory(Region, OwnedFd),
    RemoveMemory(Region),
    SetStatus(u64),
    Status,
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Nothing, unless an answer was asked for.
    Done,
    /// A number.
    Number(u64),
    /// A ring's number.
    State(VringState),
    /// Memory for descriptors under way, `len` bytes of payload as they were asked for.
    Inflight(Inflight, OwnedFd),
    /// An answer without anything in it.
    Empty,
}

impl Reply {
    /// The payload and the descriptor that goes with it; `None` for no answer.
    pub(crate) fn into_parts(self) -> Option<(Vec<u8>, Option<OwnedFd>)> {
        match self {
            Reply::Done => None,
            Reply::Empty => Some((Vec::new(), None)),
            Reply::Number(number) => Some((number.as_bytes().to_vec(), None)),
            Reply::State(state) => Some((state.as_bytes().to_vec(), None)),
            Reply::Inflight(area, fd) => Some((area.as_bytes().to_vec(), Some(fd))),
        }
    }
}

/// A message taken apart.
struct Parts<'a> {
    code: u32,
    payload: &'a [u8],
    fds: Vec<OwnedFd>,
}

impl Parts<'_> {
    fn size(&self, wanted: usize) -> Wrong {
        Wrong::Size { code: self.code, got: self.payload.len(), wanted }
    }

    /// The payload is a `T`.
    fn get<T: FromBytes + KnownLayout + Immutable>(&self) -> Result<T, Wrong> {
        T::read_from_bytes(self.payload).map_err(|_| self.size(size_of::<T>()))
    }

    /// The payload begins with a `T` of which the last `spare` bytes may be missing: padding.
    fn get_padded<T: FromBytes + IntoBytes>(&self, spare: usize) -> Result<T, Wrong> {
        let mut whole = T::new_zeroed();
        let room = whole.as_mut_bytes();
        let len = self.payload.len();
        if len > room.len() || len + spare < room.len() {
            return Err(self.size(size_of::<T>()));
        }
        room[..len].copy_from_slice(self.payload);
        Ok(whole)
    }

    fn none(&self) -> Result<(), Wrong> {
        if self.payload.is_empty() { Ok(()) } else { Err(self.size(0)) }
    }

    fn fds(&self, wanted: usize) -> Wrong {
        Wrong::Descriptors { code: self.code, got: self.fds.len(), wanted }
    }

    /// The one descriptor.
    fn fd(&mut self) -> Result<OwnedFd, Wrong> {
        if self.fds.len() > 1 {
            return Err(self.fds(1));
        }
        self.fds.pop().ok_or_else(|| self.fds(1))
    }

    fn ring(&mut self) -> Result<Ring, Wrong> {
        let word = self.get::<u64>()?;
        let fd = if word & VRING_NO_FD == 0 { Some(self.fd()?) } else { None };
        Ok(Ring { index: (word & VRING_INDEX) as u32, fd })
    }

    fn table(&mut self) -> Result<Vec<(Region, OwnedFd)>, Wrong> {
        let wrong = || self.size(size_of::<Memory>());
        let (head, rest) = Memory::read_from_prefix(self.payload).map_err(|_| wrong())?;
        let count = head.count as usize;
        let wanted = size_of::<Region>() * count.min(MAX_REGIONS);
        // Some front-ends send the whole table, used or not.
        if count > MAX_REGIONS || rest.len() < wanted {
            return Err(self.size(size_of::<Memory>() + wanted));
        }
        if self.fds.len() != count {
            return Err(self.fds(count));
        }
        let regions = rest.chunks_exact(size_of::<Region>()).take(count);
        let regions = regions.map(|bytes| Region::read_from_bytes(bytes).expect("the size"));
        Ok(regions.zip(self.fds.drain(..)).collect())
    }
}

impl Request {
    /// What a message asks.
    pub(crate) fn parse(message: Message) -> Result<Self, Wrong> {
        let Message { header, body, fds } = message;
        Request::of_parts(header.request, &body, fds)
    }

    /// The message `code` with this payload and these descriptors.
    pub(crate) fn of_parts(code: u32, payload: &[u8], fds: Vec<OwnedFd>) -> Result<Self, Wrong> {
        let known = Code::of(code).ok_or(Wrong::Unknown(code))?;
        let mut parts = Parts { code, payload, fds };
        let request = parts.request(known)?;
        // Those that were not asked for are closed here.
        if parts.fds.is_empty() { Ok(request) } else { Err(parts.fds(0)) }
    }
}

impl Parts<'_> {
    fn request(&mut self, code: Code) -> Result<Request, Wrong> {
        Ok(match code {
            Code::GetFeatures => self.none().map(|()| Request::Features)?,
            Code::SetFeatures => Request::SetFeatures(self.get()?),
            Code::SetOwner => self.none().map(|()| Request::SetOwner)?,
            Code::ResetOwner => self.none().map(|()| Request::ResetOwner)?,
            Code::SetMemTable => Request::SetMemory(self.table()?),
            Code::SetLogBase => Request::SetLog(self.get()?, self.fd()?),
            Code::SetLogFd => self.unused_fd()?,
            Code::SetVringNum => Request::SetSize(self.get()?),
            Code::SetVringAddr => Request::SetAddress(self.get()?),
            Code::SetVringBase => Request::SetBase(self.get()?),
            Code::GetVringBase => Request::Base(self.get::<VringState>()?.index),
            Code::SetVringKick => Request::SetKick(self.ring()?),
            Code::SetVringCall => Request::SetCall(self.ring()?),
            Code::SetVringErr => Request::SetError(self.ring()?),
            Code::GetProtocolFeatures => self.none().map(|()| Request::ProtocolFeatures)?,
            Code::SetProtocolFeatures => Request::SetProtocolFeatures(self.get()?),
            Code::GetQueueNum => self.none().map(|()| Request::QueuePairs)?,
            Code::SetVringEnable => Request::SetEnabled(self.get()?),
            Code::SendRarp => Request::SendRarp(self.mac()?),
            Code::NetSetMtu => Request::SetMtu(self.get()?),
            Code::SetBackendReqFd => Request::SetBackendChannel(self.fd()?),
            Code::IotlbMsg => Request::Translate(self.get_padded(6)?),
            Code::GetInflightFd => Request::Inflight(self.get_padded(4)?),
            Code::SetInflightFd => Request::SetInflight(self.get_padded(4)?, self.fd()?),
            Code::ResetDevice => self.none().map(|()| Request::ResetDevice)?,
            Code::GetMaxMemSlots => self.none().map(|()| Request::MemorySlots)?,
            Code::AddMemReg => Request::AddMemory(self.get::<SingleRegion>()?.region, self.fd()?),
            Code::RemMemReg => self.removed()?,
            Code::SetStatus => Request::SetStatus(self.get()?),
            Code::GetStatus => self.none().map(|()| Request::Status)?,
            other => return Err(Wrong::Unknown(other as u32)),
        })
    }

    fn mac(&self) -> Result<[u8; 6], Wrong> {
        self.get::<[u8; 8]>().map(|[a, b, c, d, e, f, ..]| [a, b, c, d, e, f])
    }

    /// Whoever wants to know that the log is in use can look at it.
    fn unused_fd(&mut self) -> Result<Request, Wrong> {
        self.fds.clear();
        Ok(Request::SetLogFd)
    }

    /// Front-ends may send the region's descriptor once more; it is of no use.
    fn removed(&mut self) -> Result<Request, Wrong> {
        let region = self.get::<SingleRegion>()?.region;
        self.fds.clear();
        Ok(Request::RemoveMemory(region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_of_another_size_is_refused() {
        for (code, wanted) in [(2, 8), (8, 8), (9, 40), (10, 8), (12, 8), (18, 8), (39, 8)] {
            for got in [0, wanted - 1, wanted + 1] {
                let refused = Request::of_parts(code, &vec![0; got], Vec::new());
                assert!(
                    matches!(refused, Err(Wrong::Size { wanted: w, .. }) if w == wanted),
                    "message {code} of {got}"
                );
            }
        }
        assert!(Request::of_parts(1, &[0], Vec::new()).is_err(), "a question with a payload");
    }

    #[test]
    fn a_memory_table_has_as_many_descriptors_as_regions() {
        let table = [1u32, 0].as_bytes().iter().copied().chain([0; 32]).collect::<Vec<_>>();
        let refused = Request::of_parts(5, &table, Vec::new());
        assert!(matches!(refused, Err(Wrong::Descriptors { got: 0, wanted: 1, .. })));
        let huge = [u32::MAX, 0];
        assert!(Request::of_parts(5, huge.as_bytes(), Vec::new()).is_err());
    }

    #[test]
    fn padding_at_the_end_of_a_payload_may_be_missing() {
        for len in [26, 32] {
            assert!(matches!(
                Request::of_parts(22, &vec![0; len], Vec::new()),
                Ok(Request::Translate(_))
            ));
        }
        assert!(Request::of_parts(22, &[0; 25], Vec::new()).is_err());
        assert!(Request::of_parts(22, &[0; 33], Vec::new()).is_err());
    }

    #[test]
    fn a_ring_without_a_descriptor_is_polled() {
        let word = (VRING_NO_FD | 3).to_ne_bytes();
        let Ok(Request::SetKick(ring)) = Request::of_parts(12, &word, Vec::new()) else {
            panic!("a kick without a descriptor")
        };
        assert!(ring.index == 3 && ring.fd.is_none());
        assert!(Request::of_parts(12, &3u64.to_ne_bytes(), Vec::new()).is_err());
    }
}
