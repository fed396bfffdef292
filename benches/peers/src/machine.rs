//! The line above the table: when and on what machine it was measured.

use std::fs;
use std::process::Command;

/// The date, the machine, its load, and the relevant versions.
pub fn line() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(": ")?.1.to_owned())
        })
        .unwrap_or_else(|| "of unknown make".to_owned());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    format!(
        "{}; {processors} processors, {model}; {}; {}; load before the start {load}.",
        output("date", "+%F"),
        output("uname", "-srm"),
        output("rustc", "--version"),
    )
}

fn output(program: &str, argument: &str) -> String {
    Command::new(program)
        .arg(argument)
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| format!("no {program}"), |text| text.trim().to_owned())
}
