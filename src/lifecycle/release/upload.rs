//! A large object goes to an object store in parts, and goes on where a kill ended it.
//!
//! What an upload needs to be gone on with lies in the store itself, in `pending/upload-….json`: its
//! number and the parts that have arrived. It is written every few parts and removed with the last
//! request, which makes the object appear. The same publisher finds it at the next attempt, or another
//! one with the same file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use futures_util::stream::{self, StreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::{Error as Fault, PutMultipartOptions, path::Path as Key};
use serde::{Deserialize, Serialize};

use super::cloud::{AT_ONCE, Cloud, PIECE, again_unless_refused, attributes};
use super::faults::{fault, is_no_bucket, is_refusal};
use super::folder::changed;
use super::manifest::Object;
use super::remote::{Head, Remote};
use crate::error::{Error, Place, Result};
use crate::progress::{Progress, advance};

/// S3 takes 10,000 parts an object.
const MOST_PARTS: u64 = 9_000;
/// Parts between two notes of what has arrived: what a kill costs at most, beside those in flight.
const NOTED: usize = 8;

/// What is known of an upload that has begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Begun {
    /// As in every file of `pending/`: names that are needed.
    paths: [String; 1],
    time: String,
    object: Object,
    /// Bytes of a part.
    part: u64,
    /// The store's number of the upload.
    id: String,
    /// What the store calls the parts that have arrived, from the first on.
    arrived: Vec<String>,
}

/// An upload of one object.
pub(super) struct Upload<'c> {
    cloud: &'c Cloud,
    parts: &'c dyn MultipartStore,
    key: Key,
    object: &'c Object,
    note: String,
}

impl<'c> Upload<'c> {
    pub fn new(
        cloud: &'c Cloud,
        parts: &'c dyn MultipartStore,
        key: Key,
        object: &'c Object,
    ) -> Self {
        let note = format!("pending/upload-{}.json", &object.blake3[..32]);
        Upload { cloud, parts, key, object, note }
    }

    /// Sends what has not arrived.
    pub fn send(&self, local: &Path, progress: &dyn Progress) -> Result<()> {
        if let Some(begun) = self.begun(progress)?
            && self.ended(begun, local, progress)?
        {
            return self.done(progress);
        }
        let begun = self.begin(progress)?;
        let ended = self.ended(begun, local, progress)?;
        self.done(progress)?;
        match ended {
            true => Ok(()),
            false => {
                let name = self.cloud.name(&self.object.path);
                Err(Error::data(name, Place::File, "the store forgot what was sent of it")
                    .hint("another program may have ended the upload: try again"))
            }
        }
    }

    /// Sends the rest. Whether the object is there: the store may have forgotten the upload, or
    /// ended it while the answer, or the request of another program, was under way.
    fn ended(&self, begun: Begun, local: &Path, progress: &dyn Progress) -> Result<bool> {
        match self.rest(begun, local, progress) {
            Ok(()) => Ok(true),
            Err(Sent::Failed(error)) => Err(error),
            Err(Sent::Forgotten) => self.is_there(progress),
            // Some stores refuse what they have done before, whose answer was lost.
            Err(Sent::Refused(error)) => match self.is_there(progress) {
                Ok(true) => Ok(true),
                _ => Err(error),
            },
        }
    }

    fn is_there(&self, progress: &dyn Progress) -> Result<bool> {
        let there = self.cloud.head(&self.object.path, progress)?;
        let digest = |head: &Head| head.blake3.as_ref() == Some(&self.object.blake3);
        Ok(there.is_some_and(|head| head.size == self.object.size && digest(&head)))
    }

    /// What an earlier attempt left, if it was of this object.
    fn begun(&self, progress: &dyn Progress) -> Result<Option<Begun>> {
        let Some((bytes, _)) = self.cloud.read(&self.note, progress)? else { return Ok(None) };
        let begun = serde_json::from_slice(&bytes).ok();
        let same = |begun: &Begun| {
            begun.object == *self.object
                && begun.part == self.part()
                && begun.arrived.len() as u64 <= self.object.size.div_ceil(begun.part)
        };
        Ok(begun.filter(same))
    }

    fn part(&self) -> u64 {
        PIECE.max(self.object.size.div_ceil(MOST_PARTS).next_multiple_of(1 << 20))
    }

    fn begin(&self, progress: &dyn Progress) -> Result<Begun> {
        let options =
            || PutMultipartOptions { attributes: attributes(self.object), ..Default::default() };
        let create = async || match self.parts.create_multipart_opts(&self.key, options()).await {
            // Azure takes what stands beside an object with its last request only.
            Err(Fault::NotSupported { .. }) => self.parts.create_multipart(&self.key).await,
            begun => begun,
        };
        let id = self.cloud.wait(progress, async {
            again_unless_refused(create).await.map_err(|e| self.fault(e))
        })?;
        let begun = Begun {
            paths: [self.object.path.clone()],
            time: super::publish::rfc3339(std::time::SystemTime::now()),
            object: self.object.clone(),
            part: self.part(),
            id,
            arrived: Vec::new(),
        };
        self.write(&begun, progress)?;
        Ok(begun)
    }

    fn write(&self, begun: &Begun, progress: &dyn Progress) -> Result<()> {
        let bytes = serde_json::to_vec(begun)
            .map_err(|e| Error::Internal(format!("an upload to JSON: {e}")))?;
        self.cloud.write(&self.note, &bytes, progress)
    }

    fn done(&self, progress: &dyn Progress) -> Result<()> {
        self.cloud.delete(&self.note, progress)
    }

    /// Sends the parts that have not arrived and ends the upload.
    fn rest(&self, begun: Begun, local: &Path, progress: &dyn Progress) -> Result<(), Sent> {
        let mut begun = begun;
        let mut file = File::open(local).map_err(|e| Error::io("open", local, e))?;
        let mut hasher = blake3::Hasher::new();
        let here = begun.arrived.len();
        let count = self.object.size.div_ceil(begun.part) as usize;
        for group in (0..count).collect::<Vec<_>>().chunks(NOTED) {
            let mut requests = Vec::new();
            for &number in group {
                let bytes = next(&mut file, begun.part, local)?;
                hasher.update(&bytes);
                match number < here {
                    true => advance(progress, bytes.len() as u64)?,
                    false => requests.push(self.put(begun.id.clone(), number, bytes)),
                }
            }
            if requests.is_empty() {
                continue;
            }
            let arrived = self.cloud.wait(progress, async {
                let mut requests = stream::iter(requests).buffered(AT_ONCE);
                let mut arrived = Vec::new();
                while let Some(put) = requests.next().await {
                    match put {
                        Ok((part, len)) => {
                            advance(progress, len)?;
                            arrived.push(part.content_id);
                        }
                        Err(e) => return Ok(Err(e)),
                    }
                }
                Ok(Ok(arrived))
            })?;
            begun.arrived.extend(arrived.map_err(|e| self.sent(e))?);
            self.write(&begun, progress)?;
        }
        if hasher.finalize().to_hex().as_str() != self.object.blake3 {
            self.abort(&begun.id);
            self.done(progress)?;
            return Err(changed(local).into());
        }
        let parts: Vec<PartId> =
            begun.arrived.into_iter().map(|content_id| PartId { content_id }).collect();
        // Asked again after an answer that broke off, the store may say that it knows no such upload.
        let complete =
            async || self.parts.complete_multipart(&self.key, &begun.id, parts.clone()).await;
        let ended =
            self.cloud.wait(progress, async { Ok(again_unless_refused(complete).await) })?;
        match ended {
            Ok(_) => Ok(()),
            Err(error) if is_refusal(&error) => {
                // A part is not what it should be, as after a proxy that cuts: none of them is kept.
                self.abort(&begun.id);
                self.done(progress)?;
                Err(match self.sent(error) {
                    Sent::Failed(error) => Sent::Refused(error),
                    sent => sent,
                })
            }
            Err(error) => Err(self.sent(error)),
        }
    }

    async fn put(
        &self,
        id: String,
        number: usize,
        bytes: Vec<u8>,
    ) -> object_store::Result<(PartId, u64)> {
        let len = bytes.len() as u64;
        let part = self.parts.put_part(&self.key, &id, number, bytes.into()).await?;
        Ok((part, len))
    }

    /// Parts of an upload that never ends cost money. What cannot be removed now is left to the bucket's
    /// own rule.
    fn abort(&self, id: &String) {
        let patience = std::time::Duration::from_secs(2);
        let _ = self.cloud.wait(&crate::progress::Silent, async {
            let _ = tokio::time::timeout(patience, self.parts.abort_multipart(&self.key, id)).await;
            Ok(())
        });
    }

    fn fault(&self, error: Fault) -> Error {
        fault("write", &self.cloud.name(&self.object.path), error)
    }

    fn sent(&self, error: Fault) -> Sent {
        match error {
            Fault::NotFound { .. } if !is_no_bucket(&error) => Sent::Forgotten,
            error => Sent::Failed(self.fault(error)),
        }
    }
}

/// The next part of a file; shorter at its end.
fn next(file: &mut File, part: u64, local: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(part as usize);
    file.take(part).read_to_end(&mut bytes).map_err(|e| Error::io("read", local, e))?;
    Ok(bytes)
}

/// Why an upload did not end.
enum Sent {
    Forgotten,
    /// At its end; it may have ended before.
    Refused(Error),
    Failed(Error),
}

impl From<Error> for Sent {
    fn from(error: Error) -> Self {
        Sent::Failed(error)
    }
}
