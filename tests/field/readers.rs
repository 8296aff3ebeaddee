//! Files for readers that do not know every encoding.
