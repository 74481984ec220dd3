//! `ixgbe-model`: modelled cards for a guest of QEMU, or for a driver in another process.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use linecard_ixgbe_model::front::qemu::{QemuCard, Seat, TestSocket, Translation};
use linecard_ixgbe_model::front::vfio_user::UserCard;
use linecard_ixgbe_model::setup::{self, Setup};
use linecard_ixgbe_model::wire::{Plug, cable, flood, mirror, tap, unplugged};
use linecard_ixgbe_model::{Identity, Journal};

/// How long a card waits for something to do before it looks around.
const PATIENCE: Duration = Duration::from_secs(1);

/// An Intel 82599 in software
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Cards for a guest: QEMU's x-pci-proxy-dev
    Qemu(Qemu),
    /// A card (or two, on a cable) for drivers in other processes: vfio-user sockets
    VfioUser(VfioUser),
}

#[derive(Debug, Args)]
struct VfioUser {
    /// The socket to listen on; it is made. Once for each card
    #[arg(long = "socket", required = true)]
    sockets: Vec<PathBuf>,
    /// What the cards are wired to: `none`, `cable` (cards in pairs), `tap:NAME`
    #[arg(long, default_value = "none")]
    wire: String,
}

#[derive(Debug, Args)]
struct Qemu {
    /// A socket that was inherited, the peer of QEMU's, and the slot: FD:SLOT. Once for each card
    #[arg(long = "card", required = true, value_parser = card)]
    cards: Vec<Card>,
    /// A virtual function of a card, numbered from 0, with a socket and a slot of its own: CARD:FD:SLOT.
    /// Once for each function, in their order
    #[arg(long = "vf", value_parser = function)]
    functions: Vec<Function>,
    /// QEMU's -qtest socket
    #[arg(long)]
    qtest: PathBuf,
    /// Device id of the cards, in hexadecimal: 10fb is an X520, 1528 an X540, 1563 an X550. One for all cards, or
    /// 1528,1563 for each its own
    #[arg(long = "device", default_value = "10fb", value_parser = device_id, value_delimiter = ',')]
    devices: Vec<u16>,
    /// Bus of the cards
    #[arg(long, default_value_t = 0)]
    bus: u8,
    /// The guest has intel-iommu
    #[arg(long)]
    iommu: bool,
    /// End with a failure at the first access to memory that is refused
    #[arg(long)]
    strict: bool,
    /// End with a failure if this driver does not set the cards up as was recorded; it tells how it does
    #[arg(long)]
    setup: Option<Recording>,
    /// What the cards are wired to: `none`, `mirror` (each to itself), `flood` (broadcasts without end),
    /// `cable` (cards in pairs), `tap:NAME`. One for all cards, or `mirror,none` for each its own
    #[arg(long, default_value = "none")]
    wire: String,
}

/// A driver whose way to set cards up is recorded.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Recording {
    Linux,
    Dpdk,
}

/// What to do when an access to memory is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnFault {
    Tell,
    End,
}

impl Qemu {
    fn on_fault(&self) -> OnFault {
        if self.strict { OnFault::End } else { OnFault::Tell }
    }
}

#[derive(Clone, Copy, Debug)]
struct Card {
    socket: RawFd,
    slot: u8,
}

/// A virtual function.
#[derive(Clone, Copy, Debug)]
struct Function {
    /// Which of the cards it belongs to.
    card: usize,
    place: Card,
}

fn device_id(text: &str) -> Result<u16, String> {
    u16::from_str_radix(text, 16).map_err(|error| error.to_string())
}

fn card(text: &str) -> Result<Card, String> {
    let parts = text.split_once(':').ok_or("it is FD:SLOT, as in 3:5")?;
    let socket = parts.0.parse().map_err(|_| "the file descriptor is not a number")?;
    let slot = parts.1.parse().map_err(|_| "the slot is not a number")?;
    Ok(Card { socket, slot })
}

fn function(text: &str) -> Result<Function, String> {
    let parts = text.split_once(':').ok_or("it is CARD:FD:SLOT, as in 0:4:6")?;
    let number = parts.0.parse().map_err(|_| "the card is not a number")?;
    Ok(Function { card: number, place: card(parts.1)? })
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Qemu(arguments) => serve_guest(&arguments),
        Command::VfioUser(arguments) => serve_processes(&arguments),
    }
}

/// Each socket serves one driver after another.
fn serve_processes(arguments: &VfioUser) -> Result<()> {
    let plugs = plugs(&arguments.wire, arguments.sockets.len())?;
    let mut threads = Vec::new();
    for (index, (socket, plug)) in arguments.sockets.iter().zip(plugs).enumerate() {
        let card = UserCard::listen(socket, identity(index, Identity::default().device_id), plug)
            .with_context(|| format!("cannot listen on {}", socket.display()))?;
        threads.push(std::thread::spawn(move || -> Result<()> {
            loop {
                card.serve()?;
                let device = card.device();
                let journal = device.lock().map(|mut card| card.take_journal());
                tell(index as u8, &journal.unwrap_or_default());
            }
        }));
    }
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a card's thread has panicked"))??;
    }
    Ok(())
}

fn identity(index: usize, device_id: u16) -> Identity {
    let mut identity = Identity { device_id, ..Identity::default() };
    identity.mac[5] = index as u8 + 1;
    identity
}

fn serve_guest(arguments: &Qemu) -> Result<()> {
    let plugs = plugs(&arguments.wire, arguments.cards.len())?;
    let devices = match arguments.devices.as_slice() {
        [one] => vec![*one; arguments.cards.len()],
        each if each.len() == arguments.cards.len() => each.to_vec(),
        each => bail!("{} device ids, and {} cards", each.len(), arguments.cards.len()),
    };
    if let Some(stray) = arguments.functions.iter().find(|of| of.card >= arguments.cards.len()) {
        bail!("there is no card {} for a virtual function: they are numbered from 0", stray.card);
    }
    let test_socket = TestSocket::new(&arguments.qtest);
    let pairs = arguments.cards.iter().zip(plugs).enumerate();
    let threads: Result<Vec<_>> = pairs
        .map(|(index, (card, plug))| {
            let seat = seat(arguments, test_socket.clone(), *card);
            let identity = identity(index, devices[index]);
            let mut served = QemuCard::new(inherited(card.socket), &seat, identity, plug)?;
            for function in arguments.functions.iter().filter(|of| of.card == index) {
                let seat = Seat { slot: function.place.slot, ..seat.clone() };
                served.attach(inherited(function.place.socket), &seat)?;
            }
            Ok(start(served, seat.slot, arguments))
        })
        .collect();
    for thread in threads? {
        thread.join().map_err(|_| anyhow::anyhow!("a card's thread has panicked"))??;
    }
    Ok(())
}

fn seat(arguments: &Qemu, test_socket: TestSocket, card: Card) -> Seat {
    let translation = if arguments.iommu { Translation::Vtd } else { Translation::None };
    Seat { test_socket, bus: arguments.bus, slot: card.slot, translation }
}

fn inherited(socket: RawFd) -> UnixStream {
    // SAFETY: the number was given to us on the command line as a socket that was made for us; no
    // one else in this process has it.
    unsafe { OwnedFd::from_raw_fd(socket) }.into()
}

fn start(mut card: QemuCard, slot: u8, arguments: &Qemu) -> JoinHandle<Result<()>> {
    let on_fault = arguments.on_fault();
    let mut watch = arguments.setup.map(|recording| (recording, Setup::default()));
    if watch.is_some() {
        card.device().record_writes();
    }
    std::thread::spawn(move || {
        while card.serve_once(PATIENCE).context("the link to QEMU is broken")? {
            let journal = card.device().take_journal();
            tell(slot, &journal);
            if on_fault == OnFault::End && !journal.dma_faults.is_empty() {
                std::process::exit(1);
            }
            if let Some((recording, setup)) = &mut watch {
                setup.follow(&journal.writes);
                if setup.is_complete() {
                    check(slot, setup, *recording);
                    watch = None;
                }
            }
        }
        Ok(())
    })
}

/// Ends the program if a card was not set up as was recorded: what differs, then all of it, to be put
/// into the recording if that is what is wrong.
#[expect(clippy::print_stderr, reason = "a program talks to its user")]
fn check(slot: u8, setup: &Setup, recording: Recording) {
    let recorded = match recording {
        Recording::Linux => setup::LINUX,
        Recording::Dpdk => setup::DPDK,
    };
    let differences = setup.differences(recorded);
    if differences.is_empty() {
        return;
    }
    for line in &differences {
        eprintln!("card {slot}, set up by {recording:?}: {line}");
    }
    for line in setup.lines() {
        eprintln!("card {slot}, all of it: {line}");
    }
    std::process::exit(1);
}

/// What a driver did wrong.
#[expect(clippy::print_stderr, reason = "a program talks to its user")]
fn tell(slot: u8, journal: &Journal) {
    for fault in &journal.dma_faults {
        eprintln!("card {slot}: DMA fault: {fault}");
    }
    for (breach, count) in &journal.breaches {
        eprintln!("card {slot}: {breach:?}, {count} times");
    }
}

fn plugs(wires: &str, cards: usize) -> Result<Vec<Plug>> {
    let each: Vec<&str> = wires.split(',').collect();
    match each.as_slice() {
        [wire] => plugs_of(wire, cards),
        each if each.len() == cards => {
            let all: Result<Vec<_>> = each.iter().map(|wire| plugs_of(wire, 1)).collect();
            Ok(all?.into_iter().flatten().collect())
        }
        each => bail!("{} wires, and {cards} cards", each.len()),
    }
}

fn plugs_of(wire: &str, cards: usize) -> Result<Vec<Plug>> {
    match wire.split_once(':') {
        None if wire == "none" => Ok((0..cards).map(|_| unplugged()).collect()),
        None if wire == "mirror" => Ok((0..cards).map(|_| mirror()).collect()),
        None if wire == "flood" => Ok((0..cards).map(|_| flood(broadcast())).collect()),
        None if wire == "cable" && cards.is_multiple_of(2) => {
            let pairs: std::io::Result<Vec<_>> = (0..cards / 2).map(|_| cable()).collect();
            Ok(pairs?.into_iter().flat_map(|(one, other)| [one, other]).collect())
        }
        Some(("tap", name)) if cards == 1 => Ok(vec![tap(name).context("cannot open the TAP")?]),
        _ => bail!(
            "`{wire}` does not fit {cards} cards: none, mirror, flood, cable (pairs), or tap:NAME (one)"
        ),
    }
}

/// A shortest frame, for everybody, of an EtherType for experiments.
fn broadcast() -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].fill(0xFF);
    frame[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 0x7F, 0x88, 0xB5]);
    frame
}
