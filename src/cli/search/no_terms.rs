//! Why no query of a search has a term, said in a warning.

use crate::index::Index;
use crate::queries::Prepared;
use crate::queries::file::{QueryBody, QueryFile};

/// What is wrong if no query has a term of the index: tokens that it does not know, or
/// weights that × `scale` rounded to 0.
pub(super) fn warning(
    index: &Index,
    file: &QueryFile,
    queries: &[Prepared],
    scale: f64,
) -> Option<String> {
    if queries.is_empty() || queries.iter().any(|q| !q.query.terms.is_empty()) {
        return None;
    }
    let dropped: u64 = queries.iter().map(|q| u64::from(q.dropped)).sum();
    let unknown = queries.iter().any(|q| q.query.unknown > 0);
    if dropped == 0 || unknown {
        let rounded = match dropped {
            0 => String::new(),
            n => format!(" ({} of weight 0)", super::super::count(n, "token is", "tokens are")),
        };
        let columns = match file.vectors {
            true => "; columns of a matrix are numbers without --vocabulary FILE",
            false => "",
        };
        return Some(format!(
            "no query has a term that the index knows; are its tokens those of {}?{rounded}{columns}",
            index.path().display()
        ));
    }
    let largest = largest_weight(file).filter(|_| !index.meta().is_hybrid());
    Some(match largest.filter(|&largest| largest > 0.0) {
        Some(largest) => format!(
            "all query weights × --query-scale {scale} rounded to 0; give a larger one, such as \
             --query-scale {}",
            10f64.powi((100.0 / largest).log10().ceil() as i32)
        ),
        None => "all query weights are 0, or rounded to 0".into(),
    })
}

/// Largest weight of the token lists.
fn largest_weight(file: &QueryFile) -> Option<f64> {
    let lists = file.queries.iter().filter_map(|query| match &query.body {
        QueryBody::Weighted(tokens) => Some(tokens),
        QueryBody::Text(_) => None,
    });
    lists.flatten().map(|(_, weight)| *weight).reduce(f64::max)
}
