//! The four questions of the report as charts.

use super::super::run::{CaseReport, IndexReport, Report};
use crate::page::plot::{Axis, Chart, Series};

/// A question, and one chart for each index and k that answers it.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) explanation: &'static str,
    pub(super) charts: Vec<Chart>,
}

/// Points of a distribution curve.
const CURVE_POINTS: usize = 200;
/// Groups of queries of like length.
const LENGTH_GROUPS: usize = 10;

const LATENCY: Axis = Axis { label: "latency, µs (log)", log: true, from_zero: false };

/// The sections that the cases have data for.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    let all = [pareto(report), by_k(report), distribution(report), by_length(report)];
    all.into_iter().filter(|section| !section.charts.is_empty()).collect()
}

/// Algorithms of the report in order of appearance: their position is their colour.
pub(super) fn algorithms(report: &Report) -> Vec<&'static str> {
    let mut names = Vec::new();
    for case in &report.cases {
        if !names.contains(&case.algorithm) {
            names.push(case.algorithm);
        }
    }
    names
}

fn colour(report: &Report, case: &CaseReport) -> usize {
    algorithms(report).iter().position(|&name| name == case.algorithm).unwrap_or(0)
}

/// Cases of one index and one k: what one chart compares.
fn panels(report: &Report) -> Vec<(String, &IndexReport, Vec<&CaseReport>)> {
    let mut panels: Vec<(usize, usize, Vec<&CaseReport>)> = Vec::new();
    for case in &report.cases {
        match panels.iter_mut().find(|(index, k, _)| (*index, *k) == (case.index, case.k)) {
            Some((_, _, cases)) => cases.push(case),
            None => panels.push((case.index, case.k, vec![case])),
        }
    }
    let named = panels.into_iter().map(|(index, k, cases)| {
        let index = &report.indexes[index];
        (format!("{}, k = {k}", index.name), index, cases)
    });
    named.collect()
}

fn distribution(report: &Report) -> Section {
    let curve = |case: &CaseReport| {
        let mut times = case.times.best.clone();
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        let steps = CURVE_POINTS.min(last).max(1);
        let at = |step: usize| {
            let i = step * last / steps;
            (times[i] as f64 / 1e3, 100.0 * (i + 1) as f64 / times.len() as f64)
        };
        if times.is_empty() { Vec::new() } else { (0..=steps).map(at).collect() }
    };
    let chart = |(title, _, cases): (String, &IndexReport, Vec<&CaseReport>)| Chart {
        title,
        x: LATENCY,
        y: Axis { label: "queries answered, %", log: false, from_zero: true },
        series: cases.iter().map(|case| line(report, case, curve(case), false)).collect(),
    };
    Section {
        title: "Latency distribution",
        explanation: "Share of the queries that took no longer than so many µs. Further left is \
                      faster; a long slope to the right is a long tail.",
        charts: panels(report).into_iter().map(chart).collect(),
    }
}

fn by_length(report: &Report) -> Section {
    let chart = |(title, index, cases): (String, &IndexReport, Vec<&CaseReport>)| {
        let groups = length_groups(index);
        let points = |case: &CaseReport| {
            let point = |group: &Vec<usize>| {
                let mean = |f: &dyn Fn(usize) -> f64| {
                    group.iter().map(|&q| f(q)).sum::<f64>() / group.len() as f64
                };
                let terms = mean(&|q| index.queries[q].terms as f64);
                (terms, mean(&|q| case.times.best[q] as f64 / 1e3))
            };
            groups.iter().map(point).collect()
        };
        let series: Vec<Series> =
            cases.iter().map(|case| line(report, case, points(case), true)).collect();
        let x = Axis { label: "terms of the query", log: false, from_zero: true };
        (groups.len() > 1).then_some(Chart { title, x, y: LATENCY, series })
    };
    Section {
        title: "Latency and query length",
        explanation: "Mean latency of queries with about as many terms (ten groups of equal size).",
        charts: panels(report).into_iter().filter_map(chart).collect(),
    }
}

/// Queries by number of terms in groups of about equal size; one number of terms is never
/// split between groups. Queries without terms are left out.
fn length_groups(index: &IndexReport) -> Vec<Vec<usize>> {
    let terms = |q: &usize| index.queries[*q].terms;
    let mut order: Vec<usize> = (0..index.queries.len()).filter(|q| terms(q) > 0).collect();
    order.sort_by_key(terms);
    let size = order.len().div_ceil(LENGTH_GROUPS).max(1);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for same in order.chunk_by(|a, b| terms(a) == terms(b)) {
        match groups.last_mut() {
            Some(group) if group.len() < size => group.extend(same),
            _ => groups.push(same.to_vec()),
        }
    }
    groups
}

fn by_k(report: &Report) -> Section {
    let chart = |(i, index): (usize, &IndexReport)| {
        let series = algorithms(report).into_iter().enumerate().map(|(colour, name)| {
            let cases = report.cases.iter().filter(|c| c.index == i && c.algorithm == name);
            let mut points: Vec<_> = cases.map(|c| (c.k as f64, c.best.mean)).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Series { name: name.into(), colour, points, line: true, dots: true, label: None }
        });
        let series: Vec<Series> = series.collect();
        let x = Axis { label: "k (log)", log: true, from_zero: false };
        let several = series.iter().any(|s| s.points.len() > 1);
        several.then(|| Chart { title: index.name.clone(), x, y: LATENCY, series })
    };
    Section {
        title: "Latency and k",
        explanation: "Mean latency by the number of results.",
        charts: report.indexes.iter().enumerate().filter_map(chart).collect(),
    }
}

/// Indexes of the same documents are compared by their bytes: what one encoding makes of a
/// document may be few large postings or many small ones. Those of other documents can only
/// be compared by bytes a posting.
fn pareto(report: &Report) -> Section {
    let mut ks: Vec<usize> = report.cases.iter().map(|case| case.k).collect();
    ks.sort_unstable();
    ks.dedup();
    let same = report.indexes.windows(2).all(|pair| pair[0].collection == pair[1].collection);
    let (unit, label) = if same { size_unit(report) } else { (1.0, "bytes a posting") };
    let size = |index: &IndexReport| match same {
        true => index.space.file_bytes as f64 / unit,
        false => index.space.bytes_per_posting,
    };
    let chart = |k: usize| {
        let cases = || report.cases.iter().filter(|case| case.k == k);
        let fastest = |case: &CaseReport| {
            let of_index = cases().filter(|other| other.index == case.index);
            let best = of_index.min_by(|a, b| a.best.mean.total_cmp(&b.best.mean));
            best.is_some_and(|best| std::ptr::eq(best, case))
        };
        let series = cases().map(|case| {
            let index = &report.indexes[case.index];
            Series {
                name: format!("{}, {}", index.name, case.described()),
                colour: colour(report, case),
                points: vec![(size(index), case.best.mean)],
                line: false,
                dots: true,
                // All points of an index stand above each other: one name is enough.
                label: fastest(case).then(|| index.name.clone()),
            }
        });
        let x = Axis { label, log: false, from_zero: same };
        Chart { title: format!("k = {k}"), x, y: LATENCY, series: series.collect() }
    };
    let charts =
        if report.indexes.len() > 1 { ks.into_iter().map(chart).collect() } else { vec![] };
    Section {
        title: "Bytes and latency",
        explanation: match same {
            true => {
                "Mean latency against the size of the index file; all indexes hold the same \
                 documents. What has nothing further down and left of it is worth having."
            }
            false => {
                "Mean latency against bytes a posting (lists and their directories), as the \
                 indexes hold different documents. What has nothing further down and left of it \
                 is worth having."
            }
        },
        charts,
    }
}

/// Bytes of a unit in which the largest index is a number of few digits, and its axis.
fn size_unit(report: &Report) -> (f64, &'static str) {
    let largest = report.indexes.iter().map(|index| index.space.file_bytes).max().unwrap_or(0);
    match largest {
        1_000_000_000.. => (1e9, "index file, GB"),
        1_000_000.. => (1e6, "index file, MB"),
        _ => (1e3, "index file, KB"),
    }
}

fn line(report: &Report, case: &CaseReport, points: Vec<(f64, f64)>, dots: bool) -> Series {
    let colour = colour(report, case);
    Series { name: case.algorithm.into(), colour, points, line: true, dots, label: None }
}

#[cfg(test)]
mod tests {
    use super::super::super::run::sample_report;
    use super::*;

    #[test]
    fn a_report_of_two_indexes_and_two_depths_has_every_section() {
        let report = sample_report();
        let counts: Vec<usize> = sections(&report).iter().map(|s| s.charts.len()).collect();
        assert_eq!(counts, [2, 2, 4, 4]);
        assert_eq!(algorithms(&report), ["auto", "wand"]);
    }

    #[test]
    fn indexes_of_the_same_documents_are_compared_by_their_bytes() {
        let mut report = sample_report();
        let axis = |report: &Report| {
            let chart = &pareto(report).charts[0];
            (chart.x.label, chart.series[0].points[0].0)
        };
        let bytes = report.indexes[0].space.file_bytes as f64;
        assert_eq!(axis(&report), ("index file, KB", bytes / 1e3));
        // One name an index, whatever the number of algorithms.
        let charts = pareto(&report).charts;
        let mut names: Vec<_> = charts[0].series.iter().filter_map(|s| s.label.clone()).collect();
        names.sort();
        assert_eq!(names, ["<two>", "one"]);
        report.indexes[1].collection.0 += 1;
        let expected = report.indexes[0].space.bytes_per_posting;
        assert_eq!(axis(&report), ("bytes a posting", expected));
    }

    #[test]
    fn sections_without_data_are_left_out() {
        let mut report = sample_report();
        report.cases.retain(|case| case.index == 0 && case.k == 1);
        report.indexes.truncate(1);
        let titles: Vec<&str> = sections(&report).iter().map(|s| s.title).collect();
        assert_eq!(titles, ["Latency distribution", "Latency and query length"]);
    }

    #[test]
    fn groups_never_split_a_length_and_hold_every_query_with_terms() {
        let mut index = sample_report().indexes.remove(0);
        let one = index.queries[0].clone();
        let lengths = (0..97).map(|i| [1, 2, 2, 2, 5, 0, 9][i % 7]);
        index.queries =
            lengths.map(|terms| super::super::super::QueryFacts { terms, ..one.clone() }).collect();
        let groups = length_groups(&index);
        assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), 97 - 14);
        let terms: Vec<Vec<usize>> =
            groups.iter().map(|g| g.iter().map(|&q| index.queries[q].terms).collect()).collect();
        assert!(terms.windows(2).all(|w| w[0].last() < w[1].first()), "{terms:?}");
    }
}
