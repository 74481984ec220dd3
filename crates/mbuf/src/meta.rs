//! What receive says of a packet and what transmit is asked to do with it.

use crate::header::Header;
use crate::mbuf::Mbuf;
use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of metadata that belong to the user of a packet.
pub const USER_BYTES: usize = 32;

bitflags! {
    /// Which of a packet's metadata is valid, and what is asked of transmit.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Flags: u64 {
        /// The RSS hash is valid.
        const RSS_HASH = 1 << 0;
        /// The mark is valid.
        const MARK = 1 << 1;
        /// A VLAN tag was stripped and is valid.
        const VLAN_STRIPPED = 1 << 2;
        /// An outer VLAN tag was stripped and is valid.
        const QINQ_STRIPPED = 1 << 3;
        /// The receive time stamp is valid.
        const TIMESTAMP = 1 << 4;
        /// The IP header checksum was found right.
        const IP_CHECKSUM_GOOD = 1 << 5;
        /// The IP header checksum was found wrong.
        const IP_CHECKSUM_BAD = 1 << 6;
        /// The checksum of TCP, UDP or SCTP was found right.
        const L4_CHECKSUM_GOOD = 1 << 7;
        /// The checksum of TCP, UDP or SCTP was found wrong.
        const L4_CHECKSUM_BAD = 1 << 8;
        /// The data was merged from several TCP segments by receive.
        const LRO = 1 << 9;

        /// Transmit is to insert the VLAN tag.
        const INSERT_VLAN = 1 << 32;
        /// Transmit is to insert the outer VLAN tag.
        const INSERT_QINQ = 1 << 33;
        /// Transmit is to fill in the IPv4 header checksum.
        const IP_CHECKSUM = 1 << 34;
        /// Transmit is to fill in the TCP checksum.
        const TCP_CHECKSUM = 1 << 35;
        /// Transmit is to fill in the UDP checksum.
        const UDP_CHECKSUM = 1 << 36;
        /// Transmit is to fill in the SCTP checksum.
        const SCTP_CHECKSUM = 1 << 37;
        /// Transmit is to cut the packet into TCP segments.
        const TCP_SEGMENTATION = 1 << 38;
        /// Transmit is to cut the packet into UDP datagrams.
        const UDP_SEGMENTATION = 1 << 39;
        /// What transmit is asked is about IPv6, not IPv4.
        const IPV6 = 1 << 40;
        /// Transmit is to note when the packet is sent.
        const STAMP = 1 << 41;
    }
}

impl Flags {
    /// All that ask something of transmit.
    pub const TX: Flags = Flags::from_bits_retain(0xFFFF_FFFF << 32);
}

/// What is known of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumStatus {
    /// Nobody checked it.
    Unknown,
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
    /// It may be wrong in the packet, but the data is known to be intact: so with packets that never
    /// left this machine.
    Intact,
}

/// The transport checksum that transmit is to fill in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum L4Checksum {
    /// None.
    #[default]
    None,
    /// TCP's.
    Tcp,
    /// UDP's.
    Udp,
    /// SCTP's CRC32c.
    Sctp,
}

/// Whether transmit is to cut a packet into several, and how large their payloads are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Segmentation {
    /// It is not.
    #[default]
    None,
    /// Into TCP segments of so many bytes of payload.
    Tcp(u16),
    /// Into UDP datagrams of so many bytes of payload.
    Udp(u16),
}

/// What transmit is asked to do with a packet's headers.
///
/// For a transport checksum or segmentation the packet's own checksum field must hold the
/// pseudo-header's sum (for segmentation with length 0), as `linecard-net` computes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxRequest {
    /// Bytes of the Ethernet header and its tags, 0 to 127.
    pub l2_len: u8,
    /// Bytes of the IP header and its options or extensions, 0 to 511.
    pub l3_len: u16,
    /// Bytes of the transport header, 0 to 255: for segmentation.
    pub l4_len: u8,
    /// Whether the network header is IPv6.
    pub ipv6: bool,
    /// Whether to fill in the IPv4 header checksum.
    pub ip_checksum: bool,
    /// Which transport checksum to fill in.
    pub l4_checksum: L4Checksum,
    /// Whether to cut the packet into several.
    pub segmentation: Segmentation,
}

impl TxRequest {
    /// The lengths in one word: l2 in bits 6:0, l3 in 15:7, l4 in 23:16, segment size in 39:24.
    fn word(&self) -> u64 {
        let size = match self.segmentation {
            Segmentation::None => 0,
            Segmentation::Tcp(n) | Segmentation::Udp(n) => n,
        };
        u64::from(self.l2_len & 0x7F)
            | u64::from(self.l3_len & 0x1FF) << 7
            | u64::from(self.l4_len) << 16
            | u64::from(size) << 24
    }

    fn flags(&self) -> Flags {
        let l4 = match self.l4_checksum {
            L4Checksum::None => Flags::empty(),
            L4Checksum::Tcp => Flags::TCP_CHECKSUM,
            L4Checksum::Udp => Flags::UDP_CHECKSUM,
            L4Checksum::Sctp => Flags::SCTP_CHECKSUM,
        };
        let cut = match self.segmentation {
            Segmentation::None => Flags::empty(),
            Segmentation::Tcp(_) => Flags::TCP_SEGMENTATION,
            Segmentation::Udp(_) => Flags::UDP_SEGMENTATION,
        };
        let mut flags = l4 | cut;
        flags.set(Flags::IPV6, self.ipv6);
        flags.set(Flags::IP_CHECKSUM, self.ip_checksum);
        flags
    }

    fn from_parts(flags: Flags, word: u64) -> Self {
        let size = (word >> 24) as u16;
        TxRequest {
            l2_len: (word & 0x7F) as u8,
            l3_len: (word >> 7 & 0x1FF) as u16,
            l4_len: (word >> 16) as u8,
            ipv6: flags.contains(Flags::IPV6),
            ip_checksum: flags.contains(Flags::IP_CHECKSUM),
            l4_checksum: match () {
                () if flags.contains(Flags::TCP_CHECKSUM) => L4Checksum::Tcp,
                () if flags.contains(Flags::UDP_CHECKSUM) => L4Checksum::Udp,
                () if flags.contains(Flags::SCTP_CHECKSUM) => L4Checksum::Sctp,
                () => L4Checksum::None,
            },
            segmentation: match () {
                () if flags.contains(Flags::TCP_SEGMENTATION) => Segmentation::Tcp(size),
                () if flags.contains(Flags::UDP_SEGMENTATION) => Segmentation::Udp(size),
                () => Segmentation::None,
            },
        }
    }
}

/// All that ask about headers; insertion of tags and time stamps do not.
const HEADER_WORK: Flags =
    Flags::TX.difference(Flags::INSERT_VLAN.union(Flags::INSERT_QINQ).union(Flags::STAMP));

impl Mbuf {
    /// Which metadata is valid.
    #[inline(always)]
    pub fn flags(&self) -> Flags {
        Flags::from_bits_retain(self.header().flags)
    }

    /// Adds and removes flags.
    #[inline]
    pub fn change_flags(&mut self, add: Flags, remove: Flags) {
        let flags = self.flags().difference(remove).union(add);
        self.header_mut().flags = flags.bits();
    }

    /// The port that it came from.
    #[inline]
    pub fn port(&self) -> u16 {
        self.header().rearm.port
    }

    /// Says which port it came from.
    #[inline]
    pub fn set_port(&mut self, port: u16) {
        self.header_mut().rearm.port = port;
    }

    /// What headers it has, in `linecard-net`'s notation; 0 if nobody looked.
    #[inline]
    pub fn packet_type(&self) -> u32 {
        self.header().rx.packet_type
    }

    /// Says what headers it has.
    #[inline]
    pub fn set_packet_type(&mut self, packet_type: u32) {
        self.header_mut().rx.packet_type = packet_type;
    }

    /// The field, if its flag is set.
    #[inline(always)]
    fn valid<T>(&self, flag: Flags, field: impl Fn(&Header) -> T) -> Option<T> {
        self.flags().contains(flag).then(|| field(self.header()))
    }

    /// The RSS hash, if receive computed one.
    #[inline]
    pub fn rss_hash(&self) -> Option<u32> {
        self.valid(Flags::RSS_HASH, |h| h.rx.rss_hash)
    }

    /// Sets the RSS hash.
    #[inline]
    pub fn set_rss_hash(&mut self, hash: u32) {
        self.header_mut().rx.rss_hash = hash;
        self.change_flags(Flags::RSS_HASH, Flags::empty());
    }

    /// What a flow rule marked it with.
    #[inline]
    pub fn mark(&self) -> Option<u32> {
        self.valid(Flags::MARK, |h| h.rx.mark)
    }

    /// Marks it.
    #[inline]
    pub fn set_mark(&mut self, mark: u32) {
        self.header_mut().rx.mark = mark;
        self.change_flags(Flags::MARK, Flags::empty());
    }

    /// The VLAN tag control information that receive stripped.
    #[inline]
    pub fn vlan(&self) -> Option<u16> {
        self.valid(Flags::VLAN_STRIPPED, |h| h.rx.vlan)
    }

    /// Says that a tag was stripped.
    #[inline]
    pub fn set_vlan(&mut self, tci: u16) {
        self.header_mut().rx.vlan = tci;
        self.change_flags(Flags::VLAN_STRIPPED, Flags::empty());
    }

    /// The tag that transmit is to insert.
    #[inline]
    pub fn vlan_to_insert(&self) -> Option<u16> {
        self.valid(Flags::INSERT_VLAN, |h| h.rx.vlan)
    }

    /// Asks transmit to insert a VLAN tag.
    #[inline]
    pub fn insert_vlan(&mut self, tci: u16) {
        self.header_mut().rx.vlan = tci;
        self.change_flags(Flags::INSERT_VLAN, Flags::VLAN_STRIPPED);
    }

    /// The outer VLAN tag control information that receive stripped.
    #[inline]
    pub fn vlan_outer(&self) -> Option<u16> {
        self.valid(Flags::QINQ_STRIPPED, |h| h.rx.vlan_outer)
    }

    /// Says that an outer tag was stripped.
    #[inline]
    pub fn set_vlan_outer(&mut self, tci: u16) {
        self.header_mut().rx.vlan_outer = tci;
        self.change_flags(Flags::QINQ_STRIPPED, Flags::empty());
    }

    /// The outer tag that transmit is to insert.
    #[inline]
    pub fn vlan_outer_to_insert(&self) -> Option<u16> {
        self.valid(Flags::INSERT_QINQ, |h| h.rx.vlan_outer)
    }

    /// Asks transmit to insert an outer VLAN tag.
    #[inline]
    pub fn insert_vlan_outer(&mut self, tci: u16) {
        self.header_mut().rx.vlan_outer = tci;
        self.change_flags(Flags::INSERT_QINQ, Flags::QINQ_STRIPPED);
    }

    /// When it was received, in nanoseconds of the port's clock.
    #[inline]
    pub fn timestamp(&self) -> Option<u64> {
        self.valid(Flags::TIMESTAMP, |h| h.timestamp)
    }

    /// Says when it was received.
    #[inline]
    pub fn set_timestamp(&mut self, nanoseconds: u64) {
        self.header_mut().timestamp = nanoseconds;
        self.change_flags(Flags::TIMESTAMP, Flags::empty());
    }

    /// Asks transmit to note when the packet is sent; the port tells, not the packet.
    #[inline]
    pub fn stamp(&mut self) {
        self.change_flags(Flags::STAMP, Flags::empty());
    }

    /// What receive found of the IP header checksum.
    pub fn ip_checksum(&self) -> ChecksumStatus {
        self.status(Flags::IP_CHECKSUM_GOOD, Flags::IP_CHECKSUM_BAD)
    }

    /// What receive found of the transport checksum.
    pub fn l4_checksum(&self) -> ChecksumStatus {
        self.status(Flags::L4_CHECKSUM_GOOD, Flags::L4_CHECKSUM_BAD)
    }

    fn status(&self, good: Flags, bad: Flags) -> ChecksumStatus {
        match (self.flags().contains(good), self.flags().contains(bad)) {
            (false, false) => ChecksumStatus::Unknown,
            (true, false) => ChecksumStatus::Good,
            (false, true) => ChecksumStatus::Bad,
            (true, true) => ChecksumStatus::Intact,
        }
    }

    /// What transmit is asked to do, if anything.
    #[inline]
    pub fn tx_request(&self) -> Option<TxRequest> {
        let flags = self.flags();
        flags.intersects(HEADER_WORK).then(|| TxRequest::from_parts(flags, self.header().tx))
    }

    /// Asks transmit for checksums or segmentation.
    pub fn request(&mut self, request: TxRequest) {
        self.header_mut().tx = request.word();
        self.change_flags(request.flags(), HEADER_WORK);
    }

    /// The user's metadata, as a type of theirs: plain data of up to [`USER_BYTES`], aligned to 8. It
    /// holds whatever was last in it when a packet is received or allocated.
    ///
    /// ```compile_fail,E0277
    /// # let pool = linecard_mbuf::MbufPool::builder("user").size(8).build().unwrap();
    /// # let packet = pool.alloc().unwrap();
    /// packet.user::<std::cell::Cell<u64>>();      // would change under a shared packet
    /// ```
    /// ```compile_fail
    /// # let pool = linecard_mbuf::MbufPool::builder("user").size(8).build().unwrap();
    /// # let packet = pool.alloc().unwrap();
    /// packet.user::<[u64; 5]>();                  // too large
    /// ```
    pub fn user<T: FromBytes + Immutable + KnownLayout>(&self) -> &T {
        const { fits::<T>() }
        // SAFETY: `T` fits, is aligned, and accepts any bytes; they are this packet's, and nothing
        // changes them through a shared reference (`Immutable`).
        unsafe { &*self.header().user.as_ptr().cast() }
    }

    /// The user's metadata, to change.
    pub fn user_mut<T: FromBytes + IntoBytes + KnownLayout>(&mut self) -> &mut T {
        const { fits::<T>() }
        // SAFETY: as in `user`; `T` has no padding, so that the bytes stay initialised.
        unsafe { &mut *self.header_mut().user.as_mut_ptr().cast() }
    }

    /// Takes over what is known of `other`.
    pub(crate) fn copy_meta(&mut self, other: &Mbuf) {
        let (from, to) = (other.header(), self.header_mut());
        to.rearm.port = from.rearm.port;
        to.flags = from.flags;
        to.rx.packet_type = from.rx.packet_type;
        to.rx.vlan = from.rx.vlan;
        to.rx.vlan_outer = from.rx.vlan_outer;
        to.rx.rss_hash = from.rx.rss_hash;
        to.rx.mark = from.rx.mark;
        to.tx = from.tx;
        to.timestamp = from.timestamp;
        to.user = from.user;
    }
}

/// Refuses, at compile time, metadata that does not fit.
const fn fits<T>() {
    assert!(size_of::<T>() <= USER_BYTES, "user metadata may have 32 bytes");
    assert!(align_of::<T>() <= 8, "user metadata may be aligned to 8 bytes");
}
