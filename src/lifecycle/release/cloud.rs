//! A store under a prefix of an object store.
//!
//! Small files are written in one request, which stores do as a whole or not at all; a pointer moves by
//! a conditional write, on the ETag (or generation) that was read. Large objects are sent in parts
//! (`upload.rs`), each signed with the digest of its bytes, and appear when the last request names them.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::multipart::MultipartStore;
use object_store::{
    Attribute, Attributes, Error as Fault, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutOptions, UpdateVersion, path::Path as Key,
};
use tokio::runtime::{Builder, Runtime};

use super::faults::{fault, is_no_bucket, is_refusal};
use super::folder::{changed, other_size};
use super::manifest::Object;
use super::remote::{Entry, Head, Remote, Sink, TOP, Tag};
use super::upload::Upload;
use crate::error::{Error, Result};
use crate::progress::{Progress, advance};

/// How often a call that waits for the network asks whether to stop.
const TICK: Duration = Duration::from_millis(100);
/// Bytes of a request for a piece, of a part unless there would be too many.
pub(super) const PIECE: u64 = 8 << 20;
/// Requests for pieces in flight, so that one slow connection does not decide; this many pieces
/// are in memory.
pub(super) const AT_ONCE: usize = 6;
/// For so long something is asked for whose answer breaks off.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where an object's BLAKE3 is kept beside it.
const DIGEST: &str = "blake3";

/// See the module.
pub(super) struct Cloud {
    store: Arc<dyn ObjectStore>,
    parts: Arc<dyn MultipartStore>,
    dest: String,
    prefix: Key,
    runtime: Engine,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("store", &self.store).field("dest", &self.dest).finish()
    }
}

/// A runtime that may be dropped anywhere, inside another one too.
#[derive(Debug)]
struct Engine(Option<Runtime>);

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Cloud {
    pub fn new(store: impl ObjectStore + MultipartStore, dest: &str, prefix: Key) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("splindex-store")
            .enable_all()
            .build()
            .map_err(|e| Error::Internal(format!("cannot start the network's threads: {e}")))?;
        let dest = dest.trim_end_matches('/').to_owned();
        let store = Arc::new(store);
        let parts = Arc::clone(&store) as Arc<dyn MultipartStore>;
        Ok(Cloud { store, parts, dest, prefix, runtime: Engine(Some(runtime)) })
    }

    fn key(&self, path: &str) -> Key {
        path.split('/').fold(self.prefix.clone(), |key, part| key.join(part))
    }

    /// The path below the prefix.
    fn below(&self, key: &Key) -> String {
        let text = key.as_ref();
        let below = text.strip_prefix(self.prefix.as_ref()).unwrap_or(text);
        below.trim_start_matches('/').to_owned()
    }

    /// Runs `future` on this thread; a stop drops it where it stands.
    pub(super) fn wait<T>(
        &self,
        progress: &dyn Progress,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(runtime) = &self.runtime.0 else {
            return Err(Error::Internal("the network's threads have ended".into()));
        };
        runtime.block_on(async {
            let mut future = pin!(future);
            loop {
                match tokio::time::timeout(TICK, &mut future).await {
                    Ok(done) => return done,
                    Err(_) if progress.stop_requested() => return Err(Error::Stopped),
                    Err(_) => {}
                }
            }
        })
    }

    fn put(
        &self,
        path: &str,
        bytes: &[u8],
        mode: PutMode,
        progress: &dyn Progress,
    ) -> Result<bool> {
        let (key, name) = (self.key(path), self.name(path));
        self.wait(progress, async {
            let options = PutOptions { mode, ..PutOptions::default() };
            match self.store.put_opts(&key, bytes.to_vec().into(), options).await {
                Ok(_) => Ok(true),
                Err(Fault::Precondition { .. } | Fault::AlreadyExists { .. }) => Ok(false),
                Err(e) => Err(fault("write", &name, e)),
            }
        })
    }

    async fn send_whole(&self, key: &Key, local: &Path, object: &Object) -> Result<()> {
        let bytes = std::fs::read(local).map_err(|e| Error::io("read", local, e))?;
        if blake3::hash(&bytes).to_hex().as_str() != object.blake3 {
            return Err(changed(local));
        }
        let options = PutOptions { attributes: attributes(object), ..PutOptions::default() };
        let sent = self.store.put_opts(key, bytes.into(), options).await;
        sent.map(drop).map_err(|e| fault("write", &self.name(&object.path), e))
    }

    async fn piece(&self, key: &Key, name: &str, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
        let bytes = self.store.get_range(key, range.clone()).await;
        let bytes = bytes.map_err(|e| fault("read", name, e))?;
        match bytes.len() as u64 == range.end - range.start {
            true => Ok(bytes.into()),
            false => Err(other_size(name, range.end, range.start + bytes.len() as u64)),
        }
    }
}

/// Asks again where an answer broke off: the store's client repeats requests, but not those. A store
/// that is away took that client's patience already.
async fn again<T>(ask: impl AsyncFn() -> Result<T>) -> Result<T> {
    again_if(|error| matches!(error, Error::Io { .. }), ask).await
}

/// The same of a request whose faults its caller looks at.
pub(super) async fn again_unless_refused<T>(
    ask: impl AsyncFn() -> object_store::Result<T>,
) -> object_store::Result<T> {
    again_if(|fault| matches!(fault, Fault::Generic { .. }) && !is_refusal(fault), ask).await
}

async fn again_if<T, E>(
    broke_off: impl Fn(&E) -> bool,
    ask: impl AsyncFn() -> Result<T, E>,
) -> Result<T, E> {
    let started = Instant::now();
    loop {
        match ask().await {
            Err(error) if broke_off(&error) && started.elapsed() < PATIENCE => {
                tokio::time::sleep(TICK).await;
            }
            answer => return answer,
        }
    }
}

pub(super) fn attributes(object: &Object) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::Metadata(DIGEST.into()), object.blake3.clone().into());
    attributes
}

impl Remote for Cloud {
    fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.dest)
    }

    fn read(&self, path: &str, progress: &dyn Progress) -> Result<Option<(Vec<u8>, Tag)>> {
        let (key, name) = (self.key(path), self.name(path));
        let ask = async || {
            let got = match self.store.get(&key).await {
                Err(e @ Fault::NotFound { .. }) if !is_no_bucket(&e) => return Ok(None),
                got => got.map_err(|e| fault("read", &name, e))?,
            };
            let (e_tag, version) = (got.meta.e_tag.clone(), got.meta.version.clone());
            let bytes = got.bytes().await.map_err(|e| fault("read", &name, e))?;
            Ok(Some((bytes.into(), Tag::Version(UpdateVersion { e_tag, version }))))
        };
        self.wait(progress, again(ask))
    }

    fn write(&self, path: &str, bytes: &[u8], progress: &dyn Progress) -> Result<()> {
        self.put(path, bytes, PutMode::Overwrite, progress).map(drop)
    }

    fn swap(
        &self,
        path: &str,
        bytes: &[u8],
        seen: Option<&Tag>,
        progress: &dyn Progress,
    ) -> Result<bool> {
        let mode = match seen {
            None => PutMode::Create,
            Some(Tag::Version(version)) => PutMode::Update(version.clone()),
            Some(Tag::Digest(_)) => return Err(Error::Internal("a folder's tag".into())),
        };
        let swapped = match self.put(path, bytes, mode, progress) {
            Ok(true) => return Ok(true),
            Err(Error::Stopped) => return Err(Error::Stopped),
            swapped => swapped,
        };
        // Its answer may have been lost; asked again, the store says no to what it did before.
        match self.read(path, progress) {
            Ok(Some((now, _))) if now == bytes => Ok(true),
            _ => swapped,
        }
    }

    fn head(&self, path: &str, progress: &dyn Progress) -> Result<Option<Head>> {
        let (key, name) = (self.key(path), self.name(path));
        let ask = async || {
            let options = GetOptions { head: true, ..GetOptions::default() };
            match self.store.get_opts(&key, options).await {
                Ok(got) => {
                    let digest = got.attributes.get(&Attribute::Metadata(DIGEST.into()));
                    let blake3 = digest.map(|digest| digest.as_ref().to_owned());
                    Ok(Some(Head { size: got.meta.size, blake3 }))
                }
                Err(Fault::NotFound { .. }) => Ok(None),
                Err(e) => Err(fault("look at", &name, e)),
            }
        };
        self.wait(progress, again(ask))
    }

    fn send(&self, local: &Path, object: &Object, progress: &dyn Progress) -> Result<()> {
        let key = self.key(&object.path);
        if object.size <= PIECE {
            self.wait(progress, self.send_whole(&key, local, object))?;
            return advance(progress, object.size);
        }
        Upload::new(self, &*self.parts, key, object).send(local, progress)
    }

    fn receive(
        &self,
        object: &Object,
        from: u64,
        sink: Sink<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let (key, name) = (self.key(&object.path), self.name(&object.path));
        if let Some(head) = self.head(&object.path, progress)?.filter(|h| h.size != object.size) {
            return Err(other_size(&name, object.size, head.size));
        }
        let pieces = (from..object.size).step_by(PIECE as usize);
        let ranges = pieces.map(|start| start..object.size.min(start + PIECE));
        self.wait(progress, async {
            let requests = ranges.map(|range| self.piece(&key, &name, range));
            let mut pieces = stream::iter(requests).buffered(AT_ONCE);
            while let Some(bytes) = pieces.try_next().await? {
                sink(&bytes)?;
                advance(progress, bytes.len() as u64)?;
            }
            Ok(())
        })
    }

    fn list(&self, folder: &str, progress: &dyn Progress) -> Result<Vec<Entry>> {
        let (key, name) = (self.key(folder), self.name(folder));
        let list = async || {
            let listed = self.store.list(Some(&key)).try_collect::<Vec<_>>().await;
            listed.map_err(|e| fault("list", &name, e))
        };
        let listed = self.wait(progress, again(list))?;
        let entry = |meta: ObjectMeta| Entry {
            path: self.below(&meta.location),
            modified: SystemTime::from(meta.last_modified),
        };
        let mut entries: Vec<Entry> = listed.into_iter().map(entry).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn foreign(&self, progress: &dyn Progress) -> Result<Option<String>> {
        let ask = async || {
            let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
            let mut entries = self.store.list(prefix);
            while let Some(meta) =
                entries.try_next().await.map_err(|e| fault("list", &self.dest, e))?
            {
                let path = self.below(&meta.location);
                let top = path.split('/').next().unwrap_or_default();
                if !top.starts_with('.') && !TOP.contains(&top) {
                    return Ok(Some(path));
                }
            }
            Ok(None)
        };
        self.wait(progress, again(ask))
    }

    fn delete(&self, path: &str, progress: &dyn Progress) -> Result<()> {
        let (key, name) = (self.key(path), self.name(path));
        let ask = async || match self.store.delete(&key).await {
            Ok(()) | Err(Fault::NotFound { .. }) => Ok(()),
            Err(e) => Err(fault("delete", &name, e)),
        };
        self.wait(progress, again(ask))
    }
}
