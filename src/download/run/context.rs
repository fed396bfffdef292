//! [`Run`]: what the jobs of a run share.

use super::budget::Budget;
use crate::download::error::{DownloadErrorKind, TimeoutKind};
use crate::download::event::{Event, Observer};
use crate::download::fetch::pauses::Pauses;
use crate::download::fetch::shared::Shared;
use crate::unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the jobs of a run share.
pub(crate) struct Run<K> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) budget: Budget,
    pub(crate) pauses: Pauses,
    observer: Arc<dyn Observer<K>>,
    observer_panics: AtomicU64,
}

impl<K: Send + Sync + 'static> Run<K> {
    pub(crate) fn new(shared: &Arc<Shared>, observer: Arc<dyn Observer<K>>) -> Self {
        Self {
            shared: Arc::clone(shared),
            budget: Budget::of(&shared.settings.retry),
            pauses: Pauses::default(),
            observer,
            observer_panics: AtomicU64::new(0),
        }
    }

    /// How often the observer has panicked so far.
    pub(crate) fn observer_panics(&self) -> u64 {
        self.observer_panics.load(Ordering::Relaxed)
    }

    /// Tells the observer, whose panics end here.
    pub(crate) fn observe(&self, event: &Event<'_, K>) {
        if let Err(payload) = unwind::catch(|| self.observer.on_event(event)) {
            unwind::discard(payload);
            self.observer_panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.shared.settings.token.is_cancelled()
    }

    /// Why a wait for a host ended early.
    pub(crate) fn why_not_waited(&self) -> DownloadErrorKind {
        if self.is_cancelled() {
            DownloadErrorKind::Cancelled
        } else {
            DownloadErrorKind::Timeout(TimeoutKind::Total)
        }
    }
}
