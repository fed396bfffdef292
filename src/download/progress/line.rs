//! [`Line`]: one line of the screen, and what stands in it: bars, numbers and times.

use console::measure_text_width;
use std::time::Duration;

/// A line of the screen, and how many columns it takes.
#[derive(Debug, Default, Clone)]
pub(super) struct Line {
    text: String,
    width: usize,
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        let mut line = Self::default();
        line.push(text);
        line
    }
}

impl Line {
    /// What is written to the terminal.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Adds text without control characters.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.width += measure_text_width(text);
    }

    /// Adds a bar of so many columns.
    pub(super) fn push_bar(&mut self, bar: Bar, columns: usize, has_colours: bool) {
        let (before, filled) = match bar {
            Bar::Share(share) => (0, halves(share.clamp(0.0, 1.0), columns)),
            Bar::Moving(step) => {
                let filled = columns.min(3);
                (step % (columns - filled + 1), 2 * filled)
            }
        };
        let done = "━".repeat(filled / 2) + if filled % 2 == 1 { "╸" } else { "" };
        let after = columns - before - filled.div_ceil(2);
        // Without colours, only the glyphs tell what is done.
        let [green, dim, plain, rest] = if has_colours {
            ["\x1b[32m", "\x1b[2m", "\x1b[0m", "━"]
        } else {
            ["", "", "", " "]
        };
        let (before, after) = (rest.repeat(before), rest.repeat(after));
        let bar = format!("{dim}{before}{plain}{green}{done}{plain}{dim}{after}{plain}");
        self.text.push_str(&bar);
        self.width += columns;
    }
}

/// What a bar shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bar {
    /// How much is done, from 0 to 1.
    Share(f64),
    /// That something is done, and its step.
    Moving(usize),
}

/// Returns how many half columns of a bar are filled.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bar has few columns, and the share is from 0 to 1"
)]
fn halves(share: f64, columns: usize) -> usize {
    (share * (2 * columns) as f64) as usize
}

/// Returns those of the texts that fit into so many columns, each with a space before
/// it; what is left out are those of the highest rank. An empty text is left out
/// anyway.
pub(super) fn fit(texts: &[(String, usize)], columns: usize) -> String {
    let mut ranked: Vec<usize> = (0..texts.len()).collect();
    ranked.sort_by_key(|&index| texts[index].1);
    let mut room = columns;
    let mut is_shown = vec![false; texts.len()];
    for index in ranked {
        let text = &texts[index].0;
        let width = measure_text_width(text) + 1;
        if !text.is_empty() && width <= room {
            room -= width;
            is_shown[index] = true;
        }
    }
    let mut fitting = String::new();
    for ((text, _), is_shown) in texts.iter().zip(is_shown) {
        if is_shown {
            fitting.push(' ');
            fitting.push_str(text);
        }
    }
    fitting
}

/// Returns as much of a text as fits into so many columns.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if measure_text_width(text) <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let mut shown = String::new();
    for each in text.chars() {
        let width = measure_text_width(each.encode_utf8(&mut [0; 4]));
        if width > room {
            break;
        }
        room -= width;
        shown.push(each);
    }
    if columns > 0 {
        shown.push('…');
    }
    shown
}

/// Returns a number of bytes in at most ten columns.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "it is shown in four digits")]
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    // What would be rounded to 1024.0 is 1.0 of the next.
    while size >= 1023.95 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// Returns a time in at most four columns, up to years.
pub(super) fn time(time: Duration) -> String {
    // A time that is left ends with its last second, not before it.
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Returns how long the rest takes if it goes on as so far: nothing is known before
/// something is done.
pub(super) fn time_left(done: f64, elapsed: Duration) -> Option<Duration> {
    let left = (1.0 - done).max(0.0);
    (done > 0.0).then(|| Duration::try_from_secs_f64(elapsed.as_secs_f64() * left / done).ok())?
}

/// Returns a count with its noun, or nothing.
pub(super) fn count(count: u64, one: &str, more: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!("1 {one}"),
        _ => format!("{count} {more}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(bar: Bar, columns: usize) -> String {
        let mut line = Line::default();
        line.push_bar(bar, columns, false);
        assert_eq!(line.width(), columns);
        line.text().to_owned()
    }

    #[test]
    fn bar_is_filled_by_half_columns() {
        assert_eq!(bar(Bar::Share(0.0), 4), "    ");
        assert_eq!(bar(Bar::Share(0.5), 4), "━━  ");
        assert_eq!(bar(Bar::Share(0.7), 4), "━━╸ ");
        assert_eq!(bar(Bar::Share(1.0), 4), "━━━━");
        assert_eq!(bar(Bar::Share(7.0), 4), "━━━━");
        assert_eq!(bar(Bar::Share(f64::NAN), 4), "    ");
        assert_eq!(bar(Bar::Moving(1), 4), " ━━━");
        assert_eq!(bar(Bar::Moving(2), 4), "━━━ ");
        assert_eq!(bar(Bar::Moving(5), 2), "━━");
    }

    #[test]
    fn what_does_not_fit_is_left_out_by_rank() {
        let texts = [("a", 0), ("bbb", 2), ("", 1), ("cc", 1)];
        let texts = texts.map(|(text, rank)| (text.to_owned(), rank));
        for (columns, shown) in [
            (9, " a bbb cc"),
            (8, " a cc"),
            (5, " a cc"),
            (4, " a"),
            (0, ""),
        ] {
            assert_eq!(fit(&texts, columns), shown, "{columns}");
        }
    }

    #[test]
    fn long_text_is_cut() {
        for (columns, shown) in [(6, "a国国b"), (5, "a国…"), (4, "a国…"), (3, "a…"), (0, "")]
        {
            assert_eq!(cut("a国国b", columns), shown, "{columns}");
        }
    }

    #[test]
    fn numbers_are_short() {
        for (number, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (500 << 20, "500.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(number), shown);
        }
        for (seconds, shown) in [
            (0.0, "0s"),
            (0.1, "1s"),
            (59.0, "59s"),
            (90.0, "1m"),
            (7_200.0, "2h"),
            (1e6, "11d"),
        ] {
            assert_eq!(time(Duration::from_secs_f64(seconds)), shown);
        }
    }

    #[test]
    fn rest_takes_as_long_as_so_far() {
        let elapsed = Duration::from_secs(10);
        assert_eq!(time_left(0.0, elapsed), None);
        assert_eq!(time_left(0.25, elapsed), Some(Duration::from_secs(30)));
        assert_eq!(time_left(1.0, elapsed), Some(Duration::ZERO));
    }
}
