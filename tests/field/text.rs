//! Text that changes its meaning, messages that mislead, and secrets.
