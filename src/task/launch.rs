//! A closure becomes a task: handed to whatever takes tasks, and its handle
//! returned.

use super::any_cell::AnyCell;
use super::cell::{Cell, Stop, Work};
use super::erased::ErasedTask;
use super::handle::ScopedJoinHandle;
use super::refused::Refused;
use crate::error::SubmitError;
use std::sync::Arc;

/// Whether a submission waits for room in a full queue.
#[derive(Clone, Copy)]
pub(crate) enum Room {
    Wait,
    Now,
}

/// Makes a cell, hands it to `execute` and returns its handle.
pub(crate) fn launch<'scope, F, T, S>(
    closure: F,
    stop: S,
    execute: impl FnOnce(ErasedTask<'scope>) -> Result<(), Refused<'scope>>,
) -> ScopedJoinHandle<'scope, T>
where
    F: Work<T> + Send + 'scope,
    T: Send + 'scope,
    S: Stop + 'scope,
{
    let cell = Arc::new(Cell::new(closure, stop));
    if let Err(refused) = execute(ErasedTask::new(Arc::clone(&cell) as _)) {
        // The drop of a refused task resolves its handle.
        drop(refused);
    }
    ScopedJoinHandle::new(cell)
}

/// As [`launch`], but a closure that is not taken comes back.
pub(crate) fn offer<'scope, F, T, S>(
    closure: F,
    stop: S,
    execute: impl FnOnce(ErasedTask<'scope>) -> Result<(), Refused<'scope>>,
) -> Result<ScopedJoinHandle<'scope, T>, SubmitError<F>>
where
    F: Work<T> + Send + 'scope,
    T: Send + 'scope,
    S: Stop + 'scope,
{
    let cell = Arc::new(Cell::new(closure, stop));
    if let Err(refused) = execute(ErasedTask::new(Arc::clone(&cell) as _)) {
        // An executor may refuse another task in place of this one, which it
        // then still holds; that other one learns of it as it is dropped.
        if refused.task().id() == cell.id() {
            if let Some(closure) = cell.take_back() {
                return Err(SubmitError::new(closure, refused.reason().clone()));
            }
        }
    }
    Ok(ScopedJoinHandle::new(cell))
}
