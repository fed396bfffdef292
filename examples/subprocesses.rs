//! Runs programs side by side, and kills those that are cancelled.

use as_completed::{CancelToken, ThreadPool, as_completed};
use std::process::{Command, ExitStatus};
use std::time::Duration;
use std::{env, error::Error, io, thread};

/// Runs this program again, to nap for so many milliseconds.
fn run(milliseconds: u64, token: &CancelToken) -> io::Result<ExitStatus> {
    let mut child = Command::new(env::current_exe()?)
        .arg(milliseconds.to_string())
        .spawn()?;
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(status),
            None if token.sleep(Duration::from_millis(5)) => {}
            None => child.kill()?,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(milliseconds) = env::args().nth(1) {
        thread::sleep(Duration::from_millis(milliseconds.parse()?));
        return Ok(());
    }
    let pool = ThreadPool::new(3);
    let naps = [60_000, 10, 20].map(|milliseconds| {
        let nap = pool.submit_cancellable(move |token| run(milliseconds, &token));
        (milliseconds, nap)
    });
    let mut naps = as_completed(naps);
    for (milliseconds, nap) in naps.by_ref().take(2) {
        assert!(nap.join()??.success(), "{milliseconds}");
    }
    let (milliseconds, nap) = naps.into_pending().remove(0);
    nap.cancel();
    let killed = nap.join();
    println!("{milliseconds}: {killed:?}");
    assert!(!matches!(killed, Ok(Ok(status)) if status.success()));
    Ok(())
}
