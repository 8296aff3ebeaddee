//! Which stage starts when: a pure function of the graph and of what has happened.
//!
//! Exports are a group: each ends [`State::Sealed`], and only when the last has are all of them published; if one fails,
//! none is. The others still run, so that one night tells all that is wrong; only a lost connection stops them. Not a place for
//! clocks, threads or files.

use crate::plan::{Graph, Selection, StageId};

/// Where a stage of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not part of this run; what it made before is what others use.
    NotSelected,
    /// Waits for other stages, or for a free place.
    Waiting,
    Running,
    /// An export whose file is finished and waits for the rest of the group.
    Sealed,
    Done(Outcome),
    Failed,
    /// A stage that it needs failed, or another export of the group.
    Blocked,
    /// The run was stopped before it, or while it ran.
    Cancelled,
}

/// How a stage ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    UpToDate,
    /// It ran and made the same bytes as before.
    Unchanged,
    /// It ran and made other bytes.
    Done,
}

impl State {
    fn is_final(self) -> bool {
        self.is_good() || self.is_lost()
    }

    fn is_good(self) -> bool {
        matches!(self, Self::NotSelected | Self::Done(_))
    }

    fn is_lost(self) -> bool {
        matches!(self, Self::Failed | Self::Blocked | Self::Cancelled)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A stage ended well.
    Finished(StageId, Outcome),
    /// An export finished its file.
    Sealed(StageId),
    Failed(StageId),
    /// A stage failed since its connection was lost, and the snapshot with it.
    Lost(StageId),
    /// A stage ended because it was told to.
    Stopped(StageId),
    /// The group of exports could not be published.
    NotPublished,
    /// The run is to end: nothing more is started.
    Stop,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Start(StageId),
    /// Publish all sealed exports together, then report each as finished.
    Publish(Vec<StageId>),
    /// Stop the exports that are running: the group has failed.
    StopGroup,
    /// Stop all that is running.
    StopAll,
}

/// Whether another attempt follows this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Never,
    IfLost,
    /// A connection was lost.
    Follows,
}

/// The states of a run's stages.
#[derive(Debug)]
pub(super) struct Scheduler<'g> {
    graph: &'g Graph,
    states: Vec<State>,
    jobs: usize,
    fail_fast: bool,
    stopping: bool,
    publishing: bool,
    retry: Retry,
}

impl<'g> Scheduler<'g> {
    /// For a graph in which the stages `up_to_date` need no work.
    pub(super) fn new(
        graph: &'g Graph,
        selection: &Selection,
        up_to_date: &[StageId],
        jobs: usize,
        fail_fast: bool,
    ) -> Self {
        let state = |id: StageId| match (selection.has(id), up_to_date.contains(&id)) {
            (false, _) => State::NotSelected,
            (true, true) => State::Done(Outcome::UpToDate),
            (true, false) => State::Waiting,
        };
        let states = graph.ids().map(state).collect();
        Self {
            graph,
            states,
            jobs: jobs.max(1),
            fail_fast,
            stopping: false,
            publishing: false,
            retry: Retry::Never,
        }
    }

    /// The same, in an attempt after which another one may follow: a stage that does without failed inputs waits for that.
    pub(super) fn with_another_attempt(self, may_retry: bool) -> Self {
        Self { retry: if may_retry { Retry::IfLost } else { Retry::Never }, ..self }
    }

    /// The stages that a stage needs and does without.
    pub(super) fn failed_needs(&self, id: StageId) -> Vec<StageId> {
        let needs = self.graph.upstream(id).iter().copied();
        needs.filter(|need| !self.state(*need).is_good()).collect()
    }

    /// Where a stage is.
    pub(super) fn state(&self, id: StageId) -> State {
        self.states[id.index()]
    }

    /// Whether all is said and done.
    pub(super) fn is_finished(&self) -> bool {
        self.states.iter().all(|state| state.is_final())
    }

    /// Takes note of an event; what to do now.
    pub(super) fn handle(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        let is_failure = matches!(event, Event::Failed(_) | Event::Lost(_) | Event::NotPublished);
        match event {
            Event::Finished(id, outcome) => {
                self.set(id, State::Done(outcome));
                self.publishing =
                    self.publishing && self.group_in(|state| state == State::Sealed).next().is_some();
            }
            Event::Sealed(id) => {
                let state = if self.group_is_lost() { self.dropped() } else { State::Sealed };
                self.set(id, state);
            }
            Event::Failed(id) => self.set(id, State::Failed),
            Event::Lost(id) => {
                self.set(id, State::Failed);
                if self.retry == Retry::IfLost {
                    self.retry = Retry::Follows;
                }
                if self.graph.stage(id).reads_snapshot() {
                    self.lose_group(&mut actions);
                }
            }
            Event::Stopped(id) => self.set(id, self.dropped()),
            Event::NotPublished => {
                self.publishing = false;
                self.change_group(|state| state == State::Sealed, State::Failed);
            }
            Event::Stop => self.stop(&mut actions),
        }
        if is_failure && self.fail_fast {
            self.stop(&mut actions);
        }
        self.block();
        actions.extend(self.next());
        actions
    }

    /// What can be done now.
    pub(super) fn next(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        let unfinished = |state: State| !state.is_final() && state != State::Sealed;
        let sealed: Vec<StageId> = self.group_in(|state| state == State::Sealed).collect();
        if !sealed.is_empty() && !self.publishing && self.group_in(unfinished).next().is_none() {
            self.publishing = true;
            actions.push(Action::Publish(sealed));
        }
        if self.stopping {
            return actions;
        }
        let mut running = self.states.iter().filter(|state| **state == State::Running).count();
        for id in self.graph.ids() {
            if running == self.jobs {
                break;
            }
            let ready = self.graph.upstream(id).iter().all(|need| {
                let state = self.state(*need);
                state.is_good() || state.is_final() && self.does_without(id, *need)
            });
            if self.state(id) == State::Waiting && ready {
                self.set(id, State::Running);
                actions.push(Action::Start(id));
                running += 1;
            }
        }
        actions
    }

    /// Whether a stage runs though one that it needs failed: only an input can be missing, and none that another attempt
    /// may bring.
    fn does_without(&self, id: StageId, need: StageId) -> bool {
        let (stage, need) = (self.graph.stage(id), &self.graph.stage(need).name);
        stage.work.tolerates_missing() && !stage.needs.contains(need) && self.retry != Retry::Follows
    }

    fn set(&mut self, id: StageId, state: State) {
        debug_assert!(!self.state(id).is_final(), "a final state is left: {:?} -> {state:?}", self.state(id));
        self.states[id.index()] = state;
    }

    fn change_group(&mut self, wanted: impl Fn(State) -> bool, state: State) {
        for id in self.group_in(wanted).collect::<Vec<_>>() {
            self.set(id, state);
        }
    }

    fn group_in(&self, wanted: impl Fn(State) -> bool) -> impl Iterator<Item = StageId> {
        self.graph.ids().filter(move |id| self.graph.stage(*id).reads_snapshot() && wanted(self.state(*id)))
    }

    fn group_is_lost(&self) -> bool {
        self.stopping || self.group_in(State::is_lost).next().is_some()
    }

    /// The state of a stage whose work is of no use any more.
    fn dropped(&self) -> State {
        if self.stopping { State::Cancelled } else { State::Blocked }
    }

    /// Nothing of the group will be published: what is sealed is dropped, what waits never starts, what runs is stopped.
    fn lose_group(&mut self, actions: &mut Vec<Action>) {
        self.change_group(|state| matches!(state, State::Sealed | State::Waiting), State::Blocked);
        if self.group_in(|state| state == State::Running).next().is_some() {
            actions.push(Action::StopGroup);
        }
    }

    fn stop(&mut self, actions: &mut Vec<Action>) {
        if !self.stopping {
            self.stopping = true;
            // A group that is being published is finished: that takes no time, and half of it would be wrong.
            for id in self.graph.ids() {
                let state = self.state(id);
                if state == State::Waiting || state == State::Sealed && !self.publishing {
                    self.set(id, State::Cancelled);
                }
            }
            actions.push(Action::StopAll);
        }
    }

    /// Blocks what needs a stage that was lost, and drops the sealed files of a group that will not be published.
    fn block(&mut self) {
        loop {
            let before = self.states.clone();
            if !self.stopping && self.group_in(State::is_lost).next().is_some() {
                self.change_group(|state| state == State::Sealed, State::Blocked);
            }
            for id in self.graph.ids() {
                let needs = self.graph.upstream(id).iter();
                let lost =
                    needs.copied().any(|need| self.state(need).is_lost() && !self.does_without(id, need));
                if lost && self.state(id) == State::Waiting {
                    self.set(id, State::Blocked);
                }
            }
            if self.states == before {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
