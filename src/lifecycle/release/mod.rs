//! Releases: indexes and what their text queries need, published as a whole and never changed.
//!
//! A [`Store`] is a folder or a prefix of an object store with one tree
//! ([docs/releases.md](https://docs.rs/crate/splindex/latest/source/docs/releases.md)):
//!
//! ```text
//! objects/<content id>.spx, objects/<blake3>.<name>     immutable, named by what they are
//! releases/<time>-<digest>.json                         a manifest: objects, sizes, digests, parameters
//! pointers/current.json                                 names a release; moved last, by compare-and-swap
//! pending/<publisher>.json, retiring.json               what is being published, what is being deleted
//! ```
//!
//! A reader takes a pointer, then the manifest that it names, then the objects, and checks the digest
//! of each step by the step before. All calls block; they run a small runtime of their own, so call
//! them from a thread, never from inside an async task. [`Progress::stop_requested`] is looked at ten
//! times a second, also while a network hangs.
//!
//! ```
//! use splindex::Builder;
//! use splindex::lifecycle::release::{PublishOptions, Store};
//! use splindex::progress::Silent;
//!
//! # let dir = tempfile::tempdir().expect("a temporary folder");
//! # let path = |name: &str| dir.path().join(name);
//! Builder::new().texts([("d1", "blue whale"), ("d2", "red ship")])?.write(&path("docs.spx"))?;
//! let store = Store::open(path("store").to_str().unwrap())?; // or s3://, gs://, az://
//! let options = PublishOptions { indexes: vec![path("docs.spx")], ..PublishOptions::default() };
//! let published = store.publish(&options, &Silent)?;
//! assert!(published.outcome.is_current());
//!
//! let release = store.pointed("current", &Silent)?;
//! assert_eq!(release.id, published.release.id);
//! let fetched = store.fetch(&release, &path("node"), &Silent)?; // verified, complete, or not there
//! assert_eq!(splindex::Index::open(&fetched.parts[0])?.documents(), 2);
//! # Ok::<(), splindex::Error>(())
//! ```
//!
//! [`Progress::stop_requested`]: crate::progress::Progress::stop_requested

mod cache;
mod cloud;
mod faults;
mod fetch;
mod folder;
mod manifest;
mod pick;
mod place;
mod pointer;
mod prepare;
mod publish;
mod remote;
mod retire;
mod store;
#[cfg(test)]
mod tests;
mod upload;

pub use cache::{Cache, Cached};
pub use fetch::{Fetched, MANIFEST_FILE, QUERY_MODEL_FOLDER, SUMMARY_FILE};
pub use manifest::{GlobalBm25, Manifest, ModelFile, Object, Part, QueryModel, Release};
pub use pointer::Pointer;
pub use publish::{Outcome, PublishOptions, Published};
pub use store::{Listed, RolledBack, Store};

/// The pointer that readers follow if none is named.
pub const CURRENT: &str = "current";
