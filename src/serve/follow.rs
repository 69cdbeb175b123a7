//! Releases of a store as what is served: the one that a pointer names.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Serving, Source, Target};
use crate::error::{Error, Place, Result};
use crate::lifecycle::release::{Cache, Cached, Store};
use crate::progress::Silent;

/// What was refused is left alone for 1, 3, 7 … looks, so many at most: a release of gigabytes
/// is not fetched again every half minute.
const MOST_PATIENCE: u32 = 63;

/// Fetches what a pointer names into a cache, from which it is served.
pub struct Releases {
    store: Store,
    cache: Cache,
    pointer: String,
    query_model: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    refused: Option<Refused>,
    /// What was given last, until it is served.
    offered: Option<Cached>,
}

/// A release that cannot be served.
struct Refused {
    release: String,
    why: String,
    times: u32,
    /// Looks until it is tried again.
    looks: u32,
}

impl Releases {
    /// Follows `pointer` of `store`. Text queries go through `query_model`, or else through the
    /// model of each release.
    pub fn new(store: Store, cache: Cache, pointer: String, query_model: Option<PathBuf>) -> Self {
        Releases { store, cache, pointer, query_model, state: Mutex::default() }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the pointer names, in the cache; `None` if that is `serving`.
    fn current(&self, serving: Option<&str>) -> Result<Option<Cached>> {
        let Some(pointer) = self.store.pointer(&self.pointer, &Silent)? else {
            let (dest, pointer) = (self.store.dest(), &self.pointer);
            if serving.is_some() {
                // It was there: the store is away, of which a release is not guilty.
                let gone = format!("the pointer {pointer}, which named what is served, is gone");
                return Err(Error::io("follow", dest, io::Error::new(ErrorKind::NotFound, gone)));
            }
            let problem = format!("expected a release that {pointer} names, found none");
            return Err(
                Error::data(dest, Place::File, problem).hint("splindex publish makes the first")
            );
        };
        if serving == Some(&pointer.release) {
            return Ok(None);
        }
        self.patience(&pointer.release)?;
        let found = self
            .store
            .release(&pointer.release, &Silent)
            .and_then(|release| self.cache.ensure(&self.store, &release, &Silent));
        // A store that is away says nothing of the release.
        found.map(Some).inspect_err(|error| match error {
            Error::Data(_) | Error::Usage(_) => self.refuse(&pointer.release, error),
            _ => {}
        })
    }

    /// The same error again, while a release that was refused is left alone.
    fn patience(&self, release: &str) -> Result<()> {
        self.change(|state| match &mut state.refused {
            Some(refused) if refused.release == release && refused.looks > 0 => {
                refused.looks -= 1;
                let looks = refused.looks;
                let when = match looks {
                    0 => "it is tried again at the next look".into(),
                    n => format!("it is tried again in {} looks", n + 1),
                };
                Err(Error::Usage(format!("{} ({when}, or at a reload)", refused.why)))
            }
            _ => Ok(()),
        })
    }

    fn refuse(&self, release: &str, why: &Error) {
        self.change(|state| {
            let times = match state.refused.take() {
                Some(refused) if refused.release == release => refused.times + 1,
                _ => 1,
            };
            let looks = (1u32 << times.min(16)).saturating_sub(1).min(MOST_PATIENCE);
            let why = format!("release {release}: {why}");
            state.refused = Some(Refused { release: release.to_owned(), why, times, looks });
        });
    }

    fn target(&self, cached: Cached) -> Result<Target> {
        let release = cached.release().id.clone();
        let index = match cached.parts() {
            [index] => index.clone(),
            parts => {
                let (dest, count) = (self.store.dest(), parts.len());
                let problem =
                    format!("expected a release of one index, found {release} of {count}");
                let error = Error::data(dest, Place::File, problem)
                    .hint("splindex merge makes one of them");
                self.refuse(&release, &error);
                return Err(error);
            }
        };
        let model = self.query_model.clone();
        let query_model = model.or_else(|| cached.query_model().map(PathBuf::from));
        let held: Option<Arc<dyn std::any::Any + Send + Sync>> = Some(Arc::new(cached.clone()));
        self.change(|state| state.offered = Some(cached));
        Ok(Target { index, query_model, release: Some(release), held })
    }
}

impl Source for Releases {
    fn next(&self, serving: Option<&Serving>) -> Result<Option<Target>> {
        let served = serving.and_then(|serving| serving.release.as_deref());
        let error = match self.current(served) {
            Ok(None) => return Ok(None),
            Ok(Some(cached)) => return self.target(cached).map(Some),
            Err(error) => error,
        };
        if serving.is_some() {
            return Err(error);
        }
        // Better the release of yesterday than none.
        let refused = self.change(|state| state.refused.as_ref().map(|r| r.release.clone()));
        match self.cache.remembered(&self.pointer) {
            Ok(Some(cached)) if refused.as_ref() != Some(&cached.release().id) => {
                tracing::warn!("{error}; the release that the cache has is served");
                self.target(cached).map(Some)
            }
            _ => Err(error),
        }
    }

    fn taken(&self, target: &Target) {
        let offered = self.change(|state| state.offered.take());
        let Some(cached) =
            offered.filter(|cached| Some(&cached.release().id) == target.release.as_ref())
        else {
            return;
        };
        if let Err(error) = self.cache.remember(&self.pointer, &cached) {
            tracing::warn!("a start without the store will not find this release: {error}");
        }
    }

    fn refused(&self, target: &Target, why: &Error) {
        let (Some(cached), Some(release)) =
            (self.change(|state| state.offered.take()), &target.release)
        else {
            return;
        };
        // Files that were whole when they were fetched and are not now: the cache's fault.
        if is_whole(&cached) {
            self.refuse(release, why);
        } else if let Err(error) = self.cache.discard(&cached) {
            tracing::error!("{error}");
        }
    }

    fn forgive(&self) {
        self.change(|state| {
            if let Some(refused) = &mut state.refused {
                refused.looks = 0;
            }
        });
    }
}

/// Whether the indexes of a release in the cache are those of its manifest still.
fn is_whole(cached: &Cached) -> bool {
    let parts = cached.release().manifest.parts.iter().zip(cached.parts());
    parts.into_iter().all(|(part, path)| {
        let mut hasher = blake3::Hasher::new();
        let read = std::fs::File::open(path).and_then(|file| hasher.update_reader(file).map(drop));
        read.is_ok() && hasher.finalize().to_hex().as_str() == part.object.blake3
    })
}
