//! Which code takes whole frames from a receive ring.

use std::fmt;

/// Which code takes whole frames from a receive ring. All do the same, and frames in pieces go the same way
/// in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceivePath {
    /// A descriptor at a time, as any processor can.
    #[default]
    Scalar,
    /// Four descriptors at a time with SSE4.1.
    Sse4,
    /// Four descriptors at a time with AVX2: with vectors as long as what a packet's header wants.
    Avx2,
}

impl ReceivePath {
    /// All there are, the simplest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Sse4, Self::Avx2];

    /// The best that this processor runs.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|path| path.is_supported()).unwrap_or_default()
    }

    /// Whether this processor runs it.
    #[cfg(target_arch = "x86_64")]
    pub fn is_supported(self) -> bool {
        match self {
            Self::Scalar => true,
            Self::Sse4 => std::is_x86_feature_detected!("sse4.1"),
            Self::Avx2 => std::is_x86_feature_detected!("avx2"),
        }
    }

    /// Whether this processor runs it.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_supported(self) -> bool {
        self == Self::Scalar
    }

    /// As [`Path`](linecard_pmd_core::Path) names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Sse4 => "sse4",
            Self::Avx2 => "avx2",
        }
    }

    /// Why this one.
    pub(super) fn reason(self) -> &'static str {
        if self == Self::best() {
            "the fastest that this processor runs"
        } else {
            "asked for, though this processor runs a faster one"
        }
    }
}

impl fmt::Display for ReceivePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
