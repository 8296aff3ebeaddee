//! What the integration tests share.

pub mod parquet;
pub mod postgres;
