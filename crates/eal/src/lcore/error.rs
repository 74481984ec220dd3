//! Why workers cannot be started.

use std::io;

/// Why workers cannot be started, or idle as they were told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LcoreError {
    /// A cpu that this process may not use.
    #[error(
        "lcore {lcore} cannot run on cpu {cpu}: this process may use cpus {allowed} \
         (online, in its affinity mask and in its cpuset)"
    )]
    CpuNotAllowed {
        /// Whose place it is.
        lcore: u32,
        /// The cpu.
        cpu: u32,
        /// The cpus that may be used, in the kernel's list format.
        allowed: String,
    },
    /// An lcore without any cpu.
    #[error("lcore {lcore} has no cpu; give it at least one of {allowed}")]
    NoCpu {
        /// Whose place it is.
        lcore: u32,
        /// The cpus that may be used, in the kernel's list format.
        allowed: String,
    },
    /// Two workers with one number.
    #[error("lcore {lcore} was added twice; a number stands for one worker")]
    Twice {
        /// The number.
        lcore: u32,
    },
    /// The kernel made no thread.
    #[error("no thread for lcore {lcore}: {source}; look at ulimit -u and the pids cgroup")]
    Spawn {
        /// For whom.
        lcore: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused to pin a thread.
    #[error("lcore {lcore} could not be pinned to cpus {cpus}: {source}")]
    Pin {
        /// Whom.
        lcore: u32,
        /// Where to, in the kernel's list format.
        cpus: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A processor without WAITPKG.
    #[error(
        "this processor has no TPAUSE (CPUID 7 ECX bit 5, WAITPKG: Intel since Tremont and Alder \
         Lake); use Idle::Pause or Idle::Sleep"
    )]
    NoUmwait,
}
