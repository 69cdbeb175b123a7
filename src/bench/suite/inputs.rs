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
        Ok(self.keep_queries(path, kind, read_queries(path, kind)?))
    }

    /// Keeps the queries that were read from `path`.
    pub fn keep_queries(&mut self, path: &Path, kind: QueryKind, file: QueryFile) -> Rc<QueryFile> {
        let file = Rc::new(file);
        self.queries.push((path.to_owned(), kind, Rc::clone(&file)));
        file
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
        if queries.queries.iter().all(|query| qrels.grades(&query.id).is_none()) {
            let problem = format!(
                "expected judgements of the queries of {}, found none of them",
                queries.path.display()
            );
            return Err(Error::data(path, Place::File, problem)
                .hint("check that queries and judgements belong together"));
        }
        Ok(qrels)
    }
}
