//! Models, property tests and stress tests of `linecard-ring`.
