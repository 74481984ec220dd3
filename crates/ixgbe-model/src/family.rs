//! What the cards of the family differ in.

/// Which kind of card it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// And X520.
    I82599,
    X540,
    /// And X552, which is built into a processor.
    X550,
}

const X540: [u16; 2] = [0x1528, 0x1560];
const X550: [u16; 6] = [0x1563, 0x15D1, 0x15AA, 0x15AB, 0x15AC, 0x15AD];

impl Family {
    /// Of a device id; what is not known is an 82599.
    pub(crate) fn of(device_id: u16) -> Self {
        match device_id {
            id if X540.contains(&id) => Family::X540,
            id if X550.contains(&id) => Family::X550,
            _ => Family::I82599,
        }
    }
}
