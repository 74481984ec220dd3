//! Ports of the Intel 82599, X520, X540 and X550.
