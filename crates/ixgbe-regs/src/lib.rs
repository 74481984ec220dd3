//! Registers and descriptors of the Intel 82599 family, as data.
