//! Virtqueues, split and packed, and the virtio-net header: what both sides of virtio share.
