//! Packet headers, a parser to flow keys, checksums, Toeplitz and a rule vocabulary.
