//! Columns that stand under each other.

use std::fmt;

use crate::view::escaped;

/// A table. Columns of numbers stand to the right; the last column is as wide as it wants to be.
pub struct Table {
    headings: Vec<&'static str>,
    numeric: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; a heading that ends in `#` is a column of numbers.
    pub fn new(headings: &[&'static str]) -> Self {
        Self {
            headings: headings.iter().map(|heading| heading.trim_end_matches('#')).collect(),
            numeric: headings.iter().map(|heading| heading.ends_with('#')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    ///
    /// If it has not as many cells as there are headings.
    pub fn row<const N: usize>(&mut self, cells: [&str; N]) {
        assert_eq!(cells.len(), self.headings.len(), "a row has one cell for every heading");
        self.rows.push(cells.iter().map(|cell| escaped(cell).into_owned()).collect());
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells.chain([self.headings[column].chars().count()]).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> =
            (0..self.headings.len()).map(|column| self.width(column)).collect();
        let headings = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        for (index, row) in std::iter::once(&headings).chain(&self.rows).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            for (column, cell) in row.iter().enumerate() {
                let (width, is_last) = (widths[column], column + 1 == row.len());
                match (self.numeric[column], is_last) {
                    (true, true) => write!(f, "{cell:>width$}")?,
                    (true, false) => write!(f, "{cell:>width$}  ")?,
                    (false, true) => write!(f, "{cell}")?,
                    (false, false) => write!(f, "{cell:<width$}  ")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new(&["FEED", "BLOCKS#", "OWNER"]);
        table.row(["ab", "12", "größe"]);
        table.row(["abcdef", "1,234", "x\ny"]);
        let expected = "FEED    BLOCKS  OWNER\nab          12  größe\nabcdef   1,234  x\\ny";
        assert_eq!(table.to_string(), expected);
    }
}
