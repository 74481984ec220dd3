//! Ports, queues, capabilities, offloads, statistics: what every driver implements.
