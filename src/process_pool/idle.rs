//! [`Idle`]: the children of a pool that wait for a call.
//!
//! A child is in one place at a time: here, or in the hands of whoever calls it: a
//! thread of the pool, or a call that was sent by the caller itself. Only who has it
//! writes to its socket and reads from it. It is killed through its
//! [`Life`](super::life::Life), by anyone.

use super::child::Child;
use super::life::Lives;
use crate::sync::Mutex;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    /// What the end of this thread does to its pool, if it is a thread of one.
    static MEMBER: RefCell<Option<Member>> = const { RefCell::new(None) };
}

/// The children that wait for a call.
pub(super) struct Idle {
    lives: Arc<Lives>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The one that was called last is called next.
    children: Vec<Child>,
    /// How many threads of the pool have had a child.
    threads: usize,
}

impl Idle {
    pub(super) fn new(lives: Arc<Lives>) -> Arc<Self> {
        Arc::new(Self {
            lives,
            state: Mutex::default(),
        })
    }

    /// Has this thread, which is one of the pool, end an idle child at its own end,
    /// if there are more than threads then: so all of a pool end side by side.
    pub(super) fn join_thread(self: &Arc<Self>) {
        MEMBER.with_borrow_mut(|member| {
            member.get_or_insert_with(|| {
                self.state.lock().threads += 1;
                Member(Arc::clone(self))
            });
        });
    }

    pub(super) fn take(&self) -> Option<Child> {
        self.state.lock().children.pop()
    }

    /// Takes one that can be called, as far as is known.
    pub(super) fn take_usable(&self) -> Option<Child> {
        let mut state = self.state.lock();
        let place = state.children.iter().rposition(Child::is_usable)?;
        Some(state.children.swap_remove(place))
    }

    pub(super) fn put(&self, child: Child) {
        self.state.lock().children.push(child);
    }

    /// Blocks until all that are here have ended.
    pub(super) fn end(&self) {
        let mut children = std::mem::take(&mut self.state.lock().children);
        for child in &mut children {
            child.dismiss();
        }
    }
}

struct Member(Arc<Idle>);

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.threads -= 1;
        let child = if self.0.lives.len() > state.threads {
            state.children.pop()
        } else {
            None
        };
        drop(state);
        // Blocks until it has ended.
        drop(child);
    }
}
