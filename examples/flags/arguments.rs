//! [`Arguments`]: the command line.

use super::codes::{Code, Codes};
use super::options::{Label, ServerArguments};
use as_completed::download::RetryPolicy;
use clap::builder::PossibleValue;
use std::fmt;

/// Download flags of countries into the folder "downloaded".
///
/// Exit code: 0 if every flag was downloaded, 1 if not, 2 if the command line
/// is wrong, 130 after Ctrl-C. The built-in flags are Twemoji's (CC BY 4.0).
#[derive(clap::Parser)]
pub(super) struct Arguments {
    /// Country codes, or first letters to try with each second letter
    /// [default: the 20 most populous countries]
    #[arg(value_name = "CC")]
    pub(super) codes: Vec<Codes>,
    /// Get the flags of all countries, AD to ZW
    #[arg(short, long)]
    pub(super) all: bool,
    /// Get the flags of every possible code, AA to ZZ
    #[arg(short, long)]
    pub(super) every: bool,
    /// Stop after the first N codes
    #[arg(short, long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub(super) limit: Option<usize>,
    /// Requests at one time, up to 1000; the sequential program makes one
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
    /// Server to ask
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
    /// Ask the server at this URL, where the flag of Brazil is URL/br/br.gif
    #[arg(long, value_name = "URL", value_parser = base_url)]
    pub(super) base_url: Option<String>,
    /// Try a flag again, up to N times, if the server answers by an error
    #[arg(long, value_name = "N")]
    pub(super) retries: Option<u32>,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

impl Arguments {
    /// Returns when a flag is tried again: as any download, or, if asked, also
    /// after the error of the server ERROR, which is not one that passes.
    pub(super) fn retry(&self) -> RetryPolicy {
        self.retries.map_or_else(RetryPolicy::default, |retries| {
            RetryPolicy::default()
                .max_retries(retries)
                .budget(u32::MAX)
                .also_status(418)
        })
    }

    /// Returns the codes that are wanted, each once, in order.
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

/// A server to ask.
#[derive(Clone, Copy)]
pub(super) enum Site {
    /// One that the program starts.
    Own(Label),
    /// The book's.
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
        Err(_) => Err("not a whole number from 1".to_owned()),
    }
}

fn base_url(text: &str) -> Result<String, String> {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .ok_or("must begin with http:// or https://")?;
    if host.is_empty() || host.starts_with('/') {
        return Err("names no host".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}
