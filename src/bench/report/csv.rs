//! CSV: one line a case, of each kind of load, and one line a case and query.

use super::super::run::{CaseReport, IndexReport, Report};
use super::super::summary::Summary;
use crate::error::{Error, Result};
use crate::query::Counters;

/// What every kind of load says of its times.
const TIMES: &str = "mean_us,p50_us,p90_us,p95_us,p99_us,max_us";

type Row = Vec<String>;

pub(super) fn cases(report: &Report) -> Result<String> {
    let counters = Counters::NAMES.map(|name| format!("{name}_per_query")).join(",");
    let header = format!(
        "index,content_id,algorithm,k,runs,{TIMES},mean_of_means_us,recall,identical,queries,\
         bytes_per_posting,file_bytes,{counters},approximate,query_side,encoding_mean_us,\
         encoding_p50_us,encoding_p99_us"
    );
    let row = |case: &CaseReport| {
        let index = &report.indexes[case.index];
        let (recall, identical) = match case.agreement {
            Some(agreement) => (agreement.recall.to_string(), agreement.identical.to_string()),
            None => Default::default(),
        };
        let mut row = asked(report, case);
        row.push(report.protocol.runs.to_string());
        row.extend(times(&case.best));
        row.extend([micros(case.mean.mean), recall, identical, index.queries.len().to_string()]);
        row.push(format!("{:.4}", index.space.bytes_per_posting));
        row.push(index.space.file_bytes.to_string());
        let work = |name| case.work.as_ref().map_or(String::new(), |w| format!("{:.1}", w[name]));
        row.extend(Counters::NAMES.map(work));
        row.extend([approximate(case), index.query_side.clone()]);
        row.extend(encoding(index));
        row
    };
    table(&header, report.cases.iter().map(row))
}

/// Open loops: latencies from arrival to answer, and service times from the start of work.
pub(super) fn open_loop(report: &Report) -> Result<Option<String>> {
    let service: Row = TIMES.split(',').map(|name| format!("service_{name}")).collect();
    let header = format!(
        "index,content_id,algorithm,k,threads,rate,offered,achieved,saturated,queries,late,\
         {TIMES},{},approximate",
        service.join(",")
    );
    let row = |case: &CaseReport| {
        let open = case.open_loop.as_ref()?;
        let mut row = asked(report, case);
        row.push(open.threads.to_string());
        row.extend([open.rate, open.offered, open.achieved].map(micros));
        row.extend([open.saturated().to_string(), open.queries.to_string(), open.late.to_string()]);
        row.extend(times(&open.latency));
        row.extend(times(&open.service));
        row.push(approximate(case));
        Some(row)
    };
    measured(&header, report.cases.iter().filter_map(row))
}

/// All threads busy.
pub(super) fn throughput(report: &Report) -> Result<Option<String>> {
    let header = format!(
        "index,content_id,algorithm,k,threads,queries_per_second,queries,{TIMES},approximate"
    );
    let row = |case: &CaseReport| {
        let busy = case.throughput.as_ref()?;
        let mut row = asked(report, case);
        row.extend([busy.threads.to_string(), micros(busy.rate), busy.queries.to_string()]);
        row.extend(times(&busy.latency));
        row.push(approximate(case));
        Some(row)
    };
    measured(&header, report.cases.iter().filter_map(row))
}

pub(super) fn queries(report: &Report) -> Result<String> {
    let header =
        "index,algorithm,k,query,terms,unknown,postings,encoding_ns,best_ns,mean_ns,approximate";
    let rows = report.cases.iter().flat_map(|case| {
        let index = &report.indexes[case.index];
        index.queries.iter().enumerate().map(move |(q, query)| {
            vec![
                index.name.clone(),
                case.algorithm.to_string(),
                case.k.to_string(),
                query.id.clone(),
                query.terms.to_string(),
                query.unknown.to_string(),
                query.postings.to_string(),
                query.encoding.to_string(),
                case.times.best[q].to_string(),
                case.times.mean[q].to_string(),
                approximate(case),
            ]
        })
    });
    table(header, rows)
}

/// Index, algorithm and depth.
fn asked(report: &Report, case: &CaseReport) -> Row {
    let index = &report.indexes[case.index];
    let id = index.content_id.to_string();
    vec![index.name.clone(), id, case.algorithm.to_string(), case.k.to_string()]
}

/// In the order of [`TIMES`].
fn times(summary: &Summary) -> [String; 6] {
    let Summary { mean, p50, p90, p95, p99, max } = *summary;
    [mean, p50, p90, p95, p99, max].map(micros)
}

fn micros(number: f64) -> String {
    format!("{number:.3}")
}

/// Mean, median and 99th percentile; nothing where queries came as weighted tokens.
fn encoding(index: &IndexReport) -> [String; 3] {
    let Summary { mean, p50, p99, .. } = index.encoding;
    match index.queries.iter().any(|query| query.encoding > 0) {
        true => [mean, p50, p99].map(micros),
        false => Default::default(),
    }
}

/// What an approximate case leaves out; nothing for an exact one.
fn approximate(case: &CaseReport) -> String {
    case.approximate.map_or(String::new(), |approximation| approximation.to_string())
}

/// A file only where there is something to put into it.
fn measured(header: &str, rows: impl Iterator<Item = Row>) -> Result<Option<String>> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(None);
    }
    table(header, rows).map(Some)
}

fn table(header: &str, rows: impl Iterator<Item = Row>) -> Result<String> {
    let failed = |problem: String| Error::Internal(format!("a report does not encode: {problem}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    // A row that is not as long as the header is an error.
    std::iter::once(header.split(',').map(str::to_owned).collect())
        .chain(rows)
        .try_for_each(|row| writer.write_record(row))
        .map_err(|e| failed(e.to_string()))?;
    let bytes = writer.into_inner().map_err(|e| failed(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::super::run::sample_report;
    use super::*;

    #[test]
    fn every_case_and_query_has_its_line() {
        let report = sample_report();
        let columns = |line: &str| line.split(',').count();
        let texts = [cases(&report), open_loop(&report).map(Option::unwrap)];
        for text in texts.into_iter().chain([throughput(&report).map(Option::unwrap)]) {
            let text = text.unwrap();
            let header = columns(text.lines().next().unwrap());
            assert_eq!(text.lines().count(), 1 + 8);
            assert!(text.lines().all(|line| columns(line) == header), "{text}");
        }
        // Query ids of the sample hold a comma.
        let text = queries(&report).unwrap();
        assert_eq!(text.lines().count(), 1 + 8 * 4);
        let header = columns(text.lines().next().unwrap());
        assert!(text.lines().skip(1).all(|line| columns(line) == header + 1), "{text}");
        assert!(text.contains(",\"q,0\","), "{text}");
    }

    #[test]
    fn quotes_are_doubled_and_every_row_is_as_long_as_the_header() {
        let row = |fields: &[&str]| fields.iter().map(|&field| field.to_owned()).collect::<Row>();
        let rows = [row(&["a \"b\", c", "plain"])];
        let text = table("x,y", rows.into_iter()).unwrap();
        assert_eq!(text, "x,y\n\"a \"\"b\"\", c\",plain\n");
        assert!(table("x,y", [row(&["alone"])].into_iter()).is_err());
        assert_eq!(measured("x,y", std::iter::empty()).unwrap(), None);
    }
}
