//! Few connections, and locks that other sessions hold.
