//! Texts that many rows have in common, each held once.

use std::collections::HashMap;

/// Different texts, by number in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    places: HashMap<Box<str>, u32>,
}

impl Texts {
    /// The number of a text.
    pub(crate) fn add(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        // Memory ends long before the numbers do.
        let place = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.insert(text.into(), place);
        place
    }

    /// Takes in those of another part; the number of each of them here.
    pub(crate) fn merge(&mut self, other: Self) -> Vec<u32> {
        other.list().iter().map(|text| self.add(text)).collect()
    }

    /// The texts by their numbers.
    pub(crate) fn list(self) -> Vec<Box<str>> {
        let mut texts: Vec<(Box<str>, u32)> = self.places.into_iter().collect();
        texts.sort_unstable_by_key(|(_, place)| *place);
        texts.into_iter().map(|(text, _)| text).collect()
    }

    /// The place of each text among all in their order.
    pub(crate) fn ranks(self) -> Vec<u32> {
        let mut texts: Vec<(Box<str>, u32)> = self.places.into_iter().collect();
        texts.sort_unstable();
        let mut ranks = vec![0; texts.len()];
        for (rank, (_, place)) in (0..).zip(texts) {
            ranks[place as usize] = rank;
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_one_number_and_ranks_are_in_order() {
        let (mut one, mut other) = (Texts::default(), Texts::default());
        assert_eq!(["b", "b", "a", "b"].map(|text| one.add(text)), [0, 0, 1, 0]);
        assert_eq!(["c", "a"].map(|text| other.add(text)), [0, 1]);
        assert_eq!(one.merge(other), [2, 1]);
        assert_eq!(one.add("b"), 0);
        assert_eq!(one.ranks(), [1, 0, 2]);
    }
}
