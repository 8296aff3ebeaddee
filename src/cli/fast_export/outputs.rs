//! The outputs that are asked for, checked before anything is connected to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

use super::flags::{Flags, MAX_ROW_GROUP_ROWS};
use crate::cli::targets::{clashes, place};
use crate::cli::words::read_text;
use crate::durable::is_same_file;
use crate::parquet::write::{Encodings, WriteOptions};
use crate::pipeline::{Mistakes, mistakes_in_queries};
use crate::postgres::DEFAULT_BLOCK_SIZE;
use crate::postgres::sql::Query;
use crate::stages::export::Export;

/// One output of `--config`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputSpec {
    sql: String,
    out: PathBuf,
    row_group_size: Option<u64>,
    encodings: Option<Encodings>,
}

pub(super) struct Output {
    pub export: Export,
    pub out: PathBuf,
}

/// The outputs that are asked for.
pub(super) fn outputs(flags: &Flags) -> anyhow::Result<Vec<Output>> {
    let wanted = match (&flags.config, &flags.sql, &flags.out) {
        (Some(config), _, _) => read_config(config)?,
        (None, Some(sql), Some(out)) => {
            vec![OutputSpec { sql: sql.clone(), out: out.clone(), row_group_size: None, encodings: None }]
        }
        _ => bail!("give either --config, or --sql with --out"),
    };
    let mut taken: BTreeMap<_, PathBuf> = BTreeMap::new();
    for OutputSpec { out, .. } in &wanted {
        for path in [Some(out.clone()), flags.keep_temp.then(|| csv_of(out))].into_iter().flatten() {
            let place = place(&path)?;
            if let Some((_, other)) = clashes(&taken, &place).next() {
                let (path, other) = (path.display(), other.display());
                bail!("one of the outputs `{path}` and `{other}` is inside the other");
            }
            if taken.insert(place, path.clone()).is_some() {
                bail!("two outputs would be written to `{}`", path.display());
            }
            if flags.config.as_ref().is_some_and(|config| is_same_file(config, &path)) {
                bail!("`{}` is the list of outputs: it would be replaced", path.display());
            }
        }
    }
    wanted.into_iter().map(|wanted| checked(wanted, flags)).collect()
}

fn checked(wanted: OutputSpec, flags: &Flags) -> anyhow::Result<Output> {
    let OutputSpec { sql, out, row_group_size, encodings } = wanted;
    let query = Query::new(&sql).with_context(|| format!("cannot export to `{}`", out.display()))?;
    let rows = row_group_size.unwrap_or(flags.row_group_size);
    let write = WriteOptions {
        compression: flags.compression,
        encodings: encodings.or(flags.encodings).unwrap_or_default(),
        row_group_rows: usize::try_from(rows).unwrap_or(usize::MAX),
    };
    let block_size = usize::try_from(flags.block_size).unwrap_or(DEFAULT_BLOCK_SIZE);
    Ok(Output { export: Export::of_query(query, write).with_block_size(block_size), out })
}

fn read_config(path: &Path) -> anyhow::Result<Vec<OutputSpec>> {
    let text = read_text(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let wanted: Vec<OutputSpec> = serde_saphyr::from_str(&text).map_err(|error| {
        let problem = error.to_string().replace("<input>", &path.display().to_string());
        let problem = problem.strip_prefix("error: ").unwrap_or(&problem).to_owned();
        anyhow!(problem)
            .context(format!("`{}` is not a list of {{sql, out, row_group_size, encodings}}", path.display()))
    })?;
    if wanted.is_empty() {
        bail!("`{}` lists no outputs", path.display());
    }
    let mistakes = mistakes_in_queries(&text);
    if !mistakes.is_empty() {
        return Err(Mistakes::new(path, &text, mistakes).into());
    }
    let fits = |rows| (1..=MAX_ROW_GROUP_ROWS).contains(&rows);
    if let Some(wanted) = wanted.iter().find(|wanted| !wanted.row_group_size.is_none_or(fits)) {
        let (path, out) = (path.display(), wanted.out.display());
        let too_few = wanted.row_group_size == Some(0);
        let bound = if too_few { "at least 1".to_owned() } else { format!("at most {MAX_ROW_GROUP_ROWS}") };
        bail!("`{path}`: the row_group_size of `{out}` must be {bound}");
    }
    Ok(wanted)
}

/// Where `--keep-temp` keeps the rows as CSV.
pub(super) fn csv_of(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".csv");
    PathBuf::from(name)
}
