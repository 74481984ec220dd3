//! From capture to capture, as tshark and capinfos see it.

use crate::capture::{packets, read, write};
use crate::{Outcome, PROGRAM};
use linecard_testbed::programs::capture::{capinfos, tshark_fields};
use linecard_testbed::programs::{Program, ProgramError};
use linecard_testbed::{Need, needs};
use std::path::{Path, PathBuf};

/// Captures made here, so that there are always some; and those beside the checkout.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let own = folder.join("own.pcap");
    let lens = [60, 61, 1514, 9014, 40_000];
    write(&own, &packets(lens.map(|len| (0..len).map(|i| (i * 7) as u8).collect())));
    assert_eq!(read(&own).len(), lens.len());
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/captures");
    let others = std::fs::read_dir(beside).into_iter().flatten().flatten();
    let captures = others
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng"));
    std::iter::once(own).chain(captures).collect()
}

/// Every packet as tshark prints it: all of its bytes.
fn hex(file: &Path) -> Result<String, ProgramError> {
    Ok(Program::new("tshark").words("-n -x -r").arg(file).run()?.stdout)
}

fn assert_same(from: &Path, to: &Path) -> Outcome {
    let fields = ["frame.time_epoch", "frame.cap_len"];
    let name = from.display();
    let (before, after) = (capinfos(from)?, capinfos(to)?);
    assert_eq!((before.packets, before.bytes), (after.packets, after.bytes), "{name}");
    assert!(before.packets > 0, "{name} is empty");
    assert_eq!(tshark_fields(from, "", &fields)?, tshark_fields(to, "", &fields)?, "{name}");
    assert_eq!(hex(from)?, hex(to)?, "{name}");
    Ok(())
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn every_capture_comes_out_as_it_went_in() -> Outcome {
    if !needs(&[Need::Tool("tshark"), Need::Tool("capinfos")]) {
        return Ok(());
    }
    let folder = tempfile::tempdir().expect("a folder");
    for from in inputs(folder.path()) {
        for name in ["out.pcap", "out.pcapng"] {
            let to = folder.path().join(name);
            let port = |key, path: &Path| format!("pcap:{key}={}", path.display());
            let program = Program::new(PROGRAM).words("fwd --json --port").arg(port("rx", &from));
            program.arg("--port").arg(port("tx", &to)).run()?;
            assert_same(&from, &to)?;
        }
    }
    Ok(())
}
