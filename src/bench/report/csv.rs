//! CSV: one line a case, and one line a case and query.

use std::fmt::Write;

use super::super::run::{CaseReport, Report};
use crate::query::Counters;

pub(super) fn cases(report: &Report) -> String {
    let mut text = String::from(
        "index,content_id,algorithm,approximate,k,runs,mean_us,p50_us,p90_us,p95_us,p99_us,max_us,\
         mean_of_means_us,recall,identical,queries,bytes_per_posting,file_bytes",
    );
    for name in Counters::NAMES {
        write!(text, ",{name}_per_query").expect("strings take all text");
    }
    text.push('\n');
    for case in &report.cases {
        let (index, best) = (&report.indexes[case.index], &case.best);
        let (recall, identical) = match case.agreement {
            Some(agreement) => (agreement.recall.to_string(), agreement.identical.to_string()),
            None => Default::default(),
        };
        let work: String = Counters::NAMES
            .map(|name| match &case.work {
                Some(work) => format!(",{:.1}", work[name]),
                None => ",".into(),
            })
            .concat();
        let numbers = [best.mean, best.p50, best.p90, best.p95, best.p99, best.max, case.mean.mean];
        let numbers: Vec<String> = numbers.iter().map(|n| format!("{n:.3}")).collect();
        line(
            &mut text,
            format_args!(
                "{},{},{},{},{},{},{},{recall},{identical},{},{:.4},{}{work}",
                field(&index.name),
                index.content_id,
                case.algorithm,
                approximate(case),
                case.k,
                report.protocol.runs,
                numbers.join(","),
                index.queries.len(),
                index.space.bytes_per_posting,
                index.space.file_bytes,
            ),
        );
    }
    text
}

pub(super) fn queries(report: &Report) -> String {
    let mut text = String::from(
        "index,algorithm,approximate,k,query,terms,unknown,postings,encoding_ns,best_ns,mean_ns\n",
    );
    for case in &report.cases {
        let index = &report.indexes[case.index];
        let name = field(&index.name);
        for (q, query) in index.queries.iter().enumerate() {
            let (id, best, mean) = (field(&query.id), case.times.best[q], case.times.mean[q]);
            line(
                &mut text,
                format_args!(
                    "{name},{},{},{},{id},{},{},{},{},{best},{mean}",
                    case.algorithm,
                    approximate(case),
                    case.k,
                    query.terms,
                    query.unknown,
                    query.postings,
                    query.encoding,
                ),
            );
        }
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("strings take all text");
}

/// What an approximate case leaves out; nothing for an exact one.
fn approximate(case: &CaseReport) -> String {
    case.approximate.map_or(String::new(), |approximation| field(&approximation.to_string()))
}

/// Quotes a field where RFC 4180 says so.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::run::sample_report;
    use super::*;

    #[test]
    fn every_line_has_as_many_fields_as_the_header() {
        let report = sample_report();
        let columns = |line: &str| line.split(',').count();
        let text = cases(&report);
        let header = columns(text.lines().next().unwrap());
        assert_eq!(text.lines().count(), 1 + 8);
        assert!(text.lines().all(|line| columns(line) == header), "{text}");
        // Query ids of the sample hold a comma.
        let text = queries(&report);
        assert_eq!(text.lines().count(), 1 + 8 * 4);
        let header = columns(text.lines().next().unwrap());
        assert!(text.lines().skip(1).all(|line| columns(line) == header + 1), "{text}");
        assert!(text.contains(",\"q,0\","), "{text}");
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(field("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(field("plain"), "plain");
    }
}
