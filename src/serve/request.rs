//! What is asked of a service, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use super::Serving;
use crate::error::Result;
use crate::queries::Constraints;
use crate::queries::file::QueryKind;
use crate::query::Algorithm;

/// What errors call the body of a request.
pub const REQUEST: &str = "request";

/// Most results that one request may ask for, over all its queries: what a worker holds
/// until it has answered, 100 MB or so.
pub const MOST_HITS: usize = 1_000_000;

/// Most results of one request that are explained: each has a line for every term of its query.
pub const MOST_EXPLAINED: usize = 10_000;

/// One request: its queries are read and answered in order by one worker.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked; errors call it [`REQUEST`].
    pub questions: Questions,
    /// Whether that is texts or tokens.
    pub kind: QueryKind,
    /// Results of a query that does not say itself.
    pub k: usize,
    /// Most results that a query may ask for.
    pub max_k: usize,
    /// How they are found, where a query does not say.
    pub algorithm: Algorithm,
    /// Whether hits come with what each term gave to them.
    pub explain: bool,
    /// What all queries ask of documents beside their terms.
    pub constraints: Constraints,
}

/// What a request asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Questions {
    /// One query; its id is q.
    One(String),
    /// The bytes of a query file, whose lines of JSON may say `k`, `algorithm` and [`Constraints`].
    File(Vec<u8>),
}

/// The answer to one query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Id of the query.
    pub query: String,
    /// The algorithm that ran.
    pub algorithm: &'static str,
    /// Tokens that the index does not know.
    pub unknown: u32,
    /// Whether the text is longer than what was read of it.
    pub truncated: bool,
    /// Documents that the query's filter keeps, if it has one.
    pub kept: Option<u32>,
    /// Time from text to weighted tokens.
    pub encoding: Duration,
    /// Time of retrieval.
    pub retrieval: Duration,
    /// Best first.
    pub hits: Vec<Found>,
}

/// A document that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its external id.
    pub document: String,
    /// Σ query weight × impact.
    pub score: u32,
    /// The score in the units of the weights; of BM25, Lucene's.
    pub weighed: f64,
    /// What each term gave, largest part first, where the request asked.
    pub terms: Option<Vec<Part>>,
}

/// A term's part of a score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The token.
    pub token: String,
    /// The field of the index that it is in.
    pub field: String,
    /// Its weight in the query.
    pub weight: u32,
    /// Its impact in the document.
    pub impact: u8,
}

/// Answers to the queries of a request, with the index that gave them.
pub type Reply = Result<(Arc<Serving>, Vec<Answer>)>;

/// Who waits for a reply; a function that takes one does, whatever happens.
pub trait Waiting: Send {
    /// Whether anybody waits still. Who has gone costs no work.
    fn waits(&self) -> bool {
        true
    }

    /// Takes the reply, on a worker's thread.
    fn reply(self: Box<Self>, reply: Reply);
}

impl<F: FnOnce(Reply) + Send> Waiting for F {
    fn reply(self: Box<Self>, reply: Reply) {
        self(reply);
    }
}
