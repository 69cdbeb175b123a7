//! Lines that were read otherwise than somebody may have meant them, to be said once.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lines::Lines;

/// Counts of such lines; clones share them, so that who gives a reader away can still ask.
#[derive(Debug, Clone, Default)]
pub struct Notes(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    headers: Seen,
    tabs: Seen,
    marks: Seen,
}

/// How many lines, and where the first stands.
#[derive(Debug, Default)]
struct Seen {
    lines: u64,
    first: Option<(Arc<Path>, u64)>,
}

impl Seen {
    fn note(&mut self, lines: &Lines) {
        self.lines += 1;
        self.first.get_or_insert_with(|| (lines.path().clone(), lines.number()));
    }

    /// Where the first stands, and how many more there are.
    fn places(&self) -> Option<String> {
        let (path, line) = self.first.as_ref()?;
        let more = match self.lines - 1 {
            0 => String::new(),
            1 => " and 1 more line".to_owned(),
            n => format!(" and {n} more lines"),
        };
        Some(format!("{}:{line}{more}", path.display()))
    }
}

impl Notes {
    /// A header row was left out.
    pub(crate) fn header(&self, lines: &Lines) {
        self.counts().headers.note(lines);
    }

    /// A text has tabs in it.
    pub(crate) fn tabs(&self, lines: &Lines) {
        self.counts().tabs.note(lines);
    }

    /// A text has a byte order mark in it.
    pub(crate) fn mark(&self, lines: &Lines) {
        self.counts().marks.note(lines);
    }

    /// What there is to say, a sentence each.
    pub fn all(&self) -> Vec<String> {
        let counts = self.counts();
        let header = counts.headers.places().map(|places| {
            format!("{places}: taken for a header row (names of columns) and left out")
        });
        let tabs = counts.tabs.places().map(|places| {
            format!(
                "{places}: more than one tab; all behind the first tab is text, tabs counting as \
                 spaces"
            )
        });
        let marks = counts.marks.places().map(|places| {
            format!(
                "{places}: a byte order mark (U+FEFF) inside a text, which keeps it; files that were \
                 joined without a line end between them have one"
            )
        });
        header.into_iter().chain(tabs).chain(marks).collect()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
