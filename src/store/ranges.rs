//! Which stretches of an object are asked for, where several stretches are wanted.

use std::ops::Range;

/// Stretches that are as near as this are asked for together: a request costs more than this many bytes.
const GAP: u64 = 256 << 10;
/// A stretch that is longer is asked for in several pieces at once.
const PIECE: u64 = 16 << 20;

/// The stretches to ask for, so that each of those that are wanted lies in consecutive ones.
pub(super) fn requests(wanted: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted: Vec<Range<u64>> = wanted.iter().filter(|range| !range.is_empty()).cloned().collect();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP) => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged.into_iter().flat_map(pieces).collect()
}

/// A stretch in pieces of about the same length.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let length = range.end - range.start;
    let count = length.div_ceil(PIECE).max(1);
    let step = length.div_ceil(count).max(1);
    (0..count).map(move |piece| {
        let start = range.start + piece * step;
        start..range.end.min(start + step)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn near_stretches_are_one_request_and_long_ones_are_several() {
        let (near, far) = (20..30, GAP + 31..GAP + 40);
        assert_eq!(requests(&[0..10, near, far.clone()]), [0..30, far]);
        assert!(requests(&[5..5, 9..9]).is_empty());
        let long = 0..PIECE + 2;
        assert_eq!(requests(&[long.clone(), long]), [0..PIECE / 2 + 1, PIECE / 2 + 1..PIECE + 2]);
    }

    proptest! {
        #[test]
        fn all_that_is_wanted_is_asked_for_once(
            wanted in prop::collection::vec((0u64..1 << 26, 0u64..1 << 25), 0..20),
        ) {
            let wanted: Vec<Range<u64>> = wanted.iter().map(|(start, length)| *start..start + length).collect();
            let asked = requests(&wanted);
            for pair in asked.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            for range in wanted.iter().filter(|range| !range.is_empty()) {
                let mut at = range.start;
                while at < range.end {
                    let holder = asked.iter().find(|asked| asked.contains(&at));
                    prop_assert!(holder.is_some(), "{at} of {range:?}");
                    at = holder.map_or(at, |holder| holder.end);
                }
            }
            prop_assert!(asked.iter().all(|asked| !asked.is_empty() && asked.end - asked.start <= PIECE));
        }
    }
}
