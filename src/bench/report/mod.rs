//! Reports of a benchmark: terminal and Markdown tables, JSON, CSV, and one HTML page
//! with plots that needs nothing but a browser.

mod charts;
mod csv;
mod html;

use std::io::Write;
use std::path::Path;

use super::run::{IndexReport, Report};
use crate::error::{Error, Place, Result};
use crate::output::{OutputFile, folder};
use crate::query::Counters;
use crate::table::{Table, group, micros};

/// Closed-loop latency of every case, µs: the main table.
pub fn latency_table(report: &Report) -> Table {
    let compared = report.cases.iter().any(|case| case.agreement.is_some());
    let mut header = vec![
        "index",
        "k",
        "algorithm",
        "mean",
        "p50",
        "p90",
        "p95",
        "p99",
        "max",
        "mean of all runs",
    ];
    if compared {
        header.extend(["recall", "identical lists"]);
    }
    let mut table = Table::new(header, 3);
    for case in &report.cases {
        let best = &case.best;
        let mut row =
            vec![report.indexes[case.index].name.clone(), case.k.to_string(), case.described()];
        row.extend([best.mean, best.p50, best.p90, best.p95, best.p99, best.max].map(micros));
        row.push(micros(case.mean.mean));
        if let Some(agreement) = case.agreement {
            row.push(format!("{:.4}", agreement.recall));
            row.push(format!("{}/{}", agreement.identical, agreement.queries));
        }
        table.row(row);
    }
    table
}

/// Open loop and throughput of every case that has them.
pub fn load_table(report: &Report) -> Option<Table> {
    let mut table = Table::new(
        ["index", "k", "algorithm", "load", "threads", "queries/s", "mean", "p50", "p99", "max"],
        4,
    );
    let mut any = false;
    for case in &report.cases {
        let mut row = |load: String, threads: usize, rate: f64, latency: &super::Summary| {
            any = true;
            let name = report.indexes[case.index].name.clone();
            let mut row = vec![name, case.k.to_string(), case.described(), load];
            row.extend([threads.to_string(), micros(rate)]);
            row.extend([latency.mean, latency.p50, latency.p99, latency.max].map(micros));
            table.row(row);
        };
        if let Some(open) = &case.open_loop {
            let full = if open.saturated() { ", saturated" } else { "" };
            let load = format!("Poisson {}/s{full}", micros(open.rate));
            row(load, open.threads, open.achieved, &open.latency);
        }
        if let Some(busy) = &case.throughput {
            row("all busy".into(), busy.threads, busy.rate, &busy.latency);
        }
    }
    any.then_some(table)
}

/// What the arrivals of the open loops were, one line, if there are any.
pub fn arrivals(report: &Report) -> Option<String> {
    // All cases have the same: their seed is fixed.
    let open = report.cases.iter().find_map(|case| case.open_loop.as_ref())?;
    Some(format!(
        "open loop: Poisson arrivals, {}/s in the mean, of which this run drew {}/s; latency counts \
         from arrival, waiting in line included",
        micros(open.rate),
        micros(open.offered)
    ))
}

/// Mean work of a query in every case, where it was counted.
pub fn work_table(report: &Report) -> Option<Table> {
    let header = ["index", "k", "algorithm"].into_iter().chain(Counters::NAMES);
    let mut table = Table::new(header, 3);
    let mut any = false;
    for case in &report.cases {
        let Some(work) = &case.work else { continue };
        any = true;
        let name = report.indexes[case.index].name.clone();
        let mut row = vec![name, case.k.to_string(), case.described()];
        row.extend(Counters::NAMES.map(|name| micros(work[name])));
        table.row(row);
    }
    any.then_some(table)
}

/// What each index takes.
pub fn space_table(report: &Report) -> Table {
    let mut table = Table::new(
        [
            "index",
            "codec",
            "documents",
            "postings",
            "file bytes",
            "bytes/posting",
            "entropy of gaps + impacts",
            "queries",
            "terms/query",
            "postings/query",
            "encoding µs/query",
            "content id",
        ],
        2,
    );
    for index in &report.indexes {
        let space = &index.space;
        let queries = index.queries.len().max(1) as f64;
        let terms = index.queries.iter().map(|q| q.terms).sum::<usize>() as f64 / queries;
        let postings = index.queries.iter().map(|q| q.postings).sum::<u64>() as f64 / queries;
        let order = if index.reordered { ", reordered" } else { "" };
        table.row([
            index.name.clone(),
            format!("{}{order}", index.codec),
            group(index.documents),
            group(space.postings),
            group(space.file_bytes),
            format!("{:.3}", space.bytes_per_posting),
            format!(
                "{:.3} = ({:.2} + {:.2} bits)/8",
                space.entropy_bytes(),
                space.gap_bits,
                space.impact_bits
            ),
            group(index.queries.len() as u64),
            format!("{terms:.1}"),
            group(postings.round() as u64),
            encoding(index),
            index.content_id.clone(),
        ]);
    }
    table
}

fn encoding(index: &IndexReport) -> String {
    let texts = index.queries.iter().any(|query| query.encoding > 0);
    if texts { micros(index.encoding.mean) } else { "–".into() }
}

/// "1 pass" or "5 passes".
pub(super) fn passes(runs: usize) -> String {
    format!("{runs} pass{}", if runs == 1 { "" } else { "es" })
}

/// How the closed loop was run, one line.
pub fn protocol(report: &Report) -> String {
    let core =
        report.protocol.cpu.map_or("not pinned".to_owned(), |cpu| format!("pinned to core {cpu}"));
    format!(
        "closed loop, one thread {core}; one pass to warm up, then {}; of each query its best \
         pass; µs over all queries; {}",
        passes(report.protocol.runs),
        utc(report.started)
    )
}

/// The machine, one line.
pub fn machine(report: &Report) -> String {
    let facts = report.machine.facts();
    let facts: Vec<String> = facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    facts.join("; ")
}

/// All of it in Markdown.
pub fn markdown(report: &Report) -> String {
    let arrivals = arrivals(report).map(|line| format!("\n{line}.\n"));
    let optional = [load_table(report), work_table(report)];
    let optional: String =
        optional.iter().flatten().map(|table| format!("\n{}", table.to_markdown())).collect();
    format!(
        "{}.\n\n{}{}{optional}\n{}\n{}.\n",
        protocol(report),
        latency_table(report).to_markdown(),
        arrivals.unwrap_or_default(),
        space_table(report).to_markdown(),
        machine(report),
    )
}

/// Whether a report can be written into `dir`: a folder, or a name in one.
///
/// # Errors
/// A file is there, or the folder that `dir` would be made in is not.
pub fn check_dir(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if dir.exists() {
        return Err(Error::data(dir, Place::File, "`report` is there and is no folder")
            .hint("give the name of a folder"));
    }
    let parent = folder(dir);
    if parent.is_dir() {
        return Ok(());
    }
    Err(Error::data(parent, Place::File, "no such folder to write to").hint("create it first"))
}

/// Makes the folder of a report, if it is not there.
pub(super) fn make_dir(dir: &Path) -> Result<()> {
    check_dir(dir)?;
    // Another program may have made it since.
    match std::fs::create_dir(dir) {
        Err(e) if !dir.is_dir() => Err(Error::io("create", dir, e)),
        _ => Ok(()),
    }
}

/// Writes `report.json`, `report.md`, `report.html`, `cases.csv`, `queries.csv` and, where
/// these were measured, `open_loop.csv` and `throughput.csv` into `dir`, which is made if it
/// is not there; each file appears when it is complete.
///
/// # Errors
/// Those of [`check_dir`], and what the system says.
pub fn write(report: &Report, dir: &Path) -> Result<()> {
    make_dir(dir)?;
    let json = serde_json::to_string_pretty(report)
        .map_err(|e| Error::Internal(format!("the report does not encode: {e}")))?;
    publish(dir, "report.json", &(json + "\n"))?;
    publish(dir, "report.md", &markdown(report))?;
    publish(dir, "report.html", &html::page(report))?;
    publish(dir, "cases.csv", &csv::cases(report)?)?;
    for (name, text) in
        [("open_loop.csv", csv::open_loop(report)?), ("throughput.csv", csv::throughput(report)?)]
    {
        text.map_or(Ok(()), |text| publish(dir, name, &text))?;
    }
    publish(dir, "queries.csv", &csv::queries(report)?)
}

/// Writes a file of `dir`.
pub(super) fn publish(dir: &Path, name: &str, text: &str) -> Result<()> {
    let path = dir.join(name);
    let mut file = OutputFile::create(&path)?;
    file.write_all(text.as_bytes()).map_err(|e| Error::io("write", &path, e))?;
    file.publish()
}

/// Seconds since 1970 as `2026-11-25 16:20 UTC` (days to civil date: Hinnant's algorithm).
pub(super) fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest % 3600 / 60)
}

#[cfg(test)]
mod tests {
    use super::super::run::sample_report;
    use super::*;

    #[test]
    fn days_become_dates() {
        let got = [0, 951_782_400, 1_764_088_800, 4_102_444_799].map(utc);
        let expected = [
            "1970-01-01 00:00 UTC",
            "2000-02-29 00:00 UTC",
            "2025-11-25 16:40 UTC",
            "2099-12-31 23:59 UTC",
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn a_report_is_seven_files_that_name_every_index() {
        let (report, dir) = (sample_report(), tempfile::tempdir().unwrap());
        let target = dir.path().join("report");
        write(&report, &target).unwrap();
        let mut names: Vec<String> = std::fs::read_dir(&target)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = [
            "cases.csv",
            "open_loop.csv",
            "queries.csv",
            "report.html",
            "report.json",
            "report.md",
            "throughput.csv",
        ];
        assert_eq!(names, expected);
        for name in names {
            let text = std::fs::read_to_string(target.join(&name)).unwrap();
            let second = if name == "report.html" { "&lt;two&gt;" } else { "<two>" };
            assert!(text.contains("one") && text.contains(second), "{name}");
        }
        let json = std::fs::read_to_string(target.join("report.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["cases"].as_array().unwrap().len(), 8);
        assert!(json["cases"][0]["best"]["p99"].as_f64().unwrap() > 0.0);
    }

    #[test]
    fn only_the_last_folder_of_a_path_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let error = make_dir(&dir.path().join("absent/report")).unwrap_err().to_string();
        assert!(error.ends_with("absent: no such folder to write to; create it first"), "{error}");
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(check_dir(&dir.path().join("file")).is_err());
        for _ in 0..2 {
            make_dir(&dir.path().join("report")).unwrap();
        }
        assert!(dir.path().join("report").is_dir());
    }

    #[test]
    fn the_load_table_is_there_only_with_loads() {
        let mut report = sample_report();
        assert_eq!(load_table(&report).unwrap().to_string().lines().count(), 1 + 2 * 8);
        assert!(arrivals(&report).unwrap().contains("Poisson arrivals, 500/s in the mean"));
        assert!(markdown(&report).contains("Poisson arrivals, 500/s in the mean"));
        for case in &mut report.cases {
            (case.open_loop, case.throughput) = (None, None);
        }
        assert_eq!((load_table(&report), arrivals(&report)), (None, None));
    }
}
