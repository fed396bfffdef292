//! Serves flags over HTTP: at once, slowly or unreliably.
//!
//! `cargo run --release --example flag_server -- --root ../shared/flags`

use clap::Parser;
use flags::options::{Label, ServerArguments};
use flags::server::{FlagServer, allow_open_files};
use std::io::{self, Write};
use std::process::ExitCode;

/// Serve flags over HTTP: URL/br/br.gif is the flag of Brazil.
///
/// The built-in flags are Twemoji's (CC BY 4.0).
#[derive(Parser)]
struct Arguments {
    /// Behaviour of the server
    #[arg(
        short = 's',
        long = "server",
        value_name = "LABEL",
        default_value_t = Label::Local,
        ignore_case = true
    )]
    label: Label,
    /// Address to listen on
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 chooses a free one
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    port: u16,
    #[command(flatten)]
    server: ServerArguments,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flag_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    // Each connection takes a file descriptor, and the usual limit is 1,024.
    allow_open_files()?;
    let server = FlagServer::start_at(
        (arguments.host.as_str(), arguments.port),
        arguments.server.source(),
        arguments.server.manner(arguments.label),
    )?;
    writeln!(io::stdout(), "{} site: {}", arguments.label, server.url())?;
    server.run_for_ever();
    Ok(())
}
