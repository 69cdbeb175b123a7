//! What happens to indexes from night to night: compared, published, fetched and rolled back.

pub mod diff;
#[cfg(feature = "publish")]
pub mod release;
