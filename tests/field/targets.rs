//! An output goes to a regular file at the named place, or is refused before any input is read.
