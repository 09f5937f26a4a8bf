//! Tables for people: columns aligned, as wide as they must be, without lines.

use super::Style;

/// On which side a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table in the making.
#[derive(Debug)]
pub struct Table<const N: usize> {
    heads: [(&'static str, Align); N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with these columns.
    #[must_use]
    pub const fn new(heads: [(&'static str, Align); N]) -> Self {
        Self { heads, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// The table, or `nothing` when it has no rows.
    #[must_use]
    pub fn show(&self, style: Style, nothing: &str) -> String {
        if self.rows.is_empty() {
            return nothing.to_owned();
        }
        let heads = self.heads.map(|(head, _)| style.heading(head));
        let all: Vec<&[String; N]> = std::iter::once(&heads).chain(&self.rows).collect();
        let width = |column: usize| all.iter().map(|cells| shown_width(&cells[column])).max().unwrap_or(0);
        let widths: Vec<usize> = (0..N).map(width).collect();
        let line = |cells: &[String; N]| {
            let padded = cells.iter().zip(&widths).zip(&self.heads).map(|((cell, width), (_, align))| {
                let pad = " ".repeat(width - shown_width(cell));
                match align {
                    Align::Left => format!("{cell}{pad}"),
                    Align::Right => format!("{pad}{cell}"),
                }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        all.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// How many columns a text takes: those that colour it take none.
fn shown_width(text: &str) -> usize {
    let mut width = 0;
    let mut in_code = false;
    for c in text.chars() {
        match (in_code, c) {
            (false, '\u{1b}') => in_code = true,
            (true, 'm') => in_code = false,
            (true, _) => {}
            (false, _) => width += 1,
        }
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_their_colour() {
        let mut table = Table::new([("NAME", Align::Left), ("FRAMES", Align::Right)]);
        assert_eq!(table.show(Style::Plain, "none"), "none");
        table.row(["über".to_owned(), "7".to_owned()]);
        table.row(["\u{1b}[31mred\u{1b}[0m".to_owned(), "12345678".to_owned()]);
        let shown = table.show(Style::Plain, "");
        assert_eq!(shown, "NAME    FRAMES\nüber         7\n\u{1b}[31mred\u{1b}[0m   12345678");
    }
}
