//! A driver of the physical function: just enough of one that virtual functions have somebody to ask.
//! Third parties take its place in guests (`guest_virtual_function`).

use linecard_ixgbe_model::{Bar, Device};
use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::registers::*;

const SUCCESS: u32 = 1 << 31;
const FAILURE: u32 = 1 << 30;
const CLEAR_TO_SEND: u32 = 1 << 29;

/// The pool that is nobody's: frames for no known address go there.
const OWN_POOL: u32 = 63;

/// Whether a function may ask for what others receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    Yes,
    No,
}

/// The driver.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// What it gives a function as its address, if anything.
    pub(crate) mac: Option<[u8; 6]>,
    /// The newest version of the interface that it knows, as on the wire.
    pub(crate) version: u32,
    pub(crate) trust: Trust,
    /// The largest frame that it grants.
    pub(crate) largest: u32,
    /// It takes messages, and answers none.
    pub(crate) is_mute: bool,
    /// Whether functions have introduced themselves since its own reset.
    pub(crate) is_known: [bool; 64],
    /// Every message that it got.
    pub(crate) heard: Vec<[u32; 16]>,
}

impl Default for Host {
    fn default() -> Self {
        Host {
            mac: Some([0x02, 0xF0, 0, 0, 0, 1]),
            version: 4,
            trust: Trust::Yes,
            largest: 9728,
            is_mute: false,
            is_known: [false; 64],
            heard: Vec::new(),
        }
    }
}

fn write(device: &mut Device, register: &Register, index: u32, value: u32) {
    let offset = register.at(index).expect("an element").into();
    device.write(Bar::Registers, offset, value.into(), 4);
}

fn read(device: &mut Device, register: &Register, index: u32) -> u32 {
    device.read(Bar::Registers, register.at(index).expect("an element").into(), 4) as u32
}

fn put(device: &mut Device, register: &Register, index: u32, mask: u32, value: u32) {
    let word = read(device, register, index) & !mask;
    write(device, register, index, word | value);
}

impl Host {
    /// 64 pools of two queues, of which the last one is the host's own; RSS in pools, over both.
    pub(crate) fn bring_up(&self, device: &mut Device) {
        device.write_config(4, 0x0006, 2);
        put(device, &GCR_EXT, 0, gcr_ext::VT_MODE.mask(), 3);
        put(device, &GPIE, 0, gpie::VT_MODE.mask(), gpie::VT_MODE.put(0, 3));
        let control =
            pfvtctl::DEF_PL.put(pfvtctl::VT_ENA.mask() | pfvtctl::RPL_EN.mask(), OWN_POOL);
        write(device, &PFVTCTL, 0, control);
        write(device, &MRQC, 0, mrqc::MRQE.put(mrqc::IPV4.mask() | mrqc::UDP_IPV4.mask(), 0b1011));
        write(device, &MTQC, 0, mtqc::VT_ENA.mask() | mtqc::NUM_TC_OR_Q.put(0, 1));
        (0..RETA.count()).for_each(|index| write(device, &RETA, index, 0x0100_0100));
        (0..RSSRK.count()).for_each(|index| write(device, &RSSRK, index, 0x6D5A_56DA + index));
        put(device, &HLREG0, 0, 0, hlreg0::JUMBOEN.mask() | hlreg0::RXCRCSTRP.mask());
        put(device, &MAXFRS, 0, maxfrs::MFS.mask(), maxfrs::MFS.put(0, self.largest));
        put(device, &RDRXCTL, 0, 0, rdrxctl::CRCSTRIP.mask());
        write(device, &RXCSUM, 0, rxcsum::PCSD.mask());
        put(device, &VLNCTRL, 0, 0, vlnctrl::VFE.mask());
        (0..VFTA.count()).for_each(|index| write(device, &VFTA, index, u32::MAX));
        let all = fctrl::BAM.mask() | fctrl::UPE.mask() | fctrl::MPE.mask();
        write(device, &FCTRL, 0, all);
        write(device, &MCSTCTRL, 0, mcstctrl::MFE.mask());
        put(device, &DMATXCTL, 0, 0, dmatxctl::TE.mask());
        write(device, &RXCTRL, 0, rxctrl::RXEN.mask());
        put(device, &CTRL_EXT, 0, 0, ctrl_ext::PFRSTD.mask());
    }

    /// Resets the card, and sets it up again: functions are forgotten.
    pub(crate) fn restart(&mut self, device: &mut Device) {
        put(device, &CTRL, 0, 0, ctrl::RST.mask());
        self.is_known = [false; 64];
        self.bring_up(device);
    }

    /// Does what functions have asked for.
    pub(crate) fn serve(&mut self, device: &mut Device) {
        for group in 0..2 {
            let register = [&PFVFLRE, &PFVFLRE1][group as usize];
            let reset = read(device, register, 0);
            write(device, &PFVFLREC, group, reset);
        }
        for group in 0..PFMBICR.count() {
            let word = read(device, &PFMBICR, group);
            write(device, &PFMBICR, group, word);
            let asking = (0..16).filter(|bit| pfmbicr::VFREQ.of(word) >> bit & 1 != 0);
            asking.for_each(|bit| self.hear(device, group * 16 + bit));
        }
    }

    fn hear(&mut self, device: &mut Device, function: u32) {
        let word = |device: &mut Device, i| read(device, &PFMBMEM, 16 * function + i);
        let message: [u32; 16] = std::array::from_fn(|i| word(device, i as u32));
        write(device, &PFMAILBOX, function, pfmailbox::ACK.mask());
        self.heard.push(message);
        if self.is_mute {
            return;
        }
        let mut answer = message;
        let kind = message[0] & 0xFFFF;
        let is_done = match kind {
            _ if kind != 1 && !self.is_known[function as usize] => {
                answer[0] |= FAILURE;
                return self.say(device, function, &answer);
            }
            1 => return self.introduce(device, function),
            _ => self.do_it(device, function, &mut answer),
        };
        answer[0] |= CLEAR_TO_SEND | if is_done { SUCCESS } else { FAILURE };
        self.say(device, function, &answer);
    }

    /// Says something, asked or not.
    pub(crate) fn say(&self, device: &mut Device, function: u32, words: &[u32]) {
        write(device, &PFMAILBOX, function, pfmailbox::PFU.mask());
        let word = read(device, &PFMAILBOX, function);
        assert!(pfmailbox::PFU.is_set(word), "the function has let the memory go");
        for (index, word) in (0..).zip(words) {
            write(device, &PFMBMEM, 16 * function + index, *word);
        }
        write(device, &PFMAILBOX, function, pfmailbox::STS.mask());
    }

    fn introduce(&mut self, device: &mut Device, function: u32) {
        let bit = 1 << (function % 32);
        put(device, &PFVFTE, function / 32, 0, bit);
        put(device, &PFVFRE, function / 32, 0, bit);
        let modes = pfvml2flt::AUPE.mask() | pfvml2flt::BAM.mask() | pfvml2flt::ROMPE.mask();
        write(device, &PFVML2FLT, function, modes);
        self.is_known[function as usize] = true;
        let mac = self.mac.unwrap_or_default();
        if self.mac.is_some() {
            accept(device, 127 - function, mac, function);
        }
        let outcome = if self.mac.is_some() { SUCCESS } else { FAILURE };
        let low = u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]]);
        let high = u32::from(u16::from_le_bytes([mac[4], mac[5]]));
        self.say(device, function, &[1 | outcome, low, high, 0]);
    }

    fn do_it(&self, device: &mut Device, function: u32, words: &mut [u32; 16]) -> bool {
        let argument = words[0] >> 16 & 0xFF;
        let [a, b, c, d] = words[1].to_le_bytes();
        let [e, f, ..] = words[2].to_le_bytes();
        match words[0] & 0xFFFF {
            2 => accept(device, 127 - function, [a, b, c, d, e, f], function),
            3 => {
                (0..argument as usize).for_each(|i| {
                    let hash = words[1 + i / 2] >> (16 * (i % 2)) & 0xFFF;
                    put(device, &MTA, hash >> 5, 0, 1 << (hash & 31));
                });
            }
            4 => {
                write(device, &PFVLVF, function, pfvlvf::VI_EN.mask() | words[1]);
                let pools = if argument == 1 { 1 << function } else { 0 };
                write(device, &PFVLVFB, 2 * function, pools);
            }
            5 => return words[1] <= self.largest,
            6 if argument == 0 => (1..9).for_each(|i| write(device, &RAH, i, 0)),
            6 if argument > 8 => return false,
            6 => accept(device, argument, [a, b, c, d, e, f], function),
            8 => return words[1] <= self.version && words[1] != 1,
            9 => (words[1], words[2], words[3], words[4]) = (2, 2, 0, 0),
            12 if words[1] > 1 && self.trust == Trust::No => return false,
            12 => {
                let all = if words[1] >= 2 { pfvml2flt::MPE.mask() } else { 0 };
                put(device, &PFVML2FLT, function, pfvml2flt::MPE.mask(), all);
            }
            _ => return false,
        }
        true
    }
}

/// Frames for an address go to a function.
fn accept(device: &mut Device, place: u32, mac: [u8; 6], function: u32) {
    let low = u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]]);
    let high = u32::from(u16::from_le_bytes([mac[4], mac[5]]));
    write(device, &RAL, place, low);
    write(device, &RAH, place, high | rah::AV.mask());
    write(device, &MPSAR, 2 * place, 1 << function);
    write(device, &MPSAR, 2 * place + 1, 0);
}
