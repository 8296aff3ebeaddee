//! What the integration tests share.

pub mod cases;
pub mod cluster;
pub mod parquet;
pub mod postgres;
pub mod python;
pub mod said;
pub mod terminal;
pub mod wait;
