//! What host-level tests share.
