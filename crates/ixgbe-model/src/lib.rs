//! An Intel 82599 in software, for tests of drivers.
