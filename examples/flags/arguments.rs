//! [`Arguments`]: the command line.

use super::codes::{Code, Codes};
use super::options::{Label, ServerArguments};
use as_completed::download::RetryPolicy;
use clap::builder::PossibleValue;
use std::fmt;

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
    /// Use the server at this URL, where the flag of Brazil is URL/br/br.gif
    #[arg(long, value_name = "URL", value_parser = base_url)]
    pub(super) base_url: Option<String>,
    /// Retry a flag up to N times if the server responds with an error
    #[arg(long, value_name = "N")]
    pub(super) retries: Option<u32>,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

impl Arguments {
    /// Returns the retry policy: the default one, or, with `--retries`, one that
    /// also retries 418, the error of the server ERROR.
    pub(super) fn retry(&self) -> RetryPolicy {
        self.retries.map_or_else(RetryPolicy::default, |retries| {
            RetryPolicy::default()
                .max_retries(retries)
                .budget(u32::MAX)
                .also_status(418)
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
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number, at least 1".to_owned()),
    }
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
