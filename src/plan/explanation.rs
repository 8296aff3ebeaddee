//! The plan for people and programs: each stage with its verdict and reasons.

use std::fmt;

use serde::Serialize;

use crate::lines::fit;
use crate::pipeline::StageName;

use super::decision::Verdict;

/// Where the reason of a stage begins at the latest, so that there is room for it.
const MAX_INDENT: usize = 40;

/// What a run would do.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The version of this form.
    pub format: u32,
    /// The pipeline file.
    pub pipeline: String,
    /// The stages that the run is about, in order.
    pub stages: Vec<StagePlan>,
    /// The snapshot that the exports read, described; none if there are none, or if the database is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The stages that are part of the run because one of their snapshot was selected, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brought: Option<String>,
}

/// What a run would do with a stage.
#[derive(Clone, Debug, Serialize)]
pub struct StagePlan {
    /// The stage.
    pub stage: StageName,
    /// Its kind.
    pub kind: &'static str,
    /// What is to be done with it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The day since when its output is what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What is copied of its last output when it runs, or why nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incremental: Option<String>,
    /// Where it would work and what that costs, if not in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
    /// What it would do besides making a file, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outlook: Vec<String>,
}

impl Explanation {
    /// Whether any stage would or might run.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.stages.iter().any(|stage| !stage.verdict.is_up_to_date())
    }

    fn count(&self, wanted: impl Fn(&Verdict) -> bool) -> usize {
        self.stages.iter().filter(|stage| wanted(&stage.verdict)).count()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.stages.len();
        let counts = [
            (self.count(|v| matches!(v, Verdict::Run { .. })), "run"),
            (self.count(|v| matches!(v, Verdict::Maybe { .. })), "maybe"),
            (self.count(|v| matches!(v, Verdict::Broken { .. })), "cannot run"),
            (self.count(Verdict::is_up_to_date), "up to date"),
        ];
        let parts: Vec<String> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let counts = format!("{total} stage{}: {}", if total == 1 { "" } else { "s" }, parts.join(", "));
        writeln!(f, "{}\n", fit("plan", [&self.pipeline, &counts], 6))?;
        let name = self.stages.iter().map(|stage| stage.stage.as_str().len()).max().unwrap_or(0);
        let kind = self.stages.iter().map(|stage| stage.kind.len()).max().unwrap_or(0);
        for stage in &self.stages {
            let head = |word: &str| format!("  {word:<5}  {:<name$}  {:<kind$}", stage.stage, stage.kind);
            let indent = head("").chars().count() + 2;
            let line = |head: &str, says: &str| fit(head, Some(says), indent.min(MAX_INDENT));
            let copies = stage.incremental.as_ref().map(|text| format!("({text})"));
            let elsewhere = stage.elsewhere.as_ref().filter(|_| !stage.verdict.is_up_to_date());
            match &stage.verdict {
                Verdict::UpToDate => match &stage.since {
                    Some(since) => writeln!(f, "{}", line(&head("OK"), &format!("unchanged since {since}")))?,
                    None => writeln!(f, "{}", head("OK").trim_end())?,
                },
                Verdict::Run { reasons } => {
                    for (index, reason) in reasons.iter().enumerate() {
                        let head = if index == 0 { head("RUN") } else { " ".repeat(indent - 2) };
                        let says =
                            [reason.to_string()].into_iter().chain(copies.clone().filter(|_| index == 0));
                        writeln!(f, "{}", fit(&head, says, indent.min(MAX_INDENT)))?;
                    }
                }
                Verdict::Maybe { after } => {
                    let names: Vec<&str> = after.iter().map(StageName::as_str).collect();
                    let verb = if names.len() == 1 { "changes" } else { "change" };
                    writeln!(f, "{}", line(&head("MAYBE"), &format!("if {} {verb}", names.join(" or "))))?;
                }
                Verdict::Broken { message } => writeln!(f, "{}", line(&head("FAIL"), message))?,
            }
            if let Some(elsewhere) = elsewhere {
                writeln!(f, "{}", line(&" ".repeat(indent - 2), elsewhere))?;
            }
            for would in &stage.outlook {
                writeln!(f, "          {would}")?;
            }
        }
        if let Some(brought) = &self.brought {
            writeln!(f, "\n{}", fit("", Some(brought), 2))?;
        }
        if let Some(snapshot) = &self.snapshot {
            writeln!(f, "\n{}", fit("snapshot", Some(snapshot), 10))?;
        }
        Ok(())
    }
}
