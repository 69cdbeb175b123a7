//! HTML pages: tables and charts.
//!
//! Architecture invariant: a page is one file that runs no script and loads nothing from
//! anywhere.

pub(crate) mod diff;
pub(crate) mod inspect;
pub(crate) mod plot;

use crate::table::{Table, escape};
use plot::{Chart, Extent};

const STYLE: &str = "
:root{--page:#fcfcfb;--ink:#1a1a19;--quiet:#62615c;--rule:#e1e0d9;--s0:#2a78d6;--s1:#eb6834;--s2:#1baf7a;
--s3:#9085e9;--s4:#eda100;--s5:#e34948;--s6:#0b8a9e;--s7:#e87ba4}
@media (prefers-color-scheme:dark){:root{--page:#1a1a19;--ink:#f3f2ec;--quiet:#a9a8a1;--rule:#383835;
--s0:#3987e5;--s1:#d95926;--s2:#199e70;--s3:#9085e9;--s4:#c98500;--s5:#e66767;--s6:#26a3b8;--s7:#d55181}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1280px;padding:28px 24px 60px;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:38px 0 2px}
p{margin:0 0 12px;color:var(--quiet);max-width:78ch}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:0 0 8px;color:var(--ink);font-size:14px}
.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;vertical-align:-1px}
.grid-of-charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,360px),1fr));gap:14px 26px}
svg{width:100%;height:auto;display:block;overflow:visible}
svg text{fill:var(--ink);font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
svg .title{font-size:14px;font-weight:600}svg .tick,svg .label{fill:var(--quiet)}
svg .grid{stroke:var(--rule);fill:none}svg .axis{stroke:var(--quiet);fill:none}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round}svg .dot{stroke:var(--page);stroke-width:1.5}
.wide{overflow-x:auto;margin:8px 0 16px}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:4px 12px 4px 0;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
.left{text-align:left}th{color:var(--quiet);font-weight:600}
";

/// A whole document around `body`.
pub(crate) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\">\n<title>{}</title>\n<style>{STYLE}</style>\
         </head>\n<body>\n{body}</body></html>\n",
        escape(title)
    )
}

/// A table that scrolls by itself where the window is narrow.
pub(crate) fn wide(table: &Table) -> String {
    format!("<div class=\"wide\">{}</div>\n", table.to_html())
}

/// Charts drawn to one scale under a heading, with a legend of the palette's `names`.
pub(crate) fn section(title: &str, explanation: &str, names: &[&str], charts: &[Chart]) -> String {
    let key = |(i, name): (usize, &&str)| {
        format!("<span><i style=\"background:var(--s{i})\"></i>{}</span>", escape(name))
    };
    let legend: String = names.iter().enumerate().map(key).collect();
    let extent = Extent::of(charts);
    let charts: Vec<String> = charts.iter().map(|chart| chart.svg(extent)).collect();
    let legend = format!("<div class=\"legend\">{legend}</div>\n");
    format!("<h2>{title}</h2>\n<p>{explanation}</p>\n{legend}{}", grid(&charts))
}

/// Charts of different things, each to its own scale.
pub(crate) fn gallery(title: &str, explanation: &str, charts: &[Chart]) -> String {
    let own = |chart: &Chart| chart.svg(Extent::of(std::slice::from_ref(chart)));
    let charts: Vec<String> = charts.iter().map(own).collect();
    format!("<h2>{title}</h2>\n<p>{explanation}</p>\n{}", grid(&charts))
}

fn grid(pictures: &[String]) -> String {
    let cells: String = pictures.iter().map(|svg| format!("<div>{svg}</div>")).collect();
    format!("<div class=\"grid-of-charts\">{cells}</div>\n")
}

/// Panics unless `page` loads nothing and closes what it opens.
#[cfg(test)]
pub(crate) fn check(page: &str) {
    for outside in ["http://", "https://", "src=", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for tag in ["svg", "table", "div", "text", "path"] {
        let opened =
            page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
        let empty = if tag == "path" { page.matches("/>").count() } else { 0 };
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count() + empty, "{tag}");
    }
}
