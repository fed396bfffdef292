//! [`Status`]: what is known of a run, and the line that says it.

use super::bars::{Draw, Screen};
use super::line::{Bar, Line, bytes, count, fit, time, time_left};
use std::time::{Duration, Instant};

/// The bar has at least so many columns.
const LEAST_BAR: usize = 8;

/// What is known of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status {
    pub(super) done: u64,
    all: u64,
    pub(super) received: u64,
    pub(super) retries: u64,
    started: Instant,
}

impl Status {
    pub(super) fn new(all: u64) -> Self {
        Self {
            done: 0,
            all,
            received: 0,
            retries: 0,
            started: Instant::now(),
        }
    }

    /// Returns the bar and the text beside it: what does not fit is left out, the
    /// least important first.
    fn line(&self, screen: Screen, elapsed: Duration, time: String) -> Line {
        let digits = self.all.to_string().len();
        let seconds = elapsed.as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "it is shown in three digits")]
        let rate = self.done as f64 / seconds;
        let rate = format!("{rate:.*} flags/s", usize::from(rate < 10.0));
        let texts = [
            (format!("{:digits$}/{} flags", self.done, self.all), 0),
            (format!("{:>10}", bytes(self.received)), 4),
            (format!("{rate:>12}"), 3),
            (count(self.retries, "retry", "retries"), 2),
            (time, 1),
        ];
        let text = fit(&texts, screen.columns.saturating_sub(LEAST_BAR));
        let mut line = Line::default();
        let room = screen.columns - Line::from(&*text).width();
        line.push_bar(Bar::Share(self.share()), room, screen.has_colours);
        line.push(&text);
        line
    }

    fn line_at(&self, screen: Screen, elapsed: Duration) -> Line {
        let left = time_left(self.share(), elapsed).map_or_else(|| "--".to_owned(), time);
        self.line(screen, elapsed, format!("ETA {left:>3}"))
    }

    #[expect(clippy::cast_precision_loss, reason = "a bar has few columns")]
    fn share(&self) -> f64 {
        self.done as f64 / self.all.max(1) as f64
    }
}

impl Draw for Status {
    fn lines(&mut self, screen: Screen) -> Vec<Line> {
        vec![self.line_at(screen, self.started.elapsed())]
    }

    fn last_line(&mut self, screen: Screen) -> Line {
        let elapsed = self.started.elapsed();
        let time = format!("in {:>3.1}s", elapsed.as_secs_f64());
        self.line(screen, elapsed, time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(done: u64, columns: usize) -> String {
        let status = Status {
            done,
            received: 123_456,
            retries: 3,
            ..Status::new(676)
        };
        let screen = Screen {
            rows: 24,
            columns,
            has_colours: false,
        };
        let line = status.line_at(screen, Duration::from_secs(4));
        assert_eq!(line.width(), columns);
        line.text().trim_start_matches(['━', '╸', ' ']).to_owned()
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let wide = "12/676 flags  120.6 KiB  3.0 flags/s 3 retries ETA  3m";
        assert_eq!(text(12, 80), wide);
        assert_eq!(text(12, 50), "12/676 flags 3 retries ETA  3m");
        assert_eq!(text(12, 40), "12/676 flags 3 retries ETA  3m");
        assert_eq!(text(12, 30), "12/676 flags ETA  3m");
        assert_eq!(text(12, 0), "");
    }

    #[test]
    fn no_time_is_promised_before_the_first_flag() {
        assert!(text(0, 80).ends_with(" ETA  --"), "{}", text(0, 80));
    }
}
