//! Registries in an unexpected state.
