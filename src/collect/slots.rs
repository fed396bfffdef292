//! [`Slots`]: handles, each at a place that has a number; [`Places`]: such
//! numbers, in the order in which they came.

use std::collections::VecDeque;
use std::ops::Range;

/// Handles at places whose numbers are used again.
pub(crate) struct Slots<H> {
    all: Vec<Slot<H>>,
    /// The place that became free last.
    free: Option<u32>,
}

/// As large as a handle, where it has room for a null.
enum Slot<H> {
    Held(H),
    /// Names the place that became free before.
    Free(Option<u32>),
}

impl<H> Slots<H> {
    /// Gives each handle its place, one after the other, and shows it to
    /// `placed`.
    ///
    /// A vector of handles is used as it is, without another allocation: the
    /// standard library collects in place.
    pub(crate) fn collect(
        handles: impl Iterator<Item = H>,
        mut placed: impl FnMut(u32, &H),
    ) -> Self {
        let all = handles.enumerate().map(|(index, handle)| {
            placed(place_of(index), &handle);
            Slot::Held(handle)
        });
        Self {
            all: all.collect(),
            free: None,
        }
    }

    /// Keeps the handle, and returns its place.
    pub(crate) fn insert(&mut self, handle: H) -> u32 {
        let held = Slot::Held(handle);
        let Some(place) = self.free else {
            let place = place_of(self.all.len());
            self.all.push(held);
            return place;
        };
        if let Slot::Free(before) = std::mem::replace(&mut self.all[place as usize], held) {
            self.free = before;
        }
        place
    }

    /// What is at the place, if there is anything.
    pub(crate) fn at(&self, place: u32) -> Option<&H> {
        match self.all.get(place as usize)? {
            Slot::Held(handle) => Some(handle),
            Slot::Free(_) => None,
        }
    }

    /// Takes out what is at the place, if there is anything.
    pub(crate) fn remove(&mut self, place: u32) -> Option<H> {
        let slot = self.all.get_mut(place as usize)?;
        if let Slot::Free(_) = slot {
            return None;
        }
        match std::mem::replace(slot, Slot::Free(self.free.replace(place))) {
            Slot::Held(handle) => Some(handle),
            Slot::Free(_) => None,
        }
    }

    /// The handles and their places, from `first` on.
    pub(crate) fn iter_from(&self, first: u32) -> impl Iterator<Item = (u32, &H)> + Clone {
        let slots = self.all.get(first as usize..).unwrap_or_default();
        (first..).zip(slots).filter_map(|(place, slot)| match slot {
            Slot::Held(handle) => Some((place, handle)),
            Slot::Free(_) => None,
        })
    }

    /// Takes all handles out.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = H> + use<H> {
        self.free = None;
        let all = std::mem::take(&mut self.all);
        all.into_iter().filter_map(|slot| match slot {
            Slot::Held(handle) => Some(handle),
            Slot::Free(_) => None,
        })
    }
}

const FEW: &str = "fewer than 2^32 handles at a time";

/// The number of a place; the one after it is a number too.
#[inline]
fn place_of(index: usize) -> u32 {
    u32::try_from(index + 1).expect(FEW) - 1
}

/// Numbers of places, first in, first out. Consecutive ones are kept as one
/// range: a million handles that are all final need no more room than one.
#[derive(Default)]
pub(crate) struct Places(VecDeque<Range<u32>>);

impl Places {
    #[inline]
    pub(crate) fn push_back(&mut self, place: u32) {
        match self.0.back_mut() {
            Some(last) if last.end == place => last.end += 1,
            _ => self.0.push_back(place..place + 1),
        }
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<u32> {
        let first = self.0.front_mut()?;
        let place = first.next();
        if first.start == first.end {
            self.0.pop_front();
        }
        place
    }

    pub(crate) fn front(&self) -> Option<u32> {
        self.0.front().map(|first| first.start)
    }

    /// How many ranges there are, which is what they take in memory.
    pub(crate) fn ranges(&self) -> usize {
        self.0.len()
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;
    use crate::task::JoinHandle;

    fn held(slots: &Slots<char>) -> String {
        slots.iter_from(0).map(|(_, handle)| handle).collect()
    }

    #[test]
    fn a_slot_is_as_large_as_its_handle() {
        assert_eq!(
            size_of::<Slot<JoinHandle<u64>>>(),
            size_of::<JoinHandle<u64>>()
        );
        assert_eq!(
            size_of::<Slot<(usize, JoinHandle<u64>)>>(),
            size_of::<(usize, JoinHandle<u64>)>()
        );
    }

    #[test]
    fn a_vector_of_handles_is_used_as_it_is() {
        let pool = crate::Inline;
        let handles: Vec<_> = (0..10).map(|n| pool.submit(move || n)).collect();
        let address = handles.as_ptr().addr();
        let slots = Slots::collect(handles.into_iter(), |_, _| ());
        assert_eq!(slots.all.as_ptr().addr(), address);
    }

    #[test]
    fn free_places_are_used_again_before_new_ones() {
        let mut slots = Slots::collect("abc".chars(), |_, _| ());
        assert_eq!(slots.remove(0), Some('a'));
        assert_eq!(slots.remove(2), Some('c'));
        assert_eq!(held(&slots), "b");
        for (letter, place) in [('d', 2), ('e', 0), ('f', 3)] {
            assert_eq!(slots.insert(letter), place);
            assert_eq!(slots.at(place), Some(&letter));
        }
        assert_eq!(held(&slots), "ebdf");
        assert_eq!(slots.remove(1), Some('b'));
        assert_eq!(slots.at(1), None);
        assert_eq!(slots.take_all().collect::<String>(), "edf");
        assert_eq!(slots.insert('g'), 0);
    }

    #[test]
    fn a_place_is_emptied_once() {
        let mut slots = Slots::collect("ab".chars(), |_, _| ());
        assert_eq!(slots.remove(1), Some('b'));
        assert_eq!(slots.remove(1), None);
        assert_eq!(slots.remove(2), None);
        assert_eq!(slots.insert('c'), 1);
        assert_eq!(slots.insert('d'), 2);
    }

    #[test]
    fn places_come_in_their_order_and_neighbours_share_a_range() {
        let mut places = Places::default();
        let order = [4, 5, 6, 2, 3, 9, 3];
        for place in order {
            places.push_back(place);
        }
        assert_eq!(places.0.len(), 4);
        assert_eq!(order.map(|_| places.pop_front().unwrap()), order);
        assert_eq!(places.front(), None);
        assert_eq!(places.pop_front(), None);
    }
}
