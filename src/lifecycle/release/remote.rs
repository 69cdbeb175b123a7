//! What a release needs of the place where it lies.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use object_store::UpdateVersion;

use super::manifest::Object;
use crate::error::Result;
use crate::progress::Progress;

/// What a small file was when it was read: [`Remote::swap`] compares with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tag {
    /// BLAKE3 of its bytes.
    Digest(blake3::Hash),
    /// Its ETag or generation.
    Version(UpdateVersion),
}

/// What a store says of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes.
    pub size: u64,
    /// The BLAKE3 that its sender wrote beside it.
    pub blake3: Option<String>,
}

/// An entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Path below the store's root.
    pub path: String,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// Takes pieces of an object, in order.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&[u8]) -> Result<()>;

/// A folder, or a prefix of an object store. Paths are relative and have `/`.
pub(super) trait Remote: fmt::Debug + Send + Sync {
    /// How messages name `path`.
    fn name(&self, path: &str) -> String;

    /// A small file: a pointer, a manifest.
    fn read(&self, path: &str, progress: &dyn Progress) -> Result<Option<(Vec<u8>, Tag)>>;

    /// Writes a small file, over another if there is one.
    fn write(&self, path: &str, bytes: &[u8], progress: &dyn Progress) -> Result<()>;

    /// Writes a small file if it is still what `seen` was; false if not. `None`: if there is none.
    fn swap(
        &self,
        path: &str,
        bytes: &[u8],
        seen: Option<&Tag>,
        progress: &dyn Progress,
    ) -> Result<bool>;

    /// Whether an object is there, and what is known of it.
    fn head(&self, path: &str, progress: &dyn Progress) -> Result<Option<Head>>;

    /// Sends the file `local` as `object`, advancing by bytes.
    ///
    /// # Errors
    /// Those of the store; a file that is no longer what the object says.
    fn send(&self, local: &Path, object: &Object, progress: &dyn Progress) -> Result<()>;

    /// Reads an object from byte `from` on, advancing by bytes.
    ///
    /// # Errors
    /// Those of the store and of `sink`; an object that is not there, or of another size.
    fn receive(
        &self,
        object: &Object,
        from: u64,
        sink: Sink<'_>,
        progress: &dyn Progress,
    ) -> Result<()>;

    /// All files of a folder of the tree, sorted by path.
    fn list(&self, folder: &str, progress: &dyn Progress) -> Result<Vec<Entry>>;

    /// Something at the top that is not of the tree.
    fn foreign(&self, progress: &dyn Progress) -> Result<Option<String>>;

    /// Removes a file; one that is not there is no error.
    fn delete(&self, path: &str, progress: &dyn Progress) -> Result<()>;
}

/// What stands at the top of a store.
pub(super) const TOP: [&str; 5] = ["objects", "pending", "pointers", "releases", RETIRING];

/// Names that are being deleted.
pub(super) const RETIRING: &str = "retiring.json";
