//! [`ServerArguments`]: the options of command lines that start a server.

use super::server::{Manner, Source};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The servers of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Label {
    /// Responds at once
    Local,
    /// Waits before each response
    Delay,
    /// Waits, and responds to some requests with an error
    Error,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Local => "LOCAL",
            Self::Delay => "DELAY",
            Self::Error => "ERROR",
        })
    }
}

/// The options of a server.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArguments {
    /// Seconds that DELAY and ERROR wait before each response
    #[arg(
        long,
        value_name = "MIN..MAX",
        default_value = "0.5..5",
        allow_hyphen_values = true
    )]
    delay: Seconds,
    /// Fraction of the requests that ERROR responds to with 418
    #[arg(long, value_name = "RATE", default_value = "0.25", value_parser = share, allow_negative_numbers = true)]
    error_rate: f64,
    /// Folder of files to serve instead of the built-in flags: those whose names consist of
    /// letters of ASCII, digits and "._-+~", and do not begin with a dot
    #[arg(long, value_name = "DIR", value_parser = folder)]
    root: Option<PathBuf>,
}

impl ServerArguments {
    /// Returns how a server with this label behaves.
    pub fn manner(&self, label: Label) -> Manner {
        let delay = self.delay.0.clone();
        match label {
            Label::Local => Manner::PROMPT,
            Label::Delay => Manner {
                delay,
                error_rate: 0.0,
            },
            Label::Error => Manner {
                delay,
                error_rate: self.error_rate,
            },
        }
    }

    /// Returns what the server serves.
    pub fn source(&self) -> Source {
        match &self.root {
            Some(root) => Source::Folder(root.clone()),
            None => Source::BuiltIn,
        }
    }
}

/// A range of times, read from `MIN..MAX` or from one number, in seconds.
#[derive(Clone, Debug)]
struct Seconds(RangeInclusive<Duration>);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (shortest, longest) = text.split_once("..").unwrap_or((text, text));
        let (shortest, longest) = (seconds(shortest)?, seconds(longest)?);
        if shortest > longest {
            return Err("the first time is longer than the second".to_owned());
        }
        Ok(Self(shortest..=longest))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.trim()
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("{text:?} is not a number of seconds"))
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "not a number from 0 to 1".to_owned())
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let folder = PathBuf::from(text);
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err("not a folder".to_owned())
    }
}
