//! Query files and judgements of a suite, each read once: it may be a pipe.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{Error, Place, Result};
use crate::eval::Qrels;
use crate::queries::file::{QueryFile, QueryKind, read_queries};

/// What was read so far, by path.
#[derive(Debug, Default)]
pub struct Inputs {
    queries: Vec<(PathBuf, QueryKind, Rc<QueryFile>)>,
    qrels: Vec<(PathBuf, Rc<Qrels>)>,
}

impl Inputs {
    /// The queries of a file.
    ///
    /// # Errors
    /// Those of [`read_queries`].
    pub fn queries(&mut self, path: &Path, kind: QueryKind) -> Result<Rc<QueryFile>> {
        let known = self.queries.iter().find(|(p, k, _)| p == path && *k == kind);
        if let Some((_, _, file)) = known {
            return Ok(Rc::clone(file));
        }
        let file = Rc::new(read_queries(path, kind)?);
        self.queries.push((path.to_owned(), kind, Rc::clone(&file)));
        Ok(file)
    }

    /// What is to be said of the lines of all query files.
    pub fn notes(&self) -> Vec<String> {
        self.queries.iter().flat_map(|(_, _, file)| file.notes.iter().cloned()).collect()
    }

    /// The judgements of a file, of `queries`.
    ///
    /// # Errors
    /// Those of [`Qrels::read`]; judgements of other queries alone.
    pub fn qrels(&mut self, path: &Path, queries: &QueryFile) -> Result<Rc<Qrels>> {
        let qrels = match self.qrels.iter().find(|(known, _)| known == path) {
            Some((_, qrels)) => Rc::clone(qrels),
            None => {
                let qrels = Rc::new(Qrels::read(path)?);
                self.qrels.push((path.to_owned(), Rc::clone(&qrels)));
                qrels
            }
        };
        require_judged(&qrels, queries)?;
        Ok(qrels)
    }
}

/// The judgements in `path`, of `queries`.
///
/// # Errors
/// Those of [`Qrels::read`]; judgements of other queries alone.
pub fn judgements(path: &Path, queries: &QueryFile) -> Result<Rc<Qrels>> {
    let qrels = Qrels::read(path)?;
    require_judged(&qrels, queries)?;
    Ok(Rc::new(qrels))
}

fn require_judged(qrels: &Qrels, queries: &QueryFile) -> Result<()> {
    if queries.queries.iter().any(|query| qrels.grades(&query.id).is_some()) {
        return Ok(());
    }
    let problem = format!(
        "expected judgements of the queries of {}, found none of them",
        queries.path.display()
    );
    Err(Error::data(qrels.path(), Place::File, problem)
        .hint("check that queries and judgements belong together"))
}
