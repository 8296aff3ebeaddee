//! The stages drawn as text, for Graphviz and for Mermaid.

use std::fmt::Write as _;

use crate::lines::fit;
use crate::plan::Graph;

use super::flags::GraphFormat;

/// Where the needs of a stage continue at the latest, so that there is room for them.
const MAX_INDENT: usize = 48;

/// The stages of a graph and what they need.
pub(super) fn draw(graph: &Graph, format: GraphFormat) -> String {
    let mut text = String::new();
    match format {
        GraphFormat::Svg => return crate::run::report::drawing(graph),
        GraphFormat::Text => {
            let width = graph.ids().map(|id| graph.stage(id).name.as_str().len()).max().unwrap_or(0);
            let kinds = graph.ids().map(|id| graph.stage(id).kind.name.len()).max().unwrap_or(0);
            for id in graph.ids() {
                let stage = graph.stage(id);
                let needs: Vec<&str> =
                    graph.upstream(id).iter().map(|need| graph.stage(*need).name.as_str()).collect();
                let needs = (!needs.is_empty()).then(|| format!("<- {}", needs.join(", ")));
                let head = format!("{:<width$}  {:<kinds$}", stage.name, stage.kind.name);
                let _ = writeln!(text, "{}", fit(&head, needs, (width + kinds + 7).min(MAX_INDENT)));
            }
        }
        GraphFormat::Dot => {
            text.push_str("digraph pipeline {\n  rankdir=LR;\n  node [shape=box];\n");
            for id in graph.ids() {
                let stage = graph.stage(id);
                let _ = writeln!(text, "  \"{0}\" [label=\"{0}\\n{1}\"];", stage.name, stage.kind.name);
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
                let _ = writeln!(text, "  {0}[\"{0}<br/>{1}\"]", stage.name, stage.kind.name);
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
