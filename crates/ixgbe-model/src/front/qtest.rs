//! QEMU's test socket: the way of interrupts into a guest under TCG, and to the IOMMU's registers.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// A connection, made when it is first needed: QEMU opens its socket only when it starts.
#[derive(Debug)]
pub(crate) struct Qtest {
    path: PathBuf,
    stream: Option<BufReader<UnixStream>>,
}

impl Qtest {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), stream: None }
    }

    fn stream(&mut self) -> io::Result<&mut BufReader<UnixStream>> {
        match &mut self.stream {
            Some(stream) => Ok(stream),
            none => Ok(none.insert(BufReader::new(UnixStream::connect(&self.path)?))),
        }
    }

    /// Sends a line, and gives what follows `OK`.
    fn ask(&mut self, line: &str) -> io::Result<String> {
        let stream = self.stream()?;
        stream.get_mut().write_all(format!("{line}\n").as_bytes())?;
        loop {
            let mut answer = String::new();
            if stream.read_line(&mut answer)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match answer.trim_end().strip_prefix("OK") {
                Some(value) => return Ok(value.trim().to_owned()),
                // A change of an interrupt line that QEMU tells of.
                None if answer.starts_with("IRQ") => {}
                None => return Err(io::Error::other(answer.trim_end().to_owned())),
            }
        }
    }

    pub(crate) fn write_word(&mut self, address: u64, value: u32) -> io::Result<()> {
        self.ask(&format!("writel {address:#x} {value:#x}")).map(drop)
    }

    pub(crate) fn read_word(&mut self, address: u64) -> io::Result<u32> {
        self.read(&format!("readl {address:#x}")).map(|value| value as u32)
    }

    pub(crate) fn read_quadword(&mut self, address: u64) -> io::Result<u64> {
        self.read(&format!("readq {address:#x}"))
    }

    fn read(&mut self, line: &str) -> io::Result<u64> {
        let answer = self.ask(line)?;
        let digits = answer.trim_start_matches("0x");
        u64::from_str_radix(digits, 16)
            .map_err(|_| io::Error::other(format!("not a number: {answer}")))
    }

    /// The level of an input of the I/O APIC of machine q35.
    pub(crate) fn set_gsi(&mut self, gsi: u32, level: u8) -> io::Result<()> {
        self.ask(&format!("set_irq_in /machine/q35/ioapic unnamed-gpio-in {gsi} {level}")).map(drop)
    }
}
