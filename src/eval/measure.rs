//! The measures, after trec_eval's definitions.

use std::fmt;
use std::str::FromStr;

use super::qrels::UNJUDGED;
use crate::error::{Error, Result};

/// A measure of one ranking; `@k` looks at the first k documents, none at all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Reciprocal rank of the first relevant document (trec_eval's `recip_rank`).
    Mrr(Option<usize>),
    /// Share of the relevant documents found (`recall_k`).
    Recall(usize),
    /// Share of the first k places that are relevant (`P_k`).
    Precision(usize),
    /// Discounted cumulative gain (gain = grade, discount log2(rank + 1)) over that of the
    /// ideal ranking (`ndcg_cut_k`, `ndcg`).
    Ndcg(Option<usize>),
    /// Mean precision at the relevant documents, those not found as 0 (`map`, `map_cut_k`).
    Map(Option<usize>),
}

/// What is known of a query's judgements.
pub(super) struct Judged {
    /// All grades given, descending.
    pub grades: Vec<i32>,
    /// Lowest grade that counts as relevant.
    pub level: i32,
}

impl Judged {
    fn relevant(&self, grade: i32) -> bool {
        grade != UNJUDGED && grade >= self.level
    }

    fn total(&self) -> usize {
        self.grades.iter().filter(|&&grade| self.relevant(grade)).count()
    }
}

impl Measure {
    /// The measure at depth `k`, if it looks further; one without a depth stays, as it looks
    /// at whole lists.
    pub fn within(self, k: usize) -> Self {
        match self {
            Measure::Mrr(Some(cut)) => Measure::Mrr(Some(cut.min(k))),
            Measure::Recall(cut) => Measure::Recall(cut.min(k)),
            Measure::Precision(cut) => Measure::Precision(cut.min(k)),
            Measure::Ndcg(Some(cut)) => Measure::Ndcg(Some(cut.min(k))),
            Measure::Map(Some(cut)) => Measure::Map(Some(cut.min(k))),
            whole => whole,
        }
    }

    /// The score of a ranking given as its documents' grades; 0 for a query without
    /// relevant documents.
    pub(super) fn score(self, ranked: &[i32], judged: &Judged) -> f64 {
        let cut = |k: Option<usize>| &ranked[..k.unwrap_or(usize::MAX).min(ranked.len())];
        let hits = |k| cut(Some(k)).iter().filter(|&&grade| judged.relevant(grade)).count() as f64;
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        match self {
            Measure::Mrr(k) => {
                let first = cut(k).iter().position(|&grade| judged.relevant(grade));
                first.map_or(0.0, |at| 1.0 / (at + 1) as f64)
            }
            Measure::Recall(k) => share(hits(k), judged.total() as f64),
            Measure::Precision(k) => hits(k) / k as f64,
            Measure::Ndcg(k) => {
                let ideal = &judged.grades[..k.unwrap_or(usize::MAX).min(judged.grades.len())];
                share(gain(cut(k)), gain(ideal))
            }
            Measure::Map(k) => share(precision_sum(cut(k), judged), judged.total() as f64),
        }
    }
}

/// trec_eval takes gains from grades whatever level counts as relevant.
fn gain(grades: &[i32]) -> f64 {
    let gains = grades.iter().enumerate().filter(|(_, grade)| **grade > 0);
    // A sum of nothing is -0.0.
    gains.map(|(at, &grade)| f64::from(grade) / ((at + 2) as f64).log2()).sum::<f64>() + 0.0
}

fn precision_sum(ranked: &[i32], judged: &Judged) -> f64 {
    let relevant = ranked.iter().enumerate().filter(|(_, grade)| judged.relevant(**grade));
    relevant.zip(1u32..).map(|((at, _), found)| f64::from(found) / (at + 1) as f64).sum::<f64>()
        + 0.0
}

/// Parses a list such as `mrr@10,recall@1000,ndcg@10,map`; a repeated measure counts once.
pub fn parse_measures(list: &str) -> Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for name in list.split(',') {
        let measure = name.trim().parse()?;
        if !measures.contains(&measure) {
            measures.push(measure);
        }
    }
    Ok(measures)
}

impl FromStr for Measure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::Usage(format!(
                "unknown measure {text:?}: known are mrr, mrr@K, recall@K, p@K, ndcg, ndcg@K, \
                 map and map@K, K a whole number from 1"
            ))
        };
        let (name, k) = match text.split_once('@') {
            Some((name, k)) => (name, Some(k.parse().ok().filter(|&k| k > 0).ok_or_else(unknown)?)),
            None => (text, None),
        };
        match (name.to_ascii_lowercase().as_str(), k) {
            ("mrr", k) => Ok(Measure::Mrr(k)),
            ("recall", Some(k)) => Ok(Measure::Recall(k)),
            ("p", Some(k)) => Ok(Measure::Precision(k)),
            ("ndcg", k) => Ok(Measure::Ndcg(k)),
            ("map", k) => Ok(Measure::Map(k)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, k) = match *self {
            Measure::Mrr(k) => ("mrr", k),
            Measure::Recall(k) => ("recall", Some(k)),
            Measure::Precision(k) => ("p", Some(k)),
            Measure::Ndcg(k) => ("ndcg", k),
            Measure::Map(k) => ("map", k),
        };
        match k {
            Some(k) => f.pad(&format!("{name}@{k}")),
            None => f.pad(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(measure: &str, ranked: &[i32], grades: &[i32], level: i32) -> f64 {
        let mut grades = grades.to_vec();
        grades.sort_unstable_by(|a, b| b.cmp(a));
        measure.parse::<Measure>().unwrap().score(ranked, &Judged { grades, level })
    }

    /// Grades 3 2 1 are relevant; ranked: unjudged, 1, not relevant, 3, not relevant.
    const RANKED: [i32; 5] = [UNJUDGED, 1, 0, 3, -1];
    const GRADES: [i32; 5] = [1, 0, 3, 2, -1];

    #[test]
    fn measures_by_hand() {
        let log2 = |x: f64| x.log2();
        let ideal = 3.0 + 2.0 / log2(3.0) + 1.0 / log2(4.0);
        let found = 1.0 / log2(3.0) + 3.0 / log2(5.0);
        for (measure, expected) in [
            ("mrr", 1.0 / 2.0),
            ("mrr@1", 0.0),
            ("mrr@2", 1.0 / 2.0),
            ("recall@2", 1.0 / 3.0),
            ("recall@1000", 2.0 / 3.0),
            ("p@2", 1.0 / 2.0),
            ("p@10", 2.0 / 10.0),
            ("map", (1.0 / 2.0 + 2.0 / 4.0) / 3.0),
            ("map@3", (1.0 / 2.0) / 3.0),
            ("ndcg", found / ideal),
            ("ndcg@10", found / ideal),
            ("ndcg@2", (1.0 / log2(3.0)) / (3.0 + 2.0 / log2(3.0))),
        ] {
            let got = score(measure, &RANKED, &GRADES, 1);
            assert!((got - expected).abs() < 1e-12, "{measure}: {got} for {expected}");
        }
    }

    #[test]
    fn a_higher_level_changes_what_is_relevant_but_not_gains() {
        assert_eq!(score("mrr", &RANKED, &GRADES, 2), 1.0 / 4.0);
        assert_eq!(score("recall@5", &RANKED, &GRADES, 2), 1.0 / 2.0);
        assert_eq!(score("ndcg", &RANKED, &GRADES, 2), score("ndcg", &RANKED, &GRADES, 1));
        assert_eq!(score("p@1", &[UNJUDGED], &[0], 0), 0.0, "unjudged is never relevant");
    }

    #[test]
    fn a_query_without_relevant_documents_scores_zero() {
        for measure in ["mrr", "recall@10", "p@10", "map", "ndcg", "ndcg@10"] {
            let nothing = score(measure, &[0, UNJUDGED], &[0, -2], 1);
            assert!(nothing == 0.0 && nothing.is_sign_positive(), "{measure}");
            assert_eq!(score(measure, &[], &[1], 1), 0.0, "{measure}");
        }
    }

    #[test]
    fn names_read_back_and_unknown_ones_list_the_known() {
        let list = "mrr,mrr@10,recall@1000,p@5,ndcg,ndcg@10,map,map@100";
        let names: Vec<String> =
            parse_measures(list).unwrap().iter().map(Measure::to_string).collect();
        assert_eq!(names.join(","), list);
        assert_eq!(parse_measures("MRR@10, Recall@100, nDCG@10, mrr@10").unwrap().len(), 3);
        for bad in ["bpref", "recall", "p", "mrr@0", "ndcg@x", "ndcg@-1", ""] {
            let message = parse_measures(bad).unwrap_err().to_string();
            assert!(message.contains("known are mrr"), "{bad}: {message}");
        }
    }
}
