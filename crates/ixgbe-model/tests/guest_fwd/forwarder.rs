//! `linecard fwd` between the two cards in the middle: Linux, cable, ours, ours, cable, Linux.

use crate::stage::Stage;
use linecard_testbed::guest;
use linecard_testbed::programs::{Program, Running};
use std::sync::LazyLock;
use std::time::Duration;

/// The kernel's cards.
const OUTER: [&str; 2] = ["0000:00:05.0", "0000:00:08.0"];
/// Ours.
pub(crate) const INNER: [&str; 2] = ["0000:00:06.0", "0000:00:07.0"];

/// The kernel's ends. They have a link only once our ends are up, as light comes from those.
pub(crate) fn outer() -> &'static Stage {
    static STAGE: LazyLock<Stage> = LazyLock::new(|| Stage::between(OUTER[0], OUTER[1]));
    &STAGE
}

/// `linecard fwd`, up, on the cards in the middle, which `driver` has.
pub(crate) fn forwarder(driver: &str, words: &str) -> Running {
    guest::load_module(driver).unwrap();
    for card in INNER {
        if guest::driver_of(card).as_deref() != Some(driver) {
            guest::bind(card, driver).unwrap();
        }
    }
    let mut running = Program::new("linecard")
        .args(["fwd", "--port", &format!("pci:{}", INNER[0])])
        .args(["--port", &format!("pci:{}", INNER[1])])
        .words(words)
        .within(Duration::from_secs(240))
        .spawn()
        .unwrap();
    running.wait_for("pps", Duration::from_secs(60)).unwrap();
    outer().near.wait_for_link();
    outer().far.wait_for_link();
    running
}
