//! Downloads flags of countries, one after the other: the same program as
//! `flags2_threadpool`, on an executor that runs each task at submit.
//!
//! `cargo run --release --example flags2_sequential -- --help`

use as_completed::Inline;
use flags::Connections;
use std::process::ExitCode;

fn main() -> ExitCode {
    let connections = Connections {
        default: 1,
        most: 1,
    };
    flags::main(&connections, |_one| Inline)
}
