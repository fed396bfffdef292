//! [`Tally`]: what is known of a run, and the lines that say it.

use super::bars::{Draw, Screen};
use super::line::{Bar, Line, bytes, count, cut, fit, time, time_left};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How many files have a line of their own at a time.
const MOST_FILES: usize = 8;
/// Files that are that small have come and gone before a line could be read.
const WORTH_A_LINE: u64 = 256 * 1024;
/// The bar of all files has at least so many columns, and at most.
const TOTAL_BAR: (usize, usize) = (6, 30);
/// On a screen of so many columns, a file's line names its length.
const WIDE: usize = 60;
/// Over which time the speed is taken.
const WINDOW: Duration = Duration::from_secs(3);

/// What is known of a run.
#[derive(Debug)]
pub(super) struct Tally {
    /// How many files there are, if that is known.
    files: Option<u64>,
    pub(super) done: u64,
    skipped: u64,
    failed: u64,
    retries: u64,
    pub(super) received: u64,
    /// Those that have begun, by their place in the input, which is their order.
    active: BTreeMap<u64, Active>,
    started: Instant,
    /// What had been received when, for the last few seconds.
    samples: VecDeque<(Instant, u64)>,
    /// How often the lines have been drawn.
    steps: usize,
}

/// A file that has begun.
#[derive(Debug)]
struct Active {
    name: String,
    received: u64,
    expected: Option<u64>,
    wait: Option<Wait>,
}

/// The time before a retry.
#[derive(Debug)]
pub(super) struct Wait {
    /// Which retry it is, from 1.
    pub(super) retry: u32,
    pub(super) until: Option<Instant>,
    /// Why there is one.
    pub(super) error: String,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Saved,
    Skipped,
    Failed,
    Cancelled,
}

impl Tally {
    pub(super) fn new(files: Option<u64>, started: Instant) -> Self {
        Self {
            files,
            done: 0,
            skipped: 0,
            failed: 0,
            retries: 0,
            received: 0,
            active: BTreeMap::new(),
            started,
            samples: VecDeque::new(),
            steps: 0,
        }
    }

    /// Whether the name of a file is known.
    pub(super) fn has_begun(&self, number: u64) -> bool {
        self.active.contains_key(&number)
    }

    pub(super) fn begin(&mut self, number: u64, name: String) {
        self.active.insert(
            number,
            Active {
                name,
                received: 0,
                expected: None,
                wait: None,
            },
        );
    }

    /// Takes note of how much there is of a file that has begun.
    pub(super) fn go_on(&mut self, number: u64, received: u64, expected: Option<u64>) {
        if let Some(file) = self.active.get_mut(&number) {
            file.received = received;
            file.expected = expected;
            file.wait = None;
        }
    }

    /// Takes note that a file that has begun is tried again.
    pub(super) fn wait(&mut self, number: u64, wait: Wait) {
        self.retries += 1;
        if let Some(file) = self.active.get_mut(&number) {
            file.wait = Some(wait);
        }
    }

    /// Takes note that a file is over.
    pub(super) fn end(&mut self, number: u64, fate: Fate) {
        self.active.remove(&number);
        self.done += 1;
        match fate {
            Fate::Saved | Fate::Cancelled => {}
            Fate::Skipped => self.skipped += 1,
            Fate::Failed => self.failed += 1,
        }
    }

    fn lines_at(&mut self, screen: Screen, now: Instant) -> Vec<Line> {
        self.steps += 1;
        self.take_sample(now);
        let room = MOST_FILES.min(screen.rows.saturating_sub(2));
        let files = self.active.values().filter(|file| file.is_worth_a_line());
        let mut lines: Vec<Line> = files
            .take(room)
            .map(|file| file.line(screen, now, self.steps))
            .collect();
        let left = self.time_left(now);
        let left = left.map_or_else(|| "--".to_owned(), time);
        let text = match self.files {
            Some(_) => format!("ETA {left:>3}"),
            None => time(now - self.started),
        };
        lines.push(self.total(screen, self.speed(now), text));
        lines
    }

    fn total(&self, screen: Screen, speed: u64, time: String) -> Line {
        let (done, bar) = match self.files {
            Some(files) => {
                let digits = files.to_string().len();
                let text = format!("{:digits$}/{files} files", self.done);
                (text, Bar::Share(share(self.done, files)))
            }
            None => (format!("{} files", self.done), Bar::Moving(self.steps)),
        };
        let texts = [
            (done, 0),
            (format!("{:>10}", bytes(self.received)), 5),
            (format!("{:>12}", bytes(speed) + "/s"), 4),
            (count(self.retries, "retry", "retries"), 3),
            (count(self.failed, "failed", "failed"), 2),
            (time, 1),
        ];
        let (least, most) = TOTAL_BAR;
        let text = fit(&texts, screen.columns.saturating_sub(least));
        let mut line = Line::default();
        let room = screen.columns.saturating_sub(Line::from(&*text).width());
        line.push_bar(bar, room.min(most), screen.has_colours);
        line.push(&text);
        line
    }

    /// Skipped files took no time, and say nothing of the others.
    fn time_left(&self, now: Instant) -> Option<Duration> {
        let files = self.files?.saturating_sub(self.skipped);
        let parts: f64 = self.active.values().filter_map(Active::share).sum();
        #[expect(clippy::cast_precision_loss, reason = "it is an estimate")]
        let done = ((self.done - self.skipped) as f64 + parts) / files.max(1) as f64;
        time_left(done, now - self.started)
    }

    fn take_sample(&mut self, now: Instant) {
        self.samples.push_back((now, self.received));
        while self.samples.len() > 2 && now - self.samples[1].0 >= WINDOW {
            self.samples.pop_front();
        }
    }

    /// Bytes per second, lately.
    fn speed(&self, now: Instant) -> u64 {
        let &(since, before) = self.samples.front().unwrap_or(&(self.started, 0));
        per_second(self.received - before, now - since)
    }
}

/// One line for each of some files, and the last for all of them.
impl Draw for Tally {
    fn lines(&mut self, screen: Screen) -> Vec<Line> {
        self.lines_at(screen, Instant::now())
    }

    fn last_line(&mut self, screen: Screen) -> Line {
        let elapsed = self.started.elapsed();
        let speed = per_second(self.received, elapsed);
        let text = format!("in {:.1}s", elapsed.as_secs_f64());
        self.total(screen, speed, text)
    }
}

impl Active {
    fn is_worth_a_line(&self) -> bool {
        self.wait.is_some() || self.expected.is_none_or(|length| length >= WORTH_A_LINE)
    }

    /// How much of it there is, from 0 to 1, if its length is known.
    fn share(&self) -> Option<f64> {
        Some(share(self.received, self.expected?))
    }

    fn line(&self, screen: Screen, now: Instant, step: usize) -> Line {
        let columns = screen.columns;
        let bar = match (self.share(), &self.wait) {
            (Some(share), _) => Bar::Share(share),
            (None, Some(_)) => Bar::Share(0.0),
            (None, None) => Bar::Moving(step),
        };
        let is_wide = columns >= WIDE;
        let mut line = Line::default();
        line.push_bar(bar, (columns / 4).min(20), screen.has_colours);
        let of = match self.expected {
            Some(length) if is_wide => format!("/{:<10}", bytes(length)),
            None if is_wide => " ".repeat(11),
            _ => String::new(),
        };
        let numbers = if let Some(wait) = &self.wait {
            wait.text(now)
        } else {
            let percent = self.share().map(|share| format!("{:.0}%", 100.0 * share));
            let percent = percent.unwrap_or_default();
            format!("{percent:>4} {:>10}{of}", bytes(self.received))
        };
        // As wide as without a retry, so that the names stand below each other.
        let width = if is_wide { 26 } else { 15 };
        let mut text = format!(" {numbers:>width$} {}", self.name);
        if let Some(wait) = &self.wait {
            text.push_str(": ");
            text.push_str(&wait.error);
        }
        line.push(&cut(&text, columns - line.width()));
        line
    }
}

impl Wait {
    fn text(&self, now: Instant) -> String {
        let left = self.until.map(|until| until.saturating_duration_since(now));
        match left {
            None | Some(Duration::ZERO) => format!("retry {}", self.retry),
            Some(left) => format!("retry {} in {:>3}", self.retry, time(left)),
        }
    }
}

fn per_second(bytes: u64, duration: Duration) -> u64 {
    let speed = u128::from(bytes) * 1000 / duration.as_millis().max(1);
    u64::try_from(speed).unwrap_or(u64::MAX)
}

fn share(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a bar has few columns")]
    let share = part as f64 / whole.max(1) as f64;
    share.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn screen(columns: usize, rows: usize) -> Screen {
        Screen {
            rows,
            columns,
            has_colours: false,
        }
    }

    fn add(tally: &mut Tally, number: u64, received: u64, expected: Option<u64>) {
        if !tally.has_begun(number) {
            tally.begin(number, format!("file {number}"));
        }
        tally.received += received;
        tally.go_on(number, received, expected);
    }

    fn texts(tally: &mut Tally, screen: Screen, now: Instant) -> Vec<String> {
        let lines = tally.lines_at(screen, now);
        let texts = lines.iter().map(|line| line.text().to_owned()).collect();
        for line in lines {
            assert!(line.width() <= screen.columns, "{texts:?}");
        }
        texts
    }

    #[test]
    fn each_file_has_a_line_that_fits_the_screen() {
        let start = Instant::now();
        let mut tally = Tally::new(Some(12), start);
        add(&mut tally, 4, 3 * MIB, None);
        add(&mut tally, 2, 25 * MIB, Some(100 * MIB));
        tally.begin(3, "a very long name, of what 国 is there".to_owned());
        add(&mut tally, 3, MIB, Some(2 * MIB));
        tally.begin(1, "b".to_owned());
        tally.wait(
            1,
            Wait {
                retry: 2,
                until: Some(start + Duration::from_secs(42)),
                error: "HTTP error 503".to_owned(),
            },
        );
        let now = start + Duration::from_secs(2);
        assert_eq!(
            texts(&mut tally, screen(79, 24), now),
            [
                "                                retry 2 in 40s b: HTTP error 503",
                "━━━━╸                25%   25.0 MiB/100.0 MiB  file 2",
                "━━━━━━━━━╸           50%    1.0 MiB/2.0 MiB    a very long name, of what 国 is…",
                " ━━━                        3.0 MiB            file 4",
                "                             0/12 files   29.0 MiB        0 B/s 1 retry ETA 30s",
            ]
        );
        assert_eq!(
            texts(&mut tally, screen(39, 10), now),
            [
                "           retry 2 in 40s b: HTTP erro…",
                "━━         25%   25.0 MiB file 2",
                "━━━━╸      50%    1.0 MiB a very long …",
                "  ━━━             3.0 MiB file 4",
                "             0/12 files 1 retry ETA 30s",
            ]
        );
        for columns in 0..40 {
            texts(&mut tally, screen(columns, 10), now);
        }
    }

    #[test]
    fn files_keep_their_order_and_are_no_more_than_the_screen_has_rows() {
        let start = Instant::now();
        let mut tally = Tally::new(None, start);
        for number in (0..20).rev() {
            add(&mut tally, number, 1, Some(10 * MIB));
        }
        tally.end(2, Fate::Saved);
        for (rows, files) in [(24, MOST_FILES), (10, 8), (9, 7), (2, 0), (0, 0)] {
            let texts = texts(&mut tally, screen(79, rows), start);
            assert_eq!(texts.len(), files + 1, "{rows}");
            let order = [0, 1, 3, 4, 5, 6, 7, 8].iter().zip(&texts);
            for (number, text) in order.take(files) {
                assert!(text.ends_with(&format!(" file {number}")), "{texts:?}");
            }
        }
    }

    #[test]
    fn small_files_have_no_line() {
        let mut tally = Tally::new(None, Instant::now());
        add(&mut tally, 0, 1, Some(WORTH_A_LINE - 1));
        assert_eq!(tally.lines(screen(79, 24)).len(), 1);
        add(&mut tally, 0, 1, Some(WORTH_A_LINE));
        assert_eq!(tally.lines(screen(79, 24)).len(), 2);
    }

    #[test]
    fn time_left_is_that_of_what_had_to_be_downloaded() {
        let start = Instant::now();
        let now = start + Duration::from_secs(10);
        let mut tally = Tally::new(Some(4), start);
        assert_eq!(tally.time_left(now), None);
        tally.end(0, Fate::Skipped);
        tally.end(1, Fate::Skipped);
        assert_eq!(tally.time_left(now), None);
        add(&mut tally, 2, MIB, Some(2 * MIB));
        assert_eq!(tally.time_left(now), Some(Duration::from_secs(30)));
        tally.end(2, Fate::Failed);
        assert_eq!(tally.time_left(now), Some(Duration::from_secs(10)));
        tally.end(3, Fate::Saved);
        assert_eq!(tally.time_left(now), Some(Duration::ZERO));
        assert_eq!(Tally::new(None, start).time_left(now), None);
    }

    #[test]
    fn speed_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut tally = Tally::new(None, start);
        for second in 0..20 {
            tally.take_sample(start + Duration::from_secs(second));
            tally.received += 1_000;
        }
        let now = start + Duration::from_secs(20);
        tally.take_sample(now);
        assert_eq!(tally.speed(now), 1_000);
        let later = now + 2 * WINDOW;
        tally.take_sample(later);
        tally.take_sample(later + WINDOW);
        assert_eq!(tally.speed(later + WINDOW), 0);
    }
}
