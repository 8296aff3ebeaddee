//! An export is skipped only where its answer is proven to be the same.
