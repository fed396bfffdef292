//! [`Plan`]: which connection receives which bytes.

use crate::download::fetch::ranges::Ranges;
use std::ops::Range;
use std::time::{Duration, Instant};

/// No split leaves a connection with less than that, in bytes: a request costs
/// about as much.
const LEAST: u64 = 256 * 1024;
/// A claim that will be done in that time is not split.
const SOON: Duration = Duration::from_millis(500);
/// A connection from which nothing has come for that long has stalled.
const STALL: Duration = Duration::from_secs(2);
/// How many times faster than its owner a connection must be to take over a
/// claim that is too small to split.
const MUCH_FASTER: u64 = 4;

/// What a connection has to receive.
#[derive(Debug)]
struct Claim {
    /// The first byte that is not reserved.
    next: u64,
    end: u64,
    began: u64,
    since: Instant,
    /// When bytes last came, or when the next may be read.
    moved: Instant,
}

impl Claim {
    fn left(&self) -> u64 {
        self.end - self.next
    }

    /// Bytes per second, once there are any; 0 if it has stalled.
    fn speed(&self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.moved) >= STALL {
            return Some(0);
        }
        let bytes = self.next - self.began;
        (bytes > 0).then(|| per_second(bytes, now.saturating_duration_since(self.since)))
    }
}

fn per_second(bytes: u64, time: Duration) -> u64 {
    let speed = u128::from(bytes) * 1000 / time.as_millis().max(1);
    u64::try_from(speed).unwrap_or(u64::MAX)
}

/// What a connection is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// Receive these bytes.
    Piece(Range<u64>),
    /// Ask again later: another may fail, or turn out to be slow.
    Wait,
    /// There is nothing that this connection could do.
    Nothing,
}

/// Which connection receives which bytes.
#[derive(Debug)]
pub(super) struct Plan {
    total: u64,
    /// What no connection has, in order.
    open: Vec<Range<u64>>,
    /// By connection.
    claims: Vec<Option<Claim>>,
    /// By connection: the speed of its last claim.
    speeds: Vec<Option<u64>>,
    written: Ranges,
    /// Whether the server has turned out not to honour ranges.
    no_ranges: bool,
}

impl Plan {
    /// Divides what is not `written` among so many connections, or fewer if a piece
    /// would not be worth one.
    pub(super) fn new(total: u64, written: Ranges, connections: usize) -> Self {
        let missing = written.missing(total);
        let share = (total - written.count())
            .div_ceil(connections as u64)
            .max(LEAST);
        let mut open = Vec::new();
        for gap in missing {
            let mut start = gap.start;
            // The last piece takes what would not be worth one.
            while gap.end - start >= share + LEAST {
                open.push(start..start + share);
                start += share;
            }
            open.push(start..gap.end);
        }
        // One more takes over where one stalls.
        let connections = connections.min(open.len() + 1);
        Self {
            total,
            open,
            claims: (0..connections).map(|_| None).collect(),
            speeds: vec![None; connections],
            written,
            no_ranges: false,
        }
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.claims.len()
    }

    pub(super) fn written(&self) -> &Ranges {
        &self.written
    }

    pub(super) fn is_complete(&self) -> bool {
        self.written.prefix() == self.total
    }

    /// Notes that the server does not honour ranges.
    pub(super) fn refuse_ranges(&mut self) {
        self.no_ranges = true;
    }

    pub(super) fn has_no_ranges(&self) -> bool {
        self.no_ranges
    }

    /// Claims something for a connection that has nothing left. It has an answer
    /// of the bytes `at` that it can read on, or none.
    pub(super) fn take(&mut self, who: usize, at: &Range<u64>, now: Instant) -> Take {
        self.put_down(who, now);
        let place = self.open.iter().position(|piece| piece.start == at.start);
        let place = if self.no_ranges {
            // Reads over what is there already.
            let is_ahead = |piece: &Range<u64>| at.start <= piece.start && piece.end <= at.end;
            match self.open.iter().position(is_ahead) {
                None if at.is_empty() => return Take::Nothing,
                None if !self.open.is_empty() => return Take::Nothing,
                None => return Take::Wait,
                place => place,
            }
        } else {
            // The first, so that the beginning of the file grows.
            place.or((!self.open.is_empty()).then_some(0))
        };
        let piece = match place {
            Some(place) => self.open.remove(place),
            None => match self.split(who, now) {
                Some(piece) => piece,
                None => return Take::Wait,
            },
        };
        self.claims[who] = Some(Claim {
            next: piece.start,
            end: piece.end,
            began: piece.start,
            since: now,
            moved: now,
        });
        Take::Piece(piece)
    }

    /// Takes some or all of what the slowest other connection has left.
    fn split(&mut self, who: usize, now: Instant) -> Option<Range<u64>> {
        let own = self.speeds[who];
        // In milliseconds; as this connection would fare where nothing has come yet.
        let time_left = |claim: &Claim| match claim.speed(now).or(own) {
            Some(0) => u64::MAX,
            Some(speed) => claim.left().saturating_mul(1000) / speed,
            None => 0,
        };
        let slowest = self
            .claims
            .iter_mut()
            .flatten()
            .filter(|claim| claim.left() > 0)
            .max_by_key(|claim| time_left(claim))?;
        let (left, speed) = (slowest.left(), slowest.speed(now));
        if speed != Some(0) && u128::from(time_left(slowest)) < SOON.as_millis() {
            return None;
        }
        let keep = match (speed, own) {
            (Some(0), _) => 0,
            (Some(speed), Some(own)) => {
                let keep = u128::from(left) * u128::from(speed)
                    / (u128::from(speed) + u128::from(own)).max(1);
                u64::try_from(keep).unwrap_or(left)
            }
            _ => left / 2,
        };
        let is_much_faster = matches!(
            (speed, own),
            (Some(speed), Some(own)) if own >= speed.saturating_mul(MUCH_FASTER)
        );
        let keep = if keep < LEAST && (speed == Some(0) || is_much_faster) {
            0
        } else {
            keep.max(LEAST)
        };
        if keep > 0 && left < keep + LEAST {
            return None;
        }
        let piece = slowest.next + keep..slowest.end;
        slowest.end = piece.start;
        Some(piece)
    }

    /// Reserves up to `length` bytes that have come, to be written now. Fewer, or
    /// none, if another has taken the rest over.
    pub(super) fn reserve(&mut self, who: usize, length: u64, now: Instant) -> Range<u64> {
        let Some(claim) = &mut self.claims[who] else {
            return 0..0;
        };
        let start = claim.next;
        claim.next += length.min(claim.left());
        claim.moved = now;
        start..claim.next
    }

    /// Notes that a connection is not to read before then.
    pub(super) fn hold_back(&mut self, who: usize, until: Instant) {
        if let Some(claim) = &mut self.claims[who] {
            claim.moved = until;
        }
    }

    /// Where the claim of a connection ends now.
    pub(super) fn end_of(&self, who: usize) -> u64 {
        self.claims[who].as_ref().map_or(0, |claim| claim.end)
    }

    /// Notes that reserved bytes are in the file.
    pub(super) fn wrote(&mut self, range: Range<u64>) {
        self.written.add(range);
    }

    /// Opens what a connection has left, for all.
    pub(super) fn put_down(&mut self, who: usize, now: Instant) {
        let Some(claim) = self.claims[who].take() else {
            return;
        };
        // What has stalled says nothing of the next request.
        self.speeds[who] = claim.speed(now).filter(|&speed| speed > 0);
        let mut rest = claim.next..claim.end;
        if rest.is_empty() {
            return;
        }
        let place = self.open.partition_point(|piece| piece.start < rest.start);
        if self
            .open
            .get(place)
            .is_some_and(|piece| piece.start == rest.end)
        {
            rest.end = self.open.remove(place).end;
        }
        self.open.insert(place, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1024 * 1024;
    const NO_ANSWER: Range<u64> = 0..0;
    const SECOND: Duration = Duration::from_secs(1);

    fn piece(plan: &mut Plan, who: usize, now: Instant) -> Range<u64> {
        match plan.take(who, &NO_ANSWER, now) {
            Take::Piece(piece) => piece,
            other => panic!("{other:?}"),
        }
    }

    /// Every byte is open, claimed, reserved or written, and only one of them.
    fn check(plan: &Plan, reserved: &[Range<u64>]) {
        let mut all = plan.written.clone();
        let mut count = all.count();
        let claims = plan
            .claims
            .iter()
            .flatten()
            .map(|claim| claim.next..claim.end);
        for range in claims
            .chain(plan.open.iter().cloned())
            .chain(reserved.iter().cloned())
        {
            count += range.end - range.start;
            all.add(range);
        }
        assert_eq!(
            (all, count),
            (Ranges::first(plan.total), plan.total),
            "{plan:?}"
        );
    }

    #[test]
    fn file_is_divided_evenly() {
        let plan = Plan::new(8 * MB, Ranges::default(), 4);
        assert_eq!(
            plan.open,
            [0..2 * MB, 2 * MB..4 * MB, 4 * MB..6 * MB, 6 * MB..8 * MB]
        );
        let small = Plan::new(LEAST, Ranges::default(), 4);
        assert_eq!(
            small.open,
            [Range {
                start: 0,
                end: LEAST
            }]
        );
    }

    #[test]
    fn connections_are_no_more_than_there_are_pieces_and_one() {
        for (wanted, connections) in [(1, 1), (4, 4), (1_000, 5), (usize::MAX, 5)] {
            let plan = Plan::new(MB, Ranges::default(), wanted);
            assert_eq!(plan.connections(), connections);
        }
        let written = Ranges::first(MB - 1);
        assert_eq!(Plan::new(MB, written, 4).connections(), 2);
    }

    #[test]
    fn answer_is_read_on_where_that_is_open() {
        let now = Instant::now();
        let mut plan = Plan::new(4 * MB, Ranges::default(), 4);
        assert_eq!(plan.take(0, &(MB..4 * MB), now), Take::Piece(MB..2 * MB));
        assert_eq!(plan.take(1, &(MB..4 * MB), now), Take::Piece(0..MB));
    }

    #[test]
    fn slow_connection_is_split_by_speed() {
        let now = Instant::now();
        let mut plan = Plan::new(8 * MB, Ranges::default(), 2);
        assert_eq!(piece(&mut plan, 0, now), 0..4 * MB);
        assert_eq!(piece(&mut plan, 1, now), 4 * MB..8 * MB);
        let now = now + SECOND;
        // One has a quarter, the other is three times as fast.
        for (who, length) in [(0, MB), (1, 4 * MB)] {
            let range = plan.reserve(who, length, now);
            plan.wrote(range);
        }
        let taken = piece(&mut plan, 1, now);
        assert_eq!(taken.end, 4 * MB);
        // 3 MiB are left, to be divided as 1 to 4.
        assert_eq!(taken.start, MB + 3 * MB / 5);
        assert_eq!(plan.end_of(0), taken.start);
        check(&plan, &[]);
    }

    #[test]
    fn stalled_connection_loses_everything_and_writes_nothing_afterwards() {
        let now = Instant::now();
        let mut plan = Plan::new(2 * MB, Ranges::default(), 2);
        assert_eq!(piece(&mut plan, 0, now), 0..MB);
        assert_eq!(piece(&mut plan, 1, now), MB..2 * MB);
        let range = plan.reserve(1, MB, now);
        plan.wrote(range);
        assert_eq!(plan.take(1, &NO_ANSWER, now), Take::Wait);
        assert_eq!(piece(&mut plan, 1, now + STALL), 0..MB);
        assert!(plan.reserve(0, MB, now + STALL).is_empty());
        check(&plan, &[]);
    }

    #[test]
    fn connection_that_a_limit_holds_back_has_not_stalled() {
        let now = Instant::now();
        let mut plan = Plan::new(2 * MB, Ranges::default(), 2);
        for who in 0..2 {
            piece(&mut plan, who, now);
        }
        for (who, length) in [(0, MB - LEAST), (1, MB)] {
            let range = plan.reserve(who, length, now);
            plan.wrote(range);
        }
        plan.hold_back(0, now + 2 * STALL);
        assert_eq!(plan.take(1, &NO_ANSWER, now + 2 * STALL), Take::Wait);
        let taken = piece(&mut plan, 1, now + 3 * STALL);
        assert_eq!(taken, MB - LEAST..MB);
    }

    #[test]
    fn what_is_nearly_done_is_left_alone() {
        let now = Instant::now();
        let mut plan = Plan::new(2 * MB, Ranges::default(), 2);
        piece(&mut plan, 0, now);
        piece(&mut plan, 1, now);
        let now = now + SECOND;
        for (who, length) in [(0, MB - LEAST), (1, MB)] {
            let range = plan.reserve(who, length, now);
            plan.wrote(range);
        }
        assert_eq!(plan.take(1, &NO_ANSWER, now), Take::Wait);
    }

    #[test]
    fn without_ranges_only_the_first_answer_goes_on() {
        let now = Instant::now();
        let mut plan = Plan::new(4 * MB, Ranges::default(), 4);
        assert_eq!(plan.take(0, &(0..4 * MB), now), Take::Piece(0..MB));
        assert_eq!(piece(&mut plan, 1, now), MB..2 * MB);
        plan.refuse_ranges();
        plan.put_down(1, now);
        assert_eq!(plan.take(1, &NO_ANSWER, now), Take::Nothing);
        for end in [1, 2, 3, 4].map(|end| end * MB) {
            let range = plan.reserve(0, MB, now);
            assert_eq!(range.end, end);
            plan.wrote(range);
            if end < 4 * MB {
                assert!(matches!(plan.take(0, &(end..4 * MB), now), Take::Piece(_)));
            }
        }
        assert!(plan.is_complete());
    }

    /// Connections that fail, stall, are slow and are split, in any order.
    #[test]
    fn bytes_are_received_once_whatever_the_order() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let connections = random.usize(1..6);
            let mut now = Instant::now();
            let mut plan = Plan::new(random.u64(1..9 * MB), Ranges::default(), connections);
            let connections = plan.connections();
            let mut reserved: Vec<Option<Range<u64>>> = vec![None; connections];
            let mut steps = 0;
            while !plan.is_complete() {
                steps += 1;
                assert!(steps < 200_000, "no end, seed {seed}: {plan:?}");
                now += Duration::from_millis(random.u64(0..300));
                let who = random.usize(0..connections);
                if let Some(range) = reserved[who].take() {
                    plan.wrote(range);
                } else if plan.claims[who]
                    .as_ref()
                    .is_none_or(|claim| claim.left() == 0)
                {
                    plan.take(who, &NO_ANSWER, now);
                } else if random.u32(0..10) == 0 {
                    plan.put_down(who, now);
                } else {
                    reserved[who] = Some(plan.reserve(who, random.u64(1..MB), now));
                }
                let pending: Vec<_> = reserved.iter().flatten().cloned().collect();
                check(&plan, &pending);
            }
        }
    }
}
