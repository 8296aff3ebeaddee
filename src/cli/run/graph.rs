//! The stages drawn as text, for Graphviz and for Mermaid; the reasons of one stage.

use std::fmt::Write as _;

use crate::plan::{Graph, Reason, ReasonCode, StagePlan, Verdict};

use super::flags::GraphFormat;

/// The stages of a graph and what they need.
pub fn draw(graph: &Graph, format: GraphFormat) -> String {
    let mut text = String::new();
    match format {
        GraphFormat::Svg => return crate::run::report::drawing(graph),
        GraphFormat::Text => {
            let width = graph.ids().map(|id| graph.stage(id).name.as_str().len()).max().unwrap_or(0);
            for id in graph.ids() {
                let stage = graph.stage(id);
                let needs: Vec<&str> =
                    graph.upstream(id).iter().map(|need| graph.stage(*need).name.as_str()).collect();
                let needs =
                    if needs.is_empty() { String::new() } else { format!("  <- {}", needs.join(", ")) };
                let _ = writeln!(text, "{:<width$}  {:<14}{needs}", stage.name, stage.kind.name());
            }
        }
        GraphFormat::Dot => {
            text.push_str("digraph pipeline {\n  rankdir=LR;\n  node [shape=box];\n");
            for id in graph.ids() {
                let stage = graph.stage(id);
                let _ = writeln!(text, "  \"{0}\" [label=\"{0}\\n{1}\"];", stage.name, stage.kind.name());
            }
            for (need, stage) in edges(graph) {
                let _ = writeln!(text, "  \"{need}\" -> \"{stage}\";");
            }
            text.push_str("}\n");
        }
        GraphFormat::Mermaid => {
            text.push_str("flowchart LR\n");
            for id in graph.ids() {
                let stage = graph.stage(id);
                let _ = writeln!(text, "  {0}[\"{0}<br/>{1}\"]", stage.name, stage.kind.name());
            }
            for (need, stage) in edges(graph) {
                let _ = writeln!(text, "  {need} --> {stage}");
            }
        }
    }
    text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

fn edges(graph: &Graph) -> impl Iterator<Item = (&str, &str)> {
    graph.ids().flat_map(move |id| {
        graph
            .upstream(id)
            .iter()
            .map(move |need| (graph.stage(*need).name.as_str(), graph.stage(id).name.as_str()))
    })
}

/// All that is known of why a stage runs. `made` knows the run that first made an output of a stage with a digest.
pub fn reasons(plan: &StagePlan, made: &dyn Fn(&str, &str) -> Option<String>) -> String {
    let mut text = match &plan.verdict {
        Verdict::UpToDate => match &plan.since {
            Some(since) => format!("{} is up to date since {since}\n", plan.stage),
            None => format!("{} is up to date\n", plan.stage),
        },
        Verdict::Maybe { after } => {
            let names: Vec<&str> = after.iter().map(crate::pipeline::StageName::as_str).collect();
            format!("{} runs if the output of {} changes\n", plan.stage, names.join(" or "))
        }
        Verdict::Broken { message } => format!("{} cannot run: {message}\n", plan.stage),
        Verdict::Run { .. } => format!("{} runs:\n", plan.stage),
    };
    if let Verdict::Run { reasons } = &plan.verdict {
        for Reason { code, subject, old, new } in reasons {
            let _ =
                writeln!(text, "  {code}{}", subject.as_ref().map_or_else(String::new, |s| format!(": {s}")));
            for (word, value) in [("old", old), ("new", new)] {
                if let Some(value) = value {
                    let run = subject.as_deref().filter(|_| *code == ReasonCode::InputChanged);
                    let run = run.and_then(|stage| made(stage, value));
                    let run = run.map_or_else(String::new, |run| format!("   made by run {run}"));
                    let _ = writeln!(text, "    {word}  {}{run}", value.replace('\n', "\n         "));
                }
            }
        }
    }
    text
}
