//! Downloads the files of a list, with the settings of `as_completed::download` that
//! its users may want to choose.
//!
//! ```text
//! $ cat list
//! https://example.org/a.tar.gz
//! https://example.org/b/latest  b.tar.gz
//! https://example.org/b/2       "b 2.tar.gz"
//! https://example.org/c.tar.gz  c.tar.gz  e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
//! $ cargo run --release --features progress --example download -- --resume --segments 8 list
//! $ cargo run --release --features progress --example download -- --base-url https://example.org/iso SHA256SUMS
//! ```

mod arguments;
mod list;
mod screen;

use arguments::Arguments;
use as_completed::{CancelToken, ThreadPool};
use clap::Parser;
use flags::signals::cancel_on_signals;
use list::{Jobs, Source};
use screen::Screen;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            print_error(&*error);
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let token = CancelToken::new();
    let signalled = cancel_on_signals(&token)?;
    let format = arguments.format();
    let sources = arguments.sources.iter();
    let sources = sources.map(|source| Source::open(source, &format));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let files = sources.iter().map(Source::jobs).sum();
    let downloader = arguments.set_up(token.clone())?.build()?;
    let pool = ThreadPool::builder().max_workers(arguments.jobs).build()?;
    let screen = Screen::new(arguments, files);
    let jobs = Jobs::new(sources, format, token, screen.clone());
    let report = match downloader.download_many(&pool, jobs, screen.clone()) {
        Ok(report) => report,
        Err(error) => {
            screen.fail_run(&error);
            return Ok(screen.exit_code());
        }
    };
    screen.end(&report);
    Ok(match (signalled.exit_code(), screen.exit_code()) {
        (Some(code), _) if report.is_cancelled() => code,
        (_, 0) => report.exit_code(),
        (_, first_failure) => first_failure,
    })
}

fn print_error(error: &dyn Error) {
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "error: {error}");
}
