//! Measuring side by side: rounds, each with one run of every candidate.

use anyhow::{Context, Result, bail};
use std::process::Command;

/// A measurement and its results, one figure per round.
pub struct Candidate {
    pub name: String,
    run: Box<dyn Fn() -> Result<f64>>,
    pub samples: Vec<f64>,
}

impl Candidate {
    pub fn new(name: impl Into<String>, run: impl Fn() -> Result<f64> + 'static) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
            samples: Vec::new(),
        }
    }

    /// A measurement of this program in a separate process, so that no candidate
    /// inherits another's heap, threads or caches.
    pub fn child(name: impl Into<String>, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Self::new(name, move || child(&arguments))
    }

    pub fn median(&self) -> f64 {
        median(self.samples.clone())
    }

    /// The median of the rounds' ratios. What slows the machine for a while
    /// slows both sides of a round, so this drifts less than a ratio of
    /// medians.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        median(
            self.samples
                .iter()
                .zip(&other.samples)
                .map(|(ours, theirs)| ours / theirs)
                .collect(),
        )
    }
}

fn child(arguments: &[String]) -> Result<f64> {
    let program = std::env::current_exe().context("this program's own path")?;
    let output = Command::new(program).arg("one").args(arguments).output()?;
    if !output.status.success() {
        bail!(
            "`one {}` failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let printed = String::from_utf8(output.stdout)?;
    printed
        .trim()
        .parse()
        .with_context(|| format!("`one {}` printed {printed:?}", arguments.join(" ")))
}

/// Runs the candidates in turn, each round starting with another one.
pub fn interleave(rounds: usize, candidates: &mut [Candidate]) -> Result<()> {
    for round in 0..rounds {
        for step in 0..candidates.len() {
            let candidate = &mut candidates[(round + step) % candidates.len()];
            eprint!(
                "\r\x1b[Kround {} of {rounds}: {}",
                round + 1,
                candidate.name
            );
            let sample = (candidate.run)().with_context(|| candidate.name.clone())?;
            candidate.samples.push(sample);
        }
    }
    eprint!("\r\x1b[K");
    Ok(())
}

pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    if samples.len() % 2 == 1 {
        samples[middle]
    } else {
        f64::midpoint(samples[middle - 1], samples[middle])
    }
}
