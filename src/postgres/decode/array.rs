//! Arrays of one dimension.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, FieldRef};

use super::validity::Validity;
use super::{Decoder, Loss, Misfit};
use crate::postgres::copy::Fields;

/// Lists of what another decoder reads: the elements of an array lie in the data as fields do.
pub(super) struct Lists {
    elements: Box<dyn Decoder>,
    field: FieldRef,
    offsets: Vec<i32>,
    validity: Validity,
    starts: Vec<u32>,
    loss: Option<Loss>,
}

impl Lists {
    pub(super) fn new(elements: Box<dyn Decoder>, element: DataType) -> Self {
        let field = Arc::new(Field::new_list_field(element, true));
        let validity = Validity::default();
        Self { elements, field, offsets: vec![0], validity, starts: Vec::new(), loss: None }
    }

    /// The row that an element belongs to, and what is wrong with that.
    fn row_of(&self, element: usize, problem: &str) -> (usize, String) {
        let row = self.offsets.partition_point(|&end| usize::try_from(end).is_ok_and(|end| end <= element));
        let row = row.saturating_sub(1);
        let first = self.offsets.get(row).and_then(|&first| usize::try_from(first).ok()).unwrap_or(0);
        (row, format!("its element {}: {problem}", element - first + 1))
    }

    fn misfit(&self, of_element: &Misfit) -> Misfit {
        let (row, problem) = self.row_of(of_element.row, &of_element.problem);
        Misfit { row, problem }
    }
}

/// Dimensions, whether there are NULLs, the elements' type; then for each dimension its size and first index.
const HEADER: usize = 12;
const DIMENSION: usize = 8;
const MANY_DIMENSIONS: &str = concat!("it has more than one dimension (", as_text!(), ")");
/// The usual index of the first element.
const FIRST: i32 = 1;
const OTHER_INDICES: &str = concat!(
    "the array's first index is not 1, which a Parquet list cannot store: only the elements are kept (",
    as_text!(),
    ")"
);

/// Where the elements of an array begin, counted from the beginning of its field; the index of the first one.
fn elements(field: &[u8], mut add: impl FnMut(usize)) -> Result<i32, String> {
    let cut = || "the array is truncated".to_owned();
    let word = |at: usize| {
        field
            .get(at..)
            .and_then(|rest| rest.first_chunk::<4>())
            .map(|word| i32::from_be_bytes(*word))
            .ok_or_else(cut)
    };
    let mut at = HEADER;
    let (count, first) = match word(0)? {
        0 => (0, FIRST),
        1 => {
            at += DIMENSION;
            (word(HEADER)?, word(HEADER + 4)?)
        }
        2.. => return Err(MANY_DIMENSIONS.to_owned()),
        other => return Err(format!("invalid number of dimensions: {other}")),
    };
    for _ in 0..count {
        add(at);
        let length = word(at)?;
        at += 4 + usize::try_from(length.max(0)).unwrap_or(0);
    }
    if at == field.len() { Ok(first) } else { Err("its length does not match its elements".to_owned()) }
}

impl Decoder for Lists {
    fn append(&mut self, fields: Fields<'_>) -> Result<(), Misfit> {
        self.starts.clear();
        let before = *self.offsets.last().unwrap_or(&0);
        let mut starts = fields.starts().iter();
        self.validity.append(fields, |field| {
            let begin = starts.next().map_or(0, |start| *start as usize + 4);
            if let Some(field) = field {
                let starts = &mut self.starts;
                // Fits: the whole field begins at a place that does, and the data is shorter than 4 GiB.
                let add = |at| starts.push(u32::try_from(begin + at).unwrap_or(u32::MAX));
                if elements(field, add)? != FIRST {
                    let row = self.offsets.len() - 1;
                    self.loss.get_or_insert_with(|| Loss { row, problem: OTHER_INDICES.to_owned() });
                }
            }
            let end = i32::try_from(self.starts.len()).ok().and_then(|count| before.checked_add(count));
            self.offsets.push(end.ok_or("the batch has too many elements")?);
            Ok(field.is_some())
        })?;
        let starts = std::mem::take(&mut self.starts);
        let appended = self.elements.append(Fields::at(fields.data(), &starts));
        self.starts = starts;
        appended.map_err(|misfit| self.misfit(&misfit))
    }

    fn loss(&self) -> Option<Loss> {
        let of_element = || {
            let loss = self.elements.loss()?;
            let (row, problem) = self.row_of(loss.row, &loss.problem);
            Some(Loss { row, problem })
        };
        self.loss.clone().or_else(of_element)
    }

    fn finish(&mut self) -> Result<ArrayRef, Misfit> {
        self.loss = None;
        let elements = self.elements.finish().map_err(|misfit| self.misfit(&misfit))?;
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(ListArray::new(Arc::clone(&self.field), offsets, elements, self.validity.finish())))
    }
}
