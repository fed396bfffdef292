//! The screen of `flags2_threadpool`.

use super::server::{Exchange, Server, Then};
use super::terminal::Terminal;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

const SIZES: [(u16, u16); 2] = [(80, 24), (40, 10)];

fn flags2(arguments: &str, size: (u16, u16), before: &str) -> Option<Terminal> {
    flags2_within(600, arguments, size, before)
}

/// Starts one that waits so many seconds for a response.
fn flags2_within(
    timeout: u64,
    arguments: &str,
    size: (u16, u16),
    before: &str,
) -> Option<Terminal> {
    let arguments = format!("--connect-timeout 600 --timeout {timeout} {arguments}");
    Terminal::start("flags", "flags2_threadpool", &arguments, size, before)
}

/// A server whose answers wait for the gate, but for the first `free` ones.
fn gated(
    free: usize,
    answer: impl Fn(&mut Exchange) -> Then + Send + Sync + 'static,
) -> (Server, Sender<()>) {
    let (open, gate): (Sender<()>, Receiver<()>) = channel();
    let gate = Mutex::new(gate);
    let server = Server::start(move |exchange| {
        if exchange.number >= free {
            // Open for good once the other end is dropped.
            let _ = gate.lock().unwrap().recv();
        }
        answer(exchange)
    });
    (server, open)
}

/// The lines that show a bar.
fn bars(screen: &str) -> Vec<&str> {
    screen
        .lines()
        .filter(|line| line.contains('/') && line.contains(" flags"))
        .collect()
}

#[test]
fn flags_that_are_not_found_leave_the_bar_alone() {
    for size in SIZES {
        let Some(terminal) = flags2("--every", size, "") else {
            return;
        };
        let check = |screen: &str| {
            assert!(!screen.contains("not found: "), "{screen}");
            let bars: Vec<_> = screen
                .lines()
                .filter(|line| line.contains("/676 flags"))
                .collect();
            assert!(bars.len() <= 1, "{screen}");
        };
        let (screen, code) = terminal.end(check);
        assert_eq!(code, Some(1), "{screen}");
        let bar = bars(&screen)[0];
        assert!(
            bar.contains("━━") && bar.contains("676/676 flags"),
            "{screen}"
        );
        assert!(bar.chars().count() <= size.0.into(), "{screen}");
        let count = |of: &str| {
            let line = screen.lines().find(|line| line.ends_with(of)).unwrap();
            line.split_whitespace()
                .next()
                .unwrap()
                .parse::<u32>()
                .unwrap()
        };
        assert_eq!(
            count(" flags downloaded.") + count(" not found."),
            676,
            "{screen}"
        );
    }
}

#[test]
fn bar_tells_nothing_it_does_not_know_and_fits_the_screen() {
    for (columns, rows) in SIZES {
        let (server, open) = gated(0, |exchange| exchange.ok(&[7; 1000]));
        let arguments = format!("b --base-url {}", server.url(""));
        let Some(mut terminal) = flags2(&arguments, (columns, rows), "") else {
            return;
        };
        let start = terminal.show(|screen| screen.contains("0/26 flags"));
        assert!(start.contains("ETA  --"), "{start}");
        for _ in 0..13 {
            open.send(()).unwrap();
        }
        let half = terminal.show(|screen| screen.contains("13/26 flags"));
        let bar = bars(&half)[0];
        assert!(bar.contains("ETA ") && bar.starts_with("━━"), "{half}");
        assert!(bar.chars().count() <= columns.into(), "{half}");
        assert_eq!(bar.contains("flags/s"), columns == 80, "{half}");
        drop(open);
        let (end, code) = terminal.end(|screen| assert!(bars(screen).len() <= 1, "{screen}"));
        assert_eq!(code, Some(0), "{end}");
        assert!(end.contains("26/26 flags"), "{end}");
    }
}

#[test]
fn without_colours_what_is_done_can_be_told_from_the_rest() {
    let (server, open) = gated(13, |exchange| exchange.ok(b"flag"));
    let arguments = format!("b -m 1 --base-url {}", server.url(""));
    let Some(mut terminal) = flags2(&arguments, (80, 24), "export NO_COLOR=1;") else {
        return;
    };
    let half = terminal.show(|screen| screen.contains("13/26 flags"));
    let bar = bars(&half)[0];
    let filled = bar
        .chars()
        .take_while(|&glyph| "━╸".contains(glyph))
        .count();
    let whole = bar.find("13/26").unwrap();
    let whole = bar[..whole].chars().count();
    assert!(filled > 0 && filled < whole * 2 / 3, "{half}");
    drop(open);
    terminal.end(|_| {});
}

#[test]
fn terminal_that_says_it_is_of_no_width_has_a_bar() {
    let Some(terminal) = flags2("br fr in", (80, 24), "stty columns 0 rows 0;") else {
        return;
    };
    let (screen, code) = terminal.end(|_| {});
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("3/3 flags"), "{screen}");
    assert!(screen.contains("\n  3 flags downloaded.\n"), "{screen}");
}

#[test]
fn narrower_and_wider_terminal_has_one_bar() {
    let (server, open) = gated(0, |exchange| exchange.ok(b"flag"));
    let arguments = format!("b --base-url {}", server.url(""));
    let Some(mut terminal) = flags2(&arguments, (80, 24), "") else {
        return;
    };
    terminal.show(|screen| screen.contains("/26 flags"));
    for columns in [40, 80, 30, 40] {
        let screen = terminal.resize(columns, 24);
        assert_eq!(screen.contains("flags/s"), columns == 80, "{screen}");
        assert_eq!(screen.matches("/26 flags").count(), 1, "{screen}");
        assert_eq!(screen.matches("ETA").count(), 1, "{screen}");
    }
    drop(open);
    let (end, code) = terminal.end(|_| {});
    assert_eq!(code, Some(0), "{end}");
    assert_eq!(end.matches("/26 flags").count(), 1, "{end}");
}

/// A failure stands above the bar; a retry is counted in it.
#[test]
fn retries_and_errors_are_seen() {
    for size in SIZES {
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let (server, open) = gated(4, move |exchange| {
            let mut asked = asked.lock().unwrap();
            let count = asked.entry(exchange.path.clone()).or_insert(0);
            *count += 1;
            match exchange.path.as_str() {
                "/br/br.gif" if *count == 1 => exchange.answer("503 Unavailable", "", b""),
                "/fr/fr.gif" => exchange.answer("418 Teapot", "", b""),
                _ => exchange.ok(b"flag"),
            }
        });
        let arguments = format!("br fr in us de -m 1 --base-url {}", server.url(""));
        let Some(mut terminal) = flags2(&arguments, size, "") else {
            return;
        };
        let seen =
            terminal.show(|screen| screen.contains(" 1 retry ") && screen.contains("error: "));
        assert!(seen.contains("FR error: HTTP error 418"), "{seen}");
        assert_eq!(bars(&seen).len(), 1, "{seen}");
        drop(open);
        let (end, code) = terminal.end(|screen| assert!(bars(screen).len() <= 1, "{screen}"));
        assert_eq!(code, Some(1), "{end}");
        assert!(
            end.contains("5/5 flags") && end.contains("\n  1 error.\n"),
            "{end}"
        );
        let Some(terminal) = flags2(&format!("{arguments} -v"), size, "") else {
            return;
        };
        let (end, _) = terminal.end(|_| {});
        assert!(end.contains("FR error: HTTP error 418"), "{end}");
    }
}

#[test]
fn server_that_never_answers_is_given_up_soon() {
    for timeout in [1, 10, 30] {
        let server = Server::start(Exchange::stall);
        let arguments = format!("br -v --base-url {}", server.url(""));
        let Some(terminal) = flags2_within(timeout, &arguments, (80, 24), "") else {
            return;
        };
        let (screen, code) = terminal.end(|_| {});
        assert_eq!(code, Some(1), "{screen}");
        assert!(screen.contains("BR retry in "), "{screen}");
        assert_eq!(screen.matches("timed out: ").count(), 2, "{screen}");
        // Where the program stands still, the time may be over before it waits.
        if screen
            .matches("timed out: waiting for the response")
            .count()
            == 2
        {
            assert!(
                screen.contains("BR error: timed out: waiting for"),
                "{screen}"
            );
            // One that was given up may still be on its way to the server.
            server.await_no_connection();
            assert_eq!(server.requests(), 2);
            return;
        }
    }
    panic!("it is never slow in waiting only");
}
