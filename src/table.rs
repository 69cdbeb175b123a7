//! Tables for terminals, Markdown and HTML from the same cells.

use std::fmt;

/// A table of text cells; the first columns are flush left, the others right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    left: usize,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows, its first `left` columns flush left.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>, left: usize) -> Self {
        Table { left, header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row of as many cells as the header has.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.header.len(), String::new());
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        let column = |c: usize| {
            let cells = self.rows.iter().map(|row| &row[c]);
            cells.chain([&self.header[c]]).map(|s| s.chars().count()).max().unwrap_or(0)
        };
        (0..self.header.len()).map(column).collect()
    }

    /// The table for a terminal of `width` columns. One that is wider has headers of several
    /// lines; if that is not enough, the columns behind the first, flush left, go on below.
    pub fn within(&self, width: usize) -> String {
        if total(&self.widths()) <= width {
            return self.to_string();
        }
        // As few lines of headers as will do.
        for lines in 2..=MOST_LINES {
            let widths = self.widths_with(lines);
            if total(&widths) <= width {
                return self.wrapped(&widths);
            }
        }
        let widths = self.widths_with(MOST_LINES);
        let (keys, others) = (0..self.left, self.left..self.header.len());
        let mut parts: Vec<Vec<usize>> = Vec::new();
        for column in others {
            let with = |part: &[usize]| {
                let columns = keys.clone().chain(part.iter().copied()).chain([column]);
                total(&columns.map(|c| widths[c]).collect::<Vec<_>>())
            };
            match parts.last_mut() {
                Some(part) if with(part) <= width => part.push(column),
                _ => parts.push(vec![column]),
            }
        }
        if parts.len() < 2 {
            return self.wrapped(&widths);
        }
        let part = |part: &Vec<usize>| {
            let columns: Vec<usize> = keys.clone().chain(part.iter().copied()).collect();
            let cells = |row: &Vec<String>| columns.iter().map(|&c| row[c].clone()).collect();
            let rows = self.rows.iter().map(cells).collect();
            Table { left: self.left, header: cells(&self.header), rows }.within(width)
        };
        parts.iter().map(part).collect::<Vec<_>>().join("\n")
    }

    /// Widths with headers of up to so many lines.
    fn widths_with(&self, lines: usize) -> Vec<usize> {
        let column = |c: usize| {
            let header = &self.header[c];
            let cells = self.rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0);
            let word = header.split(' ').map(|word| word.chars().count()).max().unwrap_or(0);
            let mut widths = cells.max(word)..header.chars().count();
            let full = header.chars().count().max(cells);
            widths.find(|&width| wrap(header, width).len() <= lines).unwrap_or(full)
        };
        (0..self.header.len()).map(column).collect()
    }

    /// With headers of as many lines as `widths` need, their last ones above the cells.
    fn wrapped(&self, widths: &[usize]) -> String {
        let headers: Vec<Vec<String>> =
            self.header.iter().zip(widths).map(|(text, &width)| wrap(text, width)).collect();
        let lines = headers.iter().map(Vec::len).max().unwrap_or(0);
        let header = (0..lines).map(|line| {
            let cell = |header: &Vec<String>| {
                let above = lines - header.len();
                line.checked_sub(above).map_or(String::new(), |at| header[at].clone())
            };
            headers.iter().map(cell).collect()
        });
        let header: Vec<Vec<String>> = header.collect();
        let rows = header.iter().chain(&self.rows);
        rows.map(|row| format!("{}\n", self.line(row, widths))).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let pad = |(c, (cell, width)): (usize, (&String, &usize))| pad(cell, *width, c < self.left);
        let cells: Vec<String> = row.iter().zip(widths).enumerate().map(pad).collect();
        cells.join(GAP).trim_end().to_owned()
    }

    /// A Markdown table.
    pub fn to_markdown(&self) -> String {
        let align = (0..self.header.len()).map(|c| if c < self.left { "---" } else { "--:" });
        let align: Vec<String> = align.map(str::to_owned).collect();
        let mut text = String::new();
        for row in [&self.header, &align].into_iter().chain(&self.rows) {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        text
    }

    /// An HTML table.
    pub fn to_html(&self) -> String {
        let line = |tag: &str, row: &[String]| {
            let cell = |(c, cell): (usize, &String)| {
                let class = if c < self.left { " class=\"left\"" } else { "" };
                format!("<{tag}{class}>{}</{tag}>", escape(cell))
            };
            let cells: String = row.iter().enumerate().map(cell).collect();
            format!("<tr>{cells}</tr>\n")
        };
        let rows: String = self.rows.iter().map(|row| line("td", row)).collect();
        let header = line("th", &self.header);
        format!("<table>\n<thead>{header}</thead>\n<tbody>\n{rows}</tbody>\n</table>\n")
    }
}

/// Columns padded with spaces, for terminals.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in [&self.header].into_iter().chain(&self.rows) {
            writeln!(f, "{}", self.line(row, &widths))?;
        }
        Ok(())
    }
}

/// Between two columns.
const GAP: &str = "  ";
/// Lines of a header.
const MOST_LINES: usize = 4;

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

/// Lines of at most `width` characters, or of one word.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn pad(text: &str, width: usize, left: bool) -> String {
    let space = " ".repeat(width - text.chars().count());
    if left { format!("{text}{space}") } else { format!("{space}{text}") }
}

/// Text as HTML and SVG content and attribute values.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A number of µs with three significant digits, or all digits before the point.
pub(crate) fn micros(value: f64) -> String {
    match value {
        v if v >= 99.95 => group(v.round() as u64),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// 1234567 as 1,234,567.
pub(crate) fn group(number: u64) -> String {
    let digits = number.to_string();
    let first = (digits.len() - 1) % 3 + 1;
    let (head, tail) = digits.split_at(first);
    let tail = tail.as_bytes().chunks(3).map(|c| std::str::from_utf8(c).expect("ASCII digits"));
    std::iter::once(head).chain(tail).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["name", "µs"], 1);
        table.row(["a|b", "1.00"]);
        table.row(["<c>", "12,345"]);
        table
    }

    #[test]
    fn columns_line_up_in_characters() {
        assert_eq!(table().to_string(), "name      µs\na|b     1.00\n<c>   12,345\n");
    }

    #[test]
    fn a_wide_table_gets_headers_of_several_lines_then_parts() {
        let mut table = Table::new(["system", "MRR@10", "latency (retrieval), µs"], 1);
        table.row(["BM25", "0.7318", "3.64"]);
        assert_eq!(table.within(39), table.to_string());
        let two = "                        latency\n\
                   system  MRR@10  (retrieval), µs\nBM25    0.7318             3.64\n";
        assert_eq!(table.within(38), two);
        assert_eq!(table.within(31), two);
        let three = "                     latency\n                (retrieval),\n\
                     system  MRR@10            µs\nBM25    0.7318          3.64\n";
        assert_eq!(table.within(30), three);
        assert_eq!(table.within(28), three);
        let parts = "system  MRR@10\nBM25    0.7318\n\n\
                     \u{20}               latency\nsystem  (retrieval), µs\n\
                     BM25               3.64\n";
        assert_eq!(table.within(27), parts);
        // What cannot be parted any more is as wide as it is.
        assert_eq!(table.within(5).lines().count(), 2 + 1 + 4);
    }

    #[test]
    fn markup_in_cells_is_escaped() {
        assert_eq!(
            table().to_markdown(),
            "| name | µs |\n| --- | --: |\n| a\\|b | 1.00 |\n| <c> | 12,345 |\n"
        );
        assert!(
            table().to_html().contains("<tr><td class=\"left\">&lt;c&gt;</td><td>12,345</td></tr>")
        );
    }

    #[test]
    fn numbers_keep_three_digits_and_are_grouped() {
        let got = [0.004, 1.239, 9.996, 45.67, 99.96, 1234.5, 1_234_567.0].map(micros);
        assert_eq!(got, ["0.00", "1.24", "10.0", "45.7", "100", "1,235", "1,234,567"]);
    }
}
