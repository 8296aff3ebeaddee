//! `ssp-run head`: the first rows of an output.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};

use arrow_schema::DataType;

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::is_written;
use crate::lines::fit;
use crate::parquet::{Error, read::TableReader};
use crate::run::words::{count, thousands};
use crate::tables::{Cell, object};

use super::Place;
use super::flags::HeadFlags;
use super::grid::{Grid, cut, terminal_width};

/// Columns of the terminal that a text may take.
const TEXT_WIDTH: usize = 32;
/// Rows that are decoded at a time.
const BATCH_ROWS: u64 = 1_024;

/// Prints the first rows of the output of a stage.
pub(in crate::cli::run) fn head(place: &Place, flags: &HeadFlags) -> Result<Exit, Failure> {
    let stage = place.stage(&flags.stage)?;
    let reader = place.open(stage)?;
    let names: Vec<&str> = if flags.columns.is_empty() {
        reader.schema().fields().iter().map(|field| field.name().as_str()).collect()
    } else {
        flags.columns.iter().map(String::as_str).collect()
    };
    place.check_columns(stage, &reader, &names)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let write = |text: &str| is_written(out.write_all(text.as_bytes()));
    let done = if flags.json {
        json(&reader, &names, flags.number, write)
    } else {
        table(&reader, &names, flags, write)
    };
    done.map_err(Failure::fault)?;
    is_written(out.flush());
    Ok(Exit::Done)
}

/// Shows the first rows, each as values in the order of `names`, until `visit` has enough.
fn rows(
    reader: &TableReader,
    names: &[&str],
    number: u64,
    mut visit: impl FnMut(Vec<Cell>) -> bool,
) -> Result<(), Error> {
    let mut left = number.min(reader.rows());
    for group in 0..reader.row_groups() {
        if left == 0 || names.is_empty() {
            return Ok(());
        }
        let batch_rows = usize::try_from(left.min(BATCH_ROWS)).unwrap_or(1);
        for batch in reader.batches(names, Some(vec![group]), batch_rows)? {
            let batch = batch?;
            let columns: Vec<_> = names.iter().filter_map(|name| batch.column_by_name(name)).collect();
            for row in 0..batch.num_rows() {
                if left == 0 || !visit(columns.iter().map(|column| Cell::of(column, row)).collect()) {
                    return Ok(());
                }
                left -= 1;
            }
        }
    }
    Ok(())
}

fn json(
    reader: &TableReader,
    names: &[&str],
    number: u64,
    mut write: impl FnMut(&str) -> bool,
) -> Result<(), Error> {
    rows(reader, names, number, |cells| {
        let mut line = String::new();
        object(names.iter().copied().zip(&cells), &mut line);
        line.push('\n');
        write(&line)
    })
}

fn table(
    reader: &TableReader,
    names: &[&str],
    flags: &HeadFlags,
    mut write: impl FnMut(&str) -> bool,
) -> Result<(), Error> {
    let terminal = terminal_width();
    let titles: Vec<String> = names.iter().map(|name| Cell::Text((*name).to_owned()).to_string()).collect();
    let is_number: Vec<bool> = names
        .iter()
        .map(|name| Ok(is_number(reader.field(name)?.data_type())))
        .collect::<Result<_, Error>>()?;
    let mut grid = Grid::new(titles.iter().cloned().zip(is_number.iter().copied()));
    // The rows are read twice: their texts may be too many to keep.
    let mut shown = grid.fitting(terminal);
    let line = |cells: Vec<Cell>| -> Vec<String> {
        let cells = cells.iter().zip(&is_number);
        cells
            .map(|(cell, is_number)| match cell.to_string() {
                text if *is_number => text,
                text => cut(&text, TEXT_WIDTH).into_owned(),
            })
            .collect()
    };
    rows(reader, &names[..shown], flags.number, |cells| {
        grid.widen(&line(cells));
        true
    })?;
    shown = grid.fitting(terminal).min(shown);
    grid.truncate(shown);
    if !write(&grid.titles()) {
        return Ok(());
    }
    rows(reader, &names[..shown], flags.number, |cells| write(&grid.line(&line(cells))))?;
    write(&footer(reader, &titles[shown..], flags, terminal));
    Ok(())
}

fn footer(reader: &TableReader, left_out: &[String], flags: &HeadFlags, terminal: usize) -> String {
    let rows = flags.number.min(reader.rows());
    let mut text = format!("{} of {} rows\n", thousands(rows), thousands(reader.rows()));
    if !left_out.is_empty() {
        let names = format!("{}: {}", count(left_out.len(), "more column"), left_out.join(", "));
        let example = format!("for example --columns {}", left_out[0]);
        let hint = fit("Choose columns with --columns,", [example], 2);
        let _ = writeln!(text, "{}\n{hint}", cut(&names, terminal));
    }
    text
}

fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        other => other.is_numeric(),
    }
}
