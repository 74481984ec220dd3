//! The mailbox to the physical function's driver: 16 words, and a register that says whose they are
//! (§7.10.2.9, §8.3.5.1.5).

use crate::hardware::PATIENCE;
use crate::registers::Registers;
use crate::trouble::Trouble;
use linecard_ixgbe_regs::Field;
use linecard_ixgbe_regs::registers::virtual_function::*;
use std::time::{Duration, Instant};

/// Bits that a read clears: whoever reads keeps them for those who asked for others.
const KEPT: u32 = vfmailbox::PFSTS.mask() | vfmailbox::PFACK.mask() | vfmailbox::RSTD.mask();

/// What a message's first word says besides its kind.
pub(super) const SUCCESS: u32 = 1 << 31;
pub(super) const FAILURE: u32 = 1 << 30;
/// Clear to send: the other side knows us since its last reset.
const CLEAR_TO_SEND: u32 = 1 << 29;

/// The kind of a message, without what is said of it.
const KIND: u32 = 0xFFFF;

/// The other side speaks without having been asked: to be heard, or because its link has changed.
const CONTROL: u32 = 0x0100;

/// Messages of that kind before an answer, at most.
const MOST_CONTROLS: usize = 16;

/// How long the other side may take to answer. The kernel's driver of a function waits for a second; a host that
/// is a program may have to wait for a processor.
const ANSWER: Duration = Duration::from_secs(6);

/// Between two looks.
const PAUSE: Duration = Duration::from_micros(50);

/// Words of a message.
pub(super) type Message = [u32; 16];

/// What the physical function's driver has said or done while nobody asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// It does not know us any more: it has been reset.
    pub(super) forgotten: bool,
}

/// The mailbox.
#[derive(Debug)]
pub(super) struct Mailbox {
    registers: Registers,
    /// Of [`KEPT`], what was read and nobody has asked for yet.
    kept: u32,
    news: News,
}

impl Mailbox {
    pub(super) fn new(registers: &Registers) -> Self {
        Mailbox { registers: registers.clone(), kept: 0, news: News::default() }
    }

    fn word(&mut self) -> Result<u32, Trouble> {
        let word = self.registers.read(&VFMAILBOX);
        if word == u32::MAX {
            return Err(Trouble::Silent { register: VFMAILBOX.name });
        }
        self.kept |= word & KEPT;
        Ok(word | self.kept)
    }

    /// Whether a bit is set; then it is no longer.
    fn take(&mut self, bit: Field) -> Result<bool, Trouble> {
        let set = bit.is_set(self.word()?);
        self.kept &= !bit.mask();
        Ok(set)
    }

    /// Waits until `is_so`, and never for longer than told.
    fn wait(
        &mut self,
        within: Duration,
        wanted: &str,
        mut is_so: impl FnMut(&mut Self) -> Result<bool, Trouble>,
    ) -> Result<(), Trouble> {
        let begin = Instant::now();
        while !is_so(self)? {
            if begin.elapsed() > within {
                return Err(Trouble::Late {
                    register: VFMAILBOX.name.to_owned(),
                    section: VFMAILBOX.section,
                    wanted: wanted.to_owned(),
                    word: self.word()?,
                    within,
                });
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Waits until the physical function is not being reset. Without a driver it is for ever.
    pub(super) fn wait_for_physical(&mut self) -> Result<(), Trouble> {
        let is_up = |mailbox: &mut Self| Ok(!vfmailbox::RSTI.is_set(mailbox.word()?));
        self.wait(
            PATIENCE,
            "without RSTI (the driver of the physical function has set it up)",
            is_up,
        )?;
        // What was there before the reset was for somebody else.
        self.kept = 0;
        self.news = News::default();
        Ok(())
    }

    /// Gets the memory, unless the other side has it: then VFU is not granted.
    fn try_to_own(&mut self) -> Result<bool, Trouble> {
        self.registers.write(&VFMAILBOX, vfmailbox::VFU.mask());
        Ok(vfmailbox::VFU.is_set(self.word()?))
    }

    /// Gets the memory.
    fn own(&mut self) -> Result<(), Trouble> {
        let wanted = "VFU (the physical function lets the mailbox's memory go)";
        self.wait(ANSWER, wanted, Self::try_to_own)
    }

    /// Says something, and waits for the answer.
    pub(super) fn ask(&mut self, message: &[u32]) -> Result<Message, Trouble> {
        // What the other side has said meanwhile is heard before it is written over.
        if self.take(vfmailbox::PFSTS)? {
            self.own()?;
            self.listen();
        }
        self.own()?;
        self.kept &= !(vfmailbox::PFSTS.mask() | vfmailbox::PFACK.mask());
        for (index, word) in (0..VFMBMEM.count()).zip(message) {
            self.registers.write_at(&VFMBMEM, index, *word);
        }
        // Without VFU: this lets the memory go.
        self.registers.write(&VFMAILBOX, vfmailbox::REQ.mask());
        let taken = |mailbox: &mut Self| mailbox.take(vfmailbox::PFACK);
        self.wait(ANSWER, "PFACK (the driver of the physical function takes the message)", taken)?;
        for _ in 0..MOST_CONTROLS {
            let answered = |mailbox: &mut Self| mailbox.take(vfmailbox::PFSTS);
            self.wait(ANSWER, "PFSTS (the driver of the physical function answers)", answered)?;
            self.own()?;
            let answer = self.listen();
            if answer[0] & KIND == message[0] & KIND {
                return Ok(answer);
            }
        }
        Err(Trouble::Babble { asked: message[0] & KIND })
    }

    /// Takes a message out of the memory, which is ours, and lets that go.
    fn listen(&mut self) -> Message {
        let message = std::array::from_fn(|i| self.registers.read_at(&VFMBMEM, i as u32));
        self.registers.write(&VFMAILBOX, vfmailbox::ACK.mask());
        if message[0] & KIND == CONTROL && message[0] & CLEAR_TO_SEND == 0 {
            self.news.forgotten = true;
        }
        message
    }

    /// What has come since the last look. It answers nothing, and does not wait: what the other side still
    /// writes is for the next look.
    pub(super) fn look(&mut self) -> Result<News, Trouble> {
        if vfmailbox::PFSTS.is_set(self.word()?) && self.try_to_own()? {
            self.kept &= !vfmailbox::PFSTS.mask();
            self.listen();
        }
        let word = self.word()?;
        self.kept &= !vfmailbox::RSTD.mask();
        if vfmailbox::RSTI.is_set(word) || vfmailbox::RSTD.is_set(word) {
            self.news.forgotten = true;
        }
        Ok(std::mem::take(&mut self.news))
    }
}

/// Whether the other side did what it was asked; it refuses everything of who it does not know.
pub(super) fn outcome(answer: &Message) -> Outcome {
    match answer[0] & (SUCCESS | FAILURE) {
        SUCCESS => Outcome::Done,
        _ if answer[0] & CLEAR_TO_SEND == 0 => Outcome::Unknown,
        _ => Outcome::Refused,
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Refused,
    /// We are to introduce ourselves first, by a reset.
    Unknown,
}
