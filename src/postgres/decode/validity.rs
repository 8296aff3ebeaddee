//! Which values of a column are there and which are NULL, a bit each.

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};

use super::Misfit;
use crate::postgres::copy::Fields;

/// Bits that are collected at once, in a register: most columns of a wide table are NULL in most rows, and should cost
/// little.
const WORD: usize = 64;

/// Collects the bits.
#[derive(Default)]
pub(super) struct Validity {
    words: Vec<u64>,
    /// The last bits, fewer than [`WORD`].
    word: u64,
    len: usize,
}

impl Validity {
    /// Gives each field to `put`, and takes from it whether the value is there.
    ///
    /// # Errors
    /// [`Misfit`], for the row for which `put` returns an error.
    pub(super) fn append(
        &mut self,
        fields: Fields<'_>,
        mut put: impl FnMut(Option<&[u8]>) -> Result<bool, String>,
    ) -> Result<(), Misfit> {
        for fields in fields.chunks(WORD) {
            let mut bits = 0;
            for (bit, field) in fields.iter().enumerate() {
                let is_there = put(field).map_err(|problem| Misfit { row: self.len + bit, problem })?;
                bits |= u64::from(is_there) << bit;
            }
            self.add(bits, fields.len());
        }
        Ok(())
    }

    fn add(&mut self, bits: u64, count: usize) {
        let used = self.len % WORD;
        self.word |= bits << used;
        self.len += count;
        if used + count >= WORD {
            self.words.push(self.word.to_le());
            // All of them fitted if the word was empty.
            self.word = if used == 0 { 0 } else { bits >> (WORD - used) };
        }
    }

    /// The bits as Arrow has them; `None` if no value is NULL. There are no values afterwards.
    pub(super) fn finish(&mut self) -> Option<NullBuffer> {
        let Self { mut words, word, len } = std::mem::take(self);
        words.push(word.to_le());
        let nulls = NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(words), 0, len));
        Some(nulls).filter(|nulls| nulls.null_count() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_of_the_values_however_they_come() {
        // A NULL, and an empty value.
        let data = [[0xff; 4], [0; 4]].concat();
        for size in [1, 40, 63, 64, 65, 1000] {
            let places: Vec<u32> = (0..3000).map(|row| if row % 3 == 1 { 0 } else { 4 }).collect();
            let mut validity = Validity::default();
            for starts in places.chunks(size) {
                validity.append(Fields::at(&data, starts), |field| Ok(field.is_some())).unwrap();
            }
            let found = validity.finish().unwrap();
            assert!(found.iter().eq(places.iter().map(|place| *place == 4)), "{size}");
            validity.append(Fields::at(&data, &places), |_| Ok(true)).unwrap();
            assert_eq!(validity.finish(), None);
        }
        assert_eq!(Validity::default().finish(), None);
    }

    #[test]
    fn a_misfit_has_its_row() {
        let data = [0; 4];
        let mut validity = Validity::default();
        let mut rows = 0..;
        let mut put = |_: Option<&[u8]>| {
            if rows.next() == Some(170) { Err("bad".to_owned()) } else { Ok(true) }
        };
        validity.append(Fields::at(&data, &[0; 100]), &mut put).unwrap();
        let misfit = validity.append(Fields::at(&data, &[0; 100]), &mut put).unwrap_err();
        assert_eq!(misfit, Misfit { row: 170, problem: "bad".to_owned() });
    }
}
