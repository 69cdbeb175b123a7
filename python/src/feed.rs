//! Python's iterators as sources of the library: read on the caller's thread, a chunk ahead of
//! the worker.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyIterator, PyMapping, PyString, PyTuple};
use splindex::corpus::TextRecord;
use splindex::error::Place;
use splindex::vectors::{Documents, TokenTable, VectorRecord};
use splindex::{Error, Result, VectorSource};

use crate::error::exception;
use crate::work::{Message, Work};

/// Items of a chunk.
const CHUNK: usize = 256;

/// What errors call vectors and texts that come from no file.
pub const VECTORS: &str = "<vectors>";
pub const TEXTS: &str = "<texts>";

/// The worker's end of an iterator.
pub struct Feed<R> {
    number: usize,
    messages: Sender<Message>,
    chunks: Receiver<Option<Vec<R>>>,
    chunk: std::vec::IntoIter<R>,
    asked: bool,
    ended: bool,
    /// The iterator has raised an exception, which the caller's thread keeps.
    failed: Arc<AtomicBool>,
}

impl<R: Send + 'static> Feed<R> {
    /// A feed of `items`, each read by `read`, which hears its number from 1.
    pub fn new(
        work: &mut Work,
        items: &Bound<'_, PyIterator>,
        read: fn(&Bound<'_, PyAny>, u64) -> PyResult<R>,
    ) -> Self {
        let (sender, chunks) = channel();
        let failed = Arc::new(AtomicBool::new(false));
        let (items, told, mut number) = (items.clone().unbind(), Arc::clone(&failed), 0);
        let mut pull = move |py: Python<'_>| {
            let mut items = items.bind(py).clone();
            let mut chunk = Vec::with_capacity(CHUNK);
            for item in items.by_ref().take(CHUNK) {
                number += 1;
                chunk.push(read(&item?, number)?);
            }
            // The worker may have stopped for a reason of its own.
            let _ = sender.send(Some(chunk).filter(|chunk| !chunk.is_empty()));
            Ok(())
        };
        let pull = move |py: Python<'_>| {
            let pulled = pull(py);
            told.fetch_or(pulled.is_err(), Ordering::Relaxed);
            pulled
        };
        work.pulls.push(Box::new(pull));
        Feed {
            number: work.pulls.len() - 1,
            messages: work.messages.clone(),
            chunks,
            chunk: Vec::new().into_iter(),
            asked: false,
            ended: false,
            failed,
        }
    }

    fn ask(&mut self) {
        self.asked = self.messages.send(Message::Wanted(self.number)).is_ok();
    }
}

impl<R: Send + 'static> Iterator for Feed<R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        loop {
            if let Some(item) = self.chunk.next() {
                return Some(item);
            }
            if self.ended {
                return None;
            }
            if !self.asked {
                self.ask();
            }
            match self.chunks.recv() {
                Ok(Some(chunk)) => {
                    self.chunk = chunk.into_iter();
                    self.ask();
                }
                Ok(None) => self.ended = true,
                // No chunk comes: the caller's thread has dropped its end.
                Err(_) => {
                    self.failed.store(true, Ordering::Relaxed);
                    self.ended = true;
                }
            }
        }
    }
}

/// A document: an id, tokens and their weights.
pub type Document = (String, Vec<(String, f32)>);

/// Documents of an iterator of `(id, {token: weight})`.
pub struct DocumentFeed {
    documents: Documents<Feed<Document>>,
    failed: Arc<AtomicBool>,
}

impl DocumentFeed {
    /// A source of the documents of `items`.
    pub fn new(work: &mut Work, items: &Bound<'_, PyIterator>) -> Self {
        let feed = Feed::new(work, items, document);
        let failed = Arc::clone(&feed.failed);
        DocumentFeed { documents: Documents::new(feed), failed }
    }
}

impl VectorSource for DocumentFeed {
    fn read(&mut self, record: &mut VectorRecord) -> Result<bool> {
        let more = self.documents.read(record)?;
        match !more && self.failed.load(Ordering::Relaxed) {
            true => Err(Error::Stopped),
            false => Ok(more),
        }
    }

    fn tokens(&self) -> &TokenTable {
        self.documents.tokens()
    }

    fn place(&self) -> Option<(&Path, Place)> {
        self.documents.place()
    }

    fn zero_weights(&self) -> u64 {
        self.documents.zero_weights()
    }

    fn memory(&self) -> u64 {
        self.documents.memory()
    }
}

/// Texts of an iterator of `(id, text)`.
pub struct TextFeed {
    feed: Feed<(String, String)>,
    number: u64,
    path: Arc<Path>,
}

impl TextFeed {
    /// The texts of `items`.
    pub fn new(work: &mut Work, items: &Bound<'_, PyIterator>) -> Self {
        TextFeed {
            feed: Feed::new(work, items, text_record),
            number: 0,
            path: Path::new(TEXTS).into(),
        }
    }
}

impl Iterator for TextFeed {
    type Item = Result<TextRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some((id, text)) = self.feed.next() else {
            return self.feed.failed.swap(false, Ordering::Relaxed).then_some(Err(Error::Stopped));
        };
        self.number += 1;
        let (place, path) = (Place::Record(self.number), Arc::clone(&self.path));
        Some(Ok(TextRecord { id, text, place, path }))
    }
}

/// The error for an item of an iterator.
fn bad(item: &Bound<'_, PyAny>, source: &str, number: u64, problem: String) -> PyErr {
    exception(item.py(), &Error::data(source, Place::Record(number), problem))
}

/// The name of an object's type, for messages.
pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "an object".into(), |name| name.to_string())
}

fn pair<'py>(
    item: &Bound<'py, PyAny>,
    source: &str,
    number: u64,
    what: &str,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let found = match item.cast::<PyTuple>() {
        Ok(tuple) if tuple.len() == 2 => return Ok((tuple.get_item(0)?, tuple.get_item(1)?)),
        Ok(tuple) => format!("a tuple of {}", tuple.len()),
        Err(_) => type_name(item),
    };
    Err(bad(item, source, number, format!("expected {what}, found {found}")))
}

fn id(of: &Bound<'_, PyAny>, source: &str, number: u64) -> PyResult<String> {
    if let Ok(id) = of.cast::<PyString>() {
        return Ok(id.to_str()?.to_owned());
    }
    // Whole numbers, NumPy's too, are written as such; True is none.
    match of.extract::<i64>() {
        Ok(id) if !of.is_instance_of::<PyBool>() => Ok(id.to_string()),
        _ => {
            let found = type_name(of);
            Err(bad(of, source, number, format!("expected a str as id, found {found}")))
        }
    }
}

fn document(item: &Bound<'_, PyAny>, number: u64) -> PyResult<Document> {
    let (first, vector) = pair(item, VECTORS, number, "(id, {token: weight})")?;
    let id = id(&first, VECTORS, number)?;
    let weights = weights(&vector)
        .map_err(|problem| bad(item, VECTORS, number, format!("document {id:?}: {problem}")))?;
    Ok((id, weights.into_iter().map(|(token, weight)| (token, weight as f32)).collect()))
}

fn text_record(item: &Bound<'_, PyAny>, number: u64) -> PyResult<(String, String)> {
    let (first, text) = pair(item, TEXTS, number, "(id, text)")?;
    let id = id(&first, TEXTS, number)?;
    match text.cast::<PyString>() {
        Ok(text) => Ok((id, text.to_str()?.to_owned())),
        Err(_) => {
            let found = type_name(&text);
            let problem = format!("document {id:?}: expected a str as text, found {found}");
            Err(bad(item, TEXTS, number, problem))
        }
    }
}

/// One text of an iterator of texts.
pub fn text(item: &Bound<'_, PyAny>, number: u64) -> PyResult<String> {
    match item.cast::<PyString>() {
        Ok(text) => Ok(text.to_str()?.to_owned()),
        Err(_) => {
            let found = type_name(item);
            Err(bad(item, TEXTS, number, format!("expected a str as text, found {found}")))
        }
    }
}

/// The entries of `{token: weight}`.
///
/// # Errors
/// What it should be and is not.
pub fn weights(vector: &Bound<'_, PyAny>) -> Result<Vec<(String, f64)>, String> {
    if let Ok(dict) = vector.cast::<PyDict>() {
        return dict.iter().map(|(token, weight)| entry(&token, &weight)).collect();
    }
    let found = || format!("expected {{token: weight}}, found {}", type_name(vector));
    let items = vector.cast::<PyMapping>().ok().and_then(|mapping| mapping.items().ok());
    let items = items.ok_or_else(found)?;
    let read = |item: Bound<'_, PyAny>| {
        let (token, weight) = item.extract().map_err(|_| found())?;
        entry(&token, &weight)
    };
    items.iter().map(read).collect()
}

fn entry(token: &Bound<'_, PyAny>, weight: &Bound<'_, PyAny>) -> Result<(String, f64), String> {
    let name =
        token.cast::<PyString>().ok().and_then(|token| Some(token.to_str().ok()?.to_owned()));
    let Some(token) = name else {
        return Err(format!("expected a str as token, found {}", type_name(token)));
    };
    let Ok(weight) = weight.extract() else {
        let found = type_name(weight);
        return Err(format!("expected a number as weight of token {token:?}, found {found}"));
    };
    Ok((token, weight))
}
