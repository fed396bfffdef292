//! Downloads flags of countries, many at a time.
//!
//! `cargo run --release --example flags2_threadpool -- --help`

use as_completed::ThreadPool;
use flags::Connections;
use std::process::ExitCode;

fn main() -> ExitCode {
    let connections = Connections {
        default: 30,
        most: 1000,
    };
    flags::main(&connections, ThreadPool::new)
}
