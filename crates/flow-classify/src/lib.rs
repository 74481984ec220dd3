//! Exact match, longest prefix, wildcard: packet classification with SIMD, whose readers never block.
//!
//! * **Readers never wait** and never allocate, whatever writers do. What a reader has found stays whole
//!   until it gives it up.
//! * **Look-ups in bulk**: many keys at once wait for memory together.
//! * **Every path says what it is and why** ([`simd::Path`]), is chosen at run time, and gives the same
//!   results as the plain one.
//! * **No platform code**: of this project it uses `linecard-net` only. Who has huge pages gives them to
//!   a flow table as [`memory::Memory`].
//!
//! ```
//! use linecard_flow_classify::exact::FlowTable;
//! use linecard_net::flow::KeyV4;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut writer = FlowTable::<KeyV4, &str>::builder(1000).build()?;
//! let mut reader = writer.reader();
//! let dns = KeyV4 { src: [192, 0, 2, 1], dst: [198, 51, 100, 7], dport: 53.into(), proto: 17, ..Default::default() };
//! writer.insert(dns, "a question")?;
//!
//! let mut found = [None; 2];
//! reader.view().get_bulk(&[dns, dns.reversed()], &mut found);
//! assert_eq!(found.map(|found| found.map(|found| *found.value())), [Some("a question"), None]);
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | [`exact`] | a flow table: keys of 4 to 64 bytes, a value and a position for each, idle time-outs |
//! | [`lpm`] | route tables of IPv4 and IPv6 |
//! | [`acl`] | wildcard rules over a flow key |
//! | [`rules`] | `linecard-net`'s rules to verdicts, with counters |
//! | [`meter`] | token buckets that colour packets: RFC 2697, 2698, 4115 |
//! | [`heavy`] | the flows with most packets or bytes, in fixed memory |
//! | [`hash`] | CRC32c, Toeplitz, and which port leads to which queue |
//! | [`quiesce`], [`memory`], [`simd`] | what they are made of |

pub mod acl;
pub mod exact;
mod grace;
pub mod hash;
pub mod heavy;
pub mod lpm;
pub mod memory;
pub mod meter;
pub mod quiesce;
pub mod rules;
pub mod simd;
mod sync;
