//! Workers on the cpus of whatever machine this is.

use super::super::topology::tests::eight_cpus;
use super::*;

/// The first cpu that may be used here, for an lcore of that number.
fn lcore(topology: &Topology, id: u32) -> Lcore {
    Lcore { id, cpus: vec![topology.allowed().next().unwrap().id] }
}

fn threads_named(prefix: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with(prefix)).count()
}

#[test]
fn each_worker_runs_pinned_and_named_and_its_result_comes_back_in_order() {
    let topology = Topology::discover();
    let mut launcher = Launcher::new(&topology).name("a-rather-long-name");
    for id in [500, 3] {
        launcher.add(lcore(&topology, id), |context| {
            let name = std::thread::current().name().unwrap().to_owned();
            assert_eq!(affinity::current(), context.cpus()[0]);
            (context.lcore(), name)
        });
    }
    let outcomes = launcher.start().unwrap().join();
    let results: Vec<_> = outcomes.into_iter().map(|outcome| outcome.result.unwrap()).collect();
    assert_eq!(results, [(500, "a-rather-lo-500".into()), (3, "a-rather-long-3".into())]);
}

#[test]
fn the_callers_affinity_is_left_alone() {
    let before = Topology::discover().allowed_list();
    let topology = Topology::discover();
    let mut launcher = Launcher::new(&topology);
    launcher.add(lcore(&topology, 0), |_| ());
    launcher.start().unwrap().join();
    assert_eq!(Topology::discover().allowed_list(), before);
}

#[test]
fn a_panic_is_reported_with_its_message_and_the_others_go_on() {
    let topology = Topology::discover();
    let mut launcher = Launcher::new(&topology);
    launcher.add(lcore(&topology, 0), |_| panic!("queue {} is on fire", 7));
    launcher.add(lcore(&topology, 1), |context| {
        while !context.is_stopped() {
            std::thread::yield_now();
        }
        42
    });
    let workers = launcher.start().unwrap();
    while workers.running() > 1 {
        std::thread::yield_now();
    }
    workers.stop();
    let outcomes = workers.join();
    let panicked = outcomes[0].result.as_ref().unwrap_err();
    assert_eq!(panicked.to_string(), "the worker panicked: queue 7 is on fire");
    assert_eq!(outcomes[1].result, Ok(42));
}

#[test]
fn a_cpu_that_is_not_allowed_is_an_error_that_names_those_that_are() {
    let (_dir, topology) = eight_cpus();
    let mut launcher = Launcher::new(&topology).name("never");
    launcher.add(Lcore { id: 1, cpus: vec![1] }, |_| panic!("must not run"));
    launcher.add(Lcore { id: 2, cpus: vec![2, 6] }, |_| ());
    let error = launcher.start().unwrap_err();
    assert!(matches!(error, LcoreError::CpuNotAllowed { lcore: 2, cpu: 6, .. }));
    assert!(error.to_string().contains("may use cpus 1-5"), "{error}");
    assert_eq!(threads_named("never"), 0);
}

#[test]
fn a_cpu_that_only_the_kernel_refuses_leaves_nothing_started() {
    let dir = tempfile::tempdir().unwrap();
    let cpus = dir.path().join("sys/devices/system/cpu");
    std::fs::create_dir_all(&cpus).unwrap();
    std::fs::write(cpus.join("present"), "0-1023,65000").unwrap();
    let topology = Topology::discover_in(&crate::Root::at(dir.path()));
    let here = Topology::discover();
    let stop = StopFlag::default();
    let mut launcher = Launcher::new(&topology).name("barred").stop_flag(stop.clone());
    launcher.add(lcore(&here, 0), |_| panic!("must not run"));
    launcher.add(Lcore { id: 1, cpus: vec![65_000] }, |_| ());
    let error = launcher.start().unwrap_err();
    assert!(matches!(error, LcoreError::Pin { lcore: 1, .. }), "{error}");
    assert_eq!(threads_named("barred"), 0);
    assert!(!stop.is_stopped());
}

#[test]
fn a_number_given_twice_and_a_place_without_cpus_are_errors() {
    let topology = Topology::discover();
    let mut launcher = Launcher::new(&topology);
    launcher.add(lcore(&topology, 4), |_| ()).add(lcore(&topology, 4), |_| ());
    assert!(matches!(launcher.start(), Err(LcoreError::Twice { lcore: 4 })));
    let mut launcher = Launcher::new(&topology);
    launcher.add(Lcore { id: 0, cpus: vec![] }, |_| ());
    assert!(matches!(launcher.start(), Err(LcoreError::NoCpu { lcore: 0, .. })));
}

#[test]
fn dropping_workers_stops_and_joins_them() {
    let topology = Topology::discover();
    let mut launcher = Launcher::new(&topology).name("dropped");
    launcher.add(lcore(&topology, 0), |context| {
        while !context.is_stopped() {
            std::thread::yield_now();
        }
    });
    drop(launcher.start().unwrap());
    assert_eq!(threads_named("dropped"), 0);
}

#[test]
fn usage_can_be_read_while_a_worker_runs() {
    let topology = Topology::discover();
    let mut launcher = Launcher::new(&topology);
    launcher.add(lcore(&topology, 9), |context| {
        while !context.is_stopped() {
            context.busy(3);
            context.idle(1);
            std::thread::yield_now();
        }
    });
    let workers = launcher.start().unwrap();
    while workers.usage().any(|(_, usage)| usage.busy() < 300) {
        std::thread::yield_now();
    }
    assert_eq!(workers.usage().map(|(id, _)| id).collect::<Vec<_>>(), [9]);
    workers.stop();
    let usage = &workers.join()[0].usage;
    assert_eq!(usage.share(), 0.75);
}
