//! The page of one index: its facts and its model, how lists, impacts and bytes are
//! distributed, and which lists are the longest.

use serde_json::Value;

use super::plot::{Axis, Chart, Series};
use super::{document, gallery, section, wide};
use crate::index::{Index, ListStatistics, Statistics, TermId};
use crate::table::{Table, escape, group};

/// Lists that the page names.
const LONGEST: usize = 20;

/// Points of the df curve.
const CURVE_POINTS: usize = 200;

/// Lists whose df has the same number of binary digits.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Class {
    lists: u64,
    postings: u64,
    bytes: u64,
    gap_bits: f64,
    impact_bits: f64,
}

/// The page.
pub(crate) fn page(index: &Index, statistics: &Statistics) -> String {
    let classes = classes(statistics);
    let name = index.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let postings: Chart = by_class(
        "Postings",
        Axis { label: "share of all postings, %", log: false, from_zero: true },
        &classes,
        &[("", |c, all| 100.0 * c.postings as f64 / all.max(1) as f64)],
    );
    let bits = by_class(
        "Bits a posting",
        // A list of one posting takes hundreds of bits, of which a record is most.
        Axis { label: "bits a posting (log)", log: true, from_zero: false },
        &classes,
        &[
            ("stored, all included", |c, _| 8.0 * c.bytes as f64 / c.postings as f64),
            ("entropy of gaps and impacts", |c, _| {
                (c.gap_bits + c.impact_bits) / c.postings as f64
            }),
            ("entropy of gaps", |c, _| c.gap_bits / c.postings as f64),
            ("entropy of impacts", |c, _| c.impact_bits / c.postings as f64),
        ],
    );
    let body = [
        format!("<h1>{}</h1>\n<p>content id {}</p>\n", escape(&name), index.content_id()),
        wide(&facts(index, statistics)),
        model(index).map_or(String::new(), |model| format!("<h2>Model</h2>\n{}", wide(&model))),
        gallery(
            "Lists and impacts",
            "Length of each term's list, terms by rank; where the postings are, lists in classes of \
             doubling length; how often each impact stands in the lists.",
            &[df_curve(statistics), postings, impacts(statistics)],
        ),
        section(
            "Bits by list length",
            "What a posting takes with its share of block entries and term records, and what its \
             list's own distribution would need.",
            &[
                "stored, all included",
                "entropy of gaps and impacts",
                "entropy of gaps",
                "entropy of impacts",
            ],
            &[bits],
        ),
        format!("<h2>List lengths</h2>\n{}", wide(&class_table(&classes))),
        format!("<h2>Longest lists</h2>\n{}", wide(&longest(index, statistics))),
        format!("<h2>Sections</h2>\n{}", wide(&sections(index))),
    ];
    document(&format!("splindex: {name}"), &body.concat())
}

fn classes(statistics: &Statistics) -> Vec<Class> {
    let mut classes = vec![Class::default(); 33];
    for list in &statistics.lists {
        let class = &mut classes[(u32::BITS - list.df.leading_zeros()) as usize];
        class.lists += 1;
        class.postings += u64::from(list.df);
        class.bytes += list.bytes;
        class.gap_bits += list.gap_bits;
        class.impact_bits += list.impact_bits;
    }
    let used = classes.iter().rposition(|c| c.lists > 0).map_or(0, |last| last + 1);
    classes.truncate(used);
    classes
}

type Measure = fn(&Class, u64) -> f64;

/// One line a value over the classes that have lists, at the middle of each class.
fn by_class(title: &str, y: Axis, classes: &[Class], values: &[(&str, Measure)]) -> Chart {
    let all: u64 = classes.iter().map(|c| c.postings).sum();
    let series = values.iter().enumerate().map(|(colour, (name, value))| {
        let used = classes.iter().enumerate().filter(|(_, c)| c.lists > 0);
        let points = used
            .map(|(i, c)| (0.75 * f64::from(i as u32).exp2(), value(c, all)))
            .filter(|&(_, value)| value > 0.0 || !y.log)
            .collect();
        Series { name: (*name).into(), colour, points, line: true, dots: true, label: None }
    });
    Chart {
        title: title.into(),
        x: Axis { label: "postings of the list (log)", log: true, from_zero: false },
        y,
        series: series.collect(),
    }
}

fn df_curve(statistics: &Statistics) -> Chart {
    let mut dfs: Vec<u32> = statistics.lists.iter().map(|l| l.df).collect();
    dfs.sort_unstable_by(|a, b| b.cmp(a));
    let n = dfs.len() as f64;
    // Ranks evenly spaced on a log scale, each once.
    let mut ranks: Vec<usize> =
        (0..=CURVE_POINTS).map(|i| n.powf(i as f64 / CURVE_POINTS as f64) as usize).collect();
    ranks.dedup();
    let points = ranks
        .into_iter()
        .filter_map(|rank| Some((rank as f64, f64::from(*dfs.get(rank.checked_sub(1)?)?))))
        .collect();
    Chart {
        title: "Documents of the terms".into(),
        x: Axis { label: "rank of the term (log)", log: true, from_zero: false },
        y: Axis { label: "documents (log)", log: true, from_zero: false },
        series: vec![plain(points, false)],
    }
}

fn impacts(statistics: &Statistics) -> Chart {
    let all: u64 = statistics.impacts.iter().sum();
    let share = |n: u64| 100.0 * n as f64 / all.max(1) as f64;
    let points = statistics.impacts.iter().enumerate().skip(1);
    let points = points.map(|(impact, &n)| (impact as f64, share(n))).collect();
    Chart {
        title: "Impacts".into(),
        x: Axis { label: "impact", log: false, from_zero: true },
        y: Axis { label: "share of the postings, %", log: false, from_zero: true },
        series: vec![plain(points, false)],
    }
}

fn plain(points: Vec<(f64, f64)>, dots: bool) -> Series {
    Series { name: String::new(), colour: 0, points, line: true, dots, label: None }
}

fn facts(index: &Index, statistics: &Statistics) -> Table {
    let meta = index.meta();
    let sum = |f: fn(&ListStatistics) -> f64| -> f64 {
        statistics.lists.iter().map(f).sum::<f64>() / meta.postings.max(1) as f64
    };
    let mut table = Table::new(["index", ""], 2);
    for (name, value) in [
        ("documents", group(meta.documents)),
        ("terms", group(meta.terms)),
        ("postings", group(meta.postings)),
        (
            "postings a document",
            format!("{:.1}", meta.postings as f64 / meta.documents.max(1) as f64),
        ),
        ("codec", meta.codec.name().into()),
        ("document order", if meta.reordered { "reordered" } else { "input" }.into()),
        ("bytes of the file", group(index.file_len())),
        ("bits a posting, stored", format!("{:.2}", sum(|l| 8.0 * l.bytes as f64))),
        ("entropy of gaps", format!("{:.2} bits a posting", sum(|l| l.gap_bits))),
        ("entropy of impacts", format!("{:.2} bits a posting", sum(|l| l.impact_bits))),
        ("made by", index.provenance().tool),
    ] {
        table.row([name.to_owned(), value]);
    }
    table
}

/// What the manifest of the vectors says of their making; nothing for BM25.
fn model(index: &Index) -> Option<Table> {
    let facts = model_facts(&index.provenance().model?);
    let mut table = Table::new(["model", ""], 2);
    for (name, value) in facts {
        table.row([name, value]);
    }
    Some(table)
}

/// Names and values of a JSON object, those of objects in it included; what is null or an empty
/// text is left out.
pub(crate) fn model_facts(model: &Value) -> Vec<(String, String)> {
    fn add(facts: &mut Vec<(String, String)>, name: &str, value: &Value) {
        let text = match value {
            Value::Object(map) => {
                return map.iter().for_each(|(name, value)| add(facts, name, value));
            }
            Value::Null => return,
            Value::Bool(flag) => (if *flag { "yes" } else { "no" }).to_owned(),
            Value::String(text) if text.is_empty() => return,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        facts.push((name.replace('_', " "), text));
    }
    let mut facts = Vec::new();
    add(&mut facts, "", model);
    facts
}

/// The terms that stand in the most documents, and what their lists take.
fn longest(index: &Index, statistics: &Statistics) -> Table {
    let mut terms: Vec<TermId> = (0..statistics.lists.len() as TermId).collect();
    let list = |term: TermId| statistics.lists[term as usize];
    terms.sort_by_key(|&term| (std::cmp::Reverse(list(term).df), term));
    terms.truncate(LONGEST);
    let hybrid = index.meta().is_hybrid();
    let mut header = vec!["token"];
    header.extend(hybrid.then_some("field"));
    header.extend(["documents", "share, %", "bytes", "bits a posting", "largest impact"]);
    let mut table = Table::new(header, 1 + usize::from(hybrid));
    for term in terms {
        let (field, token) = index.lexicon().token(term);
        let ListStatistics { df, bytes, .. } = list(term);
        let share = 100.0 * f64::from(df) / f64::from(index.documents().max(1));
        let mut row = vec![token.to_owned()];
        row.extend(hybrid.then(|| index.meta().field_name(field).to_owned()));
        row.extend([
            group(df.into()),
            format!("{share:.1}"),
            group(bytes),
            format!("{:.2}", 8.0 * bytes as f64 / f64::from(df.max(1))),
            index.term(term).max_impact.to_string(),
        ]);
        table.row(row);
    }
    table
}

fn class_table(classes: &[Class]) -> Table {
    let header = [
        "postings of the list",
        "lists",
        "postings",
        "bits a posting",
        "gaps, entropy",
        "impacts, entropy",
    ];
    let mut table = Table::new(header, 1);
    for (i, class) in classes.iter().enumerate().filter(|(_, c)| c.lists > 0) {
        let (low, high) = (1u64 << i >> 1, (1u64 << i) - 1);
        let a_posting = |sum: f64| format!("{:.2}", sum / class.postings.max(1) as f64);
        table.row([
            if low == high { group(low) } else { format!("{} to {}", group(low), group(high)) },
            group(class.lists),
            group(class.postings),
            a_posting(8.0 * class.bytes as f64),
            a_posting(class.gap_bits),
            a_posting(class.impact_bits),
        ]);
    }
    table
}

fn sections(index: &Index) -> Table {
    let mut table = Table::new(["section", "bytes", "bytes a posting"], 1);
    for (kind, section) in index.sections() {
        let len = section.len.get();
        let share = len as f64 / index.meta().postings.max(1) as f64;
        table.row([kind.label().to_owned(), group(len), format!("{share:.3}")]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::builder::{BuildOptions, Collection, build};
    use crate::format::Provenance;
    use crate::progress::Silent;

    #[test]
    fn the_page_of_an_index_stands_alone_and_counts_every_posting() {
        let mut collection = Collection::default();
        for i in 0..100u32 {
            let tokens: Vec<String> =
                (0..7).filter(|t| i % (t + 1) == 0).map(|t| format!("<{t}>")).collect();
            let vector = tokens.iter().map(|t| (t.as_str(), 1.0 + (i % 50) as f32));
            collection.push(&format!("d{i}"), vector).unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("<x>.spx");
        let model =
            json!({"model": {"name": "<tiny>", "licence": ""}, "top": null, "max_length": 256});
        let provenance = Provenance { model: Some(model), ..Provenance::default() };
        let options = BuildOptions { provenance, ..BuildOptions::default() };
        build(&collection, None, &options, &path, &Silent).unwrap();
        let index = Index::open(&path).unwrap();
        let statistics = index.statistics().unwrap();
        let classes = classes(&statistics);
        assert_eq!(classes.iter().map(|c| c.postings).sum::<u64>(), index.meta().postings);
        assert_eq!(statistics.impacts.iter().sum::<u64>(), index.meta().postings);
        assert_eq!(classes[7].lists, 1, "one term is in all 100 documents");
        let page = page(&index, &statistics);
        crate::page::check(&page);
        assert!(page.contains("&lt;x&gt;.spx") && page.matches("<svg").count() == 4);
        for (name, value) in [("name", "&lt;tiny&gt;"), ("max length", "256")] {
            let row = format!("<td class=\"left\">{name}</td><td class=\"left\">{value}</td>");
            assert!(page.contains(&row), "{row}");
        }
        assert!(!page.contains(">licence<") && !page.contains(">top<"));
        let lists = page.split("<h2>Longest lists</h2>").nth(1).unwrap();
        let first = lists.find("<td class=\"left\">&lt;0&gt;</td><td>100</td><td>100.0</td>");
        let second = lists.find("<td class=\"left\">&lt;1&gt;</td><td>50</td><td>50.0</td>");
        assert!(first.unwrap() < second.unwrap());
    }
}
