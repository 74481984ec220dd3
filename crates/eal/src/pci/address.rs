//! Where on which bus.

use std::fmt;
use std::str::FromStr;

use super::error::PciError;

/// A function's address: domain, bus, device, function. Written `0000:03:00.1`, or `03:00.1` in
/// domain 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

impl Address {
    /// Of numbers; `None` for a device over 31 or a function over 7.
    pub const fn new(domain: u32, bus: u8, device: u8, function: u8) -> Option<Self> {
        match device < 32 && function < 8 {
            true => Some(Self { domain, bus, device, function }),
            false => None,
        }
    }

    /// The domain, or segment: 16 bits by the standard, more where the kernel makes some up.
    pub const fn domain(self) -> u32 {
        self.domain
    }

    /// The bus.
    pub const fn bus(self) -> u8 {
        self.bus
    }

    /// The device on the bus, below 32.
    pub const fn device(self) -> u8 {
        self.device
    }

    /// The function of the device, below 8.
    pub const fn function(self) -> u8 {
        self.function
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, bus, device, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

impl FromStr for Address {
    type Err = PciError;

    fn from_str(text: &str) -> Result<Self, PciError> {
        let wrong = |reason| PciError::BadAddress { text: text.to_owned(), reason };
        let (front, function) = text.rsplit_once('.').ok_or(wrong("there is no dot"))?;
        let (front, device) = front.rsplit_once(':').ok_or(wrong("there is no colon"))?;
        let (domain, bus) = front.rsplit_once(':').unwrap_or(("0", front));
        let parts = (
            hex(domain, u32::MAX).ok_or(wrong("the domain is no hexadecimal number"))?,
            hex(bus, 0xff).ok_or(wrong("the bus must be 00 to ff"))?,
            hex(device, 31).ok_or(wrong("the device must be 00 to 1f"))?,
            hex(function, 7).ok_or(wrong("the function must be 0 to 7"))?,
        );
        let (domain, bus, device, function) = parts;
        Ok(Self { domain, bus: bus as u8, device: device as u8, function: function as u8 })
    }
}

/// A number in hexadecimal digits only: no sign, no prefix.
fn hex(text: &str, most: u32) -> Option<u32> {
    let digits = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let value = u32::from_str_radix(text, 16).ok()?;
    (digits && value <= most).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_address_is_in_domain_0() {
        let address: Address = "3:1f.7".parse().unwrap();
        assert_eq!(address.to_string(), "0000:03:1f.7");
        assert_eq!(Address::new(0, 3, 31, 7), Some(address));
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong_and_what_one_looks_like() {
        for (text, reason) in [
            ("eth0", "no dot"),
            ("00.0", "no colon"),
            ("0000:00:20.0", "device"),
            ("0000:00:00.8", "function"),
            ("0000:100:00.0", "bus"),
            ("+1:00:00.0", "domain"),
            ("g:00:00.0", "domain"),
            ("00:00.", "function"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("0000:03:00.0"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_address_reads_back(
            domain: u32, bus: u8, device in 0u8..32, function in 0u8..8,
        ) {
            let address = Address::new(domain, bus, device, function).unwrap();
            prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        }

        #[test]
        fn noise_is_an_error_or_an_address_but_no_panic(text in ".{0,20}") {
            let _ = text.parse::<Address>();
        }
    }
}
