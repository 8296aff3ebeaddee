//! The stages against each other: outputs, and inputs that are outputs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::document::Node;
use super::mistake::Mistake;
use super::plain;
use super::stage::{Input, Source, StageName};

/// What a stage reads and makes, even if the rest of it is wrong.
pub(super) struct Outline {
    pub name: StageName,
    pub makes_file: bool,
    pub out: Option<PathBuf>,
    pub inputs: Vec<Input>,
}

/// What is wrong between the stages.
pub(super) fn relations(stages: &[Outline], document: &Node) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let outs: Vec<Option<PathBuf>> = stages.iter().map(|stage| stage.out.as_deref().map(plain)).collect();
    let mut makers: HashMap<&Path, usize> = HashMap::new();
    for (index, out) in outs.iter().enumerate() {
        if let Some(out) = out {
            makers.entry(out).or_insert(index);
        }
    }
    for (index, (stage, out)) in stages.iter().zip(&outs).enumerate() {
        for (depth, path) in out.iter().flat_map(|out| out.ancestors()).enumerate() {
            let Some(other) = makers.get(path).copied().filter(|other| *other != index) else { continue };
            let (first, second) = (&stages[index.min(other)].name, &stages[index.max(other)].name);
            let message = match depth {
                0 => format!("stages `{first}` and `{second}` have the same output"),
                _ => format!("one of the outputs of `{first}` and `{second}` is inside the other"),
            };
            let place = document.place_of(&["stages", second.as_str(), "out"]);
            mistakes.push(Mistake::new(place, message));
        }
        for input in &stage.inputs {
            let message = match &input.source {
                Source::Path(path) => makers.get(plain(path).as_path()).map(|maker| {
                    format!(
                        "`{}` of `{}` is the output of stage `{}`: write the stage's name",
                        input.role, stage.name, stages[*maker].name
                    )
                }),
                Source::Stage(name) => {
                    let without = stages.iter().find(|other| other.name == *name && !other.makes_file);
                    without.map(|other| format!("stage `{}` makes no file that can be read", other.name))
                }
            };
            mistakes.extend(message.map(|message| Mistake::new(input.place, message)));
        }
    }
    mistakes
}
