//! The I2C bus to the SFP+ module, as drivers bang it in I2CCTL (§8.2.3.1.5), and the module's
//! memory (SFF-8472).

use linecard_ixgbe_regs::registers::i2cctl;

/// A bus with two memories of 256 bytes, at A0h and A2h.
#[derive(Debug)]
pub(crate) struct I2c {
    memories: [[u8; 256]; 2],
    clock: bool,
    data: bool,
    /// What the module does with the data line: it may only pull it down.
    holds_down: bool,
    state: State,
    bits: u8,
    count: u8,
    memory: usize,
    pointer: u8,
    is_present: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// A byte comes in.
    Address,
    Pointer,
    Data,
    /// A byte goes out.
    Answer,
}

impl I2c {
    pub(crate) fn new() -> Self {
        Self {
            memories: [module(), diagnostics()],
            clock: true,
            data: true,
            holds_down: false,
            state: State::Idle,
            bits: 0,
            count: 0,
            memory: 0,
            pointer: 0,
            is_present: true,
        }
    }

    /// The bus is released; the module stays.
    pub(crate) fn reset(&mut self) {
        (self.clock, self.data, self.holds_down) = (true, true, false);
        self.state = State::Idle;
    }

    pub(crate) fn set_present(&mut self, is_present: bool) {
        self.is_present = is_present;
        self.reset();
    }

    /// I2CCTL as it reads.
    pub(crate) fn levels(&self) -> u32 {
        let data = self.data && !self.holds_down;
        let word = i2cctl::CLK_IN.put(0, u32::from(self.clock));
        let word = i2cctl::CLK_OUT.put(word, u32::from(self.clock));
        let word = i2cctl::DATA_IN.put(word, u32::from(data));
        i2cctl::DATA_OUT.put(word, u32::from(self.data))
    }

    /// The driver sets both lines.
    pub(crate) fn drive(&mut self, word: u32) {
        let (clock, data) = (i2cctl::CLK_OUT.is_set(word), i2cctl::DATA_OUT.is_set(word));
        let was = (self.clock, self.data);
        (self.clock, self.data) = (clock, data);
        match (was, (clock, data)) {
            ((true, true), (true, false)) => self.start(),
            ((true, false), (true, true)) => self.stop(),
            ((false, _), (true, _)) => self.rise(),
            ((true, _), (false, _)) => self.fall(),
            _ => {}
        }
    }

    fn start(&mut self) {
        (self.state, self.bits, self.count) = (State::Address, 0, 0);
        self.holds_down = false;
    }

    fn stop(&mut self) {
        self.state = State::Idle;
        self.holds_down = false;
    }

    /// Bits are taken while the clock is high: eight, and then an acknowledgement.
    fn rise(&mut self) {
        match self.state {
            // As many as the driver likes.
            State::Idle => return,
            State::Answer if self.count == 8 && self.data => self.state = State::Idle,
            State::Answer => {}
            _ if self.count < 8 => self.bits = self.bits << 1 | u8::from(self.data),
            _ => {}
        }
        self.count += 1;
    }

    /// The module changes the data line while the clock is low.
    fn fall(&mut self) {
        match (self.state, self.count) {
            (State::Idle, _) => self.holds_down = false,
            (State::Answer, 8) => self.holds_down = false,
            (State::Answer, 9) => self.next_answer(),
            (State::Answer, count) => self.put_bit(count),
            (_, 8) => self.holds_down = self.accept(),
            (_, 9) => self.go_on(),
            _ => {}
        }
    }

    /// Whether the byte is acknowledged.
    fn accept(&mut self) -> bool {
        match self.state {
            State::Address => {
                let address = self.bits & 0xFE;
                self.memory = usize::from(address == 0xA2);
                self.is_present && matches!(address, 0xA0 | 0xA2)
            }
            _ => true,
        }
    }

    /// After the acknowledgement of a byte that came in.
    fn go_on(&mut self) {
        let acknowledged = std::mem::replace(&mut self.holds_down, false);
        self.count = 0;
        self.state = match self.state {
            _ if !acknowledged => State::Idle,
            State::Address if self.bits & 1 != 0 => State::Answer,
            State::Address => State::Pointer,
            State::Pointer => {
                self.pointer = self.bits;
                State::Data
            }
            other => {
                self.memories[self.memory][usize::from(self.pointer)] = self.bits;
                self.pointer = self.pointer.wrapping_add(1);
                other
            }
        };
        self.bits = 0;
        if self.state == State::Answer {
            self.load();
        }
    }

    fn next_answer(&mut self) {
        self.count = 0;
        self.load();
    }

    fn load(&mut self) {
        self.bits = self.memories[self.memory][usize::from(self.pointer)];
        self.pointer = self.pointer.wrapping_add(1);
        self.put_bit(0);
    }

    fn put_bit(&mut self, count: u8) {
        self.holds_down = self.bits >> (7 - count) & 1 == 0;
    }
}

/// A 10GBASE-SR module (SFF-8472, page A0h).
fn module() -> [u8; 256] {
    let mut bytes = [0; 256];
    bytes[0] = 3;
    bytes[1] = 4;
    bytes[2] = 7;
    bytes[3] = 0x10;
    bytes[11] = 6;
    bytes[12] = 103;
    bytes[16] = 8;
    bytes[17] = 3;
    text(&mut bytes[20..36], "linecard");
    bytes[37..40].copy_from_slice(&[0x00, 0x1B, 0x21]);
    text(&mut bytes[40..56], "MODEL-SR");
    text(&mut bytes[56..60], "1");
    bytes[60..62].copy_from_slice(&850u16.to_be_bytes());
    bytes[63] = sum(&bytes[..63]);
    text(&mut bytes[68..84], "1");
    text(&mut bytes[84..92], "260101");
    bytes[92] = 0x68;
    bytes[94] = 0x05;
    bytes[95] = sum(&bytes[64..95]);
    bytes
}

/// Page A2h: 35 degrees, 3.3 V, 6 mA, half a milliwatt both ways.
fn diagnostics() -> [u8; 256] {
    let mut bytes = [0; 256];
    bytes[96..98].copy_from_slice(&(35u16 << 8).to_be_bytes());
    bytes[98..100].copy_from_slice(&33_000u16.to_be_bytes());
    bytes[100..102].copy_from_slice(&3_000u16.to_be_bytes());
    bytes[102..104].copy_from_slice(&5_000u16.to_be_bytes());
    bytes[104..106].copy_from_slice(&5_000u16.to_be_bytes());
    bytes[95] = sum(&bytes[..95]);
    bytes
}

fn text(field: &mut [u8], text: &str) {
    field.fill(b' ');
    field[..text.len()].copy_from_slice(text.as_bytes());
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Master(I2c);

    impl Master {
        fn lines(&mut self, clock: u32, data: u32) {
            self.0.drive(i2cctl::CLK_OUT.put(i2cctl::DATA_OUT.put(0, data), clock));
        }

        fn start(&mut self) {
            self.lines(1, 1);
            self.lines(1, 0);
            self.lines(0, 0);
        }

        fn bit(&mut self, data: u32) -> u32 {
            self.lines(0, data);
            self.lines(1, data);
            let level = i2cctl::DATA_IN.of(self.0.levels());
            self.lines(0, data);
            level
        }

        fn write(&mut self, byte: u8) -> bool {
            for at in (0..8).rev() {
                self.bit(u32::from(byte >> at & 1));
            }
            self.bit(1) == 0
        }

        fn read(&mut self, nack: u32) -> u8 {
            let byte = (0..8).fold(0, |byte, _| byte << 1 | self.bit(1) as u8);
            self.bit(nack);
            byte
        }
    }

    #[test]
    fn a_module_is_read_byte_by_byte() {
        let mut master = Master(I2c::new());
        master.start();
        assert!(master.write(0xA0));
        assert!(master.write(37));
        master.lines(0, 1);
        master.start();
        assert!(master.write(0xA1));
        assert_eq!([master.read(0), master.read(0), master.read(1)], [0x00, 0x1B, 0x21]);
    }

    #[test]
    fn a_clock_without_a_start_may_run_for_long() {
        let mut master = Master(I2c::new());
        for _ in 0..1000 {
            master.bit(1);
        }
        master.start();
        assert!(master.write(0xA0));
    }

    #[test]
    fn nobody_answers_at_another_address_or_in_an_empty_cage() {
        let mut master = Master(I2c::new());
        master.start();
        assert!(!master.write(0x50));
        master.0.set_present(false);
        master.start();
        assert!(!master.write(0xA0));
    }
}
