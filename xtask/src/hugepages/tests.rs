//! On a made-up `/sys`, `/run` and `/etc`, where a file takes whatever is written.

use super::*;
use tempfile::TempDir;

struct Machine(TempDir);

impl Machine {
    fn new(nr: u64, free: u64) -> Self {
        let machine = Self(TempDir::new().unwrap());
        for folder in ["sys/kernel/mm/hugepages", "sys/devices/system/node/node1/hugepages"] {
            let folder = machine.0.path().join(folder).join("hugepages-2048kB");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("nr_hugepages"), nr.to_string()).unwrap();
            std::fs::write(folder.join("free_hugepages"), free.to_string()).unwrap();
        }
        machine
    }

    fn setup(&self, count: u64) -> Setup {
        Setup {
            size: PageSize::TwoMebi,
            count: Some(count),
            node: None,
            mount: None,
            user: None,
            persist: false,
            undo: false,
            dry_run: false,
            root: self.0.path().to_owned(),
        }
    }

    fn undo(&self) -> Setup {
        Setup { count: None, undo: true, ..self.setup(0) }
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.0.path().join(path)).ok()
    }

    fn count(&self) -> String {
        self.read("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages").unwrap()
    }

    fn count_on_node_1(&self) -> String {
        self.read("sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages").unwrap()
    }
}

const BOOT: &str = "etc/tmpfiles.d/linecard-hugepages-2048kB.conf";

#[test]
fn pages_are_reserved_and_returned() {
    let machine = Machine::new(4, 4);
    run(&machine.setup(512)).unwrap();
    assert_eq!(machine.count(), "512");
    run(&machine.undo()).unwrap();
    assert_eq!(machine.count(), "4");
}

#[test]
fn undo_returns_to_what_was_before_the_first_of_several_runs() {
    let machine = Machine::new(4, 4);
    run(&machine.setup(512)).unwrap();
    run(&machine.setup(100)).unwrap();
    run(&machine.undo()).unwrap();
    assert_eq!(machine.count(), "4");
}

#[test]
fn a_node_has_pages_of_its_own() {
    let machine = Machine::new(4, 4);
    run(&Setup { node: Some(1), ..machine.setup(8) }).unwrap();
    assert_eq!((machine.count(), machine.count_on_node_1()), ("4".into(), "8".into()));
}

#[test]
fn a_persisted_count_is_written_for_the_next_boot_and_removed_by_undo() {
    let machine = Machine::new(0, 0);
    run(&Setup { persist: true, ..machine.setup(512) }).unwrap();
    let boot = machine.read(BOOT).unwrap();
    assert!(boot.contains("w /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages - - - - 512"));
    run(&machine.undo()).unwrap();
    assert_eq!((machine.read(BOOT), machine.count()), (None, "0".into()));
}

#[test]
fn a_persisted_count_can_be_undone_after_a_boot() {
    let machine = Machine::new(0, 0);
    run(&Setup { persist: true, ..machine.setup(512) }).unwrap();
    std::fs::remove_dir_all(machine.0.path().join("run")).unwrap();
    run(&machine.undo()).unwrap();
    assert_eq!((machine.read(BOOT), machine.count()), (None, "0".into()));
}

#[test]
fn a_dry_run_changes_nothing() {
    let machine = Machine::new(4, 4);
    run(&Setup { dry_run: true, persist: true, ..machine.setup(512) }).unwrap();
    assert_eq!((machine.count(), machine.read(BOOT)), ("4".into(), None));
    assert!(!machine.0.path().join("run").exists());
}

#[test]
fn undo_without_an_earlier_run_says_how_to_return_all() {
    let error = run(&Machine::new(4, 4).undo()).unwrap_err().to_string();
    assert!(error.contains("--count 0"), "{error}");
}

#[test]
fn a_size_that_the_kernel_lacks_is_an_error_that_names_it() {
    let machine = Machine::new(4, 4);
    let error = run(&Setup { size: PageSize::OneGibi, ..machine.setup(1) }).unwrap_err();
    assert!(error.to_string().contains("no 1G pages"), "{error}");
}

#[test]
fn fewer_pages_than_asked_for_is_an_error_that_says_what_to_do() {
    let machine = Machine::new(4, 4);
    run(&machine.setup(6)).unwrap();
    let setup = machine.setup(512);
    let pages = Pages { setup: &setup };
    let plan = set_up(&pages).unwrap();
    // The file holds 6 still: what a kernel with too little memory shows after the write.
    let silent = Action::Remove("/nothing".into());
    let error = plan.insist(&pages, &silent).unwrap_err().to_string();
    assert!(error.contains("only 6 of 512") && error.contains("0 MiB are free"), "{error}");
    std::fs::write(machine.0.path().join("proc/meminfo"), "MemAvailable: 8000000 kB\n").unwrap();
    let error = plan.insist(&pages, &silent).unwrap_err().to_string();
    assert!(error.contains("drop_caches") && error.contains("hugepages=512"), "{error}");
    assert_eq!(machine.count(), "6");
    run(&machine.undo()).unwrap();
    assert_eq!(machine.count(), "4");
}

#[test]
fn a_mount_belongs_to_its_user() {
    let machine = Machine::new(0, 0);
    std::fs::create_dir_all(machine.0.path().join("etc")).unwrap();
    std::fs::write(machine.0.path().join("etc/passwd"), "joe:x:1000:1001::/:/bin/sh\n").unwrap();
    let user = |name: &str| Setup { user: Some(name.to_owned()), ..machine.setup(1) };
    let action = mount(&user("joe"), Path::new("/dev/huge")).unwrap().to_string();
    let expected = "mount -t hugetlbfs -o pagesize=2M,uid=1000,gid=1001,mode=0770 none /dev/huge";
    assert_eq!(action, expected);
    assert!(mount(&user("jane"), Path::new("/dev/huge")).is_err());
}
