//! [`Ranges`]: which bytes of a file there are.

use std::fmt;
use std::ops::Range;

/// Bytes of a file, as ranges in order that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// The first bytes of a file.
    pub(crate) fn first(length: u64) -> Self {
        let mut ranges = Self::default();
        ranges.add(0..length);
        ranges
    }

    /// Adds a range that overlaps none of those here.
    pub(crate) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let place = self.0.partition_point(|other| other.end < range.start);
        let mut joined = range;
        let mut replaced = place..place;
        while let Some(other) = self.0.get(replaced.end) {
            if other.start > joined.end {
                break;
            }
            joined = joined.start.min(other.start)..joined.end.max(other.end);
            replaced.end += 1;
        }
        self.0.splice(replaced, [joined]);
    }

    /// Up to which byte all are here.
    pub(crate) fn prefix(&self) -> u64 {
        match self.0.first() {
            Some(first) if first.start == 0 => first.end,
            _ => 0,
        }
    }

    /// The end of the last range.
    pub(crate) fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| last.end)
    }

    /// How many bytes there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// What a file of `total` bytes lacks, in order.
    pub(crate) fn missing(&self, total: u64) -> Vec<Range<u64>> {
        let starts = std::iter::once(0).chain(self.0.iter().map(|range| range.end));
        let ends = self.0.iter().map(|range| range.start).chain([total]);
        starts
            .zip(ends)
            .map(|(start, end)| start..end)
            .filter(|gap| !gap.is_empty())
            .collect()
    }

    /// Reads what [`Display`](fmt::Display) has written: a range a line.
    pub(crate) fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut ranges = Self::default();
        for line in lines {
            let (start, end) = line.split_once('-')?;
            let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
            let is_next = ranges.0.last().is_none_or(|last| last.end < start);
            if start >= end || !is_next {
                return None;
            }
            ranges.0.push(start..end);
        }
        Some(ranges)
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for range in &self.0 {
            writeln!(f, "{}-{}", range.start, range.end)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let mut ranges = Ranges::default();
        for range in [10..20, 30..40, 0..5, 20..30, 5..10, 50..60] {
            ranges.add(range);
        }
        assert_eq!(ranges.0, [0..40, 50..60]);
        assert_eq!(ranges.prefix(), 40);
        assert_eq!(ranges.count(), 50);
        assert_eq!(ranges.missing(70), [40..50, 60..70]);
        assert_eq!(ranges.missing(60), [Range { start: 40, end: 50 }]);
    }

    #[test]
    fn nothing_lacks_the_whole() {
        assert_eq!(Ranges::default().missing(3), [Range { start: 0, end: 3 }]);
        assert_eq!(Ranges::default().prefix(), 0);
        assert!(Ranges::first(3).missing(3).is_empty());
        assert_eq!(Ranges::first(0), Ranges::default());
    }

    #[test]
    fn ranges_in_any_order_add_up() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut pieces: Vec<u64> = (0..50).collect();
            random.shuffle(&mut pieces);
            let (here, lacking) = pieces.split_at(random.usize(0..50));
            let mut ranges = Ranges::default();
            for &piece in here {
                ranges.add(piece * 3..piece * 3 + 3);
            }
            let missing: Vec<u64> = ranges.missing(150).into_iter().flatten().collect();
            let mut wanted: Vec<u64> = lacking.iter().flat_map(|p| p * 3..p * 3 + 3).collect();
            wanted.sort_unstable();
            assert_eq!(missing, wanted, "seed {seed}");
            assert_eq!(Ranges::parse(ranges.to_string().lines()), Some(ranges));
        }
    }

    #[test]
    fn text_of_another_kind_is_refused() {
        for text in [
            "1",
            "a-b",
            "5-5",
            "5-4",
            "0-5\n3-9",
            "0-5\n5-9",
            "9-12\n0-5",
            "-1-5",
        ] {
            assert_eq!(Ranges::parse(text.lines()), None, "{text}");
        }
    }
}
