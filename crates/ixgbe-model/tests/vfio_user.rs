//! The card over vfio-user, driven by another implementation of the protocol: the client of the
//! crate `vfio_user`.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use linecard_ixgbe_model::Identity;
use linecard_ixgbe_model::front::vfio_user::UserCard;
use linecard_ixgbe_model::wire::unplugged;
use linecard_ixgbe_regs::descriptor::{receive, transmit};
use linecard_ixgbe_regs::registers::*;
use linecard_ixgbe_regs::{BAR0_BYTES, MSIX_BAR_BYTES, Register};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use vfio_bindings::bindings::vfio;
use vfio_user::Client;

/// Where the driver's memory lies for the card.
const BASE: u64 = 0x10_0000_0000;
const LEN: u64 = 1 << 20;
const CONFIG: u32 = 7;

struct Driver {
    client: Client,
    memory: File,
}

impl Driver {
    fn connect(path: &Path) -> Self {
        let memory = memfd_create("memory", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&memory, LEN).unwrap();
        let mut client = Client::new(path).unwrap();
        client.dma_map(0, BASE, LEN, memory.as_raw_fd()).unwrap();
        client.region_write(CONFIG, 4, &6u16.to_le_bytes()).unwrap();
        Self { client, memory: memory.into() }
    }

    fn set(&mut self, register: &Register, value: u32) {
        self.client.region_write(0, register.offset().into(), &value.to_le_bytes()).unwrap();
    }

    fn get(&mut self, register: &Register) -> u32 {
        let mut word = [0; 4];
        self.client.region_read(0, register.offset().into(), &mut word).unwrap();
        u32::from_le_bytes(word)
    }

    fn put_words(&self, at: u64, words: [u64; 2]) {
        self.memory.write_all_at(words.map(u64::to_le_bytes).as_flattened(), at).unwrap();
    }

    fn word(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        self.memory.read_exact_at(&mut word, at).unwrap();
        u64::from_le_bytes(word)
    }

    /// One queue each way, looped.
    fn start(&mut self) {
        let high = (BASE >> 32) as u32;
        self.set(&HLREG0, hlreg0::LPBK.put(0x0C03, 1));
        self.set(&FCTRL, fctrl::UPE.mask());
        self.set(&RDBAH, high);
        self.set(&RDLEN, 128);
        self.set(&SRRCTL, srrctl::DESCTYPE.put(2, 1));
        self.set(&RXDCTL, rxdctl::ENABLE.mask());
        self.put_words(0, [BASE + 0x2000, 0]);
        self.set(&RDT, 1);
        self.set(&RXCTRL, 1);
        self.set(&DMATXCTL, 1);
        self.set(&TDBAL, 0x1000);
        self.set(&TDBAH, high);
        self.set(&TDLEN, 128);
        self.set(&TXDCTL, txdctl::ENABLE.mask());
    }

    fn send(&self, frame: &[u8]) -> [u64; 2] {
        self.memory.write_all_at(frame, 0x4000).unwrap();
        let flags = transmit::DEXT.mask() | transmit::EOP.mask() | transmit::RS.mask();
        let word = transmit::DTALEN.put(transmit::DTYP.put(flags, 3), frame.len() as u64);
        [BASE + 0x4000, word]
    }
}

impl Driver {
    /// What lies beyond a region is nothing, up to where addresses end.
    fn looks_beyond_the_ends(&mut self) {
        let status = self.get(&STATUS);
        for (region, end) in [(0, u64::from(BAR0_BYTES)), (4, MSIX_BAR_BYTES.into()), (CONFIG, 256)]
        {
            for offset in [end - 4, end, end + 8, u64::MAX - 11, u64::MAX - 3, u64::MAX] {
                let mut bytes = [0xAA; 16];
                self.client.region_read(region, offset, &mut bytes).unwrap();
                let within = end.saturating_sub(offset).min(16) as usize;
                assert!(bytes[within..].iter().all(|byte| *byte == 0), "{region} {offset:#x}");
                self.client.region_write(region, offset.max(end), &[0xFF; 16]).unwrap();
            }
        }
        assert_eq!(self.get(&STATUS), status, "a write beyond the end went round");
    }
}

#[test]
fn a_frame_goes_round_through_shared_memory_and_rings_an_eventfd() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("card");
    let card = UserCard::listen(&path, Identity::default(), unplugged()).unwrap();
    let device = card.device();
    std::thread::scope(|scope| {
        let served = scope.spawn(|| card.serve());
        let mut driver = Driver::connect(&path);
        let mut ids = [0; 4];
        driver.client.region_read(CONFIG, 0, &mut ids).unwrap();
        assert_eq!(ids, [0x86, 0x80, 0xFB, 0x10]);
        assert!(links::UP.is_set(driver.get(&LINKS)));

        let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let flags = vfio::VFIO_IRQ_SET_DATA_EVENTFD | vfio::VFIO_IRQ_SET_ACTION_TRIGGER;
        driver.client.set_irqs(2, flags, 0, 1, &[event.as_raw_fd()]).unwrap();
        driver.start();
        driver.set(&IVAR, ivar::RX_EVEN_VALID.mask());
        driver.set(&EIMS, 1);
        let frame: Vec<u8> = (0..100).collect();
        let words = driver.send(&frame);
        driver.put_words(0x1000, words);
        driver.set(&TDT, 1);

        assert!(transmit::DD.is_set(driver.word(0x1008)));
        let status = driver.word(8);
        assert_eq!(receive::PKT_LEN.of(status), 100);
        let mut got = [0; 100];
        driver.memory.read_exact_at(&mut got, 0x2000).unwrap();
        assert_eq!(got[..], frame[..]);
        let mut count = [0; 8];
        File::from(event).read_exact(&mut count).unwrap();
        assert!(u64::from_ne_bytes(count) > 0);

        driver.looks_beyond_the_ends();
        // Nothing is reached after it was unmapped.
        driver.client.dma_unmap(BASE, LEN).unwrap();
        driver.set(&TDT, 2);
        let faults = device.lock().unwrap().take_journal().dma_faults;
        assert!(!faults.is_empty() && faults.iter().all(|fault| fault.address >= BASE));
        drop(driver);
        served.join().unwrap().unwrap();
    });
    let mut device = device.lock().unwrap();
    assert!(
        !rxctrl::RXEN.is_set(device.read(linecard_ixgbe_model::Bar::Registers, 0x3000, 4) as u32)
    );
}
