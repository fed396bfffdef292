//! What is seen in a terminal, which `script` of util-linux lends.

use super::support::{Ended, Folder, example, interruptible, without_proxy};
use super::{Running, THREADPOOL};
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

/// Prepares a run in a terminal of 90 columns; `None` where none can be had.
fn in_terminal(folder: &Folder, arguments: &str) -> Option<Command> {
    let there = Command::new("script").arg("--version").output();
    if !there.is_ok_and(|output| output.stdout.starts_with(b"script from util-linux")) {
        eprintln!("not tested: there is no script command");
        return None;
    }
    let program = example(THREADPOOL);
    let patience = "--connect-timeout 600 --timeout 600";
    let program = program.display();
    let line = format!("stty columns 90; '{program}' {patience} {arguments}");
    let mut command = interruptible("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    without_proxy(&mut command);
    command.current_dir(&folder.0).env("TERM", "xterm");
    command.env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Some(command)
}

#[test]
fn a_bar_goes_to_its_end_and_what_is_not_found_is_counted() {
    let folder = Folder::new();
    let Some(mut command) = in_terminal(&folder, "br fr xx") else {
        return;
    };
    let ended = Ended::new(&command.output().unwrap());
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    let (before, after) = ended.out.split_once(" 0/3 flags ").unwrap();
    assert!(before.contains("3 concurrent connections will be used.\r\n"));
    assert!(after.contains(" 3/3 flags "), "{}", ended.out);
    assert!(!after.contains("XX"), "{}", ended.out);
    assert!(after.contains("\r\n  2 flags downloaded.\r\n  1 not found.\r\n"));
}

#[test]
fn ctrl_c_leaves_the_bar_where_it_is_and_reports() {
    let folder = Folder::new();
    let slowly = "-a -s DELAY --delay 1 -m 2";
    let Some(mut command) = in_terminal(&folder, slowly) else {
        return;
    };
    let mut running = Running(command.spawn().unwrap());
    let (mut keys, mut screen) = (running.0.stdin.take().unwrap(), Vec::new());
    let mut out = running.0.stdout.take().unwrap();
    while !String::from_utf8_lossy(&screen).contains("/194 flags ") {
        let mut bytes = [0; 256];
        let length = out.read(&mut bytes).unwrap();
        assert_ne!(length, 0, "{}", String::from_utf8_lossy(&screen));
        screen.extend(&bytes[..length]);
    }
    keys.write_all(b"\x03").unwrap();
    out.read_to_end(&mut screen).unwrap();
    let ended = Ended::new(&Output {
        status: running.0.wait().unwrap(),
        stdout: screen,
        stderr: Vec::new(),
    });
    assert_eq!(ended.code, Some(130), "{}", ended.out);
    assert!(ended.out.ends_with("interrupted\r\n"), "{}", ended.out);
    let flags = folder.downloaded();
    assert!(flags.len() < 194 && flags.iter().all(|(name, _)| name.len() == "CC.gif".len()));
    let count = ended.count(" flags downloaded") + ended.count(" flag downloaded");
    assert_eq!(count, flags.len());
}
