//! Inputs that do not fit together.
