//! TAP and AF_PACKET ports: the way into and out of the Linux kernel.
