//! Aligned tables for terminals.

use std::fmt;

/// Columns as wide as their widest cell; the first few flush left, numbers flush right.
pub struct Table {
    left: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a header row, its first `left` columns flush left.
    pub fn new(header: impl IntoIterator<Item = String>, left: usize) -> Self {
        Table { left, rows: vec![header.into_iter().collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |c: usize| {
            self.rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (c, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = if c == 0 { "" } else { "  " };
                if c < self.left {
                    line += &format!("{gap}{cell:<width$}");
                } else {
                    line += &format!("{gap}{cell:>width$}");
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_flush_left_and_numbers_flush_right() {
        let cells = |row: [&str; 3]| row.map(str::to_owned);
        let mut table = Table::new(cells(["run", "n", "ndcg@10"]), 1);
        table.row(cells(["été.run", "10", "0.5000"]));
        table.row(cells(["b", "9", "1"]));
        let expected = "run       n  ndcg@10\nété.run  10   0.5000\nb         9        1\n";
        assert_eq!(table.to_string(), expected);
    }
}
