//! The code that `flags2_threadpool` and `flags2_sequential` share: everything
//! but the executor.

use super::arguments::{Arguments, Site};
use super::codes::Code;
use super::screen::{Output, Screen, complain};
use super::server::{FlagServer, allow_open_files};
use super::signals::cancel_on_signals;
use super::texts;
use as_completed::download::{Downloader, Job, Proxy};
use as_completed::{CancelToken, Executor};
use clap::Parser;
use std::error::Error;
use std::process::ExitCode;

const DIRECTORY: &str = "downloaded";

/// How many connections a program can use.
#[derive(Debug)]
pub struct Connections {
    /// Unless the command line says otherwise.
    pub default: usize,
    /// At most, whatever the command line says.
    pub most: usize,
}

/// Runs the program on the executor that `make_executor` returns for a number of
/// connections.
pub fn main<E: Executor>(
    connections: &Connections,
    make_executor: impl FnOnce(usize) -> E,
) -> ExitCode {
    match run(&Arguments::parse(), connections, make_executor) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&format!("error: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run<E: Executor>(
    arguments: &Arguments,
    connections: &Connections,
    make_executor: impl FnOnce(usize) -> E,
) -> Result<u8, Box<dyn Error>> {
    let codes = arguments.wanted_codes();
    let connections = arguments
        .max_requests
        .unwrap_or(connections.default)
        .min(connections.most)
        .min(codes.len());

    // Each connection takes a file descriptor, and two if the server is in
    // this process; the usual limit is 1,024.
    allow_open_files()?;
    let token = CancelToken::new();
    let signalled = cancel_on_signals(&token)?;
    let server = match (arguments.site, &arguments.base_url) {
        (Site::Own(label), None) => Some(FlagServer::start(
            arguments.server.source(),
            arguments.server.manner(label),
        )?),
        _ => None,
    };
    let url = match (&server, &arguments.base_url) {
        (Some(server), _) => server.url(),
        (None, Some(url)) => url.clone(),
        (None, None) => Site::REMOTE_URL.to_owned(),
    };
    let proxy = match server {
        Some(_) => Proxy::Direct,
        None => Proxy::Environment,
    };

    let downloader = Downloader::builder(DIRECTORY)
        // For each worker, one that runs and one that is ready.
        .max_in_flight(2 * connections)
        .proxy(proxy)
        .retry(arguments.retry())
        .connect_timeout(arguments.connect_timeout)
        .read_timeout(arguments.read_timeout())
        .cancel_token(token)
        .build()?;
    let label = arguments.site.to_string();
    let output = Output::default();
    output.print(&texts::start(&label, &url, &codes, connections));

    let screen = Screen::new(codes.len(), arguments.verbose, output.clone());
    let executor = make_executor(connections);
    let jobs = codes.into_iter().map(|code| job(code, &url));
    let report = downloader.download_many(&executor, jobs, screen.clone());
    screen.end();
    let report = report?;

    output.print(&texts::end(&report));
    if !report.is_cancelled() {
        return Ok(report.exit_code().max(output.is_lost().into()));
    }
    complain("interrupted\n");
    Ok(signalled.exit_code().unwrap_or(report.exit_code()))
}

fn job(code: Code, url: &str) -> Job<Code> {
    Job::new(
        code,
        format!("{url}/{}", code.path()),
        format!("{code}.gif"),
    )
}
