//! The page of a benchmark.

use super::super::run::Report;
use super::charts::{self, Section};
use crate::page::{self, document, wide};
use crate::table::{Table, escape};

/// Cases whose table still stands before the charts.
const SHORT_TABLE: usize = 12;

/// The report's page.
pub(super) fn page(report: &Report) -> String {
    let figures = format!(
        "<h2>Latency</h2>\n<p>µs; of each query its best pass.</p>\n{}",
        wide(&super::latency_table(report))
    );
    let charts: String = charts::sections(report).iter().map(|s| section(report, s)).collect();
    let short = report.cases.len() <= SHORT_TABLE;
    let parts = if short { [figures, charts] } else { [charts, figures] };
    let mut body = format!(
        "<h1>splindex benchmark</h1>\n<p>{}.</p>\n{}",
        escape(&super::protocol(report)),
        parts.concat()
    );
    if let Some(load) = super::load_table(report) {
        let arrivals = super::arrivals(report).map(|line| format!("{line}. ")).unwrap_or_default();
        body.push_str(&format!(
            "<h2>Under load</h2>\n<p>{}All busy: every thread answers as fast as it can. Times in \
             µs.</p>\n{}",
            escape(&arrivals),
            wide(&load)
        ));
    }
    body.push_str(&format!("<h2>Indexes</h2>\n{}", wide(&super::space_table(report))));
    let mut machine = Table::new(["machine", ""], 2);
    for (name, value) in report.machine.facts() {
        machine.row([name.to_owned(), value]);
    }
    body.push_str(&format!("<h2>Machine</h2>\n{}", wide(&machine)));
    document("splindex benchmark", &body)
}

fn section(report: &Report, section: &Section) -> String {
    page::section(section.title, section.explanation, &charts::algorithms(report), &section.charts)
}

#[cfg(test)]
mod tests {
    use super::super::super::run::sample_report;
    use super::*;

    #[test]
    fn the_page_loads_nothing_and_closes_what_it_opens() {
        let page = page(&sample_report());
        page::check(&page);
    }
}
