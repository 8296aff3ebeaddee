//! Observations and detections by their ids.

use super::association::{Limits, Unmatched, associate};
use super::input::{ByObsid, Dia, Kind, Obs, text_of};
use super::row::Row;
use crate::lookup::Few;
use crate::obssubid::End;
use crate::tables::Offenders;

/// Observations that one thread joins at a time.
const BLOCK_ROWS: usize = 65_536;

/// Observations that are sorted by diaSourceId, in blocks that end between two detections.
pub(super) fn blocks(observed: &[Obs]) -> Vec<&[Obs]> {
    let (mut blocks, mut rest) = (Vec::new(), observed);
    while !rest.is_empty() {
        let least = BLOCK_ROWS.min(rest.len());
        let last = rest[least - 1].dia_id;
        let (block, others) = rest.split_at(rest.partition_point(|row| row.dia_id <= last));
        blocks.push(block);
        rest = others;
    }
    blocks
}

/// Joins observations with detections; both are sorted by diaSourceId. Ids are compared as integers.
pub(super) fn join(observed: &[Obs], measured: &[Dia], limits: Limits) -> (Vec<Row>, Vec<Unmatched>) {
    let (mut rows, mut unmatched) = (Vec::with_capacity(observed.len()), Vec::new());
    let first = observed.first().map_or(0, |row| row.dia_id);
    let mut next = measured[measured.partition_point(|row| row.dia_id < first)..].iter().peekable();
    for group in observed.chunk_by(|a, b| a.dia_id == b.dia_id) {
        let id = group[0].dia_id;
        while next.next_if(|row| row.dia_id < id).is_some() {}
        let dia = next.peek().copied().filter(|row| row.dia_id == id);
        associate(group, dia, limits, &mut rows, &mut unmatched);
    }
    (rows, unmatched)
}

/// Gives observations the detections that have their obsid; both are sorted by it. The obsids that none has.
pub(super) fn cover(observed: &mut [Obs], known: &[ByObsid]) -> Vec<[u8; 32]> {
    let mut next = known.iter().peekable();
    let mut without = Vec::new();
    for row in observed.iter_mut().filter(|row| row.kind != Kind::OtherProcessing) {
        while next.next_if(|known| known.obsid < row.obsid).is_some() {}
        match next.peek().filter(|known| known.obsid == row.obsid) {
            None => without.push(row.obsid),
            Some(known) => {
                row.dia_id = known.dia_id;
                if row.kind == Kind::NoId {
                    row.kind = Kind::Source(End::Whole);
                }
            }
        }
    }
    without
}

/// A hash of an obsid (FNV-1a).
pub(super) fn hash(obsid: &[u8; 32]) -> i64 {
    let hash = obsid.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.cast_signed()
}

/// Observations with which something is wrong: how many, and the first few.
#[derive(Default)]
pub(super) struct Obsids {
    count: u64,
    few: Few,
}

impl Obsids {
    /// Takes in those of a partition.
    pub(super) fn extend(&mut self, obsids: Vec<[u8; 32]>) {
        self.count += obsids.len() as u64;
        for obsid in obsids {
            self.few.add(&text_of(&obsid));
        }
    }

    /// As offenders, in their order.
    pub(super) fn offenders(self) -> Offenders {
        Offenders::of(["obsid", "obsids"], self.count, self.few.list())
    }
}
