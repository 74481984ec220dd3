//! The platform: huge pages, NUMA, lcores, clock, barriers.
