//! The screen of `download`.

use super::server::{Exchange, Server, Then};
use super::terminal::Terminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

const SIZES: [(u16, u16); 2] = [(80, 24), (40, 10)];
const MIB: usize = 1024 * 1024;

fn download(arguments: &str, size: (u16, u16), before: &str) -> Option<Terminal> {
    let patient = format!("--connect-timeout 600 --read-timeout 600 {arguments}");
    Terminal::start("download_program", "download", &patient, size, before)
}

/// Serves files of two megabytes: the second comes once the gate is open. The first
/// request for `/again` fails, and there is no `/missing`.
fn start_server() -> (Server, Sender<()>) {
    let (open, gate) = channel();
    let (gate, failed) = (Mutex::new(gate), AtomicUsize::new(0));
    let server = Server::start(move |exchange| {
        match exchange.path.as_str() {
            "/missing" => return exchange.answer("404 Not Found", "", b""),
            "/again" if failed.fetch_add(1, Ordering::SeqCst) == 0 => {
                return exchange.answer("503 Unavailable", "", b"");
            }
            "/chunked" => {
                exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                exchange.send(format!("{MIB:x}\r\n{}\r\n", "x".repeat(MIB)));
            }
            _ => {
                let length = 2 * MIB;
                exchange.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
                ));
                exchange.send("x".repeat(MIB));
            }
        }
        // Open for good once the other end is dropped.
        let _ = gate.lock().unwrap().recv();
        match exchange.path.as_str() {
            "/chunked" => exchange.send("0\r\n\r\n"),
            _ => exchange.send("x".repeat(MIB)),
        };
        Then::KeepOpen
    });
    (server, open)
}

/// A server that wants to be left alone for as long as is shown in seconds.
fn start_busy_server() -> Server {
    Server::start(|exchange: &mut Exchange| {
        exchange.answer("503 Unavailable", "Retry-After: 59\r\n", b"")
    })
}

/// The lines of files that are under way, and the one for all.
fn lines(screen: &str) -> Vec<&str> {
    let is_total = |line: &str| line.contains(" files");
    let of_file =
        |line: &str| line.contains("% ") || line.contains(" MiB ") || line.contains("retry ");
    let lines = screen.lines().map(str::trim_end);
    lines
        .filter(|line| is_total(line) || of_file(line))
        .collect()
}

#[test]
fn each_file_has_a_line_in_the_order_of_the_list_and_all_have_one() {
    let busy = start_busy_server();
    for (columns, rows) in SIZES {
        let (server, open) = start_server();
        let urls = ["/half", "/chunked", "/missing", "/again"].map(|path| server.url(path));
        let arguments = format!("-d files {} {}", busy.url("/paused"), urls.join(" "));
        let Some(mut terminal) = download(&arguments, (columns, rows), "") else {
            return;
        };
        let seen = terminal.show(|screen| {
            let has_all = |texts: &[&str]| texts.iter().all(|text| screen.contains(text));
            let is_half = screen.matches(" 50% ").count() == 2;
            is_half
                && has_all(&[
                    "retry 1 in ",
                    "chunked",
                    "missing: HTTP error 404",
                    "1/5 files",
                ])
        });
        let lines = lines(&seen);
        assert_eq!(lines.len(), 5, "{seen}");
        let names = ["paused", "half", "chunked", "again", "1/5 files"];
        for (line, name) in lines.iter().zip(names) {
            assert!(line.contains(name), "{seen}");
            assert!(line.chars().count() < columns.into(), "{seen}");
        }
        assert!(
            lines[0].contains("retry 1 in ") && lines[0].contains("s paused: HTTP"),
            "{seen}"
        );
        assert!(lines[4].contains("ETA "), "{seen}");
        assert!(lines[4].contains("1 failed"), "{seen}");
        assert_eq!(lines[4].contains("2 retries"), columns == 80, "{seen}");
        // Above the lines, and whole.
        let failure = seen.find("missing: HTTP error 404").unwrap();
        assert!(failure < seen.find(lines[0]).unwrap(), "{seen}");
        drop(open);
        terminal.show(|screen| screen.contains("4/5 files"));
        terminal.send("-INT");
        let (end, code) = terminal.end(|_| {});
        assert_eq!(code, Some(130), "{end}");
        assert!(!end.contains("retry 1 in"), "{end}");
        assert!(end.contains("5/5 files") && end.contains(" in "), "{end}");
        assert!(
            end.contains("     3 ok\n     1 not found\n     1 cancelled\n"),
            "{end}"
        );
    }
}

#[test]
fn narrower_and_wider_terminal_has_each_line_once() {
    let (server, open) = start_server();
    let arguments = format!(
        "-d files {} {}",
        server.url("/half"),
        server.url("/chunked")
    );
    let Some(mut terminal) = download(&arguments, (80, 24), "") else {
        return;
    };
    terminal.show(|screen| screen.contains(" 50% ") && screen.contains("chunked"));
    for columns in [40, 80, 35, 40] {
        let screen = terminal.resize(columns, 24);
        assert_eq!(screen.contains("/2.0 MiB"), columns == 80, "{screen}");
        for text in [" 50% ", "half", "chunked", "0/2 files"] {
            assert_eq!(screen.matches(text).count(), 1, "{screen}");
        }
        let drawn = screen.lines().filter(|line| !line.is_empty()).count();
        assert_eq!(drawn, 3, "{screen}");
    }
    drop(open);
    let (end, code) = terminal.end(|_| {});
    assert_eq!(code, Some(0), "{end}");
    assert!(
        end.trim_start()
            .lines()
            .next()
            .unwrap()
            .contains("2/2 files"),
        "{end}"
    );
}

#[test]
fn list_has_an_end_that_is_known_and_its_wrong_lines_do_not_count() {
    let (server, open) = start_server();
    let list = format!(
        "printf '# list\\nnonsense\\n{}\\n\\n{} again\\n' > list;",
        server.url("/half"),
        server.url("/half")
    );
    drop(open);
    let Some(terminal) = download("-d files list", (80, 24), &list) else {
        return;
    };
    let (end, code) = terminal.end(|_| {});
    assert_eq!(code, Some(2), "{end}");
    assert!(end.contains(" 2/2 files "), "{end}");
    assert!(end.contains("error: list, line 2: "), "{end}");
}

#[test]
fn error_of_the_folder_stands_alone() {
    let file = "touch files;";
    let Some(terminal) = download("-d files http://127.0.0.1:9/x", (80, 24), file) else {
        return;
    };
    let (screen, code) = terminal.end(|_| {});
    assert_eq!(code, Some(23), "{screen}");
    let seen = screen.trim_end();
    assert!(
        seen.starts_with("error: cannot create the folder files: "),
        "{screen}"
    );
    assert!(seen.ends_with(')') && seen.lines().count() == 1, "{screen}");
}

#[test]
fn terminal_that_says_it_is_of_no_width_has_a_bar() {
    let (server, open) = start_server();
    drop(open);
    let arguments = format!("-d files {}", server.url("/half"));
    let Some(terminal) = download(&arguments, (80, 24), "stty columns 0 rows 0;") else {
        return;
    };
    let (screen, code) = terminal.end(|_| {});
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains(" 1/1 files "), "{screen}");
}

#[test]
fn without_colours_what_is_done_can_be_told_from_the_rest() {
    let (server, open) = start_server();
    let arguments = format!("-d files {}", server.url("/half"));
    let Some(mut terminal) = download(&arguments, (80, 24), "export NO_COLOR=1;") else {
        return;
    };
    let seen = terminal.show(|screen| screen.contains(" 50% "));
    let line = lines(&seen)[0];
    let filled = line
        .chars()
        .take_while(|glyph| "━╸".contains(*glyph))
        .count();
    assert!((5..15).contains(&filled), "{seen}");
    drop(open);
    terminal.end(|_| {});
}
