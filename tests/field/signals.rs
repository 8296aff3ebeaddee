//! Every signal ends a run in order.
