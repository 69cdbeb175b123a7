//! Documents of one or several text files, in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fields::Fields;
use super::header::{NO_COMMAS, is_header};
use super::ids::{IdSet, check_id, trim_id};
use super::input::{BytesRead, check_inputs, total_bytes};
use super::json::{ID_NAMES, Scalar, first_id, first_value, pick};
use super::lines::Lines;
use super::notes::Notes;
use crate::error::{Error, Place, Result};

/// One document: its id, its text (possibly empty) and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRecord {
    /// External id, unique in the collection.
    pub id: String,
    /// Text to encode.
    pub text: String,
    /// Line in `path`.
    pub place: Place,
    /// The file it came from.
    pub path: Arc<Path>,
}

/// Streams documents of TSV (`id<TAB>text`) and JSON Lines files.
///
/// TSV: column 1 is the id, the text is all behind the first tab; a row of column names is
/// left out; [`notes`](CorpusReader::notes) tells of both. JSON: the id is `id`, `_id` or
/// `docid`, the text `contents` or `text`, with `title` and a space before it if there is
/// one; a field that is null is as good as absent, but that a text of null is empty. `fields`
/// overrides what makes the text. The format follows the name
/// (`.tsv`, `.jsonl`, `.json`, `.ndjson`, also before `.gz` and `.zst`), else the content:
/// a file whose first line starts with `{` is JSON Lines.
///
/// An `Err` item about one line (malformed, no id, duplicate id) does not end the stream:
/// a caller may report it and go on ([`Error::is_one_record`]). What makes a whole file
/// unreadable (damaged compression, `fields` of another format, a file that is gone) does.
pub struct CorpusReader {
    paths: Vec<PathBuf>,
    next_path: usize,
    fields: Option<Fields>,
    current: Option<(Lines, Option<Format>)>,
    ids: IdSet,
    records: u64,
    bytes: BytesRead,
    total: Option<u64>,
    notes: Notes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Tsv,
    Json,
}

impl CorpusReader {
    /// Checks that all `paths` are there (`-` is standard input); reads nothing yet.
    ///
    /// # Errors
    /// No path, a missing file, a directory, `-` twice, or `fields` that do not fit a file.
    pub fn open(paths: &[PathBuf], fields: Option<&Fields>) -> Result<Self> {
        check_inputs(paths)?;
        for path in paths {
            if let Some(format) = Format::of_name(path) {
                format.check_fields(path, fields)?;
            }
        }
        Ok(CorpusReader {
            paths: paths.to_vec(),
            next_path: 0,
            fields: fields.cloned(),
            current: None,
            ids: IdSet::default(),
            records: 0,
            bytes: BytesRead::default(),
            total: total_bytes(paths),
            notes: Notes::default(),
        })
    }

    /// About this share of the files has been read, rather less, if it is known.
    pub fn done(&self) -> Option<f64> {
        self.bytes.share_of(self.total?)
    }

    /// Size of all files on disk; `None` if standard input or a pipe is among them.
    pub fn bytes_total(&self) -> Option<u64> {
        self.total
    }

    /// Documents handed out so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// What is to be said of the lines handed out so far.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// After the end: an error if there was no document at all.
    pub fn require_records(&self) -> Result<()> {
        if self.records == 0 { Err(empty_collection(&self.paths)) } else { Ok(()) }
    }

    fn read(&mut self) -> Result<Option<TextRecord>> {
        loop {
            let Some((lines, format)) = &mut self.current else {
                let Some(path) = self.paths.get(self.next_path) else { return Ok(None) };
                self.next_path += 1;
                let lines = Lines::open(path, &self.bytes).map_err(Error::ends_input)?;
                self.current = Some((lines, Format::of_name(path)));
                continue;
            };
            if !lines.advance()? {
                self.current = None;
                continue;
            }
            let format = match *format {
                Some(known) => known,
                None => {
                    let found = Format::of_line(lines.text());
                    found.check_fields(lines.path(), self.fields.as_ref())?;
                    *format.insert(found)
                }
            };
            if format == Format::Tsv && is_header(lines.text().split('\t')) {
                self.notes.header(lines);
                continue;
            }
            let (id, text) = format.parse(lines, self.fields.as_ref(), &self.notes)?;
            check_id(&id).map_err(|problem| lines.error(problem))?;
            if !self.ids.insert(&id) {
                return Err(lines
                    .error(format!("expected unique document ids, found {id:?} a second time")));
            }
            if text.contains('\u{feff}') {
                self.notes.mark(lines);
            }
            self.records += 1;
            let (place, path) = (Place::Line(lines.number()), lines.path().clone());
            return Ok(Some(TextRecord { id, text, place, path }));
        }
    }
}

impl Iterator for CorpusReader {
    type Item = Result<TextRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The error for inputs that hold no document.
pub fn empty_collection(paths: &[PathBuf]) -> Error {
    let path = paths.first().map_or(Path::new(super::STDIN), PathBuf::as_path);
    let problem = match paths.len() {
        0 | 1 => "expected at least one document, found none".to_owned(),
        n => format!("expected at least one document, found none in this and {} more", n - 1),
    };
    Error::data(path, Place::File, problem)
}

impl Format {
    fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "tsv" => Some(Format::Tsv),
            "jsonl" | "json" | "ndjson" => Some(Format::Json),
            _ => None,
        }
    }

    fn of_line(line: &str) -> Self {
        if line.trim_start().starts_with('{') { Format::Json } else { Format::Tsv }
    }

    fn check_fields(self, path: &Path, fields: Option<&Fields>) -> Result<()> {
        let problem = match (self, fields) {
            (Format::Tsv, Some(Fields::Names(_))) => "this TSV file has columns, as in 2,3",
            (Format::Json, Some(Fields::Columns(_))) => {
                "this JSON Lines file has named fields, as in title,text"
            }
            _ => return Ok(()),
        };
        let found = fields.map(Fields::to_string).unwrap_or_default();
        let problem = format!("{problem}, found `fields` {found}");
        Err(Error::data(path, Place::File, problem).ends_input())
    }

    fn parse(
        self,
        lines: &Lines,
        fields: Option<&Fields>,
        notes: &Notes,
    ) -> Result<(String, String)> {
        match self {
            Format::Tsv => parse_tsv(lines, fields, notes),
            Format::Json => {
                parse_json(lines.text(), fields).map_err(|problem| lines.error(problem))
            }
        }
    }
}

fn parse_tsv(lines: &Lines, fields: Option<&Fields>, notes: &Notes) -> Result<(String, String)> {
    lines.refuse_old_line_ends(Some('\t'))?;
    let line = lines.text();
    let Some((id, text)) = line.split_once('\t') else {
        let error = lines.error("expected id<TAB>text, found no tab");
        return Err(match line.trim_start().bytes().next() {
            Some(b'{') => error.hint("the line looks like JSON: name the file .jsonl"),
            Some(b'[') => error.hint("one JSON list is no JSON Lines: jq -c '.[]' makes lines"),
            _ if is_header(line.split(',')) => error.hint(NO_COMMAS),
            _ => error.hint("separate the columns with a tab"),
        });
    };
    // Numbers of `cat -n` are padded.
    let id = trim_id(id).to_owned();
    let Some(Fields::Columns(wanted)) = fields else {
        // Empty columns at the end hold nothing.
        let text = text.trim_end_matches('\t');
        if text.contains('\t') {
            notes.tabs(lines);
        }
        return Ok((id, text.to_owned()));
    };
    let columns: Vec<&str> = line.split('\t').collect();
    let mut joined = String::new();
    for &column in wanted {
        let text = columns.get(column - 1).ok_or_else(|| {
            lines.error(format!("expected a column {column}, found {} columns", columns.len()))
        })?;
        join(&mut joined, text);
    }
    Ok((id, joined))
}

/// Field names the text is made of by default, after those of the id.
const TEXT_NAMES: [&str; 3] = ["contents", "text", "title"];

fn parse_json(line: &str, fields: Option<&Fields>) -> Result<(String, String), String> {
    let mut names = ID_NAMES.to_vec();
    match fields {
        Some(Fields::Names(own)) => names.extend(own.iter().map(String::as_str)),
        _ => names.extend(TEXT_NAMES),
    }
    let mut values = pick(line, &names)?;
    let texts = values.split_off(ID_NAMES.len());
    let id = first_id(values)?;
    let mut text = String::new();
    if fields.is_some() {
        for (value, name) in texts.into_iter().zip(&names[ID_NAMES.len()..]) {
            let value = value.ok_or_else(|| format!("expected a field {name:?}, found none"))?;
            join(&mut text, &value.into_text(name)?);
        }
    } else {
        let as_text = |value: Scalar, name: &str| {
            value.into_text(name).map_err(|problem| format!("{problem}; `fields` can name others"))
        };
        let [contents, plain, title] =
            texts.try_into().map_err(|_| "as many values as names".to_owned())?;
        if let Some(title) = title {
            text = as_text(title, "title")?;
        }
        let Some((name, body)) = first_value([("contents", contents), ("text", plain)]) else {
            return Err("expected a field \"contents\" or \"text\", found none".into());
        };
        let body = as_text(body, name)?;
        join(&mut text, &body);
    }
    Ok((id, text))
}

fn join(text: &mut String, part: &str) {
    if !text.is_empty() && !part.is_empty() {
        text.push(' ');
    }
    text.push_str(part);
}

#[cfg(test)]
mod tests;
