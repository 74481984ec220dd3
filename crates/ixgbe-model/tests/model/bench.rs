//! A driver of a few lines, which knows the model only by its BARs and its memory.

use linecard_ixgbe_model::in_process::{Memory, Recorder, Sink};
use linecard_ixgbe_model::{Bar, Device, Host, Identity};
use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::descriptor::{receive, transmit};
use linecard_ixgbe_regs::registers::*;

/// Descriptors of each ring.
pub(crate) const RING: u64 = 16;
const RX_RING: u64 = 0x1_0000;
const TX_RING: u64 = 0x2_0000;
const RX_BUFFERS: u64 = 0x10_0000;
const TX_BUFFERS: u64 = 0x30_0000;
const BUFFER: u64 = 0x4000;

/// A card with one queue each way.
pub(crate) struct Bench {
    pub(crate) card: Device,
    pub(crate) memory: Memory,
    pub(crate) interrupts: Recorder,
    pub(crate) wire: Sink,
    rx_next: u64,
    tx_tail: u64,
}

/// What a receive descriptor said, with its bytes.
pub(crate) struct Received {
    pub(crate) words: [u64; 2],
    pub(crate) bytes: Vec<u8>,
}

impl Received {
    pub(crate) fn field(&self, field: linecard_ixgbe_regs::WideField) -> u64 {
        field.in_descriptor(self.words)
    }
}

impl Bench {
    /// A card after power-on, with bus mastering on.
    pub(crate) fn bare() -> Self {
        Self::of(Identity::default())
    }

    /// The same of another kind.
    pub(crate) fn of(identity: Identity) -> Self {
        let (memory, interrupts, wire) =
            (Memory::new(8 << 20), Recorder::default(), Sink::default());
        let host = Host {
            dma: Box::new(memory.clone()),
            interrupts: Box::new(interrupts.clone()),
            wire: Box::new(wire.clone()),
        };
        let mut card = Device::new(identity, host);
        card.write_config(4, 0x6, 2);
        Self { card, memory, interrupts, wire, rx_next: 0, tx_tail: 0 }
    }

    /// Queue 0 of both kinds runs, and everything is accepted.
    pub(crate) fn started() -> Self {
        Self::bare().start()
    }

    pub(crate) fn start(self) -> Self {
        let mut bench = self;
        bench.set(&FCTRL, fctrl::UPE.mask() | fctrl::MPE.mask() | fctrl::BAM.mask());
        bench.set(&RXCSUM, rxcsum::PCSD.mask());
        bench.start_rx(0);
        bench.set(&RXCTRL, 1);
        bench.set(&DMATXCTL, dmatxctl::TE.put(0x8100 << 16, 1));
        bench.start_tx();
        bench
    }

    pub(crate) fn get(&mut self, register: &Register) -> u32 {
        self.get_at(register, 0)
    }

    pub(crate) fn get_at(&mut self, register: &Register, index: u32) -> u32 {
        self.card.read(Bar::Registers, register.at(index).unwrap().into(), 4) as u32
    }

    pub(crate) fn set(&mut self, register: &Register, value: u32) {
        self.set_at(register, 0, value);
    }

    pub(crate) fn set_at(&mut self, register: &Register, index: u32, value: u32) {
        self.card.write(Bar::Registers, register.at(index).unwrap().into(), value.into(), 4);
    }

    /// Rings of queue n lie n * 4096 further, buffers n * RING further.
    pub(crate) fn start_rx(&mut self, queue: u32) {
        self.set_at(&RDBAL, queue, RX_RING as u32 + queue * 4096);
        self.set_at(&RDLEN, queue, RING as u32 * 16);
        self.set_at(&SRRCTL, queue, srrctl::DESCTYPE.put(2, 1));
        self.set_at(&RXDCTL, queue, rxdctl::ENABLE.mask());
        self.post_all(queue);
        self.set_at(&RDT, queue, RING as u32 - 1);
    }

    fn post_all(&mut self, queue: u32) {
        for slot in 0..RING {
            self.memory.put_word(rx_slot(queue, slot), buffer(queue, slot));
            self.memory.put_word(rx_slot(queue, slot) + 8, 0);
        }
    }

    fn start_tx(&mut self) {
        self.set(&TDBAL, TX_RING as u32);
        self.set(&TDLEN, RING as u32 * 16);
        self.set(&TXDCTL, txdctl::ENABLE.mask());
    }

    /// The next packet of queue 0, if one is there. Its descriptors are posted again.
    pub(crate) fn poll(&mut self) -> Option<Received> {
        let mut bytes = Vec::new();
        loop {
            let slot = self.rx_next % RING;
            let at = rx_slot(0, slot);
            let words = [self.memory.word(at), self.memory.word(at + 8)];
            if !receive::DD.is_set(words[1]) {
                return None;
            }
            let len = receive::PKT_LEN.of(words[1]) as usize;
            bytes.extend(self.memory.bytes(buffer(0, slot), len));
            self.memory.put_word(at, buffer(0, slot));
            self.memory.put_word(at + 8, 0);
            self.set(&RDT, slot as u32);
            self.rx_next += 1;
            if receive::EOP.is_set(words[1]) {
                return Some(Received { words, bytes });
            }
        }
    }

    /// What a descriptor of queue 0 says.
    pub(crate) fn slot(&self, slot: u64) -> [u64; 2] {
        let at = rx_slot(0, slot);
        [self.memory.word(at), self.memory.word(at + 8)]
    }

    /// What the first descriptor of a queue says.
    pub(crate) fn first(&self, queue: u32) -> [u64; 2] {
        let at = rx_slot(queue, 0);
        [self.memory.word(at), self.memory.word(at + 8)]
    }

    /// Sends one frame, with flags for both quadwords of its data descriptor.
    pub(crate) fn send(&mut self, frame: &[u8], flags: u64, payload: u64) {
        let at = TX_BUFFERS + self.tx_tail % RING * BUFFER;
        self.memory.put(at, frame);
        let base = transmit::DTYP.put(0, 3)
            | transmit::DEXT.mask()
            | transmit::EOP.mask()
            | transmit::IFCS.mask()
            | transmit::RS.mask();
        let word = transmit::DTALEN.put(base | flags, frame.len() as u64);
        self.push([at, transmit::PAYLEN.put(word, payload)]);
    }

    /// Puts any descriptor into the transmit ring and rings the doorbell.
    pub(crate) fn push(&mut self, words: [u64; 2]) {
        let at = TX_RING + self.tx_tail % RING * 16;
        self.memory.put_word(at, words[0]);
        self.memory.put_word(at + 8, words[1]);
        self.tx_tail += 1;
        self.set(&TDT, (self.tx_tail % RING) as u32);
    }

    /// Whether the descriptor pushed last is done.
    pub(crate) fn last_is_done(&self) -> bool {
        let slot = (self.tx_tail - 1) % RING;
        transmit::DD.is_set(self.memory.word(TX_RING + slot * 16 + 8))
    }
}

fn rx_slot(queue: u32, slot: u64) -> u64 {
    RX_RING + u64::from(queue) * 4096 + slot * 16
}

fn buffer(queue: u32, slot: u64) -> u64 {
    RX_BUFFERS + (u64::from(queue) * RING + slot) * BUFFER
}

/// A frame of TCP over IPv4 from 10.0.0.1 to 10.0.0.2 with right checksums.
pub(crate) fn tcp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = raw_tcp(source, destination, payload);
    let ip = checksum(&frame[14..34], 0);
    frame[24..26].copy_from_slice(&ip.to_be_bytes());
    let sum = checksum(&frame[34..], pseudo(20 + payload.len()));
    frame[50..52].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// The same with checksums of 0.
pub(crate) fn raw_tcp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x02, 0x1c, 0x5f, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0];
    frame.extend((40 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 7, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend(source.to_be_bytes());
    frame.extend(destination.to_be_bytes());
    frame.extend([0, 0, 1, 0, 0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

/// Sum of the pseudo header, not folded.
pub(crate) fn pseudo(len: usize) -> u32 {
    0x0A00 * 2 + 1 + 2 + 6 + len as u32
}

/// The Internet checksum of `bytes`, on top of `sum`.
pub(crate) fn checksum(bytes: &[u8], sum: u32) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from));
    let mut sum = sum + words.sum::<u32>();
    while sum >> 16 != 0 {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}
