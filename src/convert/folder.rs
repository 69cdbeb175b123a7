//! Folders that appear under their name when they are complete.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::in_the_way;
use crate::error::{Error, Place, Result};
use crate::output::{folder, temporary_folder};

/// A folder being filled beside its target; dropped before [`publish`](Self::publish), it
/// leaves nothing.
pub(super) struct NewFolder {
    target: PathBuf,
    temp: TempDir,
    /// Tells other programs that it is being filled.
    _lock: Option<fs::File>,
}

impl NewFolder {
    /// # Errors
    /// The target is there and not an empty folder, or its parent is not there.
    pub(super) fn create(target: &Path) -> Result<Self> {
        let empty = fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
        if target.exists() && !empty {
            return Err(in_the_way(target));
        }
        let dir = folder(target);
        if !dir.is_dir() {
            return Err(
                Error::data(dir, Place::File, "no such folder to write to").hint("create it first")
            );
        }
        let (temp, lock) =
            temporary_folder(dir).map_err(|e| Error::io("create a temporary folder in", dir, e))?;
        Ok(NewFolder { target: target.to_owned(), temp, _lock: lock })
    }

    /// Where to write.
    pub(super) fn path(&self) -> &Path {
        self.temp.path()
    }

    /// Where the folder will be.
    pub(super) fn parent(&self) -> &Path {
        folder(&self.target)
    }

    /// Renames the folder to its target.
    pub(super) fn publish(self) -> Result<()> {
        let NewFolder { target, temp, _lock } = self;
        let failed = |action, e| Error::io(action, &target, e);
        if target.exists() {
            fs::remove_dir(&target).map_err(|e| failed("replace", e))?;
        }
        fs::rename(temp.path(), &target).map_err(|e| failed("rename", e))?;
        // It has moved: nothing is left to remove.
        let _ = temp.keep();
        #[cfg(unix)]
        fs::File::open(folder(&target))
            .and_then(|dir| dir.sync_all())
            .map_err(|e| failed("flush", e))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_when_published_and_replaces_only_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        drop(NewFolder::create(&target).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        fs::create_dir(&target).unwrap();
        let folder = NewFolder::create(&target).unwrap();
        fs::write(folder.path().join("x"), "x").unwrap();
        folder.publish().unwrap();
        assert_eq!(fs::read(target.join("x")).unwrap(), b"x");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(NewFolder::create(&target).is_err());
        assert!(NewFolder::create(&dir.path().join("no/out")).is_err());
    }
}
