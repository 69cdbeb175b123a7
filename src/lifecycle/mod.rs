//! What happens to indexes after their build: releases published, fetched and rolled back.

#[cfg(feature = "publish")]
pub mod release;
