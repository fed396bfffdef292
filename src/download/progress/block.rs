//! [`Block`]: the last lines of a terminal, drawn anew in their place.

use super::line::Line;
use std::fmt::Write;

const UP_TO_TOP: char = 'A';
const CLEAR_REST_OF_LINE: &str = "\x1b[K";
const CLEAR_REST_OF_SCREEN: &str = "\x1b[J";

/// The lines at the end of a terminal, which are drawn anew in their place. The
/// cursor stands behind the last of them.
///
/// Most terminals break their lines anew when they become narrower. Each line is
/// shorter than the terminal was wide and ends in a line break, so that the rows it
/// takes now can be computed, and nothing of it is left behind.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// How wide the lines are that are on the screen.
    widths: Vec<usize>,
}

impl Block {
    /// Returns what draws the lines in the place of those before, on a terminal that
    /// has so many columns now.
    pub(super) fn draw(&mut self, lines: &[Line], columns: usize) -> String {
        let mut out = self.move_to_top(columns);
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                out.push_str("\r\n");
            }
            out.push_str(line.text());
            // The rest of the screen is cleared behind the last.
            if index + 1 < lines.len() {
                out.push_str(CLEAR_REST_OF_LINE);
            }
        }
        out.push_str(CLEAR_REST_OF_SCREEN);
        self.widths = lines.iter().map(Line::width).collect();
        out
    }

    /// Returns what prints a text, which may have several lines, above the lines.
    pub(super) fn print_above(&mut self, text: &str, lines: &[Line], columns: usize) -> String {
        let mut out = self.move_to_top(columns);
        out.push_str(CLEAR_REST_OF_SCREEN);
        out.push_str(text);
        out.push_str("\r\n");
        out.push_str(&self.draw(lines, columns));
        out
    }

    /// Returns what moves the cursor to the beginning of the first line; the lines
    /// are of no more account then.
    fn move_to_top(&mut self, columns: usize) -> String {
        let rows = |width: &usize| width.div_ceil(columns.max(1)).max(1);
        let rows: usize = self.widths.drain(..).map(|width| rows(&width)).sum();
        let mut out = String::from("\r");
        if rows > 1 {
            // Writing to a string never fails.
            let _ = write!(out, "\x1b[{}{UP_TO_TOP}", rows - 1);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line::from(*text)).collect()
    }

    #[test]
    fn lines_are_drawn_in_the_place_of_those_before() {
        let mut block = Block::default();
        assert_eq!(
            block.draw(&lines(&["one", "two"]), 80),
            "\rone\x1b[K\r\ntwo\x1b[J"
        );
        assert_eq!(block.draw(&lines(&["three"]), 80), "\r\x1b[1Athree\x1b[J");
        assert_eq!(block.draw(&[], 80), "\r\x1b[J");
    }

    #[test]
    fn text_stands_above_the_lines() {
        let mut block = Block::default();
        block.draw(&lines(&["one", "two"]), 80);
        assert_eq!(
            block.print_above("text", &lines(&["one"]), 80),
            "\r\x1b[1A\x1b[Jtext\r\n\rone\x1b[J"
        );
    }

    /// A line of 60 columns takes two rows of 40, and three of 20.
    #[test]
    fn rows_of_a_narrower_terminal_are_counted() {
        let long = "x".repeat(60);
        for (columns, up) in [(80, 1), (60, 1), (40, 2), (20, 3)] {
            let mut block = Block::default();
            block.draw(&lines(&[&long, "y"]), 80);
            let drawn = block.draw(&[], columns);
            assert_eq!(drawn, format!("\r\x1b[{up}A\x1b[J"), "{columns}");
        }
    }
}
