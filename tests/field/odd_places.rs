//! Records, links and registries in an unexpected state.
