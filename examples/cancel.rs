//! Asks a running task to stop, and cancels a pending one.

use as_completed::{JoinError, ThreadPool};
use std::sync::mpsc;
use std::time::Duration;

fn main() -> Result<(), JoinError> {
    let pool = ThreadPool::new(1);
    let (started, has_started) = mpsc::channel();
    let running = pool.submit_cancellable(move |token| {
        let _nobody_waits = started.send(());
        let mut naps = 0;
        while token.sleep(Duration::from_millis(1)) {
            naps += 1;
        }
        naps
    });
    let pending = pool.submit(|| unreachable!("the only worker is busy"));

    assert!(has_started.recv().is_ok());
    assert!(pending.cancel());
    assert!(matches!(pending.join(), Err(JoinError::Cancelled)));
    running.cancel();
    println!("stopped after {} naps", running.join()?);
    Ok(())
}
