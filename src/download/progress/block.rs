//! What is written to a terminal to draw lines at its end in the place of those before.
//!
//! Between two drawings the cursor stands at the beginning of the first line. Nothing
//! has to be known of how many rows the lines take: where the terminal becomes narrower,
//! it breaks them anew, and takes the cursor along with the beginning of the first.
//!
//! A line that is too long is cut, and does not go on in the next row: the terminal
//! may be narrower than it has told so far.

use super::line::Line;
use std::fmt::Write;

const CUT_LINES: &str = "\x1b[?7l";
const WRAP_LINES: &str = "\x1b[?7h";
const CLEAR_REST_OF_LINE: &str = "\x1b[K";
const CLEAR_REST_OF_SCREEN: &str = "\x1b[J";

/// Returns what draws the lines in the place of those before.
pub(super) fn draw(lines: &[Line]) -> String {
    let mut out = format!("\r{CUT_LINES}");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push_str("\r\n");
        }
        out.push_str(line.text());
        // Not the whole line before it is written: that would be seen.
        out.push_str(CLEAR_REST_OF_LINE);
    }
    out.push_str(WRAP_LINES);
    out.push_str(CLEAR_REST_OF_SCREEN);
    out.push('\r');
    if lines.len() > 1 {
        // Writing to a string never fails.
        let _ = write!(out, "\x1b[{}A", lines.len() - 1);
    }
    out
}

/// Returns what prints a text, which may have several lines, above the lines.
pub(super) fn print_above(text: &str, lines: &[Line]) -> String {
    format!("\r{CLEAR_REST_OF_SCREEN}{text}\r\n{}", draw(lines))
}

/// Returns what removes the lines, but for one that stays there for good.
pub(super) fn end(last: Option<&Line>) -> String {
    match last {
        None => format!("\r{CLEAR_REST_OF_SCREEN}"),
        Some(line) => print_above(line.text(), &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line::from(*text)).collect()
    }

    #[test]
    fn cursor_stands_before_the_lines() {
        assert_eq!(
            draw(&lines(&["one", "two", "three"])),
            "\r\x1b[?7lone\x1b[K\r\ntwo\x1b[K\r\nthree\x1b[K\x1b[?7h\x1b[J\r\x1b[2A"
        );
        assert_eq!(
            draw(&lines(&["one"])),
            "\r\x1b[?7lone\x1b[K\x1b[?7h\x1b[J\r"
        );
    }

    #[test]
    fn text_stands_above_the_lines() {
        let printed = print_above("text", &lines(&["one"]));
        let rest = printed.strip_prefix("\r\x1b[Jtext\r\n").unwrap();
        assert_eq!(rest, draw(&lines(&["one"])));
    }

    #[test]
    fn last_line_stays() {
        assert_eq!(end(None), "\r\x1b[J");
        let last = Line::from("last");
        assert!(end(Some(&last)).starts_with("\r\x1b[Jlast\r\n"));
    }
}
