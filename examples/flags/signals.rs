//! Signals that end the program: the first cancels the downloads, the second exits.

use as_completed::CancelToken;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The signal that came, if one did.
#[derive(Debug, Clone, Default)]
pub struct Signalled(
    /// The exit code that goes with it, or 0.
    Arc<AtomicU8>,
);

impl Signalled {
    /// Returns 128 and the number of the signal that came last, if one did.
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        Some(self.0.load(Ordering::Relaxed)).filter(|code| *code > 0)
    }

    fn receive(&self, code: u8, token: &CancelToken) {
        if token.is_cancelled() {
            std::process::exit(code.into());
        }
        self.0.store(code, Ordering::Relaxed);
        token.cancel();
    }
}

/// Cancels the token when Ctrl-C is pressed, or the program is to end or its terminal
/// is closed; not where the signal is ignored, as under `nohup`.
///
/// To be called before other threads start, which would receive the signals instead.
///
/// # Errors
///
/// If the system refuses.
#[cfg(unix)]
pub fn cancel_on_signals(token: &CancelToken) -> Result<Signalled, Box<dyn Error>> {
    use nix::sys::signal::{SigSet, Signal};

    let signalled = Signalled::default();
    let ignored = ignored_signals();
    let mut set = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        if ignored & (1 << (signal as i32 - 1)) == 0 {
            set.add(signal);
        }
    }
    set.thread_block()?;
    let (ours, token) = (signalled.clone(), token.clone());
    std::thread::spawn(move || {
        while let Ok(signal) = set.wait() {
            let code = 128 + u8::try_from(signal as i32).unwrap_or_default();
            ours.receive(code, &token);
        }
    });
    Ok(signalled)
}

/// Returns a bit for each signal that whoever started this program wants ignored, as
/// far as the system tells.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

/// Cancels the token when Ctrl-C is pressed.
///
/// # Errors
///
/// If the system refuses.
#[cfg(not(unix))]
pub fn cancel_on_signals(token: &CancelToken) -> Result<Signalled, Box<dyn Error>> {
    let signalled = Signalled::default();
    let (ours, token) = (signalled.clone(), token.clone());
    ctrlc::set_handler(move || ours.receive(130, &token))?;
    Ok(signalled)
}
