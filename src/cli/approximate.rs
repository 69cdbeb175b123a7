//! Flags of approximate answers, the same for `search` and `bench`.

use super::common::unique;
use crate::error::{Error, Result};
use crate::query::Approximation;

/// Said of each option: a heading of the whole struct would go on to what follows it.
const HEADING: &str =
    "Approximate answers (off by default, marked in summaries, TREC tags and reports)";

/// Settings; `bench` takes lists and measures every combination.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ApproximateArgs {
    /// Search with the N heaviest terms of each query
    #[arg(long, value_name = "N", value_delimiter = ',', help_heading = HEADING)]
    max_query_terms: Vec<usize>,
    /// Search with the heaviest terms that hold this share of the query's largest score
    #[arg(long, value_name = "SHARE", value_delimiter = ',', help_heading = HEADING)]
    query_mass: Vec<f64>,
    /// Give this many candidates of a shortened query (k, if that is more) their scores for
    /// the whole query
    #[arg(long, value_name = "N", value_delimiter = ',', help_heading = HEADING)]
    rescore: Vec<usize>,
}

impl ApproximateArgs {
    /// Every combination of the values given; the exact one if there are none.
    ///
    /// # Errors
    /// A value that means nothing, or rescoring of whole queries.
    pub fn all(&self) -> Result<Vec<Approximation>> {
        let all = vec![Approximation::EXACT];
        let all = each(all, &self.max_query_terms, Approximation::keeping_terms)?;
        let all = each(all, &self.query_mass, Approximation::keeping_mass)?;
        let all = each(all, &self.rescore, Approximation::rescoring)?;
        if self.max_query_terms.is_empty() && self.query_mass.is_empty() && !self.rescore.is_empty()
        {
            return Err(Error::Usage(
                "--rescore is for queries that --max-query-terms or --query-mass shorten; give one \
                 of them"
                    .into(),
            ));
        }
        Ok(unique(all))
    }

    /// The one combination.
    ///
    /// # Errors
    /// A value that means nothing, or several for one flag.
    pub fn one(&self) -> Result<Approximation> {
        match self.all()?[..] {
            [one] => Ok(one),
            _ => Err(Error::Usage(
                "flags of approximate answers take one value each; lists are for bench".into(),
            )),
        }
    }
}

/// Every setting so far with every value of one more flag.
fn each<T: Copy>(
    settings: Vec<Approximation>,
    values: &[T],
    set: impl Fn(Approximation, T) -> Result<Approximation>,
) -> Result<Vec<Approximation>> {
    if values.is_empty() {
        return Ok(settings);
    }
    settings
        .iter()
        .flat_map(|&s| values.iter().map(move |&v| (s, v)))
        .map(|(s, v)| set(s, v))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_make_every_combination() {
        let args = ApproximateArgs {
            max_query_terms: vec![4, 8, 4],
            rescore: vec![50, 100, 200],
            ..ApproximateArgs::default()
        };
        assert_eq!(args.all().unwrap().len(), 6);
        assert!(args.one().unwrap_err().to_string().contains("one value each"));
        assert!(ApproximateArgs::default().one().unwrap().is_exact());
    }
}
