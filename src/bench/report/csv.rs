//! CSV: one line a case, of each kind of load, and one line a case and query.

use std::fmt::Write;

use super::super::run::{CaseReport, IndexReport, Report};
use super::super::summary::Summary;
use crate::query::Counters;

pub(super) fn cases(report: &Report) -> String {
    let mut text = String::from(
        "index,content_id,algorithm,k,runs,mean_us,p50_us,p90_us,p95_us,p99_us,max_us,\
         mean_of_means_us,recall,identical,queries,bytes_per_posting,file_bytes",
    );
    for name in Counters::NAMES {
        write!(text, ",{name}_per_query").expect("strings take all text");
    }
    text.push_str(",approximate,query_side,encoding_mean_us,encoding_p50_us,encoding_p99_us\n");
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
                "{},{},{},{},{},{},{recall},{identical},{},{:.4},{}{work},{},{},{}",
                field(&index.name),
                index.content_id,
                case.algorithm,
                case.k,
                report.protocol.runs,
                numbers.join(","),
                index.queries.len(),
                index.space.bytes_per_posting,
                index.space.file_bytes,
                approximate(case),
                field(&index.query_side),
                encoding(index),
            ),
        );
    }
    text
}

/// Mean, median and 99th percentile; nothing where queries came as weighted tokens.
fn encoding(index: &IndexReport) -> String {
    let Summary { mean, p50, p99, .. } = index.encoding;
    match index.queries.iter().any(|query| query.encoding > 0) {
        true => format!("{mean:.3},{p50:.3},{p99:.3}"),
        false => ",,".into(),
    }
}

/// What every kind of load says of its times.
const TIMES: &str = "mean_us,p50_us,p90_us,p95_us,p99_us,max_us";

fn times(summary: &Summary) -> String {
    let Summary { mean, p50, p90, p95, p99, max } = *summary;
    [mean, p50, p90, p95, p99, max].map(|n| format!("{n:.3}")).join(",")
}

/// Open loops: latencies from arrival to answer, and service times from the start of work.
pub(super) fn open_loop(report: &Report) -> Option<String> {
    let service = TIMES.split(',').map(|name| format!("service_{name}")).collect::<Vec<_>>();
    let mut text = format!(
        "index,content_id,algorithm,k,threads,rate,offered,achieved,saturated,queries,late,\
         {TIMES},{},approximate\n",
        service.join(",")
    );
    let mut any = false;
    for case in &report.cases {
        let (Some(open), index) = (&case.open_loop, &report.indexes[case.index]) else { continue };
        any = true;
        line(
            &mut text,
            format_args!(
                "{},{},{},{},{},{:.3},{:.3},{:.3},{},{},{},{},{},{}",
                field(&index.name),
                index.content_id,
                case.algorithm,
                case.k,
                open.threads,
                open.rate,
                open.offered,
                open.achieved,
                open.saturated(),
                open.queries,
                open.late,
                times(&open.latency),
                times(&open.service),
                approximate(case),
            ),
        );
    }
    any.then_some(text)
}

/// All threads busy.
pub(super) fn throughput(report: &Report) -> Option<String> {
    let mut text = format!(
        "index,content_id,algorithm,k,threads,queries_per_second,queries,{TIMES},approximate\n"
    );
    let mut any = false;
    for case in &report.cases {
        let (Some(busy), index) = (&case.throughput, &report.indexes[case.index]) else {
            continue;
        };
        any = true;
        line(
            &mut text,
            format_args!(
                "{},{},{},{},{},{:.3},{},{},{}",
                field(&index.name),
                index.content_id,
                case.algorithm,
                case.k,
                busy.threads,
                busy.rate,
                busy.queries,
                times(&busy.latency),
                approximate(case),
            ),
        );
    }
    any.then_some(text)
}

pub(super) fn queries(report: &Report) -> String {
    let mut text = String::from(
        "index,algorithm,k,query,terms,unknown,postings,encoding_ns,best_ns,mean_ns,approximate\n",
    );
    for case in &report.cases {
        let index = &report.indexes[case.index];
        let name = field(&index.name);
        for (q, query) in index.queries.iter().enumerate() {
            let (id, best, mean) = (field(&query.id), case.times.best[q], case.times.mean[q]);
            line(
                &mut text,
                format_args!(
                    "{name},{},{},{id},{},{},{},{},{best},{mean},{}",
                    case.algorithm,
                    case.k,
                    query.terms,
                    query.unknown,
                    query.postings,
                    query.encoding,
                    approximate(case),
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
        for text in [cases(&report), open_loop(&report).unwrap(), throughput(&report).unwrap()] {
            let header = columns(text.lines().next().unwrap());
            assert_eq!(text.lines().count(), 1 + 8);
            assert!(text.lines().all(|line| columns(line) == header), "{text}");
        }
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
