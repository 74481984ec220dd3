//! One connection with a back-end: requests, and answers within a bounded time.

use crate::options::Choice;
use crate::transport::{Plan, Region, RingPlan};
use linecard_virtqueue::packed::Position;
use linecard_virtqueue::vhost_user::message::{
    self, Inflight, Memory, SingleRegion, VRING_INDEX, VringAddr, VringState,
};
use linecard_virtqueue::vhost_user::{
    Connection, Message, MessageFlags, ProtocolFeatures, Request, WireError,
};
use linecard_virtqueue::{Features, Status};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Protocol features that we can use.
const WANTED: ProtocolFeatures = ProtocolFeatures::MQ
    .union(ProtocolFeatures::REPLY_ACK)
    .union(ProtocolFeatures::MTU)
    .union(ProtocolFeatures::RESET_DEVICE)
    .union(ProtocolFeatures::CONFIGURE_MEM_SLOTS)
    .union(ProtocolFeatures::STATUS);

/// Why a back-end cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// The socket.
    #[error("{0:?}: {1}")]
    Wire(Request, WireError),
    /// An answer to something else.
    #[error("{asked:?} was answered as request {got}")]
    Answer {
        /// What was asked.
        asked: Request,
        /// What the answer says it answers.
        got: u32,
    },
    /// It cannot keep track of what is under way.
    #[error("the back-end does not keep track of what it has under way (inflight=1): leave it out")]
    Forgetful,
    /// The back-end says no.
    #[error("the back-end refused {0:?}: {1}")]
    Refused(Request, u64),
    /// It lacks what was agreed on before.
    #[error("the back-end that came lacks features {0:?}, which are in use")]
    Lacks(Features),
    /// More memory regions than it takes.
    #[error(
        "{needed} memory regions, and the back-end takes {most}: use fewer pools, or larger pages"
    )]
    Regions {
        /// Regions.
        needed: usize,
        /// What it takes.
        most: usize,
    },
}

/// A back-end that talks.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    patience: Duration,
    pub(super) offered: Features,
    protocol: ProtocolFeatures,
    pub(super) pairs: usize,
}

/// Where a back-end keeps what it has under way. It alone looks inside.
#[derive(Debug)]
pub(super) struct Area {
    place: Inflight,
    file: OwnedFd,
}

/// How a back-end finds the rings.
#[derive(Debug)]
pub(super) enum Rings<'a> {
    /// As new.
    New,
    /// As another back-end has left them, which kept this area: each has its own base.
    Kept(&'a Area, &'a [u32]),
}

impl Session {
    /// Says hello over a connected socket.
    pub(super) fn open(
        socket: UnixStream,
        patience: Duration,
        inflight: Choice,
    ) -> Result<Self, SessionError> {
        let connection = Connection::new(socket).map_err(|e| failed(Request::SetOwner, e))?;
        let (offered, protocol) = (Features::empty(), ProtocolFeatures::empty());
        let mut session = Session { connection, patience, offered, protocol, pairs: 1 };
        session.tell(Request::SetOwner, &[], &[])?;
        session.offered = Features::from_bits_truncate(session.ask(Request::GetFeatures)?);
        if session.offered.contains(Features::PROTOCOL_FEATURES) {
            session.agree_on_protocol(inflight)?;
        }
        if inflight == Choice::On && !session.tracks() {
            return Err(SessionError::Forgetful);
        }
        Ok(session)
    }

    /// Whether it keeps track of what it has under way.
    pub(super) fn tracks(&self) -> bool {
        self.protocol.contains(ProtocolFeatures::INFLIGHT_SHMFD)
    }

    fn agree_on_protocol(&mut self, inflight: Choice) -> Result<(), SessionError> {
        let theirs = self.ask(Request::GetProtocolFeatures)?;
        let mut wanted = WANTED;
        wanted.set(ProtocolFeatures::INFLIGHT_SHMFD, inflight == Choice::On);
        let agreed = ProtocolFeatures::from_bits_truncate(theirs) & wanted;
        self.tell(Request::SetProtocolFeatures, agreed.bits().as_bytes(), &[])?;
        self.protocol = agreed;
        if agreed.contains(ProtocolFeatures::MQ) {
            // A back-end may count queues or pairs in tens of thousands; so many we never ask for.
            self.pairs = self.ask(Request::GetQueueNum)?.clamp(1, 128) as usize;
        }
        Ok(())
    }

    /// The socket, to watch.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Tells the back-end everything, and lets it run; gives the area of one that keeps a new one.
    pub(super) fn start(
        &mut self,
        plan: &Plan,
        rings: Rings<'_>,
    ) -> Result<Option<Area>, SessionError> {
        let missing = plan.features - self.offered;
        if !missing.is_empty() {
            return Err(SessionError::Lacks(missing));
        }
        let mut features = plan.features;
        features
            .set(Features::PROTOCOL_FEATURES, self.offered.contains(Features::PROTOCOL_FEATURES));
        self.status(Status::ACKNOWLEDGE | Status::DRIVER)?;
        self.tell(Request::SetFeatures, features.bits().as_bytes(), &[])?;
        self.status(Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK)?;
        if let Some(mtu) = plan.mtu {
            self.set_mtu(mtu)?;
        }
        self.set_memory(&plan.regions)?;
        let area = match rings {
            Rings::New if self.tracks() => Some(self.new_area(plan)?),
            _ => None,
        };
        let kept = match rings {
            Rings::Kept(area, _) => Some(area),
            Rings::New => area.as_ref(),
        };
        if let Some(area) = kept {
            self.set_area(area)?;
        }
        for (i, ring) in plan.rings.iter().enumerate() {
            let base = match rings {
                Rings::Kept(_, bases) => bases[i],
                Rings::New => first_base(plan.features),
            };
            self.set_ring(ring, base)?;
        }
        self.enable(plan, 1)?;
        let all = Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK | Status::DRIVER_OK;
        self.status(all)?;
        Ok(area)
    }

    /// Asks for an area for the rings of a plan.
    fn new_area(&mut self, plan: &Plan) -> Result<Area, SessionError> {
        let asked = Request::GetInflightFd;
        let queue_size = plan.rings.iter().map(|ring| ring.size).max().unwrap_or(0);
        let num_queues = plan.rings.len() as u16;
        let wish = Inflight { num_queues, queue_size, ..Inflight::default() };
        self.send(asked, MessageFlags::empty(), wish.as_bytes(), &[])?;
        let mut answer = self.answer(asked)?;
        let place = answer.read().map_err(|error| failed(asked, error))?;
        // Without a descriptor it has none, whatever it offered.
        let file = answer.fds.pop().ok_or(SessionError::Forgetful)?;
        Ok(Area { place, file })
    }

    fn set_area(&mut self, area: &Area) -> Result<(), SessionError> {
        self.tell(Request::SetInflightFd, area.place.as_bytes(), &[area.file.as_fd()])
    }

    /// After a start that failed: whether the back-end is sure not to look at memory.
    pub(super) fn undo(&mut self, plan: &Plan, why: &SessionError) -> bool {
        match why {
            // Found out before any ring was described.
            SessionError::Lacks(_) | SessionError::Regions { .. } | SessionError::Forgetful => true,
            // It follows the conversation: rings that it has begun with can be stopped.
            SessionError::Refused(..) => self.stop(plan).is_ok(),
            // An answer may still come, to be taken for that to another request.
            SessionError::Wire(..) | SessionError::Answer { .. } => false,
        }
    }

    /// Stops all rings: when this returns, the back-end does not look at memory any more.
    pub(super) fn stop(&mut self, plan: &Plan) -> Result<(), SessionError> {
        self.enable(plan, 0)?;
        for ring in &plan.rings {
            let state = VringState { index: u32::from(ring.index), num: 0 };
            self.exchange::<VringState>(Request::GetVringBase, state.as_bytes())?;
        }
        self.status(Status::empty())
    }

    /// Tells the MTU, if the back-end wants to know.
    pub(super) fn set_mtu(&mut self, mtu: u16) -> Result<(), SessionError> {
        if !self.protocol.contains(ProtocolFeatures::MTU) || !self.offered.contains(Features::MTU) {
            return Ok(());
        }
        self.tell(Request::NetSetMtu, u64::from(mtu).as_bytes(), &[])
    }

    fn status(&mut self, status: Status) -> Result<(), SessionError> {
        if !self.protocol.contains(ProtocolFeatures::STATUS) {
            return Ok(());
        }
        self.tell(Request::SetStatus, u64::from(status.bits()).as_bytes(), &[])
    }

    fn set_memory(&mut self, regions: &[Region]) -> Result<(), SessionError> {
        if regions.len() > message::MAX_REGIONS {
            return self.add_memory(regions);
        }
        let memory = Memory { count: regions.len() as u32, padding: 0 };
        let mut body = memory.as_bytes().to_vec();
        regions.iter().for_each(|r| body.extend_from_slice(described(r).as_bytes()));
        let files: Vec<_> = regions.iter().map(|r| r.file.as_fd()).collect();
        self.tell(Request::SetMemTable, &body, &files)
    }

    /// One region after the other (§ `CONFIGURE_MEM_SLOTS`).
    fn add_memory(&mut self, regions: &[Region]) -> Result<(), SessionError> {
        let most = match self.protocol.contains(ProtocolFeatures::CONFIGURE_MEM_SLOTS) {
            true => self.ask(Request::GetMaxMemSlots)? as usize,
            false => message::MAX_REGIONS,
        };
        if regions.len() > most {
            return Err(SessionError::Regions { needed: regions.len(), most });
        }
        for region in regions {
            let single = SingleRegion { padding: 0, region: described(region) };
            self.tell(Request::AddMemReg, single.as_bytes(), &[region.file.as_fd()])?;
        }
        Ok(())
    }

    fn set_ring(&mut self, ring: &RingPlan, base: u32) -> Result<(), SessionError> {
        let index = u32::from(ring.index);
        let number = u64::from(ring.index) & VRING_INDEX;
        let addresses = VringAddr {
            index,
            flags: 0,
            descriptors: ring.descriptors,
            used: ring.device,
            available: ring.driver,
            log: 0,
        };
        let size = VringState { index, num: u32::from(ring.size) };
        self.tell(Request::SetVringNum, size.as_bytes(), &[])?;
        self.tell(Request::SetVringBase, VringState { index, num: base }.as_bytes(), &[])?;
        self.tell(Request::SetVringAddr, addresses.as_bytes(), &[])?;
        self.tell(Request::SetVringCall, number.as_bytes(), &[ring.call.as_fd()])?;
        self.tell(Request::SetVringKick, number.as_bytes(), &[ring.kick.as_fd()])
    }

    fn enable(&mut self, plan: &Plan, num: u32) -> Result<(), SessionError> {
        if !self.offered.contains(Features::PROTOCOL_FEATURES) {
            // Such a back-end starts rings with their kick.
            return Ok(());
        }
        for ring in &plan.rings {
            let state = VringState { index: u32::from(ring.index), num };
            self.tell(Request::SetVringEnable, state.as_bytes(), &[])?;
        }
        Ok(())
    }

    /// A request without an answer of its own; acknowledged, if the back-end can.
    fn tell(
        &mut self,
        request: Request,
        body: &[u8],
        files: &[BorrowedFd<'_>],
    ) -> Result<(), SessionError> {
        let acknowledged = self.protocol.contains(ProtocolFeatures::REPLY_ACK);
        let flags = if acknowledged { MessageFlags::NEED_REPLY } else { MessageFlags::empty() };
        self.send(request, flags, body, files)?;
        if !acknowledged {
            return Ok(());
        }
        match self.answer(request)?.read::<u64>() {
            Ok(0) => Ok(()),
            Ok(code) => Err(SessionError::Refused(request, code)),
            Err(error) => Err(failed(request, error)),
        }
    }

    /// A request that is answered with a number.
    fn ask(&mut self, request: Request) -> Result<u64, SessionError> {
        self.exchange(request, &[])
    }

    fn exchange<T: FromBytes + KnownLayout + Immutable>(
        &mut self,
        request: Request,
        body: &[u8],
    ) -> Result<T, SessionError> {
        self.send(request, MessageFlags::empty(), body, &[])?;
        self.answer(request)?.read().map_err(|error| failed(request, error))
    }

    fn send(
        &mut self,
        request: Request,
        flags: MessageFlags,
        body: &[u8],
        files: &[BorrowedFd<'_>],
    ) -> Result<(), SessionError> {
        let head = (request as u32, flags);
        let sent = self.connection.send(head, &[body], files, self.patience);
        sent.map_err(|error| failed(request, error))
    }

    fn answer(&mut self, asked: Request) -> Result<Message, SessionError> {
        let got = self.connection.receive(self.patience).map_err(|error| failed(asked, error))?;
        let silent = || failed(asked, WireError::Silent(self.patience));
        let message = got.ok_or_else(silent)?;
        let is_reply = message.flags().contains(MessageFlags::REPLY);
        match Request::of(message.header.request) {
            Some(request) if request == asked && is_reply => Ok(message),
            _ => Err(SessionError::Answer { asked, got: message.header.request }),
        }
    }
}

fn failed(request: Request, error: WireError) -> SessionError {
    SessionError::Wire(request, error)
}

/// Where a device begins in a ring that is new.
pub(super) fn first_base(features: Features) -> u32 {
    match features.contains(Features::RING_PACKED) {
        true => u32::from(Position::START.word()) * 0x1_0001,
        false => 0,
    }
}

/// A region as the back-end is told: the driver's addresses are this process's own.
fn described(region: &Region) -> message::Region {
    let start = region.start as u64;
    message::Region {
        guest_addr: start,
        size: region.len as u64,
        user_addr: start,
        mmap_offset: region.offset,
    }
}
