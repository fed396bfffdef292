//! [`Arguments`]: the command line.

use super::codes::{Code, Codes};
use super::options::{Label, ServerArguments};
use as_completed::download::RetryPolicy;
use clap::builder::PossibleValue;
use std::fmt;
use std::num::IntErrorKind;
use std::time::Duration;

/// Download flags of countries into the folder "downloaded".
///
/// Exit code: 0 if every flag was downloaded, 1 if not, 2 for a usage error, 130
/// after Ctrl-C. The built-in flags are Twemoji's (CC BY 4.0).
#[derive(clap::Parser)]
pub(super) struct Arguments {
    /// Country codes; a single letter stands for all codes that begin with it
    /// [default: the 20 most populous countries]
    #[arg(value_name = "CC")]
    pub(super) codes: Vec<Codes>,
    /// Download the flags of all countries, AD to ZW
    #[arg(short, long)]
    pub(super) all: bool,
    /// Try every possible code, AA to ZZ
    #[arg(short, long)]
    pub(super) every: bool,
    /// Download only the first N codes
    #[arg(short, long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub(super) limit: Option<usize>,
    /// Concurrent requests, at most 1000; the sequential program makes one
    /// [default: 30]
    #[arg(
        short,
        long = "max_req",
        visible_alias = "max-req",
        value_name = "CONCURRENT",
        value_parser = at_least_one,
        allow_negative_numbers = true
    )]
    pub(super) max_requests: Option<usize>,
    /// Server to use
    #[arg(
        short,
        long = "server",
        value_name = "LABEL",
        default_value_t = Site::Own(Label::Local),
        ignore_case = true
    )]
    pub(super) site: Site,
    /// Print a line for each flag instead of a progress bar
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// Use the server at this URL, where the flag of Brazil is URL/br/br.gif; through
    /// the proxy of the environment, if that has one for the URL
    #[arg(long, value_name = "URL", value_parser = base_url)]
    pub(super) base_url: Option<String>,
    /// Retry a flag up to N times if the server responds with an error, and once
    /// by default if it does not respond
    #[arg(long, value_name = "N")]
    pub(super) retries: Option<u32>,
    /// Seconds to wait for a response, and for each part of a flag [default: 6, and
    /// more if --delay is longer]
    #[arg(long, value_name = "SECONDS", value_parser = timeout, allow_negative_numbers = true)]
    pub(super) timeout: Option<Duration>,
    /// Seconds to wait for a connection
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "3",
        value_parser = timeout,
        allow_negative_numbers = true
    )]
    pub(super) connect_timeout: Duration,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

impl Arguments {
    /// Returns the retry policy: one retry, or, with `--retries`, a policy that also
    /// retries 418, the error of the server ERROR.
    pub(super) fn retry(&self) -> RetryPolicy {
        let once = || RetryPolicy::default().max_retries(1);
        self.retries.map_or_else(once, |retries| {
            RetryPolicy::default()
                .max_retries(retries)
                .budget(u32::MAX)
                .also_status(418)
        })
    }

    /// Returns how long to wait for a response, by default longer than the program's
    /// own server takes.
    pub(super) fn read_timeout(&self) -> Duration {
        const DEFAULT: Duration = Duration::from_secs(6);
        const MARGIN: Duration = Duration::from_secs(1);
        self.timeout.unwrap_or_else(|| match self.site {
            Site::Own(label) => {
                let longest = *self.server.manner(label).delay.end();
                DEFAULT.max(longest.saturating_add(MARGIN))
            }
            Site::Remote => DEFAULT,
        })
    }

    /// Returns the requested codes, each once, in order.
    pub(super) fn wanted_codes(&self) -> Vec<Code> {
        let mut codes = if self.every {
            Code::every()
        } else if self.all {
            Code::countries()
        } else if self.codes.is_empty() {
            Code::most_populous()
        } else {
            self.codes.iter().copied().flat_map(Codes::expand).collect()
        };
        codes.sort_unstable();
        codes.dedup();
        codes.truncate(self.limit.unwrap_or(usize::MAX));
        codes
    }
}

/// A server to use.
#[derive(Clone, Copy)]
pub(super) enum Site {
    /// A server that the program starts.
    Own(Label),
    /// The server of the book.
    Remote,
}

impl Site {
    pub(super) const REMOTE_URL: &str = "https://www.fluentpython.com/data/flags";
}

impl clap::ValueEnum for Site {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Own(Label::Local),
            Self::Own(Label::Delay),
            Self::Own(Label::Error),
            Self::Remote,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Own(label) => label.to_possible_value(),
            Self::Remote => Some(PossibleValue::new("REMOTE").help("The server of the book")),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(label) => label.fmt(f),
            Self::Remote => f.pad("REMOTE"),
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => {
            Err("number is too large".to_owned())
        }
        Err(_) => Err("must be a whole number, at least 1".to_owned()),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "must be a number of seconds, more than 0".to_owned())
}

fn base_url(text: &str) -> Result<String, String> {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .ok_or("must begin with http:// or https://")?;
    if host.is_empty() || host.starts_with('/') {
        return Err("has no host name".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}
