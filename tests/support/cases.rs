//! How many cases a test tries: a part of them in `make test`, all of them in `make faults`, which sets `SSP_FAULTS`.

/// `full` cases if `SSP_FAULTS` is set, or else `reduced`.
pub(crate) fn cases(reduced: u32, full: u32) -> u32 {
    if std::env::var_os("SSP_FAULTS").is_some() { full } else { reduced }
}
