//! Runs programs side by side, and kills those that are cancelled.

use as_completed::{CancelToken, ThreadPool, as_completed};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{env, error::Error, io, thread};

/// Runs this program again, to nap for so many milliseconds; returns what it says.
fn run(milliseconds: u64, token: &CancelToken) -> io::Result<String> {
    let mut child = Command::new(env::current_exe()?)
        .arg(milliseconds.to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take();
    let child = Arc::new(Mutex::new(child));
    let to_kill = Arc::clone(&child);
    let _taken_back_at_the_end = token.on_cancel(move || {
        let mut child = to_kill.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill().unwrap_or_default(); // it may have ended
    });
    // Ends with the child; nothing is locked meanwhile.
    let text = output.map_or(Ok(String::new()), io::read_to_string)?;
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    match child.wait()? {
        status if status.success() => Ok(text),
        status => Err(io::Error::other(status.to_string())),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(milliseconds) = env::args().nth(1) {
        thread::sleep(Duration::from_millis(milliseconds.parse()?));
        println!("slept well");
        return Ok(());
    }
    let pool = ThreadPool::new(3);
    let naps = [60_000, 10, 20].map(|milliseconds| {
        let nap = pool.submit_cancellable(move |token| run(milliseconds, &token));
        (milliseconds, nap)
    });
    let mut naps = as_completed(naps);
    for (milliseconds, nap) in naps.by_ref().take(2) {
        assert_eq!(nap.join()??.trim_end(), "slept well", "{milliseconds}");
    }
    let (milliseconds, nap) = naps.into_pending().remove(0);
    nap.cancel();
    let killed = nap.join();
    println!("{milliseconds}: {killed:?}");
    assert!(!matches!(killed, Ok(Ok(_))));
    Ok(())
}
