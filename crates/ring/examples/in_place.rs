//! Frames of 1,518 bytes are written where they lie in the ring, and read there: no copy is made.
//!
//! `cargo run --release -p linecard-ring --example in_place`
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use linecard_ring::{Consumer, Error, Producer, Single, spsc};
use std::thread;

/// A frame and how much of it is used.
struct Frame {
    len: usize,
    bytes: [u8; 1518],
}

const FRAMES: usize = 100_000;

fn main() -> Result<(), Error> {
    let (tx, rx) = spsc(64)?;
    let bytes = thread::scope(|scope| {
        scope.spawn(move || receive_from_wire(tx));
        count(rx)
    });
    println!("{FRAMES} frames, {bytes} bytes");
    Ok(())
}

/// Reserves as many slots as are free, up to 32, and writes each once.
fn receive_from_wire(mut tx: Producer<Frame, Single, Single>) {
    let mut left = FRAMES;
    while left > 0 {
        let mut chunk = tx.reserve_burst(left.min(32));
        for slot in chunk.slots().into_iter().flatten() {
            let frame = slot.as_mut_ptr();
            // SAFETY: the slot is ours and large enough for a frame; both fields are written.
            unsafe {
                (&raw mut (*frame).len).write(60 + left % 1000);
                (&raw mut (*frame).bytes).write_bytes(left as u8, 1);
            }
        }
        left -= chunk.len();
        if chunk.is_empty() {
            thread::yield_now();
        }
        let n = chunk.len();
        // SAFETY: all of the chunk's slots have just been written.
        unsafe { chunk.commit(n) };
    }
}

/// Looks at what there is, in its up to two runs, and then gives the slots back.
fn count(mut rx: Consumer<Frame, Single, Single>) -> usize {
    let mut bytes = 0;
    loop {
        let closed = rx.is_closed();
        let chunk = rx.peek_burst(32);
        bytes += chunk.items().iter().flat_map(|run| run.iter()).map(used).sum::<usize>();
        match chunk.len() {
            0 if closed => return bytes,
            0 => thread::yield_now(),
            n => chunk.commit(n),
        }
    }
}

fn used(frame: &Frame) -> usize {
    frame.bytes[..frame.len].len()
}
