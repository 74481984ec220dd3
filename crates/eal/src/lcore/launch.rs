//! Starting workers, all or none, and collecting what they come back with.

use std::any::Any;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::affinity;
use super::error::LcoreError;
use super::map::Lcore;
use super::topology::Topology;
use super::worker::{StopFlag, Usage, WorkerContext};
use crate::cpulist;

/// The kernel's limit on a thread's name.
const NAME_MAX: usize = 15;

type Work<R> = Box<dyn FnOnce(&WorkerContext) -> R + Send>;

/// Workers to be started together.
pub struct Launcher<'a, R> {
    topology: &'a Topology,
    name: String,
    stop: StopFlag,
    work: Vec<(Lcore, Work<R>)>,
}

impl<'a, R: Send + 'static> Launcher<'a, R> {
    /// No workers yet, for a machine as described.
    pub fn new(topology: &'a Topology) -> Self {
        Self { topology, name: "lcore".into(), stop: StopFlag::default(), work: Vec::new() }
    }

    /// What threads are called, before a dash and their lcore's number; `lcore` if not given. It
    /// is cut so that both fit the kernel's 15 bytes.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Makes workers heed a flag that is there already, such as a signal handler's.
    pub fn stop_flag(mut self, stop: StopFlag) -> Self {
        self.stop = stop;
        self
    }

    /// Adds a worker. It runs until `work` returns, which should be soon after
    /// [`WorkerContext::is_stopped`].
    pub fn add(
        &mut self,
        lcore: Lcore,
        work: impl FnOnce(&WorkerContext) -> R + Send + 'static,
    ) -> &mut Self {
        self.work.push((lcore, Box::new(work)));
        self
    }

    /// Starts all workers, each pinned before any of them runs its work.
    ///
    /// # Errors
    ///
    /// [`LcoreError`] if one of them cannot be placed, made or pinned. None has run anything
    /// then, and no thread is left.
    pub fn start(self) -> Result<Workers<R>, LcoreError> {
        self.check()?;
        let gate = Arc::new(Gate::default());
        let (pinned, reports) = channel();
        let mut threads = Vec::new();
        let mut failed = None;
        for (lcore, work) in self.work {
            let seat = Seat::new(self.topology, &self.name, &self.stop, lcore);
            match seat.spawn(work, gate.clone(), pinned.clone()) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        drop(pinned);
        let workers = Workers { threads, stop: self.stop };
        match failed.map_or_else(|| all_pinned(&reports), Err) {
            Ok(()) => {
                gate.set(Passage::Open);
                Ok(workers)
            }
            Err(error) => {
                gate.set(Passage::Barred);
                workers.abandon();
                Err(error)
            }
        }
    }

    fn check(&self) -> Result<(), LcoreError> {
        let mut ids: Vec<u32> = self.work.iter().map(|(lcore, _)| lcore.id).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(LcoreError::Twice { lcore: twice[0] });
        }
        self.work.iter().try_for_each(|(lcore, _)| self.check_cpus(lcore))
    }

    fn check_cpus(&self, lcore: &Lcore) -> Result<(), LcoreError> {
        let allowed = || self.topology.allowed_list();
        if lcore.cpus.is_empty() {
            return Err(LcoreError::NoCpu { lcore: lcore.id, allowed: allowed() });
        }
        let may = |cpu: u32| self.topology.cpu(cpu).is_some_and(|cpu| cpu.is_allowed());
        match lcore.cpus.iter().find(|cpu| !may(**cpu)) {
            None => Ok(()),
            Some(&cpu) => {
                Err(LcoreError::CpuNotAllowed { lcore: lcore.id, cpu, allowed: allowed() })
            }
        }
    }
}

impl<R> fmt::Debug for Launcher<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lcores: Vec<_> = self.work.iter().map(|(lcore, _)| lcore).collect();
        f.debug_struct("Launcher").field("name", &self.name).field("lcores", &lcores).finish()
    }
}

/// Waits for every thread to say that it is pinned; the first that is not is the error.
fn all_pinned(reports: &Receiver<Pinned>) -> Result<(), LcoreError> {
    let failed = reports.iter().find_map(|(lcore, result)| Some((lcore, result.err()?)));
    match failed {
        None => Ok(()),
        Some((Lcore { id, cpus }, source)) => {
            Err(LcoreError::Pin { lcore: id, cpus: cpulist::format(&cpus), source })
        }
    }
}

type Pinned = (Lcore, io::Result<()>);

/// A worker's place, before it has a thread.
struct Seat {
    context: WorkerContext,
}

impl Seat {
    fn new(topology: &Topology, name: &str, stop: &StopFlag, lcore: Lcore) -> Self {
        let number = format!("-{}", lcore.id);
        let room = NAME_MAX.saturating_sub(number.len());
        let clean = name.char_indices().filter(|(_, c)| *c != '\0');
        let fits = clean.take_while(|(at, c)| at + c.len_utf8() <= room);
        let name = fits.map(|(_, c)| c).collect::<String>() + &number;
        let node = common_node(topology, &lcore.cpus);
        let (stop, usage) = (stop.clone(), Arc::default());
        Self { context: WorkerContext { lcore, node, name, stop, usage, here: PhantomData } }
    }

    fn spawn<R: Send + 'static>(
        self,
        work: Work<R>,
        gate: Arc<Gate>,
        pinned: Sender<Pinned>,
    ) -> Result<Thread<R>, LcoreError> {
        let Self { context } = self;
        let (lcore, name) = (context.lcore.clone(), context.name.clone());
        let (id, usage) = (lcore.id, context.usage.clone());
        let run = move || {
            let result = affinity::pin(&context.lcore.cpus);
            // The launcher waits for this, unless it has failed already and wants no report.
            let _ = pinned.send((context.lcore.clone(), result));
            drop(pinned);
            (gate.wait() == Passage::Open).then(|| guarded(&context, work))
        };
        match Builder::new().name(name.clone()).spawn(run) {
            Ok(handle) => Ok(Thread { lcore, name, usage, handle }),
            Err(source) => Err(LcoreError::Spawn { lcore: id, source }),
        }
    }
}

/// Runs the work and catches its panic. What it shares with others is theirs to poison.
fn guarded<R>(context: &WorkerContext, work: Work<R>) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(|| work(context))).map_err(|payload| Panicked::of(&*payload))
}

fn common_node(topology: &Topology, cpus: &[u32]) -> Option<u32> {
    let mut nodes = cpus.iter().map(|cpu| topology.cpu(*cpu).and_then(|cpu| cpu.node));
    let first = nodes.next().flatten()?;
    nodes.all(|node| node == Some(first)).then_some(first)
}

/// What workers wait at until all of them are pinned.
#[derive(Default)]
struct Gate {
    passage: Mutex<Passage>,
    moved: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Passage {
    #[default]
    Shut,
    Open,
    Barred,
}

impl Gate {
    fn set(&self, passage: Passage) {
        *self.passage.lock().unwrap_or_else(PoisonError::into_inner) = passage;
        self.moved.notify_all();
    }

    fn wait(&self) -> Passage {
        let passage = self.passage.lock().unwrap_or_else(PoisonError::into_inner);
        let shut = |passage: &mut Passage| *passage == Passage::Shut;
        *self.moved.wait_while(passage, shut).unwrap_or_else(PoisonError::into_inner)
    }
}

struct Thread<R> {
    lcore: Lcore,
    name: String,
    usage: Arc<Usage>,
    handle: JoinHandle<Option<Result<R, Panicked>>>,
}

/// Running workers. Dropping it asks them to stop and waits until they have.
pub struct Workers<R> {
    threads: Vec<Thread<R>>,
    stop: StopFlag,
}

/// What became of a worker.
#[derive(Debug)]
pub struct Outcome<R> {
    /// Its place.
    pub lcore: Lcore,
    /// Its thread's name.
    pub name: String,
    /// What its work returned, or how it panicked.
    pub result: Result<R, Panicked>,
    /// The cycles that it accounted for.
    pub usage: Arc<Usage>,
}

/// A worker's panic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker panicked: {message}")]
pub struct Panicked {
    /// What the panic said.
    pub message: String,
}

impl Panicked {
    fn of(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Self { message: text.unwrap_or_else(|| "(not a text)".into()) }
    }
}

impl<R> Workers<R> {
    /// Asks all workers to end, and does not wait for them.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// The flag that ends them.
    pub fn stop_flag(&self) -> &StopFlag {
        &self.stop
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// How many have not returned yet.
    pub fn running(&self) -> usize {
        self.threads.iter().filter(|thread| !thread.handle.is_finished()).count()
    }

    /// The cycles that each worker has accounted for so far, by lcore number.
    pub fn usage(&self) -> impl Iterator<Item = (u32, &Usage)> {
        self.threads.iter().map(|thread| (thread.lcore.id, &*thread.usage))
    }

    /// Waits for all workers to return, in the order in which they were added. It does not ask
    /// them to: call [`stop`](Self::stop) first, if they only end when asked.
    pub fn join(mut self) -> Vec<Outcome<R>> {
        std::mem::take(&mut self.threads).into_iter().filter_map(Thread::join).collect()
    }

    /// Waits for threads that ran nothing. Must not set the flag, which may be shared.
    fn abandon(mut self) {
        std::mem::take(&mut self.threads).into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl<R> Thread<R> {
    /// `None` if it was not let through the gate.
    fn join(self) -> Option<Outcome<R>> {
        let Self { lcore, name, usage, handle } = self;
        // A panic beyond `guarded` can only come from dropping a panic's payload.
        let returned = handle.join().unwrap_or_else(|payload| Some(Err(Panicked::of(&*payload))));
        returned.map(|result| Outcome { lcore, name, result, usage })
    }
}

impl<R> Drop for Workers<R> {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        self.stop.stop();
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl<R> fmt::Debug for Workers<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lcores: Vec<_> = self.threads.iter().map(|thread| &thread.lcore).collect();
        f.debug_struct("Workers").field("lcores", &lcores).field("stop", &self.stop).finish()
    }
}

#[cfg(test)]
#[path = "launch_tests.rs"]
mod tests;
