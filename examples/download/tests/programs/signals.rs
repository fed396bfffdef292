//! Signals: what was done is reported, and the exit code says which came.

use super::support::{Ended, Folder, example, finish, send, without_proxy};
use super::{DOWNLOAD, start_server};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A program that has downloaded one file, and waits for more of the list.
struct Waiting {
    child: Child,
    list: ChildStdin,
    out: BufReader<ChildStdout>,
}

fn start(mut command: Command, url: &str) -> Waiting {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut list = child.stdin.take().expect("the input is piped");
    let mut out = BufReader::new(child.stdout.take().expect("the output is piped"));
    writeln!(list, "{url}").expect("the program reads");
    let mut line = String::new();
    out.read_line(&mut line).expect("the program writes");
    assert!(line.contains("\"status\":\"ok\""), "{line}");
    Waiting { child, list, out }
}

fn end(mut waiting: Waiting) -> Ended {
    finish(&mut waiting.child, waiting.out)
}

#[test]
fn exit_code_says_which_signal_came_while_the_list_was_open() {
    let (_server, url) = start_server();
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let folder = Folder::new();
        let waiting = start(folder.command(DOWNLOAD, ["--json"]), &url);
        send(signal, &waiting.child);
        let ended = end(waiting);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.out.contains("\"is_cancelled\":true"), "{ended:?}");
        assert_eq!(folder.names(), ["br.gif"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn signal_that_is_ignored_stays_ignored() {
    let (_server, url) = start_server();
    let folder = Folder::new();
    // What `nohup` does.
    let mut command = Command::new("sh");
    without_proxy(&mut command);
    command
        .args(["-c", "trap '' HUP; exec \"$0\" --json"])
        .arg(example(DOWNLOAD))
        .current_dir(&folder.0);
    let mut waiting = start(command, &url);
    send("-HUP", &waiting.child);
    writeln!(waiting.list, "{url} second.gif").expect("the program reads");
    let mut line = String::new();
    waiting
        .out
        .read_line(&mut line)
        .expect("the program writes");
    assert!(line.contains("second.gif"), "{line}");
    send("-TERM", &waiting.child);
    assert_eq!(end(waiting).code, Some(143));
}
