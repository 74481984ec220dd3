//! On the hot path nothing is allocated and no system call is made, once ports have started.
//!
//! Allocations are counted, by a global allocator of this test's own. System calls are forbidden: a
//! child process works under a seccomp filter that kills it at the first one. That the filter works is
//! proved by a child that makes one.

use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Port, PortConfig, Queues, Started};
use linecard_pmd_soft::{Frames, NullOptions, NullPort, RingPort};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it is; the count is a thread's own cell, whose
// initialiser is a constant, so that reaching it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the promises of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Packets a burst: more than a thread's cache holds, so that the pool's common store is used too.
const BURST: usize = 4;

/// A null and a looped ring port at work.
struct Bench {
    pool: MbufPool,
    ports: Vec<(Port<Started>, Queues)>,
    burst: Burst,
}

impl Bench {
    fn start() -> Self {
        let pool = MbufPool::builder("quiet").size(1023).cache(2).build().expect("a pool");
        let copies = NullOptions::new("null0").frames(Frames::Copies(vec![1; 60]));
        let null = Port::open(NullPort::open(copies).expect("60-byte frames"));
        let ports = [null, Port::open(RingPort::looped("ring0"))];
        let start = |port: Port<_>| {
            port.configure(PortConfig::new(&pool)).expect("a plain one").start().expect("it starts")
        };
        let ports = ports.into_iter().map(start).collect();
        let mut bench = Bench { pool, ports, burst: Burst::with_limit(BURST) };
        // The first use of a pool by a thread makes that thread's cache.
        bench.run(100);
        bench
    }

    /// Bursts from the null port through the ring and into nothing.
    fn run(&mut self, rounds: u32) -> u64 {
        let mut packets = 0;
        let [(_, null), (_, ring)] = self.ports.as_mut_slice() else { return 0 };
        for _ in 0..rounds {
            packets += null.rx[0].receive(&mut self.burst) as u64;
            ring.tx[0].send(&mut self.burst);
            ring.rx[0].receive(&mut self.burst);
            null.tx[0].send(&mut self.burst);
            null.tx[0].reclaim();
        }
        packets
    }
}

#[test]
fn thousands_of_bursts_allocate_nothing() {
    let mut bench = Bench::start();
    let before = allocations();
    let packets = bench.run(20_000);
    assert_eq!(allocations() - before, 0);
    assert_eq!(packets, 20_000 * BURST as u64);
    assert_eq!(bench.pool.name(), "quiet");
}

#[test]
fn the_count_of_allocations_counts() {
    let before = allocations();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(allocations() - before, 1);
}

mod seccomp {
    use super::Bench;

    /// One instruction of a filter (`struct sock_filter`).
    fn step(code: u32, value: u32) -> libc::sock_filter {
        libc::sock_filter { code: code as u16, jt: 0, jf: 0, k: value }
    }

    /// From now on the calling process is killed at any system call but the one that ends it.
    pub(super) fn forbid_system_calls() -> bool {
        let mut skip =
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_exit_group as u32);
        (skip.jt, skip.jf) = (0, 1);
        let mut steps = [
            // The number of the call is the first word of `struct seccomp_data`.
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
            skip,
            step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
            step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS),
        ];
        let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
        // SAFETY: prctl(2) with these options reads `filter` and its steps, which live until it
        // returns, and changes nothing but what this process may call.
        unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
                    == 0
        }
    }

    /// How a child ended that does `work` under the filter: its exit code, or the signal that killed it.
    pub(super) fn under_filter(work: fn(&mut Bench) -> bool) -> Result<i32, i32> {
        // SAFETY: the child has one thread, this one. It allocates, which the C library allows after
        // fork; it runs the tests' own code, and ends without unwinding into the harness.
        match unsafe { libc::fork() } {
            0 => {
                let code = std::panic::catch_unwind(|| child(work)).unwrap_or(3);
                // SAFETY: ends the process; nothing of it is used any more.
                unsafe { libc::_exit(code) }
            }
            child => wait(child),
        }
    }

    fn child(work: fn(&mut Bench) -> bool) -> i32 {
        no_core();
        // Closing ports and unmapping memory takes system calls: that is left to the process's end.
        let mut bench = std::mem::ManuallyDrop::new(Bench::start());
        match forbid_system_calls() {
            true if work(&mut bench) => 0,
            true => 1,
            false => 2,
        }
    }

    /// A child that is killed on purpose writes no core file.
    fn no_core() {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: setrlimit(2) reads `none`, which lives until it returns.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
        // SAFETY: prctl(2) takes numbers here. Where cores go to a program, the limit is not asked.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    }

    fn wait(child: libc::pid_t) -> Result<i32, i32> {
        let mut status = 0;
        // SAFETY: `child` is our own child that nobody else waits for; `status` is ours.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        match libc::WIFEXITED(status) {
            true => Ok(libc::WEXITSTATUS(status)),
            false => Err(libc::WTERMSIG(status)),
        }
    }
}

#[test]
fn a_hundred_thousand_bursts_make_no_system_call() {
    let ended = seccomp::under_filter(|bench| bench.run(100_000) == 100_000 * BURST as u64);
    assert_eq!(ended, Ok(0), "killed at a system call, or packets are missing");
}

#[test]
fn a_single_system_call_would_be_seen() {
    let ended = seccomp::under_filter(|bench| {
        bench.run(10);
        // SAFETY: getppid takes nothing and always succeeds.
        unsafe { libc::getppid() > 0 }
    });
    assert_eq!(ended, Err(libc::SIGSYS));
}
