//! Which instructions a structure uses, and why: found at run time, to be overridden for each structure.
//!
//! Every structure takes the best [`Simd`] that it has code for and the processor can run, says so in
//! its [`Path`], and can be told to take another, so that every path is tested against the plain one.

use std::fmt;

/// A level of SIMD. A processor that has one has all that are less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Simd {
    /// What any processor runs.
    #[default]
    Plain,
    /// SSE4.2 with its CRC32c, POPCNT, PCLMULQDQ (x86-64-v2, and carry-less products).
    Sse42,
    /// AVX2 with BMI1, BMI2, LZCNT (x86-64-v3).
    Avx2,
    /// AVX-512 F, BW, CD, DQ, VL (x86-64-v4).
    Avx512,
}

impl Simd {
    /// All levels, the least first.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Sse42, Self::Avx2, Self::Avx512];

    /// The highest level of this processor.
    pub fn detect() -> Self {
        Self::ALL.into_iter().rev().find(|simd| simd.is_supported()).unwrap_or_default()
    }

    /// The levels that this processor runs, the least first.
    pub fn supported() -> impl DoubleEndedIterator<Item = Self> {
        Self::ALL.into_iter().filter(|simd| simd.is_supported())
    }

    /// Whether this processor runs it.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub fn is_supported(self) -> bool {
        match self {
            Self::Plain => true,
            Self::Sse42 => {
                is_x86_feature_detected!("sse4.2")
                    && is_x86_feature_detected!("popcnt")
                    && is_x86_feature_detected!("pclmulqdq")
            }
            Self::Avx2 => {
                Self::Sse42.is_supported()
                    && is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
                    && is_x86_feature_detected!("lzcnt")
            }
            Self::Avx512 => {
                Self::Avx2.is_supported()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512cd")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
        }
    }

    /// Whether this processor runs it.
    #[cfg(not(target_arch = "x86_64"))]
    #[inline]
    pub fn is_supported(self) -> bool {
        self == Self::Plain
    }
}

impl fmt::Display for Simd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Sse42 => "SSE4.2",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        })
    }
}

/// The path that a structure takes, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    simd: Simd,
    why: Why,
}

/// Why a structure takes its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It is the best that the processor has.
    Best,
    /// The processor has better, but the structure has no faster code for it.
    NoBetterCode {
        /// What the processor has.
        processor: Simd,
    },
    /// The structure has better code, which the processor cannot run.
    ProcessorLacks {
        /// The least that is missing.
        missing: Simd,
    },
    /// The caller asked for it.
    Asked,
}

/// The processor does not have what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this processor has no {asked}, but up to {best}: ask for that or less")]
pub struct NotHere {
    /// What was asked for.
    pub asked: Simd,
    /// What there is.
    pub best: Simd,
}

impl Path {
    /// The best of the levels that a structure has code for; [`Simd::Plain`] always counts as one.
    pub fn best_of(code: &[Simd]) -> Self {
        let processor = Simd::detect();
        let runs = code.iter().copied().filter(|simd| simd.is_supported());
        let simd = runs.max().unwrap_or_default();
        let missing = code.iter().copied().filter(|simd| !simd.is_supported()).min();
        let why = match missing {
            Some(missing) => Why::ProcessorLacks { missing },
            None if simd < processor => Why::NoBetterCode { processor },
            None => Why::Best,
        };
        Self { simd, why }
    }

    /// What the caller asks for, or the best that the structure has code for below it.
    ///
    /// # Errors
    /// [`NotHere`] if the processor cannot run `asked`.
    pub fn asked(asked: Simd, code: &[Simd]) -> Result<Self, NotHere> {
        if !asked.is_supported() {
            return Err(NotHere { asked, best: Simd::detect() });
        }
        let below = code.iter().copied().filter(|simd| *simd <= asked);
        Ok(Self { simd: below.max().unwrap_or_default(), why: Why::Asked })
    }

    /// The instructions that are used: the processor has them.
    #[inline]
    pub fn simd(self) -> Simd {
        self.simd
    }

    /// Why these.
    pub fn why(self) -> Why {
        self.why
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { simd, why } = self;
        match why {
            Why::Best => write!(f, "{simd}: the best of this processor"),
            Why::NoBetterCode { processor } => {
                write!(f, "{simd}: {processor} would not be faster here")
            }
            Why::ProcessorLacks { missing } => write!(f, "{simd}: this processor has no {missing}"),
            Why::Asked => write!(f, "{simd}: asked for"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_build_on_each_other() {
        let supported: Vec<_> = Simd::supported().collect();
        assert_eq!(supported, Simd::ALL[..supported.len()]);
        assert_eq!(supported.last(), Some(&Simd::detect()));
    }

    #[test]
    fn the_best_path_is_one_that_there_is_code_for() {
        let path = Path::best_of(&[Simd::Plain]);
        assert_eq!(path.simd(), Simd::Plain);
        assert_eq!(Path::best_of(&Simd::ALL).simd(), Simd::detect());
    }

    #[test]
    fn a_path_below_the_best_says_why() {
        let processor = Simd::detect();
        let why = Path::best_of(&[Simd::Plain]).why();
        let expected = match processor {
            Simd::Plain => Why::Best,
            _ => Why::NoBetterCode { processor },
        };
        assert_eq!(why, expected);
    }

    #[test]
    fn what_is_asked_for_is_taken_or_refused() {
        for asked in Simd::ALL {
            match Path::asked(asked, &Simd::ALL) {
                Ok(path) => assert_eq!((path.simd(), path.why()), (asked, Why::Asked)),
                Err(error) => assert_eq!(error, NotHere { asked, best: Simd::detect() }),
            }
        }
        let coarse = Path::asked(Simd::detect(), &[Simd::Plain]).unwrap();
        assert_eq!(coarse.simd(), Simd::Plain);
    }
}
