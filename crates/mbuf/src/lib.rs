//! Packet buffers: owned, one pointer wide, with headroom, chains and sharing.
