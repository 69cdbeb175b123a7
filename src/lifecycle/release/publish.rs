//! Publishing: look at what is sent, send what is not there, write the manifest, move the pointer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::fetch::Uncounted;
use super::manifest::{Object, Release};
use super::pointer::{self, Pointer};
use super::prepare::{self, Prepared};
use super::remote::{Remote, Tag};
use super::retire::{self, Intent};
use super::store::{holds_something_else, read_pointer, read_release, release_path};
use super::{CURRENT, folder};
use crate::error::{Error, Place, Result};
use crate::progress::Progress;

/// What is published, and how.
#[derive(Debug, Clone)]
pub struct PublishOptions {
    /// Index files: one, or the parts of a collection in its order (shards in any).
    pub indexes: Vec<PathBuf>,
    /// Folder, or hub id, of the model that answers text queries.
    pub query_model: Option<PathBuf>,
    /// The pointer that moves: [`CURRENT`], or another name for a release that is tried first.
    pub pointer: String,
    /// Releases that stay, beside those that pointers name; all stay if absent.
    pub keep: Option<usize>,
    /// What is said of it.
    pub note: String,
}

impl Default for PublishOptions {
    fn default() -> Self {
        PublishOptions {
            indexes: Vec::new(),
            query_model: None,
            pointer: CURRENT.into(),
            keep: None,
            note: String::new(),
        }
    }
}

/// Whether a pointer moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It names the release.
    Current,
    /// Another program moved it meanwhile, to this release; the pointer was left alone.
    Lost {
        /// Where the other one moved it; none if it was removed.
        to: Option<String>,
    },
}

impl Outcome {
    /// Whether the pointer names the release.
    pub fn is_current(&self) -> bool {
        matches!(self, Outcome::Current)
    }
}

/// What publishing did.
#[derive(Debug, Clone)]
pub struct Published {
    /// The release: it is in the store, whatever the outcome.
    pub release: Release,
    /// Whether the pointer names it.
    pub outcome: Outcome,
    /// Bytes that were sent.
    pub sent: u64,
    /// Bytes that were there already.
    pub kept: u64,
    /// Releases that went.
    pub retired: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// As [`Store::publish`](super::Store::publish), at the time `now`.
pub(super) fn publish(
    remote: &dyn Remote,
    dest: &str,
    options: &PublishOptions,
    now: SystemTime,
    progress: &dyn Progress,
) -> Result<Published> {
    pointer::path(&options.pointer)?;
    if options.keep == Some(0) {
        return Err(Error::setting("keep", "at least 1", 0));
    }
    // The store first: nobody waits for digests to hear of wrong credentials.
    let before = read_pointer(remote, &options.pointer, progress)?;
    check_ours(remote, dest, progress)?;
    let mut prepared = prepare::prepare(options, rfc3339(now), progress)?;
    let known = known(remote, before.as_ref().map(|(pointer, _)| pointer), progress)?;
    let sender = Sender::announce(remote, &prepared, &known, now, progress)?;
    let (sent, kept) = sender.send(&mut prepared, progress)?;
    let release = Release::of(prepared.manifest)?;
    sender.intent.names_release(&release.id, progress)?;
    write_manifest(remote, &release, progress)?;
    let previous = before.as_ref().map(|(pointer, _)| pointer.release.clone());
    let pointer = Pointer::to(&release, previous, rfc3339(now));
    let tag = before.as_ref().map(|(_, tag)| tag);
    let outcome = move_pointer(remote, &options.pointer, &pointer, tag, progress)?;
    sender.intent.done(progress)?;
    let retired = match options.keep {
        Some(keep) if outcome.is_current() => retire::retire(remote, keep, now, progress)?,
        _ => Vec::new(),
    };
    Ok(Published { release, outcome, sent, kept, retired, notes: prepared.notes })
}

/// Refuses a place that something else lies in.
fn check_ours(remote: &dyn Remote, dest: &str, progress: &dyn Progress) -> Result<()> {
    if !remote.list("releases", progress)?.is_empty() {
        return Ok(());
    }
    match remote.foreign(progress)? {
        Some(found) => Err(holds_something_else(dest, &found)),
        None => Ok(()),
    }
}

/// Where the objects of the release of now are, by digest.
fn known(
    remote: &dyn Remote,
    pointer: Option<&Pointer>,
    progress: &dyn Progress,
) -> Result<BTreeMap<String, String>> {
    let Some(pointer) = pointer else { return Ok(BTreeMap::new()) };
    match read_release(remote, &pointer.release, progress) {
        Ok(release) => Ok(release
            .manifest
            .objects()
            .map(|object| (object.blake3.clone(), object.path.clone()))
            .collect()),
        // A damaged release is no reason not to publish a sound one.
        Err(Error::Data(_)) => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

/// Sends objects under names that nobody deletes.
struct Sender<'r> {
    remote: &'r dyn Remote,
    intent: Intent<'r>,
    /// Names that somebody deletes.
    burnt: BTreeSet<String>,
    known: &'r BTreeMap<String, String>,
    nonce: String,
}

/// What lies under a name.
#[derive(PartialEq)]
enum There {
    Nothing,
    TheObject,
    Other,
}

impl<'r> Sender<'r> {
    fn announce(
        remote: &'r dyn Remote,
        prepared: &Prepared,
        known: &'r BTreeMap<String, String>,
        now: SystemTime,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let nonce = retire::nonce()?;
        let names = prepared.manifest.objects().flat_map(|object| {
            let known = known.get(&object.blake3).cloned();
            [object.path.clone(), renamed(&object.path, &nonce)].into_iter().chain(known)
        });
        let intent = Intent::announce(remote, names.collect(), now, progress)?;
        // After the intent: see `retire`.
        let burnt = retire::retiring(remote, progress)?;
        Ok(Sender { remote, intent, burnt, known, nonce })
    }

    /// Bytes that were sent, and that were there.
    fn send(&self, prepared: &mut Prepared, progress: &dyn Progress) -> Result<(u64, u64)> {
        let total = prepared.manifest.objects().map(|object| object.size).sum();
        progress.begin("sending", total);
        let (mut sent, mut kept) = (0, 0);
        // Two names of one file are one object.
        let mut done: BTreeMap<String, String> = BTreeMap::new();
        for (object, local) in prepared.manifest.objects_mut().zip(&prepared.files) {
            if let Some(path) = done.get(&object.path) {
                object.path = path.clone();
                progress.advance(object.size);
                continue;
            }
            let canonical = object.path.clone();
            match self.put(object, local, progress)? {
                true => sent += object.size,
                false => {
                    kept += object.size;
                    crate::progress::advance(progress, object.size)?;
                }
            }
            done.insert(canonical, object.path.clone());
        }
        Ok((sent, kept))
    }

    /// Whether it had to be sent; gives the object the path where it lies.
    fn put(&self, object: &mut Object, local: &Path, progress: &dyn Progress) -> Result<bool> {
        let usable = |path: &&String| !self.burnt.contains(*path);
        let canonical = object.path.clone();
        let mut free = None;
        for path in [self.known.get(&object.blake3), Some(&canonical)].into_iter().flatten() {
            if !usable(&path) {
                continue;
            }
            let at = Object { path: path.clone(), ..object.clone() };
            match there(self.remote, &at, progress)? {
                There::TheObject => {
                    object.path = at.path;
                    return Ok(false);
                }
                There::Nothing if *path == canonical => free = Some(at.path),
                There::Nothing | There::Other => {}
            }
        }
        object.path = free.unwrap_or_else(|| renamed(&canonical, &self.nonce));
        self.remote.send(local, object, progress)?;
        let arrived = self.remote.head(&object.path, progress)?;
        let found = arrived.as_ref().map_or(0, |head| head.size);
        if found != object.size {
            self.remote.delete(&object.path, progress)?;
            let name = self.remote.name(&object.path);
            let problem = format!("expected {} bytes to arrive, found {found}", object.size);
            return Err(Error::data(name, Place::File, problem)
                .hint("the store, or what is before it, cuts objects: try again"));
        }
        Ok(true)
    }
}

/// The name with the publisher's own number: for bytes whose plain name is taken by others, or burnt.
fn renamed(path: &str, nonce: &str) -> String {
    match path.split_once('.') {
        Some((stem, rest)) => format!("{stem}-{nonce}.{rest}"),
        None => format!("{path}-{nonce}"),
    }
}

/// What lies under the object's name: by the digest that its sender wrote beside it, else by reading it.
fn there(remote: &dyn Remote, object: &Object, progress: &dyn Progress) -> Result<There> {
    let Some(head) = remote.head(&object.path, progress)? else { return Ok(There::Nothing) };
    if head.size != object.size {
        return Ok(There::Other);
    }
    let digest = match head.blake3 {
        Some(digest) => digest,
        None => {
            let mut hasher = blake3::Hasher::new();
            let watch = Uncounted(progress);
            let mut sink = |bytes: &[u8]| {
                hasher.update(bytes);
                Ok(())
            };
            remote.receive(object, 0, &mut sink, &watch)?;
            hasher.finalize().to_hex().to_string()
        }
    };
    Ok(if digest == object.blake3 { There::TheObject } else { There::Other })
}

/// Writes the manifest and reads it again.
fn write_manifest(remote: &dyn Remote, release: &Release, progress: &dyn Progress) -> Result<()> {
    let path = release_path(&release.id);
    remote.write(&path, release.bytes(), progress)?;
    match remote.read(&path, progress)? {
        Some((bytes, _)) if bytes == release.bytes() => Ok(()),
        found => {
            let found = found.map_or(0, |(bytes, _)| bytes.len());
            let expected = release.bytes().len();
            let problem = format!("wrote {expected} bytes, found {found} or others");
            Err(Error::data(remote.name(&path), Place::File, problem)
                .hint("the store, or what is before it, changes objects: try again"))
        }
    }
}

/// All objects of a release are there, by their sizes.
pub(super) fn check_whole(
    remote: &dyn Remote,
    release: &Release,
    progress: &dyn Progress,
) -> Result<()> {
    for object in release.manifest.objects() {
        let name = || remote.name(&object.path);
        match remote.head(&object.path, progress)? {
            Some(head) if head.size == object.size => {}
            Some(head) => return Err(folder::other_size(&name(), object.size, head.size)),
            None => {
                let problem = format!("gone, and the release {} needs it", release.id);
                return Err(Error::data(name(), Place::File, problem)
                    .hint("publish again, or give another release"));
            }
        }
    }
    Ok(())
}

/// Moves a pointer if it is still what `seen` was.
pub(super) fn move_pointer(
    remote: &dyn Remote,
    name: &str,
    pointer: &Pointer,
    seen: Option<&Tag>,
    progress: &dyn Progress,
) -> Result<Outcome> {
    if remote.swap(&pointer::path(name)?, &pointer.encode()?, seen, progress)? {
        return Ok(Outcome::Current);
    }
    let to = read_pointer(remote, name, progress)?.map(|(pointer, _)| pointer.release);
    Ok(Outcome::Lost { to })
}

/// 2026-11-29T19:15:00.123Z
pub(super) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
