//! Layouts of messages (§ Message Specification). Numbers are in the host's byte order.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What every message begins with.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct Header {
    /// A [`Request`], or a [`BackendRequest`] on the back-end's own channel.
    pub request: u32,
    /// [`MessageFlags`].
    pub flags: u32,
    /// Bytes that follow.
    pub size: u32,
}

bitflags! {
    /// Flags of a message.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MessageFlags: u32 {
        /// Version 1, the only one: the value of two bits.
        const VERSION = 0x1;
        /// Both bits of the version.
        const VERSION_MASK = 0x3;
        /// It answers a request.
        const REPLY = 0x4;
        /// An answer is wanted ([`ProtocolFeatures::REPLY_ACK`]).
        const NEED_REPLY = 0x8;
    }
}

bitflags! {
    /// Protocol features (§ Protocol features).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ProtocolFeatures: u64 {
        /// Several queues; [`Request::GetQueueNum`].
        const MQ = 1 << 0;
        /// The log of writes is in shared memory.
        const LOG_SHMFD = 1 << 1;
        /// The back-end may be asked to announce an address.
        const RARP = 1 << 2;
        /// Any message may ask for an answer.
        const REPLY_ACK = 1 << 3;
        /// The front-end tells the MTU.
        const MTU = 1 << 4;
        /// The back-end has a channel of its own.
        const BACKEND_REQ = 1 << 5;
        /// The driver may be of another byte order.
        const CROSS_ENDIAN = 1 << 6;
        /// Crypto sessions.
        const CRYPTO_SESSION = 1 << 7;
        /// Post-copy migration.
        const PAGEFAULT = 1 << 8;
        /// The back-end has the configuration space.
        const CONFIG = 1 << 9;
        /// The back-end may send descriptors on its channel.
        const BACKEND_SEND_FD = 1 << 10;
        /// The back-end may give a doorbell.
        const HOST_NOTIFIER = 1 << 11;
        /// Descriptors in flight are kept in shared memory.
        const INFLIGHT_SHMFD = 1 << 12;
        /// The device can be reset.
        const RESET_DEVICE = 1 << 13;
        /// Notifications as messages.
        const INBAND_NOTIFICATIONS = 1 << 14;
        /// Memory is added and removed region by region.
        const CONFIGURE_MEM_SLOTS = 1 << 15;
        /// The driver's status is told.
        const STATUS = 1 << 16;
    }
}

macro_rules! requests {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        #[expect(missing_docs, reason = "named as in the protocol, where each is described")]
        pub enum $name {
            $($(#[$what])* $variant = $number,)*
        }

        impl $name {
            /// The request of this number; `None` if there is none that is known here.
            pub fn of(number: u32) -> Option<Self> {
                match number {
                    $($number => Some($name::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

requests! {
    /// What the front-end asks or tells (§ Front-end message types).
    Request {
        GetFeatures = 1,
        SetFeatures = 2,
        SetOwner = 3,
        ResetOwner = 4,
        SetMemTable = 5,
        SetLogBase = 6,
        SetLogFd = 7,
        SetVringNum = 8,
        SetVringAddr = 9,
        SetVringBase = 10,
        GetVringBase = 11,
        SetVringKick = 12,
        SetVringCall = 13,
        SetVringErr = 14,
        GetProtocolFeatures = 15,
        SetProtocolFeatures = 16,
        GetQueueNum = 17,
        SetVringEnable = 18,
        SendRarp = 19,
        NetSetMtu = 20,
        SetBackendReqFd = 21,
        IotlbMsg = 22,
        SetVringEndian = 23,
        GetConfig = 24,
        SetConfig = 25,
        CreateCryptoSession = 26,
        CloseCryptoSession = 27,
        PostcopyAdvise = 28,
        PostcopyListen = 29,
        PostcopyEnd = 30,
        GetInflightFd = 31,
        SetInflightFd = 32,
        GpuSetSocket = 33,
        ResetDevice = 34,
        VringKick = 35,
        GetMaxMemSlots = 36,
        AddMemReg = 37,
        RemMemReg = 38,
        SetStatus = 39,
        GetStatus = 40,
    }
}

requests! {
    /// What the back-end asks or tells on its own channel (§ Back-end message types).
    BackendRequest {
        IotlbMsg = 1,
        ConfigChangeMsg = 2,
        VringHostNotifierMsg = 3,
        VringCall = 4,
        VringErr = 5,
    }
}

impl Request {
    /// Whether it is always answered, with its own contents, and never with an acknowledgement.
    pub fn is_answered(self) -> bool {
        matches!(
            self,
            Request::GetFeatures
                | Request::GetVringBase
                | Request::GetProtocolFeatures
                | Request::GetQueueNum
                | Request::GetConfig
                | Request::GetInflightFd
                | Request::GetMaxMemSlots
                | Request::GetStatus
                | Request::PostcopyAdvise
        )
    }
}

/// A region of memory that the front-end shares.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct Region {
    /// Where it is for the driver: what descriptors name.
    pub guest_addr: u64,
    /// Bytes.
    pub size: u64,
    /// Where it is for the front-end: what ring addresses name.
    pub user_addr: u64,
    /// Where it begins in its file.
    pub mmap_offset: u64,
}

/// [`Request::SetMemTable`] begins with it; `count` regions follow, and as many descriptors come.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct Memory {
    /// Regions.
    pub count: u32,
    /// Nothing.
    pub padding: u32,
}

/// [`Request::AddMemReg`], [`Request::RemMemReg`].
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct SingleRegion {
    /// Nothing.
    pub padding: u64,
    /// The region.
    pub region: Region,
}

/// The most regions in [`Request::SetMemTable`].
pub const MAX_REGIONS: usize = 8;

/// A number about a ring.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct VringState {
    /// Which ring.
    pub index: u32,
    /// The number. A packed ring's base has the available position in the low half and the used
    /// position in the high half, each as [`crate::packed::Position::word`].
    pub num: u32,
}

/// Where the parts of a ring are, in the front-end's address space.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct VringAddr {
    /// Which ring.
    pub index: u32,
    /// Bit 0: writes to the used ring are logged.
    pub flags: u32,
    /// The descriptor table; of a packed ring, the descriptors.
    pub descriptors: u64,
    /// The used ring; of a packed ring, the device's event suppression.
    pub used: u64,
    /// The available ring; of a packed ring, the driver's event suppression.
    pub available: u64,
    /// Where the used ring is logged.
    pub log: u64,
}

/// A ring's number in the low byte of [`Request::SetVringKick`], `…Call` and `…Err`.
pub const VRING_INDEX: u64 = 0xFF;
/// No descriptor comes with them: the ring is polled.
pub const VRING_NO_FD: u64 = 0x100;

/// [`Request::GetInflightFd`], [`Request::SetInflightFd`].
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct Inflight {
    /// Bytes of the area.
    pub mmap_size: u64,
    /// Where it begins in its file.
    pub mmap_offset: u64,
    /// Rings.
    pub num_queues: u16,
    /// Descriptors of each.
    pub queue_size: u16,
    /// Nothing.
    pub padding: u32,
}

/// [`Request::SetLogBase`].
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct Log {
    /// Bytes of the log.
    pub size: u64,
    /// Where it begins in its file.
    pub offset: u64,
}

/// [`Request::GetConfig`] and [`Request::SetConfig`] begin with it; `size` bytes follow.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct Config {
    /// Where in the configuration space.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// Flags.
    pub flags: u32,
}

/// [`Request::IotlbMsg`], [`BackendRequest::IotlbMsg`].
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct Iotlb {
    /// The address that the driver uses.
    pub iova: u64,
    /// Bytes.
    pub size: u64,
    /// The front-end's address.
    pub user_addr: u64,
    /// 1 read, 2 write, 3 both.
    pub permission: u8,
    /// One of `IOTLB_…`.
    pub kind: u8,
    /// Nothing.
    pub padding: [u8; 6],
}

/// The back-end lacks a translation.
pub const IOTLB_MISS: u8 = 1;
/// The front-end gives one.
pub const IOTLB_UPDATE: u8 = 2;
/// The front-end takes one back.
pub const IOTLB_INVALIDATE: u8 = 3;
/// The back-end was denied an access.
pub const IOTLB_ACCESS_FAIL: u8 = 4;

const _: () = {
    assert!(size_of::<Header>() == 12 && size_of::<Region>() == 32);
    assert!(size_of::<Memory>() == 8 && size_of::<SingleRegion>() == 40);
    assert!(size_of::<VringState>() == 8 && size_of::<VringAddr>() == 40);
    assert!(size_of::<Inflight>() == 24 && size_of::<Log>() == 16);
    assert!(size_of::<Config>() == 12 && size_of::<Iotlb>() == 32);
};
