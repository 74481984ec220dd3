//! Packets at line rate in user space: the linecard program and every crate behind one name.
