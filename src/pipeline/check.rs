//! Checks that the types cannot say: references, outputs, which settings go together, secrets.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use serde_json::Value as Json;

use super::document::{Key, Node, Place, Value};
use super::mistake::{Mistake, did_you_mean};
use super::spec::{ExportSpec, HookCommand, PipelineSpec, StageSpec};
use super::stage::{Input, Kind, Source, Stage, StageName};
use super::values::not_home;
use super::{Pipeline, plain};
use crate::dsn::has_password;
use crate::secrets::Secrets;

/// Whether the connection string comes whole from the environment, where a password may stand in it.
pub fn dsn_from_environment(document: &Node) -> bool {
    let dsn = document.get("database").and_then(|database| database.get("dsn"));
    matches!(dsn.map(|dsn| &dsn.value), Some(Value::Text(text))
        if text.starts_with("${env:") && text.find('}') == Some(text.len() - 1) && !text.contains(":-"))
}

/// The document without the stages that the types refuse, so that the others can still be looked at.
pub fn without_broken_stages(mut json: Json) -> Json {
    if let Some(stages) = json.get_mut("stages").and_then(Json::as_object_mut) {
        stages.retain(|_, stage| serde_json::from_value::<StageSpec>(stage.clone()).is_ok());
    }
    json
}

/// The checked pipeline; what is wrong goes into `mistakes`.
pub fn pipeline(
    file: &Path,
    spec: PipelineSpec,
    document: &Node,
    secret_dsn: bool,
    mistakes: &mut Vec<Mistake>,
) -> Pipeline {
    let folder = file.parent().unwrap_or(Path::new(""));
    let root = folder.join(spec.root.unwrap_or_default());
    let out_dir = root.join(&spec.out_dir);
    if spec.out_dir.as_os_str().is_empty() {
        let message =
            "`out_dir` is empty; name a folder, or write `.` for the folder that relative paths start from";
        mistakes.push(Mistake::new(document.place_of(&["out_dir"]), message));
    }
    let mut checker = Checker { document, root: &root, out_dir: &out_dir, names: HashSet::new(), mistakes };
    if let Some(database) = &spec.database {
        let dsn = database.dsn.as_deref().unwrap_or_default();
        if !secret_dsn && has_password(dsn) {
            let node = document.get("database").and_then(|database| database.get("dsn"));
            let from_environment =
                node.and_then(|dsn| dsn.interpolated.as_ref()).is_some_and(|before| before.secret);
            let mistake = if from_environment { Mistake::password_in_part } else { Mistake::password };
            checker.mistakes.push(mistake(document.place_of(&["database", "dsn"])));
        }
    }
    for (name, hook) in [("on_success", &spec.hooks.on_success), ("on_failure", &spec.hooks.on_failure)] {
        let place = document.place_of(&["hooks", name]);
        if hook.as_ref().is_some_and(HookCommand::is_empty) {
            checker.mistakes.push(Mistake::new(place, format!("`{name}` names no command")));
        }
        // A text is for a shell, which expands `~`; the words of a list reach the program as they are.
        let words = if let Some(HookCommand::Program(words)) = hook { words.as_slice() } else { &[] };
        for wrong in words.iter().filter_map(|word| not_home(word).err()) {
            checker.mistakes.push(Mistake::new(place, format!("`{name}`: {wrong}")));
        }
    }
    // The order of the file, which the map of the types has lost.
    let mut specs = spec.stages;
    let in_file = match document.get("stages").map(|stages| &stages.value) {
        Some(Value::Map(pairs)) => pairs.as_slice(),
        _ => &[],
    };
    checker.names = in_file.iter().map(|(key, _)| key.text.as_str()).collect();
    let mut stages = Vec::new();
    for (key, _) in in_file {
        if let Some(stage_spec) = specs.remove(&key.text) {
            stages.extend(checker.stage(key, stage_spec, spec.database.is_some(), spec.butler.is_some()));
        }
    }
    checker.outputs(&stages);
    if document.get("stages").is_some() && stages.is_empty() && checker.mistakes.is_empty() {
        checker
            .mistakes
            .push(Mistake::new(document.place_of(&["stages"]), "`stages` is empty: there is nothing to do"));
    }
    Pipeline {
        file: file.to_owned(),
        name: spec.name,
        out_dir,
        database: spec.database,
        butler: spec.butler,
        defaults: spec.defaults,
        hooks: spec.hooks,
        stages,
        root,
        secrets: Secrets::default(),
    }
}

struct Checker<'a> {
    document: &'a Node,
    root: &'a Path,
    out_dir: &'a Path,
    names: HashSet<&'a str>,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Checker<'a> {
    fn mistake(&mut self, path: &[&str], message: impl Into<String>) {
        self.mistakes.push(Mistake::new(self.document.place_of(path), message));
    }

    fn stage(
        &mut self,
        key: &'a Key,
        spec: StageSpec,
        has_database: bool,
        has_butler: bool,
    ) -> Option<Stage> {
        let (name, place) = (key.text.as_str(), key.place);
        if !StageName::fits(name) {
            let message = format!(
                "`{name}` is not a stage's name: use lower-case letters, digits, `_` and `-`, a letter first"
            );
            self.mistakes.push(Mistake::new(place, message));
        }
        let out = self.out(name, &spec.out);
        let needs = spec.needs.iter().filter_map(|need| self.needed(name, need)).collect();
        let mut inputs = Vec::new();
        let kind = match (spec.export, spec.extract, spec.build_ssobject) {
            (Some(export), None, None) => {
                self.export(name, place, &export, has_database);
                Kind::Export(export)
            }
            (None, Some(extract), None) => {
                if !has_butler {
                    let message = "an extract reads a repository: add `butler: {repo: ...}` to the file";
                    self.mistakes.push(Mistake::new(place, message));
                }
                if let Some(filter) = &extract.filter {
                    inputs.extend(self.input(name, &["extract", "filter", "ids"], "ids", &filter.ids));
                }
                if extract.collection.to_vec().is_empty() {
                    self.mistake(&["stages", name, "extract", "collection"], "`collection` is empty");
                }
                Kind::Extract(extract)
            }
            (None, None, Some(build)) => {
                let roles = [
                    ("sssource", Some(&build.sssource)),
                    ("dia_sources", build.dia_sources.as_ref()),
                    ("mpc_orbits", Some(&build.mpc_orbits)),
                ];
                for (role, value) in roles {
                    if let Some(value) = value {
                        inputs.extend(self.input(name, &["build-ssobject", role], role, value));
                    }
                }
                Kind::BuildSsObject(build)
            }
            (None, None, None) => {
                let message = format!("stage `{name}` needs one of `export`, `extract` and `build-ssobject`");
                self.mistakes.push(Mistake::new(place, message));
                return None;
            }
            _ => {
                let message =
                    format!("stage `{name}` has more than one of `export`, `extract` and `build-ssobject`");
                self.mistakes.push(Mistake::new(place, message));
                return None;
            }
        };
        let schema = spec.schema.map(|path| self.root.join(path));
        Some(Stage {
            name: name.into(),
            place,
            kind,
            out,
            inputs,
            needs,
            checks: spec.checks,
            schema,
            timeout: spec.timeout,
        })
    }

    fn export(&mut self, name: &str, place: Place, export: &ExportSpec, has_database: bool) {
        let path = ["stages", name, "export"];
        if !has_database {
            let message = "an export reads a database: add `database: {...}` to the file";
            self.mistakes.push(Mistake::new(place, message));
        }
        match (&export.sql, &export.table) {
            (Some(_), Some(_)) => self.mistake(&path, format!("stage `{name}` has both `sql` and `table`")),
            (None, None) => self.mistake(&path, format!("stage `{name}` needs `sql` or `table`")),
            (Some(_), None) => {
                for (key, present) in
                    [("columns", export.columns.is_some()), ("exclude", export.exclude.is_some())]
                {
                    if present {
                        self.mistake(
                            &["stages", name, "export", key],
                            format!("`{key}` goes with `table`, not with `sql`"),
                        );
                    }
                }
            }
            (None, Some(_)) => {
                if export.columns.is_some() && export.exclude.is_some() {
                    self.mistake(
                        &["stages", name, "export", "exclude"],
                        "`columns` and `exclude` exclude each other",
                    );
                }
            }
        }
    }

    fn needed(&mut self, name: &str, need: &str) -> Option<StageName> {
        if self.names.contains(need) {
            return Some(need.into());
        }
        let hint = did_you_mean(need, self.names.iter().copied());
        self.mistake(&["stages", name, "needs"], format!("`{need}` is not a stage{hint}"));
        None
    }

    /// A bare name is a stage, what has a `/` or a `.` is a path; there is no third case.
    fn input(&mut self, name: &str, path: &[&str], role: &'static str, value: &str) -> Option<Input> {
        if value.contains(['/', '.']) {
            return Some(Input { role, source: Source::Path(self.root.join(value)) });
        }
        if self.names.contains(value) {
            return Some(Input { role, source: Source::Stage(value.into()) });
        }
        let hint = did_you_mean(value, self.names.iter().copied());
        let message = format!("`{value}` is not a stage{hint}; the path of a file has a `/` or a `.` in it");
        let path: Vec<&str> = ["stages", name].into_iter().chain(path.iter().copied()).collect();
        self.mistake(&path, message);
        None
    }

    fn out(&mut self, name: &str, out: &Path) -> PathBuf {
        let plain = out.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        // `Path` drops a `/` and a `.` at the end, which mean a folder.
        let last = out.as_os_str().as_encoded_bytes().rsplit(|byte| *byte == b'/').next();
        if out.as_os_str().is_empty() {
            self.mistake(&["stages", name, "out"], "`out` is empty: name a file below `out_dir`");
        } else if !plain || out.file_name().is_none() || matches!(last, Some(b"" | b".")) {
            let message = format!("`out: {}` must be the name of a file below `out_dir`", out.display());
            self.mistake(&["stages", name, "out"], message);
        }
        if out.components().any(|part| part.as_os_str() == ".ssp") {
            self.mistake(&["stages", name, "out"], "`.ssp` is for the records of runs");
        }
        // Without `.` parts, so that two spellings of one file are one path.
        let normal: PathBuf = out.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        self.out_dir.join(normal)
    }

    fn outputs(&mut self, stages: &[Stage]) {
        let outs: Vec<PathBuf> = stages.iter().map(|stage| plain(&stage.out)).collect();
        let mut makers: HashMap<&Path, usize> = HashMap::new();
        for (index, out) in outs.iter().enumerate() {
            makers.entry(out).or_insert(index);
        }
        for (index, (stage, out)) in stages.iter().zip(&outs).enumerate() {
            for (depth, path) in out.ancestors().enumerate() {
                let Some(other) = makers.get(path).copied().filter(|other| *other != index) else { continue };
                let (first, second) = (&stages[index.min(other)].name, &stages[index.max(other)].name);
                let message = match depth {
                    0 => format!("stages `{first}` and `{second}` have one output"),
                    _ => format!("the outputs of `{first}` and `{second}` lie under each other"),
                };
                self.mistake(&["stages", second.as_str(), "out"], message);
            }
            for input in &stage.inputs {
                let Source::Path(path) = &input.source else { continue };
                if let Some(maker) = makers.get(plain(path).as_path()).map(|maker| &stages[*maker]) {
                    let message = format!(
                        "`{}` of `{}` is the output of stage `{}`: write the stage's name",
                        input.role, stage.name, maker.name
                    );
                    self.mistake(&["stages", stage.name.as_str(), stage.kind.name(), input.role], message);
                }
            }
        }
    }
}
