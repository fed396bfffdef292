//! [`Line`]: the text beside the bar, as long as the screen lets it be.

use indicatif::{HumanBytes, HumanDuration};
use std::time::Duration;

/// The bar beside it has at least so many columns.
const LEAST_BAR: usize = 8;

/// What the text beside the bar says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) done: u64,
    pub(super) all: u64,
    pub(super) received: u64,
    pub(super) retries: u64,
    pub(super) elapsed: Duration,
    pub(super) time: Time,
}

/// The time at the end of the line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Time {
    /// How long the rest takes.
    Left(Duration),
    /// All is over.
    Ended,
}

impl Line {
    /// Returns the text for a screen of so many columns: what does not fit is left
    /// out, the least important first.
    pub(super) fn text(&self, columns: usize) -> String {
        let digits = self.all.to_string().len();
        let count = format!("{:digits$}/{} flags", self.done, self.all);
        let received = format!("{:>10}", HumanBytes(self.received).to_string());
        let seconds = self.elapsed.as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "it is shown in three digits")]
        let rate = self.done as f64 / seconds;
        let rate = format!(
            "{:>12}",
            format!("{rate:.*} flags/s", usize::from(rate < 10.0))
        );
        let retries = match self.retries {
            0 => String::new(),
            1 => "1 retry".to_owned(),
            more => format!("{more} retries"),
        };
        let time = match self.time {
            // Nothing can be said before the first has come.
            Time::Left(_) if self.done == 0 => "ETA  --".to_owned(),
            Time::Left(left) => format!("ETA {:>3}", format!("{:#}", HumanDuration(left))),
            Time::Ended => format!("in {:>3.1}s", self.elapsed.as_secs_f64()),
        };
        // In the order of the screen, each with its importance.
        let parts = [
            (&count, 0),
            (&received, 4),
            (&rate, 3),
            (&retries, 2),
            (&time, 1),
        ];
        let mut room = columns.saturating_sub(LEAST_BAR);
        let mut shown = [false; 5];
        for importance in 0..parts.len() {
            for (index, (part, its)) in parts.iter().enumerate() {
                let width = part.chars().count() + 1;
                if *its == importance && !part.is_empty() && width <= room {
                    room -= width;
                    shown[index] = true;
                }
            }
        }
        let shown = parts.iter().zip(shown).filter(|(_, is_shown)| *is_shown);
        let texts: Vec<&str> = shown.map(|((part, _), _)| part.as_str()).collect();
        texts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line = Line {
        done: 12,
        all: 676,
        received: 123_456,
        retries: 3,
        elapsed: Duration::from_secs(4),
        time: Time::Left(Duration::from_secs(90)),
    };

    #[test]
    fn what_does_not_fit_is_left_out() {
        let wide = " 12/676 flags 120.56 KiB  3.0 flags/s 3 retries ETA  2m";
        assert_eq!(LINE.text(80), wide);
        assert_eq!(LINE.text(50), " 12/676 flags 3 retries ETA  2m");
        assert_eq!(LINE.text(40), " 12/676 flags 3 retries ETA  2m");
        assert_eq!(LINE.text(30), " 12/676 flags ETA  2m");
        assert_eq!(LINE.text(0), "");
    }

    #[test]
    fn no_time_is_promised_before_the_first_flag() {
        let line = Line { done: 0, ..LINE };
        assert!(line.text(80).ends_with(" ETA  --"), "{}", line.text(80));
    }
}
