//! Some files of a release, for a node that serves a part of it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fetch::{names, one};
use super::manifest::Release;
use super::remote::Remote;
use crate::error::{Error, Place, Result};
use crate::output;
use crate::progress::Progress;

/// How often a file that another program fetches is asked for again.
const TICK: Duration = Duration::from_millis(50);

/// As [`Store::fetch_files`](super::Store::fetch_files).
pub(super) fn fetch_files(
    remote: &dyn Remote,
    release: &Release,
    wanted: &[&str],
    dir: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let names = names(release);
    if let Some(unknown) = wanted.iter().find(|name| !names.iter().any(|known| known == *name)) {
        let problem = format!("expected a file of the release {}, found {unknown:?}", release.id);
        return Err(Error::data(dir, Place::File, problem).hint("a release of other parts?"));
    }
    let chosen = || {
        let files = release.manifest.objects().zip(&names);
        files.filter(|(_, name)| wanted.contains(&name.as_str()))
    };
    progress.begin("fetching", chosen().map(|(object, _)| object.size).sum());
    for (object, name) in chosen() {
        let path = dir.join(name);
        let folder = output::folder(&path);
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create the folder", folder, e))?;
        let beside = |end: &str| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            folder.join(format!(".{name}.{end}"))
        };
        let _lock = lock(beside("lock"), progress)?;
        if std::fs::metadata(&path).is_ok_and(|file| file.len() == object.size) {
            crate::progress::advance(progress, object.size)?;
            continue;
        }
        let partial = beside("partial");
        one(remote, object, &partial, None, progress)?;
        std::fs::rename(&partial, &path).map_err(|e| Error::io("rename", &path, e))?;
        output::sync_dir(folder)?;
    }
    Ok(())
}

/// One program fetches a file at a time. File systems without locks: one node a folder is the user's care.
fn lock(path: PathBuf, progress: &dyn Progress) -> Result<File> {
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|e| Error::io("open", &path, e))?;
    loop {
        match file.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
            Err(TryLockError::WouldBlock) if progress.stop_requested() => {
                return Err(Error::Stopped);
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(TICK),
        }
    }
}
