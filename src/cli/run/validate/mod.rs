//! `ssp-run validate`: all mistakes of a pipeline in one pass, and what was looked at.

mod places;
mod sources;

use crate::cli::failure::{Exit, Failure};
use crate::cli::messages::say;
use crate::environment::Environment;
use crate::errors::Class;
use crate::lines::fit;
use crate::pipeline::{Executor, Mistake, Mistakes, Pipeline};
use crate::plan::{Graph, Selection};
use crate::run::words::count;

use super::flags::PipelineFlags;
use super::{print, refused, targets, text_of};

/// What was looked at, and what was not, each with the reason.
#[derive(Default)]
struct Looked {
    at: Vec<String>,
    not_at: Vec<String>,
}

impl Looked {
    fn at(&mut self, number: usize, what: &str) {
        if number > 0 {
            let counted = count(number, what);
            self.at.push(counted.strip_suffix("ys").map_or(counted.clone(), |stem| format!("{stem}ies")));
        }
    }

    fn text(&self) -> String {
        let line = |head: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => {
                let line = format!("{head} {}", parts.join(", "));
                fit("", [line], 2).trim_start().to_owned() + "\n"
            }
        };
        line("looked at:", &self.at) + &line("not looked at:", &self.not_at)
    }
}

pub(super) fn validate(
    flags: &PipelineFlags,
    connect: bool,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let (file, text) = text_of(flags, environment)?;
    let set = flags.set.iter().cloned().collect();
    let reading = crate::pipeline::read(&file, &text, &set, &|name: &str| environment.raw(name));
    let mut mistakes = reading.mistakes;
    let failed = |mistakes: Vec<Mistake>| Failure::usage(Mistakes::new(&file, &text, mistakes));
    let Some(pipeline) = reading.pipeline else { return Err(failed(mistakes)) };
    let is_readable = mistakes.is_empty();
    let graph = match Graph::seal(&pipeline) {
        Ok(graph) => graph,
        Err(cycles) => {
            mistakes.extend(cycles);
            return Err(failed(mistakes));
        }
    };
    let mut looked = Looked::default();
    let selection = Selection::all(&graph);
    mistakes.extend(targets::mistakes(&pipeline, &graph, &selection));
    // Of a value that is wrong in itself, that it names nothing here is no news.
    let said: Vec<_> = mistakes.iter().map(|mistake| mistake.place).collect();
    let places = places::mistakes(&pipeline, environment, &mut looked);
    mistakes.extend(places.into_iter().filter(|mistake| !said.contains(&mistake.place)));
    let edges: usize = graph.ids().map(|id| graph.upstream(id).len()).sum();
    let (stages, edges) = (count(graph.len(), "stage"), count(edges, "edge"));
    if !is_readable {
        // Much of a file that cannot be understood is not looked at.
        return Err(failed(mistakes));
    }
    if mistakes.is_empty() {
        let in_file = if connect { " in the file" } else { "" };
        print(&format!("{}: {stages}, {edges}, no mistakes{in_file}\n", file.display()));
    }
    if connect {
        match sources::mistakes(&pipeline, environment, &mut looked) {
            Ok(found) => mistakes.extend(found),
            Err(error) => {
                // Both matter: what the file lacks, and that the sources were not looked at.
                if !mistakes.is_empty() {
                    say(failed(mistakes).text(false));
                }
                return Err(refused(error.into()));
            }
        }
    } else {
        not_connected(&pipeline, &mut looked);
    }
    if mistakes.is_empty() {
        return Ok(print(&looked.text()));
    }
    say(looked.text());
    Err(failed(mistakes))
}

fn not_connected(pipeline: &Pipeline, looked: &mut Looked) {
    if pipeline.sources.database.is_some() {
        looked.not_at.push("the database (add --connect)".to_owned());
    }
    if pipeline.sources.butler.is_some() {
        looked.not_at.push("the collections of the repository (add --connect)".to_owned());
    }
    if pipeline.stages.iter().any(|stage| matches!(stage.executor, Executor::Slurm(_))) {
        looked.not_at.push("Slurm (add --connect)".to_owned());
    }
}

/// Whether an error of one stage is one of all: a source that cannot be reached, or is lost.
fn ends_all(class: Class) -> bool {
    class.may_pass() || matches!(class, Class::Unreachable { .. } | Class::Stopped)
}
