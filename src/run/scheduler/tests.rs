//! What happens to the stages of small graphs, and of one graph with any events.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::plan::Selection;

/// A graph of the stages that a pipeline file lists.
fn graph_of(stages: &str) -> Graph {
    let text = format!(
        "version: 1\nname: n\nout_dir: d\ndatabase: {{service: s}}\nbutler: {{repo: r}}\nstages:\n{stages}"
    );
    let reading = crate::pipeline::read(Path::new("p"), &text, &BTreeMap::new(), &|_| None);
    assert_eq!(reading.mistakes, []);
    Graph::seal(&reading.pipeline.unwrap()).unwrap()
}

/// Two exports, an extract of the first, a table of both, and an extract that needs nothing.
fn graph() -> Graph {
    graph_of(
        "
  a: {export: {table: a}, out: a.parquet}
  b: {export: {table: b}, out: b.parquet}
  c: {extract: {collection: c, filter: {ids: a, column: x}}, out: c.parquet}
  d: {build-ssobject: {sssource: ./s.parquet, dia_sources: c, mpc_orbits: b}, out: d.parquet}
  e: {extract: {collection: c}, out: e.parquet}
",
    )
}

fn scheduler(graph: &Graph, jobs: usize) -> Scheduler<'_> {
    Scheduler::new(graph, &Selection::all(graph), &[], jobs, false)
}

fn id(graph: &Graph, name: &str) -> StageId {
    graph.find(name).unwrap()
}

#[test]
fn exports_are_published_together_and_free_what_waits() {
    let graph = graph();
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|name| id(&graph, name));
    let mut scheduler = scheduler(&graph, 8);
    assert_eq!(scheduler.next(), [Action::Start(a), Action::Start(b), Action::Start(e)]);
    assert_eq!(scheduler.handle(Event::Sealed(a)), []);
    assert_eq!(scheduler.handle(Event::Finished(e, Outcome::Done)), []);
    assert_eq!(scheduler.handle(Event::Sealed(b)), [Action::Publish(vec![a, b])]);
    assert_eq!(scheduler.handle(Event::Finished(a, Outcome::Done)), [Action::Start(c)]);
    assert_eq!(scheduler.handle(Event::Finished(b, Outcome::Unchanged)), []);
    assert_eq!(scheduler.handle(Event::Finished(c, Outcome::UpToDate)), [Action::Start(d)]);
    scheduler.handle(Event::Finished(d, Outcome::Done));
    assert!(scheduler.is_finished());
}

#[test]
fn one_failed_export_blocks_the_group_and_what_needs_it() {
    let graph = graph();
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|name| id(&graph, name));
    let mut scheduler = scheduler(&graph, 8);
    scheduler.next();
    scheduler.handle(Event::Sealed(b));
    assert_eq!(scheduler.handle(Event::Failed(a)), []);
    assert_eq!(scheduler.state(b), State::Blocked);
    assert_eq!((scheduler.state(c), scheduler.state(d)), (State::Blocked, State::Blocked));
    assert_eq!(scheduler.state(e), State::Running);
    scheduler.handle(Event::Finished(e, Outcome::Done));
    assert!(scheduler.is_finished());
}

#[test]
fn the_other_exports_still_run_and_can_fail_too() {
    let graph = graph();
    let [a, b, e] = ["a", "b", "e"].map(|name| id(&graph, name));
    let mut scheduler = scheduler(&graph, 1);
    assert_eq!(scheduler.next(), [Action::Start(a)]);
    assert_eq!(scheduler.handle(Event::Failed(a)), [Action::Start(b)]);
    assert_eq!(scheduler.handle(Event::Failed(b)), [Action::Start(e)]);
    scheduler.handle(Event::Finished(e, Outcome::Done));
    assert!(scheduler.is_finished());
}

#[test]
fn an_export_that_needs_a_failed_stage_takes_the_group_with_it() {
    let graph = graph_of(
        "
  a: {export: {table: a}, out: a.parquet}
  b: {export: {table: b}, out: b.parquet}
  c: {export: {table: c}, out: c.parquet, needs: [e]}
  d: {extract: {collection: c, filter: {ids: a, column: x}}, out: d.parquet}
  e: {extract: {collection: c}, out: e.parquet}
",
    );
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|name| id(&graph, name));
    let mut scheduler = scheduler(&graph, 8);
    scheduler.next();
    scheduler.handle(Event::Sealed(a));
    assert_eq!(scheduler.handle(Event::Failed(e)), []);
    assert_eq!([a, c, d].map(|id| scheduler.state(id)), [State::Blocked; 3]);
    assert_eq!(scheduler.handle(Event::Sealed(b)), []);
    assert_eq!(scheduler.state(b), State::Blocked);
    assert!(scheduler.is_finished());
}

#[test]
fn a_group_that_cannot_be_published_is_a_first_failure_too() {
    let graph = graph();
    let [a, b, c, e] = ["a", "b", "c", "e"].map(|name| id(&graph, name));
    let mut scheduler = Scheduler::new(&graph, &Selection::all(&graph), &[], 2, true);
    assert_eq!(scheduler.next(), [Action::Start(a), Action::Start(b)]);
    assert_eq!(scheduler.handle(Event::Sealed(a)), [Action::Start(e)]);
    assert_eq!(scheduler.handle(Event::Sealed(b)), [Action::Publish(vec![a, b])]);
    assert_eq!(scheduler.handle(Event::NotPublished), [Action::StopAll]);
    assert_eq!([a, b].map(|id| scheduler.state(id)), [State::Failed; 2]);
    assert_eq!(scheduler.state(c), State::Cancelled);
}

#[test]
fn a_running_export_is_stopped_if_another_lost_its_connection() {
    let graph = graph();
    let (a, b) = (id(&graph, "a"), id(&graph, "b"));
    let mut scheduler = scheduler(&graph, 8);
    scheduler.next();
    assert_eq!(scheduler.handle(Event::Lost(a)), [Action::StopGroup]);
    // It may seal its file before it hears of that.
    scheduler.handle(Event::Sealed(b));
    assert_eq!(scheduler.state(b), State::Blocked);
}

#[test]
fn a_stop_starts_nothing_more() {
    let graph = graph();
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|name| id(&graph, name));
    let mut scheduler = scheduler(&graph, 2);
    assert_eq!(scheduler.next(), [Action::Start(a), Action::Start(b)]);
    assert_eq!(scheduler.handle(Event::Stop), [Action::StopAll]);
    scheduler.handle(Event::Stopped(a));
    // It may seal its file before it hears of that.
    scheduler.handle(Event::Sealed(b));
    assert!(scheduler.is_finished());
    for stage in [a, b, c, d, e] {
        assert_eq!(scheduler.state(stage), State::Cancelled);
    }
}

proptest! {
    /// With any events in any order, a run ends, never runs more than it may, and never publishes half a group.
    #[test]
    fn every_run_ends(jobs in 1usize..5, fail_fast: bool, choices in prop::collection::vec(0usize..1000, 60)) {
        let graph = graph();
        let selection = Selection::all(&graph);
        let mut scheduler = Scheduler::new(&graph, &selection, &[], jobs, fail_fast);
        let mut running: Vec<StageId> = Vec::new();
        let mut actions = scheduler.next();
        let mut choices = choices.into_iter();
        while !scheduler.is_finished() {
            for action in actions.drain(..) {
                match action {
                    Action::Start(id) => running.push(id),
                    Action::Publish(ids) => {
                        prop_assert!(graph.ids().filter(|id| graph.stage(*id).reads_snapshot())
                            .all(|id| ids.contains(&id) || matches!(scheduler.state(id), State::Done(_))));
                        running.extend(ids);
                    }
                    Action::StopGroup | Action::StopAll => {}
                }
            }
            prop_assert!(graph.ids().filter(|id| scheduler.state(*id) == State::Running).count() <= jobs);
            prop_assert!(!running.is_empty(), "stuck");
            let choice = choices.next().unwrap_or(0);
            let id = running.remove(choice % running.len());
            let sealed = scheduler.state(id) == State::Sealed;
            let export = graph.stage(id).reads_snapshot();
            let event = match choice / 10 % 10 {
                0 if !sealed => Event::Failed(id),
                1 if !sealed => { running.push(id); Event::Stop }
                2 if !sealed => Event::Lost(id),
                _ if sealed => Event::Finished(id, Outcome::Done),
                _ if export => Event::Sealed(id),
                _ => Event::Finished(id, Outcome::Done),
            };
            actions = scheduler.handle(event);
            running.retain(|id| matches!(scheduler.state(*id), State::Running | State::Sealed));
        }
    }
}

/// Two tables, the first from an export, and a delivery of both that also needs another stage.
fn deliveries(allow_partial: bool) -> Graph {
    graph_of(&format!(
        "
  a: {{export: {{table: a}}, out: a.parquet}}
  b: {{build-ssobject: {{sssource: ./s.parquet, mpc_orbits: a}}, out: b.parquet}}
  c: {{extract: {{collection: c}}, out: c.parquet}}
  n: {{extract: {{collection: n}}, out: n.parquet}}
  z: {{deliver: {{tables: {{B: b, C: c}}, to: \"out/${{run}}\", allow_partial: {allow_partial}}}, needs: [n]}}
"
    ))
}

#[test]
fn a_partial_delivery_starts_when_all_its_inputs_have_ended() {
    let graph = deliveries(true);
    let [a, b, c, n, z] = ["a", "b", "c", "n", "z"].map(|name| id(&graph, name));
    let mut scheduler = scheduler(&graph, 8);
    scheduler.next();
    scheduler.handle(Event::Finished(n, Outcome::Done));
    assert_eq!(scheduler.handle(Event::Failed(a)), []);
    // It is not certain yet which tables there are.
    assert_eq!((scheduler.state(b), scheduler.state(z)), (State::Blocked, State::Waiting));
    assert_eq!(scheduler.handle(Event::Finished(c, Outcome::UpToDate)), [Action::Start(z)]);
    assert_eq!(scheduler.failed_needs(z), [b]);
    scheduler.handle(Event::Finished(z, Outcome::Done));
    assert!(scheduler.is_finished());
}

#[test]
fn a_whole_delivery_is_blocked_by_a_failed_input() {
    let graph = deliveries(false);
    let [a, z] = ["a", "z"].map(|name| id(&graph, name));
    let mut scheduler = scheduler(&graph, 8);
    scheduler.next();
    scheduler.handle(Event::Failed(a));
    assert_eq!(scheduler.state(z), State::Blocked);
}

#[test]
fn a_stage_that_is_no_input_must_succeed_for_a_partial_delivery_too() {
    let graph = deliveries(true);
    let [n, z] = ["n", "z"].map(|name| id(&graph, name));
    let mut scheduler = scheduler(&graph, 8);
    scheduler.next();
    scheduler.handle(Event::Failed(n));
    assert_eq!(scheduler.state(z), State::Blocked);
}

#[test]
fn what_another_attempt_may_bring_is_waited_for() {
    for may_retry in [true, false] {
        let graph = deliveries(true);
        let [a, c, n, z] = ["a", "c", "n", "z"].map(|name| id(&graph, name));
        let mut scheduler = scheduler(&graph, 8).with_another_attempt(may_retry);
        scheduler.next();
        scheduler.handle(Event::Lost(a));
        scheduler.handle(Event::Finished(n, Outcome::Done));
        let actions = scheduler.handle(Event::Finished(c, Outcome::Done));
        if may_retry {
            assert_eq!((actions, scheduler.state(z)), (vec![], State::Blocked));
        } else {
            assert_eq!(actions, [Action::Start(z)]);
        }
    }
}

#[test]
fn a_stop_cancels_a_partial_delivery() {
    let graph = deliveries(true);
    let [a, c, n, z] = ["a", "c", "n", "z"].map(|name| id(&graph, name));
    let mut scheduler = scheduler(&graph, 8);
    scheduler.next();
    scheduler.handle(Event::Failed(a));
    scheduler.handle(Event::Stop);
    scheduler.handle(Event::Stopped(c));
    scheduler.handle(Event::Stopped(n));
    assert_eq!(scheduler.state(z), State::Cancelled);
    assert!(scheduler.is_finished());
}
