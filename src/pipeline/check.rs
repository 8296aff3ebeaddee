//! Stages as their kinds read them, and checks that the types cannot make: references, outputs, secrets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::Pipeline;
use super::conform::Conformance;
use super::document::{Key as NodeKey, Node, Value};
use super::executor::Executor;
use super::formats::{INPUT, Keys, not_home};
use super::mistake::Mistake;
use super::out::{self, Out};
use super::relations::{Outline, relations};
use super::spec::{HookCommand, PipelineSpec, RowKey, StageSpec, kind_names};
use super::stage::{Input, Source, Stage, StageName};
use crate::dsn::has_password;
use crate::key::{Aspect, Key};
use crate::schema::NamedSchema;
use crate::secrets::Secrets;
use crate::spelling::{did_you_mean, nearest};
use crate::stages::{Checked, Defaults, KINDS, Kind, Problems, Reads, SourceSettings, kind};

/// Whether the connection string comes whole from the environment, where a password may stand in it.
pub(super) fn dsn_from_environment(document: &Node) -> bool {
    let dsn = document.get("database").and_then(|database| database.get("dsn"));
    matches!(dsn.map(|dsn| &dsn.value), Some(Value::Text(text))
        if text.starts_with("${env:") && text.find('}') == Some(text.len() - 1) && !text.contains(":-"))
}

/// A time limit of zero.
const NO_TIME: &str = "`timeout` is zero: write a longer time, such as 20m, or remove `timeout`";

/// Makes the checked pipeline of a file.
pub(super) struct PipelineReader<'a> {
    pub file: &'a Path,
    pub document: &'a Node,
    pub conformance: Conformance<'a>,
    /// Its keys whose texts are checked with their place.
    pub keys: Keys,
    /// Whether the connection string may hold a password.
    pub secret_dsn: bool,
    /// The values of the environment in its queries.
    pub secrets: &'a Secrets,
}

/// The stages of a file while they are read.
struct Stages<'a> {
    reader: &'a PipelineReader<'a>,
    root: PathBuf,
    out_dir: PathBuf,
    defaults: Defaults,
    executor: Executor,
    names: Vec<&'a str>,
    outlines: Vec<Outline>,
    mistakes: &'a mut Vec<Mistake>,
}

impl PipelineReader<'_> {
    /// The checked pipeline; every mistake is pushed.
    pub(super) fn pipeline(&self, spec: PipelineSpec, mistakes: &mut Vec<Mistake>) -> Pipeline {
        let root = self.file.parent().unwrap_or(Path::new("")).join(spec.root.unwrap_or_default());
        let out_dir = root.join(&spec.out_dir);
        let mut mistake = |path: &[&str], message: String| {
            mistakes.push(Mistake::new(self.document.place_of(path), message));
        };
        if spec.out_dir.as_os_str().is_empty() {
            let message = "`out_dir` is empty; name a folder, or write `.` for the folder that relative paths start from";
            mistake(&["out_dir"], message.to_owned());
        }
        for (name, hook) in spec.hooks.all() {
            if hook.is_some_and(HookCommand::is_empty) {
                mistake(&["hooks", name], format!("`{name}` has no command"));
            }
            // A text is for a shell, which expands `~`; the words of a list reach the program as they are.
            let words = if let Some(HookCommand::Program(words)) = hook { words.as_slice() } else { &[] };
            for wrong in words.iter().filter_map(|word| not_home(word).err()) {
                mistake(&["hooks", name], format!("`{name}`: {wrong}"));
            }
        }
        for (path, timeout) in
            [(["defaults", "timeout"], spec.defaults.timeout), (["hooks", "timeout"], spec.hooks.timeout)]
        {
            if timeout.is_some_and(|timeout| timeout.0.is_zero()) {
                mistake(&path, NO_TIME.to_owned());
            }
        }
        if let Executor::Slurm(slurm) = &spec.executor {
            for (key, message) in slurm.mistakes() {
                mistake(&["executor", "slurm", key], message);
            }
        }
        let dsn = spec.database.as_ref().and_then(|database| database.dsn.as_deref());
        if !self.secret_dsn && dsn.is_some_and(has_password) {
            let node = self.document.get("database").and_then(|database| database.get("dsn"));
            let before = node.and_then(|dsn| dsn.interpolated.as_ref());
            let is_secret = before.is_some_and(|before| before.secret);
            let mistake = if is_secret { Mistake::password_in_part } else { Mistake::password };
            mistakes.push(mistake(self.document.place_of(&["database", "dsn"])));
        }
        let in_file = self.document.get("stages").and_then(Node::pairs).unwrap_or_default();
        let mut stages = Stages {
            reader: self,
            root: root.clone(),
            out_dir: out_dir.clone(),
            defaults: spec.defaults.clone(),
            executor: spec.executor,
            outlines: Vec::new(),
            names: in_file.iter().map(|(key, _)| key.text.as_str()).collect(),
            mistakes,
        };
        let mut specs = spec.stages;
        // The order of the file, which the map of the types has lost.
        let read: Vec<Stage> = in_file
            .iter()
            .filter_map(|(key, node)| stages.stage(key, node, specs.remove(&key.text).unwrap_or_default()))
            .collect();
        let outlines = stages.outlines;
        mistakes.extend(relations(&outlines, self.document));
        if in_file.is_empty() && self.document.get("stages").and_then(Node::pairs).is_some() {
            let place = self.document.place_of(&["stages"]);
            mistakes.push(Mistake::new(place, "`stages` is empty: add at least one stage"));
        }
        Pipeline {
            file: self.file.to_owned(),
            name: spec.name,
            sources: SourceSettings {
                file: self.file.to_owned(),
                root: root.clone(),
                database: spec.database,
                butler: spec.butler,
                timeout: spec.defaults.timeout,
            },
            root,
            out_dir,
            keep: spec.keep,
            defaults: spec.defaults,
            hooks: spec.hooks,
            stages: read,
            document: Arc::new(self.document.clone()),
            secrets: self.secrets.clone(),
        }
    }

    /// Whether the file has a value for a key.
    fn has(&self, key: &str) -> bool {
        self.document.get(key).is_some_and(|node| !matches!(node.value, Value::Null))
    }

    /// The part of a stage's key that the file and the code determine.
    fn parameters(&self, kind: &Kind, parameters: &Map<String, Json>) -> Key {
        let mut key = Key::default();
        key.push(Aspect::Code, kind.name, kind.version.to_string());
        let mut add = |name: &str, value: &Json| {
            if value.is_null() {
                return;
            }
            // Behind a point, a name is one that the user chose, such as that of a column.
            let is_expression = name.split('.').next().is_some_and(|first| self.keys.has_expressions(first));
            let aspect = if self.keys.is_query(name) { Aspect::Sql } else { Aspect::Params };
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if !is_expression && !self.keys.has(name) {
                return key.push(aspect, name, text);
            }
            // Records and reports show the key, so it has no values of the environment.
            key.push(aspect, name, self.secrets.named(&text));
            for (variable, trace) in self.secrets.traces(&text) {
                key.push(Aspect::Params, format!("environment variable {variable}"), trace);
            }
        };
        for (name, value) in parameters {
            match value {
                // One level deeper, so that the reason names the setting that changed.
                Json::Object(fields) => {
                    fields.iter().for_each(|(field, value)| add(&format!("{name}.{field}"), value));
                }
                value => add(name, value),
            }
        }
        key
    }
}

impl<'a> Stages<'a> {
    fn mistake(&mut self, path: &[&str], message: impl Into<String>) {
        self.mistakes.push(Mistake::new(self.reader.document.place_of(path), message));
    }

    fn stage(&mut self, key: &'a NodeKey, node: &'a Node, spec: StageSpec) -> Option<Stage> {
        let name = key.text.as_str();
        if !StageName::fits(name) {
            let message = format!(
                "`{name}` is not a stage's name: use lower-case letters, digits, `_` and `-`, a letter first"
            );
            self.mistakes.push(Mistake::new(key.place, message));
        }
        let StageSpec { mut parts, common } = spec;
        let needs = common.needs.iter().filter_map(|need| self.needed(name, need)).collect();
        let kind = self.kind(key, node);
        let out = self.out(name, node, kind, common.out.as_deref());
        let kind = kind?;
        let (out, in_parts) = out.map_or((None, false), |(out, in_parts)| (Some(out), in_parts));
        if !kind.makes_file {
            self.refuse_checks_of_files(name, kind, node);
        }
        for (path, message) in common.checks.mistakes() {
            self.mistake(&[&["stages", name, "checks"], &path[..]].concat(), message);
        }
        if common.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
            self.mistake(&["stages", name, "timeout"], NO_TIME);
        }
        let in_file = node.get(kind.name)?;
        let inputs = self.inputs(kind, in_file);
        self.outlines.push(Outline {
            name: name.into(),
            makes_file: kind.makes_file,
            out: out.clone(),
            inputs: inputs.clone(),
        });
        let part = parts.remove(kind.name).unwrap_or_default();
        let of_own = matches!(&common.executor, Some(Executor::Slurm(own)) if own.slices.is_some_and(|slices| slices > 1));
        let executor = self.executor(name, kind, &part, common.executor);
        let Checked { work, mut parameters } = self.part(name, kind, in_file, part.clone())?;
        if of_own && work.slices().is_none() {
            let message = format!("`{}` works in one job: remove `slices`", kind.name);
            self.mistake(&["stages", name, "executor", "slurm", "slices"], message);
        }
        if let Some(part_rows) = kind.part_rows.filter(|_| !in_parts) {
            parameters.shift_remove(part_rows);
        }
        Some(Stage {
            name: name.into(),
            place: key.place,
            kind,
            part,
            work,
            executor,
            parameters: self.reader.parameters(kind, &parameters),
            out,
            in_parts,
            inputs,
            needs,
            checks: common.checks,
            row_key: self.row_key(name, kind, common.key.as_ref()),
            schema: self.schema(name, common.schema.as_deref(), common.allow_missing),
            timeout: common.timeout,
        })
    }

    /// The schema that the output of a stage must fit.
    fn schema(
        &mut self,
        name: &str,
        schema: Option<&str>,
        allow_missing: Option<bool>,
    ) -> Option<NamedSchema> {
        if schema.is_none() && allow_missing.is_some() {
            let message =
                "`allow_missing` is about the columns of a schema: add `schema`, or remove `allow_missing`";
            self.mistake(&["stages", name, "allow_missing"], message);
        }
        // Its form has been checked.
        let named = NamedSchema::parse(schema?).ok()?;
        Some(named.below(&self.root, allow_missing.unwrap_or_default()))
    }

    /// Where a stage does its work.
    fn executor(&mut self, name: &str, kind: &Kind, part: &Json, own: Option<Executor>) -> Executor {
        if kind.reads == Reads::Snapshot {
            if own.is_some() {
                let message = "an export reads the snapshot of the run, so it always works inside `ssp-run`: remove `executor`";
                self.mistake(&["stages", name, "executor"], message);
            }
            return Executor::Local;
        }
        let is_own = own.is_some();
        let executor = own.map_or_else(|| self.executor.clone(), |own| own.over(&self.executor));
        if let Executor::Slurm(slurm) = &executor
            && is_own
        {
            for (key, message) in slurm.mistakes() {
                self.mistake(&["stages", name, "executor", "slurm", key], message);
            }
        }
        // A value of the environment must not get into the file of a task.
        let is_secret = self.reader.secrets.are_in(part);
        if !kind.makes_file || is_secret { Executor::Local } else { executor }
    }

    /// The one kind that a stage has.
    fn kind(&mut self, key: &NodeKey, node: &Node) -> Option<&'static Kind> {
        let name = &key.text;
        let pairs = node.pairs()?;
        let found: Vec<&'static Kind> = pairs.iter().filter_map(|(key, _)| kind(&key.text)).collect();
        let is_meant = |key: &str| nearest(key, KINDS.iter().map(|kind| kind.name)).is_some();
        let message = match found[..] {
            [kind] => {
                let source = match kind.reads {
                    Reads::Inputs => None,
                    Reads::Snapshot => Some(("database", "a database: add `database: {...}`")),
                    Reads::Repository => Some(("butler", "a repository: add `butler: {repo: ...}`")),
                };
                if let Some((_, what)) = source.filter(|(key, _)| !self.reader.has(key)) {
                    let message = format!("`{}` reads {what} to the file", kind.name);
                    self.mistakes.push(Mistake::new(key.place, message));
                }
                return Some(kind);
            }
            // What was meant has been said.
            [] if pairs.iter().any(|(key, _)| is_meant(&key.text)) => return None,
            [] => format!("stage `{name}` needs one of {}", kind_names()),
            _ => format!("stage `{name}` has more than one of {}", kind_names()),
        };
        self.mistakes.push(Mistake::new(key.place, message));
        None
    }

    /// The part of a kind, checked by it.
    fn part(&mut self, name: &str, kind: &'static Kind, node: &Node, part: Json) -> Option<Checked> {
        let read = |key: &str| part.get(key).is_some();
        let written = node.pairs().unwrap_or_default().iter().map(|(key, _)| &key.text);
        let unreadable = written.filter(|key| !read(key)).cloned().collect();
        let mut problems = Problems { unreadable, ..Problems::default() };
        let checked = kind.read(part, &self.defaults, &mut problems);
        for problem in problems.list {
            let is_query = match problem.path[..] {
                [mapping, _] if self.reader.keys.has_expressions(mapping) => true,
                _ => problem.path.last().is_some_and(|key| self.reader.keys.has(key)),
            };
            let is_missing = problem.path.first().is_some_and(|key| node.get(key).is_none());
            let path: Vec<&str> = ["stages", name, kind.name].into_iter().chain(problem.path).collect();
            let place = self.reader.document.place_of(&path);
            let is_said = path.len() > 3 && self.mistakes.iter().any(|mistake| mistake.place == place);
            // Said already: of a query with its place in the text, of a missing or broken value by its type.
            if !(is_query || is_missing || is_said) {
                self.mistakes.push(Mistake::new(place, problem.message));
            }
        }
        if checked.is_none() && self.mistakes.is_empty() {
            self.mistake(&["stages", name, kind.name], format!("`{}` cannot be understood", kind.name));
        }
        checked
    }

    /// The columns that identify a row of the output.
    fn row_key(&mut self, name: &str, kind: &Kind, key: Option<&RowKey>) -> Vec<String> {
        let Some(key) = key else { return kind.row_key.iter().map(|column| (*column).to_owned()).collect() };
        let columns = key.columns();
        if columns.is_empty() || columns.iter().any(String::is_empty) {
            self.mistake(&["stages", name, "key"], "`key` needs the name of at least one column");
        }
        columns.to_vec()
    }

    /// Refuses settings that are about a file, for a stage that makes none.
    fn refuse_checks_of_files(&mut self, name: &str, kind: &Kind, node: &Node) {
        let checks = node.get("checks").and_then(Node::pairs).unwrap_or_default();
        let checks = checks.iter().map(|(key, _)| key).filter(|key| key.text != "min_match");
        let common = node.pairs().unwrap_or_default().iter().map(|(key, _)| key);
        let common = common.filter(|key| ["schema", "allow_missing", "key"].contains(&key.text.as_str()));
        for key in common.chain(checks) {
            let message =
                format!("`{}` of `{name}` needs an output file, but `{}` makes none", key.text, kind.name);
            self.mistakes.push(Mistake::new(key.place, message));
        }
    }

    fn needed(&mut self, name: &str, need: &str) -> Option<StageName> {
        if self.names.contains(&need) {
            return Some(need.into());
        }
        let hint = did_you_mean(need, self.names.iter().copied());
        self.mistake(&["stages", name, "needs"], format!("`{need}` is not a stage{hint}"));
        None
    }

    /// The inputs of a stage. A bare name is a stage, what has a `/` or a `.` is a path; there is no third case.
    fn inputs(&mut self, kind: &'static Kind, node: &'a Node) -> Vec<Input> {
        let mut inputs = Vec::new();
        for found in self.reader.conformance.texts(kind.name, node, INPUT) {
            let Value::Text(value) = &found.node.value else { continue };
            let source = if value.contains(['/', '.']) {
                Source::Path(self.root.join(value))
            } else if self.names.contains(&value.as_str()) {
                Source::Stage(value.as_str().into())
            } else {
                let hint = did_you_mean(value, self.names.iter().copied());
                let message =
                    format!("`{value}` is not a stage{hint}; the path of a file has a `/` or a `.` in it");
                self.mistakes.push(Mistake::new(found.node.place, message));
                continue;
            };
            let role = found.path.join(".");
            // A stage is named by its name, a file by its key, where no other input has that name.
            let entry = match &source {
                Source::Stage(name) => name.to_string(),
                Source::Path(_) => found.path.last().cloned().unwrap_or_default(),
            };
            let is_taken = inputs.iter().any(|input: &Input| input.entry == entry && input.source != source);
            let entry = if is_taken || !found.is_declared { role.clone() } else { entry };
            inputs.push(Input { role, entry, source, place: found.node.place });
        }
        inputs
    }

    /// The path of an output, and whether it is one of parts.
    fn out(
        &mut self,
        name: &str,
        node: &Node,
        kind: Option<&Kind>,
        out: Option<&Path>,
    ) -> Option<(PathBuf, bool)> {
        let path = ["stages", name, "out"];
        let makes_file = kind.is_none_or(|kind| kind.makes_file);
        // The schema asks for it; a stand-in is no output.
        node.get("out")?;
        let out = out?;
        if !makes_file {
            let kind = kind.map_or("", |kind| kind.name);
            self.mistake(&path, format!("`{kind}` makes no file: leave out `out`"));
            return None;
        }
        let Out { path: out, in_parts, mistakes } = out::read(out, kind);
        for message in mistakes {
            self.mistake(&path, message);
        }
        Some((self.out_dir.join(out), in_parts))
    }
}
