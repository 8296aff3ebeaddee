//! The stages drawn as a graph. The layout is rust-sugiyama's; not a place for what the states mean.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};
use rust_sugiyama::configure::{Config, RankingType};
use rust_sugiyama::from_vertices_and_edges;

use crate::plan::Graph;

/// A stage to draw.
pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    /// Its state: a CSS class and a word.
    pub(super) state: Option<(&'static str, &'static str)>,
    /// The stages that it needs, each before it.
    pub(super) needs: Vec<usize>,
}

const HEIGHT: f64 = 46.0;
const GAP_BETWEEN_LAYERS: f64 = 48.0;
const GAP_BETWEEN_NODES: f64 = 14.0;
const MARGIN: f64 = 4.0;
/// Longer names are cut; the whole name is in the title.
const LONGEST_NAME: usize = 28;
/// About the width of a letter of 13 pixels in the fonts of the page.
const LETTER: f64 = 8.0;
/// What the point where a long edge crosses a layer takes up.
const WAYPOINT: f64 = 6.0;

const STYLE: &str = concat!(include_str!("colors.css"), include_str!("dag.css"));

/// The stages of a pipeline as an SVG file of its own.
pub(crate) fn standalone(graph: &Graph) -> String {
    let nodes: Vec<Node<'_>> = graph
        .ids()
        .map(|id| Node {
            name: graph.stage(id).name.as_str(),
            kind: graph.stage(id).kind.name,
            state: None,
            needs: graph.upstream(id).iter().map(|need| need.index()).collect(),
        })
        .collect();
    draw(&nodes, true).into_string() + "\n"
}

/// The drawing, as a file of its own or for a page that has its style.
pub(super) fn draw(nodes: &[Node<'_>], is_file: bool) -> Markup {
    let letters = nodes.iter().map(|node| shown(node.name).chars().count().max(14)).max().unwrap_or(14);
    let width = (letters as f64 * LETTER + 26.0).ceil();
    let pitch = width + GAP_BETWEEN_LAYERS;
    let Lanes { layer, center, waypoints } = Lanes::of(nodes);
    let layers = layer.iter().max().map_or(0, |last| last + 1);
    let bottom = center.iter().chain(waypoints.values()).copied().fold(0.0, f64::max);
    let (total_width, total_height) =
        (layers as f64 * pitch - GAP_BETWEEN_LAYERS + 2.0 * MARGIN, bottom + HEIGHT / 2.0 + MARGIN);
    let left = |layer: usize| MARGIN + layer as f64 * pitch;
    let mut edges = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        for &need in &node.needs {
            let (mut x, mut y) = (left(layer[need]) + width, center[need]);
            let mut path = format!("M{x:.1} {y:.1}");
            for between in layer[need] + 1..=layer[index] {
                let to_x = left(between);
                let to_y = waypoints.get(&(need, index, between)).copied().unwrap_or(center[index]);
                let middle = f64::midpoint(x, to_x);
                path += &format!("C{middle:.1} {y:.1} {middle:.1} {to_y:.1} {to_x:.1} {to_y:.1}");
                if between < layer[index] {
                    path += &format!("H{:.1}", to_x + width);
                }
                (x, y) = (to_x + width, to_y);
            }
            let (tip_x, tip_y) = (left(layer[index]), center[index]);
            let tip = format!("M{:.1} {:.1}l6 4l-6 4z", tip_x - 6.0, tip_y - 4.0);
            edges.push((path, tip));
        }
    }
    html! {
        svg class="dag" xmlns=[is_file.then_some("http://www.w3.org/2000/svg")] role="img"
            aria-labelledby="dag-title dag-desc" width=(round(total_width)) height=(round(total_height))
            viewBox=(format!("0 0 {} {}", round(total_width), round(total_height))) {
            title id="dag-title" { "The stages and the stages they need" }
            desc id="dag-desc" { (description(nodes)) }
            @if is_file { style { (PreEscaped(STYLE)) } }
            g class="edges" {
                @for (path, tip) in &edges { path d=(path) {} path class="tip" d=(tip) {} }
            }
            @for (index, node) in nodes.iter().enumerate() {
                g class={ "node " (node.state.map_or("s-none", |(class, _)| class)) }
                    transform=(format!("translate({:.1} {:.1})", left(layer[index]), center[index] - HEIGHT / 2.0)) {
                    title { (node.name) ", " (node.kind) @if let Some((_, word)) = node.state { ": " (word) } }
                    rect class="box" width=(width) height=(HEIGHT) rx="5" {}
                    rect class="mark" width="4" height=(HEIGHT - 12.0) x="6" y="6" rx="2" {}
                    text class="name" x="18" y="19" { (shown(node.name)) }
                    text class="kind" x="18" y="36" {
                        (node.kind) @if let Some((_, word)) = node.state { " · " tspan class="state" { (word) } }
                    }
                }
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a drawing's size")]
fn round(length: f64) -> i64 {
    length.ceil() as i64
}

fn shown(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}

fn description(nodes: &[Node<'_>]) -> String {
    let line = |node: &Node<'_>| {
        let state = node.state.map_or_else(String::new, |(_, word)| format!(" ({word})"));
        let needs: Vec<&str> = node.needs.iter().map(|need| nodes[*need].name).collect();
        let needs = if needs.is_empty() { String::new() } else { format!(" needs {}", needs.join(", ")) };
        format!("{}{state}{needs}.", node.name)
    };
    nodes.iter().map(line).collect::<Vec<_>>().join(" ")
}

/// Where nodes and long edges are: layers from left to right, and positions from top to bottom within a layer.
struct Lanes {
    layer: Vec<usize>,
    center: Vec<f64>,
    /// Where the edge from one stage to another crosses a layer between the two.
    waypoints: BTreeMap<(usize, usize, usize), f64>,
}

impl Lanes {
    fn of(nodes: &[Node<'_>]) -> Self {
        let mut layer: Vec<usize> = Vec::with_capacity(nodes.len());
        for node in nodes {
            layer.push(node.needs.iter().map(|need| layer[*need] + 1).max().unwrap_or(0));
        }
        // The layout knows layers from top to bottom: what is high here is wide there.
        let mut vertices: Vec<(u32, (f64, f64))> = Vec::new();
        let mut vertex = |size: f64| {
            let id = u32::try_from(vertices.len()).unwrap_or(u32::MAX);
            vertices.push((id, (size, 1.0)));
            id
        };
        let own: Vec<u32> = nodes.iter().map(|_| vertex(HEIGHT)).collect();
        let mut between = BTreeMap::new();
        let mut edges = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            for &need in &node.needs {
                let mut from = own[need];
                for crossed in layer[need] + 1..layer[index] {
                    let to = vertex(WAYPOINT);
                    between.insert((need, index, crossed), to);
                    edges.push((from, to));
                    from = to;
                }
                edges.push((from, own[index]));
            }
        }
        let config =
            Config { vertex_spacing: GAP_BETWEEN_NODES, ranking_type: RankingType::Up, ..Config::default() };
        let mut position: BTreeMap<usize, f64> = BTreeMap::new();
        let mut top = MARGIN;
        let mut parts: Vec<Vec<(usize, (f64, f64))>> =
            from_vertices_and_edges(&vertices, &edges, &config).into_iter().map(|(part, ..)| part).collect();
        // Parts that do not touch each other go one below the other, the one with the first stage on top.
        parts.sort_by_key(|part| part.iter().map(|(id, _)| *id).min());
        for part in parts {
            let half = |id: usize| vertices.get(id).map_or(0.0, |(_, (size, _))| size / 2.0);
            let least = part.iter().map(|(id, (y, _))| y - half(*id)).fold(f64::INFINITY, f64::min);
            let mut bottom = top;
            for (id, (y, _)) in part {
                let center = top + y - least;
                bottom = f64::max(bottom, center + half(id));
                position.insert(id, center);
            }
            top = bottom + GAP_BETWEEN_NODES;
        }
        let at = |id: u32| position.get(&(id as usize)).copied().unwrap_or(MARGIN + HEIGHT / 2.0);
        Self {
            layer,
            center: own.iter().map(|id| at(*id)).collect(),
            waypoints: between.into_iter().map(|(key, id)| (key, at(id))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node<'a>(name: &'a str, needs: &[usize]) -> Node<'a> {
        Node { name, kind: "export", state: Some(("s-done", "done")), needs: needs.to_vec() }
    }

    fn diamond() -> Vec<Node<'static>> {
        vec![
            node("a", &[]),
            node("b", &[]),
            node("c", &[0]),
            node("d", &[2, 1, 0]),
            node("alone", &[]),
            node("e", &[3, 0]),
        ]
    }

    #[test]
    fn no_two_nodes_of_a_layer_touch_and_no_edge_runs_through_a_node() {
        let nodes = diamond();
        let lanes = Lanes::of(&nodes);
        assert_eq!(lanes.layer, [0, 0, 1, 2, 0, 3]);
        let mut taken: Vec<(usize, f64, f64)> =
            lanes.layer.iter().zip(&lanes.center).map(|(layer, y)| (*layer, *y, HEIGHT / 2.0)).collect();
        taken.extend(lanes.waypoints.iter().map(|((_, _, layer), y)| (*layer, *y, WAYPOINT / 2.0)));
        for (i, a) in taken.iter().enumerate() {
            for b in &taken[i + 1..] {
                assert!(a.0 != b.0 || (a.1 - b.1).abs() >= a.2 + b.2, "{a:?} {b:?}");
            }
        }
        assert_eq!(lanes.waypoints.len(), 4);
    }

    #[test]
    fn the_drawing_is_the_same_each_time() {
        let nodes = diamond();
        let first = draw(&nodes, false).into_string();
        for _ in 0..20 {
            assert_eq!(draw(&nodes, false).into_string(), first);
        }
    }

    /// In HTML, a path that is not closed swallows all that follows it.
    #[test]
    fn every_path_is_closed() {
        let text = draw(&diamond(), false).into_string();
        assert_eq!(text.matches("<path ").count(), 12);
        assert_eq!(text.matches("></path>").count(), 12, "{text}");
    }

    #[test]
    fn names_are_escaped_and_long_ones_are_cut() {
        let text = draw(&[node("<script>&\"", &[]), node(&"x".repeat(60), &[])], true).into_string();
        assert!(!text.contains("<script>") && text.contains("&lt;script&gt;&amp;"), "{text}");
        assert!(text.contains(&format!(">{}…<", "x".repeat(27))), "{text}");
    }

    #[test]
    fn no_stages_are_an_empty_drawing() {
        assert!(draw(&[], false).into_string().starts_with("<svg"));
    }
}
