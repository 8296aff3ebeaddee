//! What the integration tests share.

pub mod cases;
pub mod cluster;
pub mod parquet;
pub mod postgres;
