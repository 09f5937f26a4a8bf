//! Tables for people: columns aligned, as wide as they must be, without lines.

use console::{measure_text_width, truncate_str};

use super::Style;

/// What stands between columns.
const GAP: &str = "  ";
/// What is left of a name at least.
const SHORTEST_NAME: usize = 8;

/// On which side a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
    /// Names that people have chosen: where there is no room, they are cut.
    Name,
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

    /// The table, or `nothing` when it has no rows. Where it is wider than `columns`, names are cut.
    #[must_use]
    pub fn show(&self, style: Style, columns: Option<usize>, nothing: &str) -> String {
        if self.rows.is_empty() {
            return nothing.to_owned();
        }
        let heads = self.heads.map(|(head, _)| style.heading(head));
        let all: Vec<&[String; N]> = std::iter::once(&heads).chain(&self.rows).collect();
        let width = |column: usize| all.iter().map(|cells| measure_text_width(&cells[column])).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..N).map(width).collect();
        let mut excess =
            (widths.iter().sum::<usize>() + GAP.len() * (N - 1)).saturating_sub(columns.unwrap_or(usize::MAX));
        for (width, (_, align)) in widths.iter_mut().zip(&self.heads) {
            if *align == Align::Name {
                let cut = width.saturating_sub(SHORTEST_NAME).min(excess);
                (*width, excess) = (*width - cut, excess - cut);
            }
        }
        let line = |cells: &[String; N]| {
            let padded = cells.iter().zip(&widths).zip(&self.heads).map(|((cell, width), (_, align))| {
                let cell = truncate_str(cell, *width, "…");
                let pad = " ".repeat(width - measure_text_width(&cell));
                match align {
                    Align::Left | Align::Name => format!("{cell}{pad}"),
                    Align::Right => format!("{pad}{cell}"),
                }
            });
            padded.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        all.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_their_colour() {
        let mut table = Table::new([("NAME", Align::Left), ("FRAMES", Align::Right)]);
        assert_eq!(table.show(Style::Plain, None, "none"), "none");
        table.row(["über".to_owned(), "7".to_owned()]);
        table.row(["\u{1b}[31mred\u{1b}[0m".to_owned(), "12345678".to_owned()]);
        let shown = table.show(Style::Plain, None, "");
        assert_eq!(shown, "NAME    FRAMES\nüber         7\n\u{1b}[31mred\u{1b}[0m   12345678");
    }

    #[test]
    fn names_give_way_where_there_is_no_room() {
        let mut table = Table::new([("NAME", Align::Name), ("STATE", Align::Left)]);
        table.row(["shot_010_lighting_v013".to_owned(), "running".to_owned()]);
        assert_eq!(
            table.show(Style::Plain, Some(31), ""),
            "NAME                    STATE\nshot_010_lighting_v013  running"
        );
        assert_eq!(table.show(Style::Plain, Some(19), ""), "NAME        STATE\nshot_010_…  running");
        assert_eq!(table.show(Style::Plain, Some(1), ""), "NAME      STATE\nshot_01…  running");
    }
}
