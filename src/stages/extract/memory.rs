//! What an extract remembers of its output: its form, made and read. Not a place for what is done with it.
//!
//! A line with the form's name, a line with the digest of all that follows, the length of a header, the header as JSON, and
//! stretches of bytes that the header names: columns as Arrow writes them, and ids.

use std::collections::HashMap;

use arrow_buffer::Buffer;
use arrow_ipc::convert::{IpcSchemaEncoder, try_fb_to_schema};
use arrow_ipc::root_as_schema;
use arrow_schema::{Fields, Schema};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::errors;

/// The name of the form: another form has another name.
const FORM: &str = "ssp extract 1\n";
/// Ids that are remembered at most, of all datasets and of those in no dataset: up to 1 GB.
pub(super) const MOST_IDS: usize = 100_000_000;

/// A stretch of the bytes after the header: where it starts, and its length.
type Stretch = (usize, usize);

/// A pair of key and value.
pub(super) type Pair = (String, String);

/// A dataset whose rows were read, or copied.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct Entry {
    /// The dataset's line: the same line is the same dataset.
    pub line: String,
    /// Which of its places the file was at.
    pub place: usize,
    /// Which version of it a store had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The size of the file.
    pub bytes: u64,
    /// Rows of the file.
    pub rows: u64,
    /// Rows of its row group in the output; none if it has no row group.
    pub group_rows: u64,
    /// Two numbers between which all values of the filter's column lie, if that is known.
    pub span: Option<(i128, i128)>,
    /// Which of the memory's columns and pairs are its own, and where its ids are: set by [`Recorder::add`].
    pub columns: usize,
    pub pairs: usize,
    pub ids: Stretch,
}

/// What is remembered of the datasets in their order, and of the output as a whole.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Header {
    made_for: String,
    schema: Stretch,
    metadata: Vec<Pair>,
    columns: Vec<Stretch>,
    texts: Vec<Pair>,
    pairs: Vec<Vec<usize>>,
    entries: Vec<Entry>,
    not_found: Stretch,
    examples: Option<(String, Vec<String>)>,
}

/// What was remembered, sound in itself.
#[derive(Debug)]
pub(super) struct Memory<'a> {
    header: Header,
    bytes: &'a [u8],
    schema: Schema,
    columns: Vec<Fields>,
    pairs: Vec<Vec<Pair>>,
}

impl<'a> Memory<'a> {
    /// Reads a memory; `None` if it is damaged, of another form, or was made for something else.
    pub(super) fn read(bytes: &'a [u8], made_for: &str) -> Option<Self> {
        let (digest, rest) =
            bytes.strip_prefix(FORM.as_bytes())?.split_at_checked(Digest::of(b"").to_string().len())?;
        let body = rest.strip_prefix(b"\n")?;
        if Digest::of(body).to_string().as_bytes() != digest {
            return None;
        }
        let (length, rest) = body.split_first_chunk()?;
        let (header, bytes) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let header: Header = serde_json::from_slice(header).ok()?;
        let schema = |place: Stretch| decoded(stretch(bytes, place)?);
        let columns = header.columns.iter().map(|place| Some(schema(*place)?.fields));
        let texts = |list: &Vec<usize>| list.iter().map(|text| header.texts.get(*text).cloned()).collect();
        let memory = Self {
            schema: schema(header.schema)?,
            columns: columns.collect::<Option<_>>()?,
            pairs: header.pairs.iter().map(texts).collect::<Option<_>>()?,
            bytes,
            header,
        };
        let is_sound = |entry: &Entry| {
            entry.columns < memory.columns.len()
                && entry.pairs < memory.pairs.len()
                && memory.ids(entry).all(|id| id.is_some())
        };
        let sound = memory.header.made_for == made_for
            && memory.header.entries.iter().all(is_sound)
            && memory.not_found().all(|id| id.is_some());
        sound.then_some(memory)
    }

    /// The columns of the output.
    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The pairs of key and value of the output.
    pub(super) fn metadata(&self) -> &[Pair] {
        &self.header.metadata
    }

    /// The datasets.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.header.entries
    }

    /// The columns of a dataset's file.
    pub(super) fn columns(&self, entry: &Entry) -> &Fields {
        &self.columns[entry.columns]
    }

    /// What matters of the pairs of key and value of a dataset's file.
    pub(super) fn pairs(&self, entry: &Entry) -> &[Pair] {
        &self.pairs[entry.pairs]
    }

    /// The ids that a dataset's rows in the output have, in their order; `None` stands for bytes that are no id.
    pub(super) fn ids(&self, entry: &Entry) -> Ids<'_> {
        Ids::of(self.bytes, entry.ids)
    }

    /// The ids of the filter that no dataset had.
    pub(super) fn not_found(&self) -> Ids<'_> {
        Ids::of(self.bytes, self.header.not_found)
    }

    /// Values of the filter's column in the dataset of a line.
    pub(super) fn examples(&self, line: &str) -> Option<&[String]> {
        let (of, values) = self.header.examples.as_ref()?;
        (of == line).then_some(values)
    }
}

fn stretch(bytes: &[u8], (start, length): Stretch) -> Option<&[u8]> {
    bytes.get(start..)?.get(..length)
}

/// Columns, as Arrow writes them.
fn decoded(bytes: &[u8]) -> Option<Schema> {
    // They are read in place, where they must be aligned.
    let aligned = Buffer::from(bytes);
    errors::quietly(|| try_fb_to_schema(root_as_schema(&aligned).ok()?).ok()).ok().flatten()
}

/// Sorted ids, each once: the first, then the distance of each from the one before it, 7 bits to a byte.
pub(super) struct Ids<'a> {
    bytes: &'a [u8],
    last: Option<i64>,
    /// Whether the bytes that there should be are not there.
    is_lost: bool,
}

impl<'a> Ids<'a> {
    fn of(bytes: &'a [u8], place: Stretch) -> Self {
        let found = stretch(bytes, place);
        Self { bytes: found.unwrap_or_default(), last: None, is_lost: found.is_none() }
    }

    fn step(&mut self) -> Option<i64> {
        let mut distance = 0u64;
        for shift in (0..).step_by(7) {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            let part = u64::from(byte & 0x7f);
            distance |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
            if byte & 0x80 == 0 {
                break;
            }
        }
        self.last = Some(match self.last {
            None => distance.cast_signed(),
            Some(last) => last.checked_add_unsigned(distance)?,
        });
        self.last
    }
}

impl Iterator for Ids<'_> {
    type Item = Option<i64>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() && !self.is_lost {
            return None;
        }
        self.is_lost = false;
        let next = self.step();
        if next.is_none() {
            // The end, after this item.
            self.bytes = &[];
        }
        Some(next)
    }
}

fn append_ids(bytes: &mut Vec<u8>, ids: impl Iterator<Item = i64>) {
    let mut last = None;
    for id in ids {
        let mut distance = last.map_or(id.cast_unsigned(), |last| id.abs_diff(last));
        while distance >= 0x80 {
            bytes.push(distance.to_le_bytes()[0] | 0x80);
            distance >>= 7;
        }
        bytes.push(distance.to_le_bytes()[0]);
        last = Some(id);
    }
}

/// Makes a memory.
pub(super) struct Recorder {
    header: Header,
    bytes: Vec<u8>,
    columns: Vec<Fields>,
    texts: HashMap<Pair, usize>,
    pairs: HashMap<Vec<usize>, usize>,
    /// Those of the dataset before, which nearly always are those of the next one too.
    before: Option<(Vec<Pair>, usize)>,
    /// Ids that may still be remembered.
    room: usize,
    /// Why there is nothing to remember.
    lost: Option<Lost>,
}

/// Why an extract remembers nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// There are too many ids.
    Ids,
    /// Arrow has no form for a column.
    Columns,
}

impl Recorder {
    /// Starts, with room for `most_ids` ids.
    pub(super) fn new(made_for: String, most_ids: usize) -> Self {
        Self {
            header: Header { made_for, ..Header::default() },
            bytes: Vec::new(),
            columns: Vec::new(),
            texts: HashMap::new(),
            pairs: HashMap::new(),
            before: None,
            room: most_ids,
            lost: None,
        }
    }

    /// Adds the next dataset, with the columns and pairs of its file, and the ids of its rows in the output, sorted, each once.
    pub(super) fn add(
        &mut self,
        entry: Entry,
        columns: &Fields,
        pairs: &[Pair],
        ids: impl Iterator<Item = i64>,
    ) {
        let known = self.columns.iter().position(|known| known == columns);
        let columns = known.unwrap_or_else(|| {
            let place = self.schema(&Schema::new(columns.clone()));
            self.header.columns.push(place);
            self.columns.push(columns.clone());
            self.columns.len() - 1
        });
        let pairs = self.pairs(pairs);
        let ids = self.ids(ids);
        self.header.entries.push(Entry { columns, pairs, ids, ..entry });
    }

    fn pairs(&mut self, pairs: &[Pair]) -> usize {
        if let Some((_, index)) = self.before.as_ref().filter(|(before, _)| before == pairs) {
            return *index;
        }
        let Self { header, texts, pairs: lists, .. } = self;
        let mut list = Vec::with_capacity(pairs.len());
        for pair in pairs {
            list.push(*texts.entry(pair.clone()).or_insert_with(|| {
                header.texts.push(pair.clone());
                header.texts.len() - 1
            }));
        }
        let index = *lists.entry(list).or_insert_with_key(|list| {
            header.pairs.push(list.clone());
            header.pairs.len() - 1
        });
        self.before = Some((pairs.to_vec(), index));
        index
    }

    fn schema(&mut self, schema: &Schema) -> Stretch {
        let encoded = IpcSchemaEncoder::new().schema_to_fb(schema);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(encoded.finished_data());
        if decoded(&self.bytes[start..]).as_ref() != Some(schema) {
            self.lost = Some(Lost::Columns);
        }
        (start, self.bytes.len() - start)
    }

    fn ids(&mut self, ids: impl Iterator<Item = i64>) -> Stretch {
        let start = self.bytes.len();
        if self.lost.is_none() {
            let mut count = 0;
            append_ids(&mut self.bytes, ids.take(self.room + 1).inspect(|_| count += 1));
            if let Some(room) = self.room.checked_sub(count) {
                self.room = room;
            } else {
                self.lost = Some(Lost::Ids);
                self.bytes.truncate(start);
            }
        }
        (start, self.bytes.len() - start)
    }

    /// The memory, with what the output is as a whole: its columns, its pairs of key and value, the ids of the filter that no
    /// dataset had, and values of the filter's column in the dataset of a line.
    pub(super) fn finish(
        mut self,
        schema: &Schema,
        metadata: Vec<Pair>,
        not_found: impl Iterator<Item = i64>,
        examples: Option<(String, Vec<String>)>,
    ) -> Result<Vec<u8>, Lost> {
        self.header.schema = self.schema(schema);
        self.header.metadata = metadata;
        self.header.not_found = self.ids(not_found);
        self.header.examples = examples;
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        let header = serde_json::to_vec(&self.header).map_err(|_| Lost::Columns)?;
        let mut body = (header.len() as u64).to_le_bytes().to_vec();
        body.extend(header);
        body.append(&mut self.bytes);
        let mut memory = format!("{FORM}{}\n", Digest::of(&body)).into_bytes();
        memory.append(&mut body);
        Ok(memory)
    }
}

#[cfg(test)]
mod tests;
