//! [`Bars`]: lines at the end of the terminal, drawn as long as a run goes on.

use super::block;
use super::line::Line;
use crate::sync::{Condvar, Mutex};
use console::Term;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const REDRAWN_EVERY: Duration = Duration::from_millis(100);
/// The rows and columns of a terminal that does not say how large it is.
const USUAL_SIZE: (u16, u16) = (24, 80);

/// How large the screen is, and whether it has colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    pub(super) rows: usize,
    /// The columns of a line. There is one more, which stays empty: a terminal may
    /// end a line that fills it in the next row.
    pub(super) columns: usize,
    pub(super) has_colours: bool,
}

impl Screen {
    /// The screen as it is now: it may have been resized.
    fn now() -> Self {
        let (rows, columns) = Term::stderr().size_checked().unwrap_or(USUAL_SIZE);
        Self {
            rows: rows.into(),
            columns: usize::from(columns).saturating_sub(1),
            has_colours: console::colors_enabled_stderr(),
        }
    }
}

/// What is drawn.
pub(super) trait Draw: Send + 'static {
    /// Returns the lines to draw, each no longer than the screen has columns.
    fn lines(&mut self, screen: Screen) -> Vec<Line>;

    /// Returns the line that stays on the screen in the end.
    fn last_line(&mut self, screen: Screen) -> Line;
}

/// Lines at the end of the terminal of standard error. Drop removes them.
#[derive(Debug)]
pub(super) struct Bars<T: Draw>(Arc<Drawn<T>>);

#[derive(Debug)]
struct Drawn<T> {
    /// Held by whoever draws or prints, and taken before `state`.
    drawing: Mutex<()>,
    /// Locked for short times only: a terminal that stops the output stops no
    /// download.
    state: Mutex<State<T>>,
    /// Notified when the lines are drawn no longer.
    ended: Condvar,
}

#[derive(Debug)]
struct State<T> {
    value: T,
    is_drawn: bool,
}

impl<T: Draw> Bars<T> {
    /// Draws what there is to draw of a value again and again, if it is to be drawn
    /// and standard error is a terminal.
    pub(super) fn new(value: T, is_wanted: bool) -> Self {
        let is_drawn = is_wanted && Term::stderr().is_term() && !console::is_dumb();
        let drawn = Arc::new(Drawn {
            drawing: Mutex::default(),
            state: Mutex::new(State { value, is_drawn }),
            ended: Condvar::new(),
        });
        if is_drawn {
            let theirs = Arc::clone(&drawn);
            let thread = thread::Builder::new().name("progress".to_owned());
            if thread.spawn(move || theirs.draw_until_ended()).is_err() {
                // As where there is no terminal.
                drawn.state.lock().is_drawn = false;
            }
        }
        Self(drawn)
    }

    /// Has `f` change or look at what is drawn.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.state.lock().value)
    }

    /// Whether the lines are drawn.
    pub(super) fn is_drawn(&self) -> bool {
        self.0.state.lock().is_drawn
    }

    /// Prints a text above the lines, or by itself where there are none.
    pub(super) fn println(&self, text: &str) {
        let _drawing = self.0.drawing.lock();
        let mut state = self.0.state.lock();
        if !state.is_drawn {
            drop(state);
            return write(&format!("{text}\n"));
        }
        let lines = state.value.lines(Screen::now());
        drop(state);
        write(&block::print_above(text, &lines));
    }

    /// Leaves the last line on the screen, and removes the others.
    pub(super) fn finish(&self) {
        self.0.end(true);
    }
}

impl<T: Draw> Drop for Bars<T> {
    fn drop(&mut self) {
        self.0.end(false);
    }
}

impl<T: Draw> Drawn<T> {
    fn draw_until_ended(&self) {
        loop {
            let drawing = self.drawing.lock();
            let mut state = self.state.lock();
            if !state.is_drawn {
                return;
            }
            let lines = state.value.lines(Screen::now());
            drop(state);
            write(&block::draw(&lines));
            drop(drawing);
            let mut state = self.state.lock();
            if state.is_drawn {
                let next = Instant::now() + REDRAWN_EVERY;
                self.ended.wait_until(&mut state, next);
            }
        }
    }

    fn end(&self, leaves_last_line: bool) {
        let _drawing = self.drawing.lock();
        let mut state = self.state.lock();
        if !state.is_drawn {
            return;
        }
        state.is_drawn = false;
        self.ended.notify_all();
        let last_line = leaves_last_line.then(|| state.value.last_line(Screen::now()));
        drop(state);
        write(&block::end(last_line.as_ref()));
    }
}

fn write(text: &str) {
    let mut err = io::stderr().lock();
    // Where errors cannot be told, there is nobody to tell.
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
