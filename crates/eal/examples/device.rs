//! Opens a PCI function that is bound to vfio-pci or uio_pci_generic, and says what a driver
//! would find: registers, capabilities, memory, interrupts.
//!
//! `cargo run -p linecard-eal --example device -- 0000:03:00.0` does it and lets go;
//! with `hold` behind the address it waits for a line on its standard input first.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a person")]

use linecard_eal::device::{Device, DmaMemory, InterruptKind};
use linecard_eal::mem::Request;
use linecard_eal::pci;
use std::process::ExitCode;

type Done = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match look() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn look() -> Done {
    let mut words = std::env::args().skip(1);
    let address = words.next().ok_or("which device? give its address, such as 0000:03:00.0")?;
    let device = pci::open(address.parse()?)?;
    println!("{}: {}, on node {:?}", device.name(), device.identity(), device.node());
    bars(&*device);
    capabilities(&*device)?;
    let memory = memory(&*device)?;
    interrupts(&*device)?;
    if words.next().as_deref() == Some("hold") {
        println!("held");
        std::io::stdin().read_line(&mut String::new())?;
    }
    drop(memory);
    match device.reset() {
        Ok(()) => println!("reset"),
        Err(error) => println!("no reset: {error}"),
    }
    Ok(())
}

fn bars(device: &dyn Device) {
    for (index, bar) in (0..6).filter_map(|index| Some((index, device.bar(index).ok()?))) {
        println!("BAR {index}: {:#x} bytes, the first are {:#010x}", bar.len(), bar.read32(0));
    }
}

fn capabilities(device: &dyn Device) -> Done {
    for found in device.config().capabilities()? {
        let found = found?;
        println!("capability {:?} at {:#x}", found.id, found.offset);
    }
    Ok(())
}

/// Makes some memory known to the device: what a driver's rings and packets would be.
fn memory(device: &dyn Device) -> Result<DmaMemory, Box<dyn std::error::Error>> {
    let dma = device.dma();
    println!("{:?}", dma.limits());
    let request = Request::new(2 << 20).name("example");
    // SAFETY: the device stands still: it has not been told to do anything.
    let memory = unsafe { DmaMemory::new(&*dma, request) }?;
    println!("2 MiB at {:?} for the device", memory.contiguous(0, 64));
    Ok(memory)
}

fn interrupts(device: &dyn Device) -> Done {
    let interrupts = device.interrupts();
    for kind in [InterruptKind::MsiX, InterruptKind::Msi, InterruptKind::Intx] {
        println!("{kind}: {} vectors", interrupts.vectors(kind));
    }
    if let Some(kind) = interrupts.best(1) {
        let vectors = interrupts.enable(kind, 1)?;
        println!("{kind} enabled, fired: {}", vectors[0].take()?);
    }
    Ok(())
}
