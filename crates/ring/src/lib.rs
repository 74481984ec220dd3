//! Lock-free bounded queues with bulk and burst operations, for any thread layout.
