//! How many packets a second two modelled cards in another process forward for a driver whose loop costs
//! nothing: it posts and sends the same descriptors again and again, and looks at nothing.
//! `pace SECONDS SOCKET SOCKET`, beside `ixgbe-model vfio-user --wire flood --socket … --socket …`.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::descriptor::transmit;
use linecard_ixgbe_regs::registers::*;
use memmap2::MmapMut;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use std::error::Error;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};
use vfio_bindings::bindings::vfio;
use vfio_user::Client;

type Done<T> = Result<T, Box<dyn Error>>;

/// Where the driver's memory lies for the card: rings, and then buffers of 2 KiB.
const BASE: u64 = 0x10_0000_0000;
const LEN: u64 = 1 << 21;
const RX: u64 = 0;
const TX: u64 = 0x4000;
const BUFFERS: u64 = 0x10000;
const RING: u32 = 512;
const BURST: u32 = 32;

struct Card {
    client: Client,
    memory: MmapMut,
}

impl Card {
    fn open(path: &str) -> Done<Self> {
        let memory = memfd_create("memory", MemfdFlags::CLOEXEC)?;
        ftruncate(&memory, LEN)?;
        // SAFETY: the file is ours, and of this length.
        let mapped = unsafe { MmapMut::map_mut(&memory)? };
        let mut client = Client::new(Path::new(path))?;
        client.dma_map(0, BASE, LEN, memory.as_raw_fd())?;
        client.region_write(vfio::VFIO_PCI_CONFIG_REGION_INDEX, 4, &6u16.to_le_bytes())?;
        let mut card = Card { client, memory: mapped };
        let high = (BASE >> 32) as u32;
        let rings = [(&RDBAL, RX as u32), (&TDBAL, TX as u32), (&RDBAH, high), (&TDBAH, high)];
        rings.into_iter().try_for_each(|(register, value)| card.set(register, value))?;
        let start = [
            (&RDLEN, RING * 16),
            (&TDLEN, RING * 16),
            (&SRRCTL, srrctl::DESCTYPE.put(2, 1)),
            (&FCTRL, fctrl::BAM.mask()),
            (&RXDCTL, rxdctl::ENABLE.mask()),
            (&RXCTRL, rxctrl::RXEN.mask()),
            (&DMATXCTL, dmatxctl::TE.mask()),
            (&TXDCTL, txdctl::ENABLE.mask()),
        ];
        start.into_iter().try_for_each(|(register, value)| card.set(register, value))?;
        Ok(card)
    }

    fn set(&mut self, register: &Register, value: u32) -> Done<()> {
        Ok(self.client.region_write(0, register.offset().into(), &value.to_le_bytes())?)
    }

    /// Writes the `BURST` descriptors before `tail`, and then the tail.
    fn ring(&mut self, tail: &Register, at: u64, position: u32, second: u64) -> Done<()> {
        for index in position.wrapping_sub(BURST)..position {
            let slot = u64::from(index % RING);
            let words = [BASE + BUFFERS + slot * 2048, second];
            let place = (at + slot * 16) as usize;
            self.memory[place..place + 16]
                .copy_from_slice(words.map(u64::to_le_bytes).as_flattened());
        }
        self.set(tail, position % RING)
    }
}

fn main() -> Done<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [seconds, one, other] = words.as_slice() else {
        return Err("how? give SECONDS and two sockets".into());
    };
    let long = Duration::try_from_secs_f64(seconds.parse()?)?;
    let mut cards = [Card::open(one)?, Card::open(other)?];
    let flags = transmit::DEXT.mask() | transmit::EOP.mask() | transmit::RS.mask();
    let word = transmit::DTYP.put(flags, transmit::DTYP_DATA) | transmit::IFCS.mask();
    let word = transmit::PAYLEN.put(transmit::DTALEN.put(word, 60), 60);
    let (mut position, begin) = (0u32, Instant::now());
    while begin.elapsed() < long {
        position += BURST;
        for (from, to) in [(0, 1), (1, 0)] {
            cards[from].ring(&RDT, RX, position, 0)?;
            cards[to].ring(&TDT, TX, position, word)?;
        }
    }
    let packets = 2 * u64::from(position);
    println!("{:.6} Mpps", packets as f64 / begin.elapsed().as_secs_f64() / 1e6);
    Ok(())
}
