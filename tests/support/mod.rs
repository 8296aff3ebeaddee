//! What the integration tests share.

pub mod cluster;
pub mod parquet;
pub mod postgres;
