//! How values are written.

use linecard_net::MacAddr;
use linecard_net::rule::Field;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A value of a field.
pub(super) trait Value: Field {
    /// What is wanted where one must stand.
    const WANTED: &'static str;

    fn read(word: &str) -> Option<Self>;
}

/// Decimal, or hexadecimal after 0x.
fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => word.parse().ok(),
    }
}

macro_rules! numbers {
    ($($ty:ty: $wanted:literal;)*) => {
        $(impl Value for $ty {
            const WANTED: &'static str = $wanted;

            fn read(word: &str) -> Option<Self> {
                number(word)?.try_into().ok()
            }
        })*
    };
}

numbers! {
    u8: "a number up to 255";
    u16: "a number up to 65535";
    u32: "a number up to 4294967295";
}

impl Value for Ipv4Addr {
    const WANTED: &'static str = "an IPv4 address";

    fn read(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Value for Ipv6Addr {
    const WANTED: &'static str = "an IPv6 address";

    fn read(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Value for MacAddr {
    const WANTED: &'static str = "an address such as 02:00:00:00:00:01";

    fn read(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}
