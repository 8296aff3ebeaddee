//! `ssp-run diff`: how the outputs of two generations differ. Not a place for comparing them: see `compared`.

use anyhow::anyhow;
use serde_json::json;

use crate::cli::failure::{Exit, Failure, threads};
use crate::cli::messages::say;
use crate::errors::chain;
use crate::pipeline::{Pipeline, Stage, did_you_mean};
use crate::plan::Graph;
use crate::run::{Generations, Store, fits};
use crate::threads::compute;

use super::super::stages::stages;
use super::super::{json as pretty, print, refused};
use super::compared::{Compared, Side};
use super::flags::DiffFlags;
use super::{Place, diff_text, output};

const KEY_HINT: &str = "name other columns with `--key`, or with `key` in the pipeline file";

/// Prints how outputs differ.
pub(in crate::cli::run) fn diff(place: &Place, flags: &DiffFlags) -> Result<Exit, Failure> {
    let Place { pipeline, graph, .. } = place;
    let kept = Generations::of(&Store::new(&pipeline.out_dir)).map_err(refused)?;
    let (runs, stage) = parse(&flags.what, graph, &kept)?;
    let stages: Vec<&Stage> = match stage {
        Some(stage) => vec![stage],
        None => graph.ids().map(|id| graph.stage(id)).filter(|stage| stage.out.is_some()).collect(),
    };
    if !flags.key.is_empty() && stage.is_none() {
        let error = anyhow!("`--key` needs a stage: columns are of one output");
        return Err(Failure::usage(error).hint("add the name of the stage"));
    }
    let [old, new] = sides(pipeline, &kept, &runs, &stages)?;
    if let Some(stage) = stage.filter(|_| !flags.key.is_empty()) {
        let key: Vec<&str> = flags.key.iter().map(String::as_str).collect();
        for side in [&old, &new] {
            // A file that cannot be read is told of with its stage.
            if let Ok(Some(output)) = side.output(stage, &pipeline.out_dir) {
                place.check_columns(stage, &output.reader, &key)?;
            }
        }
    }
    threads(None)?;
    let mut exit = Exit::Done;
    let mut told = Vec::new();
    let mut text = diff_text::heading(&old, &new);
    for stage in stages {
        let key = if flags.key.is_empty() { stage.row_key.clone() } else { flags.key.clone() };
        match compute(|| Compared::of(stage, key, &old, &new)) {
            Ok(compared) if flags.json => told.push(compared.json()),
            Ok(compared) => text += &compared.text(),
            Err(error) => {
                exit = Exit::Failed;
                let why = chain(&error).join(": ");
                text += &format!("{}  cannot be compared\n", stage.name);
                let is_of_key = error.is_of_key();
                let failure =
                    Failure::fault(anyhow!(error).context(format!("cannot compare `{}`", stage.name)));
                say(failure.hint_if(is_of_key, KEY_HINT).text(false));
                told.push(json!({"stage": stage.name, "error": why}));
            }
        }
    }
    if flags.json {
        text = pretty(&json!({"format": 1, "old": old.run, "new": new.run, "stages": told}))?;
    }
    print(&text);
    Ok(exit)
}

/// The generations and the stage that are meant. The last argument may name a stage.
fn parse<'g, 'k>(
    what: &[String],
    graph: &'g Graph,
    kept: &'k Generations,
) -> Result<(Vec<&'k str>, Option<&'g Stage>), Failure> {
    let (mut what, mut stage) = (what, None);
    if let Some((last, before)) = what.split_last()
        && let Some(id) = graph.find(last)
    {
        stage = Some(graph.stage(id));
        output(graph.stage(id))?;
        what = before;
    }
    if let [_, _, third] = what {
        let error =
            anyhow!("two generations are compared, and the third argument, `{third}`, is not a stage");
        return Err(Failure::usage(error).hint(stages(graph)));
    }
    let run = |name: &String| {
        kept.find(name).ok_or_else(|| {
            if !kept.runs.iter().any(|run| fits(run, name)) {
                return unknown(name, graph, kept);
            }
            let error = anyhow!("more than one generation begins with `{name}`");
            Failure::usage(error).hint(newest(kept))
        })
    };
    Ok((what.iter().map(run).collect::<Result<_, _>>()?, stage))
}

fn unknown(name: &str, graph: &Graph, kept: &Generations) -> Failure {
    if graph.find(name).is_some() {
        let error = anyhow!(
            "the stage `{name}` is not the last argument: one stage comes last, after the generations"
        );
        return Failure::usage(error).hint("to compare all stages, name none");
    }
    // The id of a run begins with a digit, a stage with a letter.
    if name.starts_with(|c: char| c.is_ascii_digit()) || matches!(name, "current" | "latest") {
        let error = anyhow!("no generation `{name}` was kept");
        return Failure::usage(error).hint(newest(kept));
    }
    let hint = did_you_mean(name, graph.ids().map(|id| graph.stage(id).name.as_str()));
    let error = anyhow!("`{name}` is neither a stage nor a kept generation{hint}");
    Failure::usage(error).hint(stages(graph))
}

fn newest(kept: &Generations) -> String {
    if kept.runs.is_empty() {
        return "no generation was kept yet; `keep: 7` in the pipeline file keeps the last 7".to_owned();
    }
    let newest: Vec<&str> = kept.runs.iter().take(5).map(String::as_str).collect();
    format!("the newest kept generations are {}", newest.join(", "))
}

fn sides(
    pipeline: &Pipeline,
    kept: &Generations,
    runs: &[&str],
    stages: &[&Stage],
) -> Result<[Side; 2], Failure> {
    let of = |run: &str| Side { run: Some(run.to_owned()), store: kept.kept(run) };
    let current = Side { run: None, store: Store::new(&pipeline.out_dir) };
    match *runs {
        [old, new] => Ok([of(old), of(new)]),
        [old] => Ok([of(old), current]),
        _ => match kept
            .newest_other(&current.store, &stages.iter().map(|stage| &stage.name).collect::<Vec<_>>())
        {
            Some(old) => Ok([of(old), current]),
            None if kept.runs.is_empty() => {
                let error = anyhow!("there is no earlier generation to compare with");
                Err(Failure::usage(error).hint(newest(kept)))
            }
            // All generations have the current outputs.
            None => Ok([of(&kept.runs[0]), current]),
        },
    }
}
