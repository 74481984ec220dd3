//! Null, ring and pcap ports.
