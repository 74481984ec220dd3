//! Packets by flow: frames in, counters out.
#![expect(clippy::print_stdout, reason = "what the example is for")]

use linecard_flow_classify::exact::FlowTable;
use linecard_net::flow::KeyV4;
use linecard_net::{FlowKey, FrameBuilder, MacAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let build = FrameBuilder::new(MacAddr::BROADCAST, MacAddr::BROADCAST)
        .ipv4([192, 0, 2, 1].into(), [198, 51, 100, 7].into());
    let frames = [1000, 2000, 1000].map(|port| build.udp(port, 53).to_vec());

    let mut writer = FlowTable::<KeyV4, AtomicU64>::builder(1 << 16).build()?;
    let mut reader = writer.reader();
    for frame in frames {
        let flow = FlowKey::from_frame(&frame?).ok_or("not IP")?;
        let key = KeyV4::new(&flow).ok_or("not IPv4")?;
        if let Some(found) = reader.view().get(&key) {
            // Relaxed: a counter, which nothing is read after.
            found.value().fetch_add(1, Relaxed);
        } else if writer.insert(key, AtomicU64::new(1)).is_err() {
            println!("no room for {flow:?}");
        }
    }
    for found in reader.view().iter() {
        // Relaxed: as above.
        let packets = found.value().load(Relaxed);
        println!("{packets} packets of {:?}", FlowKey::from(*found.key()));
    }
    Ok(())
}
