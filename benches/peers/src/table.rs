//! The table of ratios.

use std::fmt::{self, Display, Formatter};

/// What one of our figures is compared with.
pub struct Row {
    pub what: String,
    pub against: String,
    pub ours: Amount,
    pub theirs: Amount,
    /// Ours ÷ theirs.
    pub ratio: f64,
    /// The ratio that we promise ourselves not to exceed.
    pub at_most: Option<f64>,
}

#[derive(Clone, Copy)]
pub enum Amount {
    /// Nanoseconds.
    Time(f64),
    Bytes(f64),
    Count(f64),
}

impl Display for Amount {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Time(time) if time < 1e3 => write!(f, "{time:.0} ns"),
            Self::Time(time) if time < 1e4 => write!(f, "{:.2} µs", time / 1e3),
            Self::Time(time) if time < 1e6 => write!(f, "{:.1} µs", time / 1e3),
            Self::Time(time) => write!(f, "{:.1} ms", time / 1e6),
            Self::Bytes(bytes) => write!(f, "{bytes:.0} B"),
            Self::Count(count) => write!(f, "{count:.0}"),
        }
    }
}

impl Row {
    fn cells(&self) -> [String; 7] {
        let (bar, mark) = match self.at_most {
            None => (String::from("–"), ""),
            Some(bar) if self.ratio <= bar => (bar.to_string(), "✓"),
            Some(bar) => (bar.to_string(), "✗"),
        };
        [
            self.what.clone(),
            self.against.clone(),
            self.ours.to_string(),
            self.theirs.to_string(),
            if self.ratio >= 10.0 {
                format!("{:.0}", self.ratio)
            } else {
                format!("{:.3}", self.ratio)
            },
            bar,
            mark.to_owned(),
        ]
    }
}

/// Prints the rows as one Markdown table.
pub fn print(rows: &[Row]) {
    let head = [
        "what",
        "against",
        "ours",
        "theirs",
        "ours ÷ theirs",
        "at most",
        "",
    ];
    let cells: Vec<_> = std::iter::once(head.map(str::to_owned))
        .chain(rows.iter().map(Row::cells))
        .collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            cells
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for (index, row) in cells.iter().enumerate() {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            if column < 2 {
                print!("| {cell:width$} ");
            } else {
                print!("| {cell:>width$} ");
            }
        }
        println!("|");
        if index == 0 {
            for (column, &width) in widths.iter().enumerate() {
                print!(
                    "|{}{}",
                    "-".repeat(width + 1),
                    if column < 2 { "-" } else { ":" }
                );
            }
            println!("|");
        }
    }
    let met = rows
        .iter()
        .filter(|row| row.at_most.is_some_and(|bar| row.ratio <= bar))
        .count();
    let bars = rows.iter().filter(|row| row.at_most.is_some()).count();
    println!("\n{met} of {bars} bars met");
}
