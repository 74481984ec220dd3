//! Fixed-size objects preallocated in huge pages, with a cache per thread.
