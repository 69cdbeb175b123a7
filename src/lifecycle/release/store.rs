//! A store: pointers, releases, and what is done with them.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::fetch::{self, Fetched};
use super::manifest::{self, Release};
use super::pick;
use super::pointer::{self, Pointer};
use super::publish::{self, Outcome, PublishOptions, Published};
use super::remote::{Remote, Tag};
use super::retire::{self, Intent};
use super::{CURRENT, place};
use crate::error::{Error, Place, Result};
use crate::progress::Progress;

/// A folder, or a prefix of an object store, with releases. A clone is another handle of it.
#[derive(Debug, Clone)]
pub struct Store {
    remote: Arc<dyn Remote>,
    dest: String,
}

/// A release in the list of a store.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// What it holds, or what is wrong with its manifest.
    pub release: Result<Release>,
    /// The pointers that name it.
    pub pointers: Vec<String>,
}

/// A pointer that was moved by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct RolledBack {
    /// Where it was to go.
    pub release: Release,
    /// Where it was.
    pub from: Option<String>,
    /// Whether it went.
    pub outcome: Outcome,
}

impl Store {
    /// A folder, or `file:///PATH`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`,
    /// with the credentials, endpoints and regions that the environment names as the clouds' own
    /// programs expect it (`AWS_*`, `GOOGLE_*`, `AZURE_*`). Nothing is asked yet.
    ///
    /// # Errors
    /// A `dest` that names no place; settings of the environment that do not go together.
    pub fn open(dest: &str) -> Result<Self> {
        Ok(Store { remote: place::open(dest)?, dest: dest.to_owned() })
    }

    #[cfg(test)]
    pub(super) fn of(remote: Arc<dyn Remote>, dest: &str) -> Self {
        Store { remote, dest: dest.to_owned() }
    }

    /// What it was opened with.
    pub fn dest(&self) -> &str {
        &self.dest
    }

    pub(super) fn remote(&self) -> &dyn Remote {
        &*self.remote
    }

    /// What a pointer says, by one small request; none if there is no such pointer.
    ///
    /// # Errors
    /// Those of the store; what is no pointer, or one of a newer version.
    pub fn pointer(&self, name: &str, progress: &dyn Progress) -> Result<Option<Pointer>> {
        Ok(read_pointer(self.remote(), name, progress)?.map(|(pointer, _)| pointer))
    }

    /// The release that a pointer names, its manifest verified against the pointer.
    ///
    /// # Errors
    /// No such pointer; those of [`pointer`](Self::pointer) and [`release`](Self::release).
    pub fn pointed(&self, name: &str, progress: &dyn Progress) -> Result<Release> {
        let Some(pointer) = self.pointer(name, progress)? else {
            return Err(self.no_pointer(name));
        };
        let release = self.release(&pointer.release, progress)?;
        if release.digest() != pointer.manifest {
            let file = self.remote.name(&release_path(&release.id));
            let problem = format!(
                "expected the BLAKE3 {}, which the pointer {name} says, found {}",
                pointer.manifest,
                release.digest()
            );
            return Err(Error::data(file, Place::File, problem)
                .hint("the manifest is damaged: publish again, or roll back"));
        }
        Ok(release)
    }

    /// A release by its name, its manifest verified against the digest in it.
    ///
    /// # Errors
    /// Those of the store; no such release; a manifest that is damaged or of a newer version.
    pub fn release(&self, id: &str, progress: &dyn Progress) -> Result<Release> {
        read_release(self.remote(), id, progress)
    }

    /// The name of the release that `text` is, or that ends with it (the digest is enough).
    ///
    /// # Errors
    /// None or several are called so.
    pub fn find(&self, text: &str, progress: &dyn Progress) -> Result<String> {
        if manifest::is_id(text) {
            return Ok(text.to_owned());
        }
        let ids = release_ids(self.remote(), progress)?;
        let mut found = ids.iter().filter(|id| id.ends_with(text) && !text.is_empty());
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id.clone()),
            (None, _) => Err(Error::data(&self.dest, Place::File, format!("no release {text:?}"))
                .hint("`splindex releases DEST` lists them")),
            _ => Err(Error::data(
                &self.dest,
                Place::File,
                format!("several releases end with {text:?}"),
            )
            .hint("give more of its name")),
        }
    }

    /// All releases, oldest first.
    ///
    /// # Errors
    /// Those of the store; a damaged manifest is told in its place of the list.
    pub fn releases(&self, progress: &dyn Progress) -> Result<Vec<Listed>> {
        let remote = self.remote();
        let mut pointers = Vec::new();
        for name in pointer_names(remote, progress)? {
            if let Some((pointer, _)) = read_pointer(remote, &name, progress)? {
                pointers.push((name, pointer.release));
            }
        }
        let mut listed = Vec::new();
        for id in release_ids(remote, progress)? {
            let release = match read_release(remote, &id, progress) {
                Err(error @ (Error::Io { .. } | Error::Stopped)) => return Err(error),
                release => release,
            };
            let named = pointers.iter().filter(|(_, to)| *to == id);
            let pointers = named.map(|(name, _)| name.clone()).collect();
            listed.push(Listed { id, release, pointers });
        }
        if listed.is_empty()
            && let Some(foreign) = remote.foreign(progress)?
        {
            return Err(holds_something_else(&self.dest, &foreign));
        }
        Ok(listed)
    }

    /// Publishes a release: sends what is not there, then moves the pointer.
    ///
    /// # Errors
    /// Damaged or unlike indexes; a query model that does not fit them; a store that holds something
    /// else; those of the store. The pointer is then where it was, and what was sent is not sent again.
    pub fn publish(&self, options: &PublishOptions, progress: &dyn Progress) -> Result<Published> {
        publish::publish(self.remote(), &self.dest, options, SystemTime::now(), progress)
    }

    /// Moves a pointer to `release`, or else to the one that it named before. All objects are looked
    /// at first.
    ///
    /// # Errors
    /// No such pointer or release; a release whose objects are gone.
    pub fn rollback(
        &self,
        name: &str,
        release: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<RolledBack> {
        let remote = self.remote();
        let Some((pointer, tag)) = read_pointer(remote, name, progress)? else {
            return Err(self.no_pointer(name));
        };
        let target = match (release, &pointer.previous) {
            (Some(text), _) => self.find(text, progress)?,
            (None, Some(previous)) => previous.clone(),
            (None, None) => {
                let problem = format!("the pointer {name} named no release before");
                return Err(Error::data(&self.dest, Place::File, problem)
                    .hint("name one: `splindex releases DEST` lists them"));
            }
        };
        let release = read_release(remote, &target, progress)?;
        let from = Some(pointer.release.clone());
        if target == pointer.release {
            return Ok(RolledBack { release, from, outcome: Outcome::Current });
        }
        let objects = release.manifest.objects().map(|object| object.path.clone());
        let names = objects.chain([release_path(&target)]).collect();
        let intent = Intent::announce(remote, names, SystemTime::now(), progress)?;
        let moved = self.move_back(name, &release, &from, &tag, progress);
        let done = intent.done(progress);
        let outcome = moved.and_then(|outcome| done.map(|()| outcome))?;
        Ok(RolledBack { release, from, outcome })
    }

    /// Moves a pointer to a release that is announced.
    fn move_back(
        &self,
        name: &str,
        release: &Release,
        from: &Option<String>,
        tag: &Tag,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        let remote = self.remote();
        // After the intent: who retires releases now either sees it or is seen. See `retire`.
        let path = release_path(&release.id);
        if retire::retiring(remote, progress)?.contains(&path) {
            return Err(Error::data(remote.name(&path), Place::File, "it is being retired")
                .hint("give another: `splindex releases DEST` lists them"));
        }
        read_release(remote, &release.id, progress)?;
        publish::check_whole(remote, release, progress)?;
        let time = publish::rfc3339(SystemTime::now());
        let pointer = Pointer::to(release, from.clone(), time);
        publish::move_pointer(remote, name, &pointer, Some(tag), progress)
    }

    /// Fetches a release into the folder `dir`, which appears when all of it is there and verified: the
    /// indexes, the query model in [`QUERY_MODEL_FOLDER`](super::QUERY_MODEL_FOLDER), the manifest in
    /// [`MANIFEST_FILE`](super::MANIFEST_FILE). What a stop or a kill left is used. A `dir` that holds
    /// the release is verified.
    ///
    /// # Errors
    /// A `dir` that holds something else; objects that are gone or do not have their digest; those of
    /// the store and the disk.
    pub fn fetch(&self, release: &Release, dir: &Path, progress: &dyn Progress) -> Result<Fetched> {
        fetch::fetch(self.remote(), release, dir, progress)
    }

    /// Fetches some files of a release into the folder `dir`, under the names that [`fetch`](Self::fetch)
    /// gives them: each appears when it is complete and verified; one that is there is kept. Any number
    /// of programs may fill one folder, those on a node that serve different parts.
    ///
    /// # Errors
    /// A name that the release does not have; as [`fetch`](Self::fetch).
    pub fn fetch_files(
        &self,
        release: &Release,
        wanted: &[&str],
        dir: &Path,
        progress: &dyn Progress,
    ) -> Result<()> {
        pick::fetch_files(self.remote(), release, wanted, dir, progress)
    }

    fn no_pointer(&self, name: &str) -> Error {
        let problem = match name {
            CURRENT => "nothing was published here (no pointer current)".to_owned(),
            _ => format!("there is no pointer {name}"),
        };
        Error::data(&self.dest, Place::File, problem)
            .hint("`splindex publish INDEX.spx DEST` publishes, `splindex releases DEST` lists")
    }
}

/// A store that is none of ours.
pub(super) fn holds_something_else(dest: &str, found: &str) -> Error {
    let problem = format!("expected a store of releases or nothing, found {found:?}");
    Error::data(dest, Place::File, problem).hint("give an empty folder or prefix")
}

pub(super) fn release_path(id: &str) -> String {
    format!("releases/{id}.json")
}

pub(super) fn read_pointer(
    remote: &dyn Remote,
    name: &str,
    progress: &dyn Progress,
) -> Result<Option<(Pointer, Tag)>> {
    let path = pointer::path(name)?;
    match remote.read(&path, progress)? {
        None => Ok(None),
        Some((bytes, tag)) => Ok(Some((Pointer::parse(&remote.name(&path), &bytes)?, tag))),
    }
}

pub(super) fn read_release(
    remote: &dyn Remote,
    id: &str,
    progress: &dyn Progress,
) -> Result<Release> {
    let path = release_path(id);
    let file = remote.name(&path);
    match remote.read(&path, progress)? {
        Some((bytes, _)) => Release::parse(&file, id, bytes),
        None => Err(Error::data(file, Place::File, "no such release")
            .hint("`splindex releases DEST` lists them")),
    }
}

/// Names of the files `<folder>/<name>.json`.
fn names(remote: &dyn Remote, folder: &str, progress: &dyn Progress) -> Result<Vec<String>> {
    let entries = remote.list(folder, progress)?;
    let name = |path: &str| {
        let name = path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".json")?;
        manifest::is_name(name).then(|| name.to_owned())
    };
    Ok(entries.iter().filter_map(|entry| name(&entry.path)).collect())
}

pub(super) fn pointer_names(remote: &dyn Remote, progress: &dyn Progress) -> Result<Vec<String>> {
    names(remote, "pointers", progress)
}

/// Oldest first.
pub(super) fn release_ids(remote: &dyn Remote, progress: &dyn Progress) -> Result<Vec<String>> {
    let mut ids = names(remote, "releases", progress)?;
    ids.retain(|id| manifest::is_id(id));
    ids.sort();
    Ok(ids)
}
