//! Tasks that are asked to stop when they have run for too long.

use super::cancel::CancelToken;
use super::cell::Fallible;
use super::erased::ErasedTask;
use super::handle::ScopedJoinHandle;
use super::launch::launch;
use super::refused::Refused;
use super::timer::TimerUser;
use crate::error::{JoinError, Rejected, SpawnError, TimedOut};
use std::time::Duration;

/// As [`launch`], with a token that is set when the closure has run for `timeout`.
pub(crate) fn launch_with_timeout<'scope, F, T>(
    timeout: Duration,
    closure: F,
    execute: impl FnOnce(ErasedTask<'scope>) -> Result<(), Refused<'scope>>,
) -> ScopedJoinHandle<'scope, T>
where
    F: FnOnce(CancelToken) -> T + Send + 'scope,
    T: Send + 'scope,
{
    let token = CancelToken::new();
    let seen = token.clone();
    match TimerUser::new() {
        Ok(timer) => {
            let work = Fallible(move || {
                let alarm = timer.alarm(timeout, &seen);
                let value = closure(seen);
                if alarm.stop() {
                    Err(JoinError::TimedOut(TimedOut::new(timeout)))
                } else {
                    Ok(value)
                }
            });
            launch(work, token, execute)
        }
        Err(error) => {
            let reason = Rejected::Thread(SpawnError::new(error));
            launch(
                move || closure(seen),
                token,
                |task| Err(Refused::new(task, reason)),
            )
        }
    }
}
