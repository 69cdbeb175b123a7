//! Getting a file's bytes into memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use memmap2::{Mmap, MmapMut, MmapOptions};

use crate::error::{Error, Place, Result};

/// How an index file is brought into memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Load {
    /// Map it; pages are read when they are touched.
    #[default]
    Mmap,
    /// Map it and read all pages now.
    Populate,
    /// Read it into anonymous memory, which no one else can change, on huge pages where
    /// the system grants them: 7 to 10 % less time a query at k = 10.
    Ram,
}

impl std::str::FromStr for Load {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "mmap" => Ok(Load::Mmap),
            "populate" => Ok(Load::Populate),
            "ram" => Ok(Load::Ram),
            _ => Err(Error::setting("load", "mmap, populate or ram", format!("{name:?}"))),
        }
    }
}

/// Sections begin at multiples of 64 bytes and hold numbers of at most 8; what begins at such
/// an address can be read in place. Allocators give it nearly always.
const WORD: usize = 8;

#[derive(Debug)]
pub(super) enum Source {
    Map(Mmap),
    /// Anonymous memory.
    Ram(Mmap),
    /// Bytes of the caller's, which begin where sections may.
    Bytes(Vec<u8>),
}

impl Source {
    pub(super) fn open(path: &Path, load: Load) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let metadata = file.metadata().map_err(|e| Error::io("read", path, e))?;
        if metadata.is_dir() {
            return Err(Error::data(path, Place::File, "expected an index file, found a folder"));
        }
        let len = metadata.len();
        if load == Load::Ram {
            return Self::read(path, file, len as usize);
        }
        let mut options = MmapOptions::new();
        if load == Load::Populate {
            options.populate();
        }
        // SAFETY: the map is only sound while nobody truncates or rewrites the file.
        // Published files are immutable: builds write elsewhere and rename, and the
        // documentation forbids changing a mapped file in place. `Load::Ram` is the
        // choice for those who cannot promise it.
        let map = unsafe { options.map(&file) }.map_err(|e| Error::io("map", path, e))?;
        Ok(Source::Map(map))
    }

    /// Sections are read in place, as words, so bytes that begin elsewhere are copied.
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Result<Self> {
        if (bytes.as_ptr() as usize).is_multiple_of(WORD) || bytes.is_empty() {
            return Ok(Source::Bytes(bytes));
        }
        let mut memory = Self::memory(Path::new(super::IN_MEMORY), bytes.len())?;
        memory[..bytes.len()].copy_from_slice(&bytes);
        Self::frozen(Path::new(super::IN_MEMORY), memory)
    }

    fn read(path: &Path, mut file: File, len: usize) -> Result<Self> {
        let mut memory = Self::memory(path, len)?;
        file.read_exact(&mut memory[..len]).map_err(|e| Error::io("read", path, e))?;
        Self::frozen(path, memory)
    }

    fn memory(path: &Path, len: usize) -> Result<MmapMut> {
        let memory = MmapOptions::new().len(len).map_anon().map_err(|e| {
            let problem = format!("the index needs {len} bytes of memory: {e}");
            Error::data(path, Place::File, problem).hint("map it instead (load: mmap)")
        })?;
        // A query reads pieces of 20 lists: on pages of 4 KiB most of them cost a walk
        // through the page tables. A refusal changes nothing.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Ok(memory)
    }

    fn frozen(path: &Path, memory: MmapMut) -> Result<Self> {
        let memory = memory.make_read_only().map_err(|e| Error::io("read", path, e))?;
        Ok(Source::Ram(memory))
    }

    /// Reads all pages of a map.
    pub(super) fn touch(&self) {
        #[cfg(target_os = "linux")]
        if let Source::Map(map) = self {
            // Kernels before 5.14 do not know it: pages are then read when they are touched.
            let _ = map.advise(memmap2::Advice::PopulateRead);
        }
    }

    /// Gives mapped pages back to the system; they are read again when they are touched.
    pub(super) fn release(&self) {
        #[cfg(unix)]
        if let Source::Map(map) = self {
            // SAFETY: the map is shared and read-only over a file that nobody changes (see
            // `open`), so a dropped page comes back with the same bytes. A refusal of the
            // system changes nothing.
            let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Source::Map(map) | Source::Ram(map) => map,
            Source::Bytes(bytes) => bytes,
        }
    }
}
