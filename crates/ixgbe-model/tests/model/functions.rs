//! A card with two virtual functions, and drivers of a few lines for all three.
//!
//! Pools have four queues each. Pool 2 is the physical function's, so that its queue is 8.

use crate::bench::Bench;
use linecard_ixgbe_model::in_process::{Memory, Recorder};
use linecard_ixgbe_model::{Bar, FunctionHost, Identity};
use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::descriptor::{receive, transmit};
use linecard_ixgbe_regs::registers::virtual_function::*;
use linecard_ixgbe_regs::registers::*;

/// Descriptors of each ring.
pub(crate) const RING: u64 = 16;
/// Pool of the physical function.
pub(crate) const DEFAULT_POOL: u32 = 2;
/// Queues of a pool.
pub(crate) const QUEUES: u32 = 4;
const RX_RING: u64 = 0x1_0000;
const TX_RING: u64 = 0x2_0000;
const BUFFERS: u64 = 0x4_0000;
const TX_BUFFER: u64 = 0x3_0000;

/// Rings of queue n lie n * 4096 further, buffers n * RING further. All are the same for every function,
/// each of which has memory of its own.
fn rx_slot(queue: u32, slot: u64) -> u64 {
    RX_RING + u64::from(queue) * 4096 + slot * 16
}

fn buffer(queue: u32, slot: u64) -> u64 {
    BUFFERS + (u64::from(queue) * RING + slot) * 2048
}

/// The address of a function; 2 is the physical one.
pub(crate) fn mac(pool: u32) -> [u8; 6] {
    [0x02, 0xAB, 0, 0, 0, pool as u8]
}

/// A card and what is around it.
pub(crate) struct Card {
    pub(crate) bench: Bench,
    /// Memory of each virtual function.
    pub(crate) memory: [Memory; 2],
    pub(crate) interrupts: [Recorder; 2],
    sent: [u64; 2],
}

impl Card {
    /// Two functions are attached, and none of the drivers has come.
    pub(crate) fn bare() -> Self {
        Self::of(Identity::default())
    }

    pub(crate) fn of(identity: Identity) -> Self {
        let mut bench = Bench::of(identity);
        let memory = [Memory::new(1 << 20), Memory::new(1 << 20)];
        let interrupts = [Recorder::default(), Recorder::default()];
        for number in 0..2 {
            let host = FunctionHost {
                dma: Box::new(memory[number].clone()),
                interrupts: Box::new(interrupts[number].clone()),
            };
            assert_eq!(bench.card.attach(host), number as u32);
        }
        Self { bench, memory, interrupts, sent: [0; 2] }
    }

    /// All three have their first queue both ways, and an address.
    pub(crate) fn started() -> Self {
        Self::bare().start()
    }

    pub(crate) fn start(mut self) -> Self {
        self.start_physical();
        for number in 0..2 {
            self.start_function(number);
        }
        self
    }

    /// What the physical function's driver does, with a queue of its own.
    pub(crate) fn start_physical(&mut self) {
        let bench = &mut self.bench;
        bench.set(&GCR_EXT, gcr_ext::VT_MODE.put(0, 2));
        let control = pfvtctl::VT_ENA.mask() | pfvtctl::RPL_EN.mask();
        bench.set(&PFVTCTL, pfvtctl::DEF_PL.put(control, DEFAULT_POOL));
        bench.set(&MRQC, mrqc::MRQE.put(0, 0b1010));
        for register in [&PFVFRE, &PFVFTE] {
            bench.set(register, 0b111);
        }
        for pool in 0..3 {
            bench.set_at(&PFVML2FLT, pool, pfvml2flt::BAM.mask() | pfvml2flt::AUPE.mask());
            let mac = mac(pool);
            bench.set_at(&RAL, pool, u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]]));
            bench.set_at(&RAH, pool, u32::from(mac[5]) << 8 | rah::AV.mask());
            bench.set_at(&MPSAR, 2 * pool, 1 << pool);
        }
        bench.set(&FCTRL, fctrl::BAM.mask());
        bench.set(&RXCSUM, rxcsum::PCSD.mask());
        bench.start_rx(DEFAULT_POOL * QUEUES);
        bench.set(&RXCTRL, 1);
        bench.set(&DMATXCTL, dmatxctl::TE.put(0x8100 << 16, 1));
        bench.set(&CTRL_EXT, ctrl_ext::PFRSTD.mask());
    }

    /// What a virtual function's driver does.
    pub(crate) fn start_function(&mut self, number: u32) {
        self.bench.card.function(number).write_config(4, 0x6, 2);
        self.start_rx(number, 0);
        self.set(number, &VFTDBAL, TX_RING as u32);
        self.set(number, &VFTDLEN, RING as u32 * 16);
        self.set(number, &VFTXDCTL, txdctl::ENABLE.mask());
        self.sent[number as usize] = 0;
    }

    pub(crate) fn start_rx(&mut self, number: u32, queue: u32) {
        self.set_at(number, &VFRDBAL, queue, rx_slot(queue, 0) as u32);
        self.set_at(number, &VFRDLEN, queue, RING as u32 * 16);
        self.set_at(number, &VFSRRCTL, queue, srrctl::DESCTYPE.put(2, 1));
        self.set_at(number, &VFRXDCTL, queue, rxdctl::ENABLE.mask());
        for slot in 0..RING {
            self.memory[number as usize].put_word(rx_slot(queue, slot), buffer(queue, slot));
            self.memory[number as usize].put_word(rx_slot(queue, slot) + 8, 0);
        }
        self.set_at(number, &VFRDT, queue, RING as u32 - 1);
    }

    /// Vector 0 for the first receive queue, 1 for the first transmit queue, 2 for the mailbox; messages
    /// are 0x50 and up.
    pub(crate) fn with_vectors(&mut self, number: u32) {
        let mut function = self.bench.card.function(number);
        function.write_config(0x72, 0x8000, 2);
        for vector in 0..3u64 {
            function.write(Bar::Msix, vector * 16, 0xFEE0_0000, 4);
            function.write(Bar::Msix, vector * 16 + 8, 0x50 + vector, 4);
            function.write(Bar::Msix, vector * 16 + 12, 0, 4);
        }
        let word = vtivar::RX_EVEN_VALID.mask() | vtivar::TX_EVEN_VALID.mask();
        self.set(number, &VTIVAR, vtivar::TX_EVEN.put(word, 1));
        let word = vtivar_misc::MAILBOX_VALID.mask();
        self.set(number, &VTIVAR_MISC, vtivar_misc::MAILBOX.put(word, 2));
    }

    /// What interrupts said since the last call.
    pub(crate) fn vectors(&self, number: u32) -> Vec<u32> {
        let messages = self.interrupts[number as usize].take_messages();
        messages.iter().map(|message| message.data).collect()
    }

    pub(crate) fn get(&mut self, number: u32, register: &Register) -> u32 {
        self.get_at(number, register, 0)
    }

    pub(crate) fn get_at(&mut self, number: u32, register: &Register, index: u32) -> u32 {
        let offset = register.at(index).unwrap().into();
        self.bench.card.function(number).read(Bar::Registers, offset, 4) as u32
    }

    pub(crate) fn set(&mut self, number: u32, register: &Register, value: u32) {
        self.set_at(number, register, 0, value);
    }

    pub(crate) fn set_at(&mut self, number: u32, register: &Register, index: u32, value: u32) {
        let offset = register.at(index).unwrap().into();
        self.bench.card.function(number).write(Bar::Registers, offset, value.into(), 4);
    }

    /// Frames that lie in the first queues of the three pools, as their lengths.
    pub(crate) fn received(&self) -> [usize; 3] {
        [
            self.received_by(0, 0).len(),
            self.received_by(1, 0).len(),
            done(&self.bench.memory, |slot| rx_slot(DEFAULT_POOL * QUEUES, slot)).len(),
        ]
    }

    /// The frames in a queue of a virtual function.
    pub(crate) fn received_by(&self, number: u32, queue: u32) -> Vec<Vec<u8>> {
        let memory = &self.memory[number as usize];
        let found = done(memory, |slot| rx_slot(queue, slot));
        found.iter().map(|&(slot, len)| memory.bytes(buffer(queue, slot), len)).collect()
    }

    /// Sends a frame from the first queue of a virtual function.
    pub(crate) fn send(&mut self, number: u32, frame: &[u8]) {
        self.send_with(number, frame, 0);
    }

    /// The same with flags for the descriptor.
    pub(crate) fn send_with(&mut self, number: u32, frame: &[u8], flags: u64) {
        let memory = &self.memory[number as usize];
        memory.put(TX_BUFFER, frame);
        let base = transmit::DTYP.put(0, 3) | transmit::DEXT.mask() | transmit::EOP.mask();
        let word = base | transmit::IFCS.mask() | transmit::RS.mask() | flags;
        self.push(number, [TX_BUFFER, transmit::DTALEN.put(word, frame.len() as u64)]);
    }

    pub(crate) fn push(&mut self, number: u32, words: [u64; 2]) {
        let slot = self.sent[number as usize] % RING;
        let memory = &self.memory[number as usize];
        memory.put_word(TX_RING + slot * 16, words[0]);
        memory.put_word(TX_RING + slot * 16 + 8, words[1]);
        self.sent[number as usize] += 1;
        self.set(number, &VFTDT, ((slot + 1) % RING) as u32);
    }

    /// Whether the descriptor that was pushed last is done.
    pub(crate) fn last_is_done(&self, number: u32) -> bool {
        let slot = (self.sent[number as usize] - 1) % RING;
        transmit::DD.is_set(self.memory[number as usize].word(TX_RING + slot * 16 + 8))
    }
}

/// Slots that are done, with the lengths of their frames.
fn done(memory: &Memory, at: impl Fn(u64) -> u64) -> Vec<(u64, usize)> {
    let words = (0..RING).map(|slot| (slot, memory.word(at(slot) + 8)));
    let done = words.filter(|(_, word)| receive::DD.is_set(*word));
    done.map(|(slot, word)| (slot, receive::PKT_LEN.of(word) as usize)).collect()
}

/// A frame of 64 bytes from one address to another.
pub(crate) fn frame(to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    let mut frame = [to, from].concat();
    frame.extend([0x88, 0xB5]);
    frame.resize(64, 7);
    frame
}

/// The same with a tag.
pub(crate) fn tagged(to: [u8; 6], from: [u8; 6], tag: u16) -> Vec<u8> {
    let mut frame = frame(to, from);
    frame.splice(12..12, [0x81, 0, (tag >> 8) as u8, tag as u8]);
    frame
}
