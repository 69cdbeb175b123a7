//! The paper's table, for terminals, Markdown and HTML.

use std::path::Path;

use serde::Serialize;

use super::super::machine::Machine;
use super::super::report::{make_dir, passes, publish, utc};
use super::super::summary::Summary;
use crate::error::{Error, Result};
use crate::eval::{Evaluation, Measure};
use crate::page;
use crate::table::{Table, escape, group, micros};

/// The table of a suite, and where it was measured.
#[derive(Debug, Clone, Serialize)]
pub struct SuiteReport {
    /// When the run began: seconds since 1970.
    pub started: u64,
    /// The machine.
    pub machine: Machine,
    /// Results a query.
    pub k: usize,
    /// Counted passes after one that warms up.
    pub runs: usize,
    /// Core of the measuring thread.
    pub cpu: Option<usize>,
    /// Names of the measures.
    pub measures: Vec<String>,
    /// The systems.
    pub rows: Vec<SuiteRow>,
}

/// One system's figures.
#[derive(Debug, Clone, Serialize)]
pub struct SuiteRow {
    /// Name from the suite.
    pub name: String,
    /// Collection from the suite.
    pub collection: Option<String>,
    /// What made the queries.
    pub query_side: String,
    /// Algorithm.
    pub algorithm: &'static str,
    /// Queries asked.
    pub queries: usize,
    /// Mean of each measure; `None` without judgements.
    pub quality: Option<Vec<f64>>,
    /// Weighted tokens to answers, µs.
    pub retrieval: Summary,
    /// Text to weighted tokens, µs; `None` where queries came as weighted tokens.
    pub encoding: Option<Summary>,
    /// Bytes of the index file.
    pub bytes: u64,
    /// Documents of the index.
    pub documents: u64,
    /// Content id of the index.
    pub content_id: String,
    /// Id of the first document of each query, in file order: an example for people.
    #[serde(skip)]
    pub first: Vec<Option<String>>,
    /// Each query's scores, to compare systems by.
    #[serde(skip)]
    pub evaluation: Option<Evaluation>,
}

/// What a row of the table shows.
struct Figures<'a> {
    system: &'a str,
    quality: Option<Vec<f64>>,
    retrieval: f64,
    encoding: Option<f64>,
    bytes: f64,
}

impl<'a> Figures<'a> {
    fn of(row: &'a SuiteRow) -> Self {
        Figures {
            system: &row.name,
            quality: row.quality.clone(),
            retrieval: row.retrieval.mean,
            encoding: row.encoding.map(|encoding| encoding.mean),
            bytes: row.bytes as f64,
        }
    }

    /// The mean of each figure that all rows have; at least one row.
    fn mean(rows: &[Figures<'a>]) -> Self {
        let mean = |values: Option<Vec<f64>>| {
            values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        let of = |figure: fn(&Figures<'a>) -> Option<f64>| mean(rows.iter().map(figure).collect());
        let qualities: Option<Vec<&Vec<f64>>> =
            rows.iter().map(|row| row.quality.as_ref()).collect();
        let quality = qualities.map(|all| {
            let measure =
                |m: usize| all.iter().map(|means| means[m]).sum::<f64>() / all.len() as f64;
            (0..all[0].len()).map(measure).collect()
        });
        Figures {
            system: rows[0].system,
            quality,
            retrieval: of(|row| Some(row.retrieval)).unwrap_or_default(),
            encoding: of(|row| row.encoding),
            bytes: of(|row| Some(row.bytes)).unwrap_or_default(),
        }
    }

    fn cells(self, measures: usize) -> Vec<String> {
        let mut cells = vec![self.system.to_owned()];
        match self.quality {
            Some(means) => cells.extend(means.iter().map(|mean| format!("{mean:.4}"))),
            None => cells.extend(vec!["–".to_owned(); measures]),
        }
        cells.push(micros(self.retrieval));
        cells.push(self.encoding.map_or("–".into(), micros));
        cells.push(group(self.bytes.round() as u64));
        cells
    }
}

/// A measure as papers write it: MRR@10, R@1000, nDCG@10.
pub(super) fn label(measure: &Measure) -> String {
    let name = measure.to_string();
    let (kind, cut) = name.find('@').map_or((&*name, ""), |at| name.split_at(at));
    let kind = match measure {
        Measure::Recall(_) => "R".to_owned(),
        Measure::Ndcg(_) => "nDCG".to_owned(),
        _ => kind.to_uppercase(),
    };
    kind + cut
}

impl SuiteReport {
    /// The paper's table; latencies are means in µs. Rows of several collections are followed
    /// by the mean of each system that was measured on all of them.
    pub fn table(&self) -> Table {
        let collections = self.collections();
        let named = usize::from(!collections.is_empty());
        let mut header = vec!["collection".to_owned(); named];
        header.push("system".to_owned());
        header.extend(self.measures.iter().cloned());
        header.extend(
            ["latency (retrieval), µs", "latency (query encoding), µs", "index bytes"]
                .map(str::to_owned),
        );
        let mut table = Table::new(header, named + 1);
        let mut line = |collection: &str, figures: Figures<'_>| {
            let mut cells = vec![collection.to_owned(); named];
            cells.extend(figures.cells(self.measures.len()));
            table.row(cells);
        };
        for row in &self.rows {
            line(row.collection.as_deref().unwrap_or_default(), Figures::of(row));
        }
        if collections.len() > 1 {
            let mean_of = format!("mean of {}", collections.len());
            self.means(&collections).into_iter().for_each(|figures| line(&mean_of, figures));
        }
        table
    }

    /// Collections in the order of the table.
    fn collections(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for name in self.rows.iter().filter_map(|row| row.collection.as_deref()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Means of the systems that have one row on every collection, in the order of the table.
    fn means(&self, collections: &[&str]) -> Vec<Figures<'_>> {
        let mut means: Vec<Figures<'_>> = Vec::new();
        for SuiteRow { name, .. } in &self.rows {
            let of_system = || self.rows.iter().filter(move |row| row.name == *name);
            let once = |collection: &&str| {
                of_system().filter(|row| row.collection.as_deref() == Some(*collection)).count()
                    == 1
            };
            if means.iter().all(|known| known.system != name) && collections.iter().all(once) {
                means.push(Figures::mean(&of_system().map(Figures::of).collect::<Vec<_>>()));
            }
        }
        means
    }

    /// How and where it was measured, one line.
    pub fn protocol(&self) -> String {
        let core = self.cpu.map_or("not pinned".to_owned(), |cpu| format!("pinned to core {cpu}"));
        let machine = &self.machine;
        let cpu = machine.cpu.as_deref().unwrap_or("unknown processor");
        format!(
            "k = {}; mean over queries of the best of {} after one to warm up, one thread \
             {core}; {cpu}, {}; splindex {}; {}",
            self.k,
            passes(self.runs),
            machine.simd,
            machine.splindex,
            utc(self.started)
        )
    }

    /// The table and how it was measured, in Markdown.
    pub fn markdown(&self) -> String {
        format!("{}\n{}.\n", self.table().to_markdown(), self.protocol())
    }

    /// Writes `suite.json`, `suite.md` and `suite.html` into `dir`, which is made if it is
    /// not there.
    pub fn write(&self, dir: &Path) -> Result<()> {
        make_dir(dir)?;
        let json = serde_json::to_string_pretty(self)
            .map_err(|e| Error::Internal(format!("the report does not encode: {e}")))?;
        publish(dir, "suite.json", &(json + "\n"))?;
        publish(dir, "suite.md", &self.markdown())?;
        let body = format!(
            "<h1>splindex: quality, latency, size</h1>\n<p>{}.</p>\n{}",
            escape(&self.protocol()),
            page::wide(&self.table())
        );
        publish(dir, "suite.html", &page::document("splindex: quality, latency, size", &body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::parse_measures;

    #[test]
    fn measures_are_labelled_as_in_papers() {
        let measures = parse_measures("mrr@10,recall@1000,ndcg@10,map,p@5").unwrap();
        let labels: Vec<String> = measures.iter().map(label).collect();
        assert_eq!(labels, ["MRR@10", "R@1000", "nDCG@10", "MAP", "P@5"]);
    }
}
