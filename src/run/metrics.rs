//! The end of a run as an `OpenMetrics` text file, for the textfile collector of `node_exporter`.

use crate::margin::CheckResult;

use super::events::{RunReport, RunStatus, StageReport, StageStatus};

const RUN_STATES: [RunStatus; 5] = [
    RunStatus::Done,
    RunStatus::Failed,
    RunStatus::CheckFailed,
    RunStatus::Interrupted,
    RunStatus::Unreachable,
];

/// The labels of a sample and its value.
type Sample = (String, f64);

/// The text for a run of the pipeline `name` that has ended; `succeeded` is when the last good run ended, in seconds since
/// 1970.
pub(super) fn text(name: &str, report: &RunReport, succeeded: Option<f64>) -> String {
    let pipeline = label("pipeline", name);
    let state = |labels: &str, state: &str, is_it: bool| {
        (format!("{labels},{}", label("status", state)), f64::from(u8::from(is_it)))
    };
    let run = |value: Option<f64>| value.map(|value| (pipeline.clone(), value)).into_iter().collect();
    let stages: Vec<(String, &StageReport)> = report
        .stages
        .iter()
        .map(|stage| (format!("{pipeline},{}", label("stage", stage.stage.as_str())), stage))
        .collect();
    let of_stages = |value: fn(&StageReport) -> Option<f64>| -> Vec<Sample> {
        stages.iter().filter_map(|(labels, stage)| Some((labels.clone(), value(stage)?))).collect()
    };
    let ended = report.started.timestamp_millis() as f64 / 1000.0 + report.seconds;
    let peak = report.peak_memory_bytes.map(|bytes| bytes as f64);
    let run_states = RUN_STATES.map(|each| state(&pipeline, &each.to_string(), each == report.status));
    let stage_states = stages.iter().flat_map(|(labels, stage)| {
        StageStatus::ALL.map(|each| state(labels, &each.to_string(), each == stage.status))
    });
    let checks = stages.iter().filter(|(_, stage)| !stage.checks.is_empty()).flat_map(|(labels, stage)| {
        CheckResult::ALL.map(|result| {
            let count = stage.checks.iter().filter(|margin| margin.result == result).count();
            (format!("{labels},{}", label("result", result.word())), count as f64)
        })
    });
    [
        gauge("ssp_run_end_timestamp_seconds", "End time of the last run", run(Some(ended))),
        gauge("ssp_run_success_timestamp_seconds", "End time of the last good run", run(succeeded)),
        gauge("ssp_run_duration_seconds", "Duration of the last run", run(Some(report.seconds))),
        gauge("ssp_run_peak_memory_bytes", "Peak memory of the last run", run(peak)),
        gauge(
            "ssp_run_retries",
            "Number of times the exports were tried again",
            run(Some(report.retries.into())),
        ),
        gauge("ssp_run_status", "1 for the status of the last run", run_states.into()),
        gauge(
            "ssp_stage_rows",
            "Rows of the stage's output",
            of_stages(|stage| stage.rows.map(|rows| rows as f64)),
        ),
        gauge(
            "ssp_stage_output_bytes",
            "Size of the stage's output",
            of_stages(|stage| stage.bytes.map(|bytes| bytes as f64)),
        ),
        gauge(
            "ssp_stage_duration_seconds",
            "Duration of the stage in the last run",
            of_stages(|stage| Some(stage.seconds)),
        ),
        gauge(
            "ssp_stage_warnings",
            "Warnings of the stage in the last run",
            of_stages(|stage| Some(stage.warnings.len() as f64)),
        ),
        gauge("ssp_stage_checks", "Checks on the stage's output, by their result", checks.collect()),
        gauge("ssp_stage_status", "1 for the status of the stage in the last run", stage_states.collect()),
        "# EOF\n".to_owned(),
    ]
    .concat()
}

/// A metric with its samples in order; one without samples is left out. Its unit is the end of its name.
fn gauge(name: &str, help: &str, mut samples: Vec<Sample>) -> String {
    if samples.is_empty() {
        return String::new();
    }
    samples.sort_by(|one, other| one.0.cmp(&other.0));
    let mut text = format!("# HELP {name} {help}.\n# TYPE {name} gauge\n");
    if let Some(unit) = ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(unit)) {
        text += &format!("# UNIT {name} {unit}\n");
    }
    for (labels, value) in samples {
        let fraction = if value.fract() == 0.0 { ".0" } else { "" };
        text += &format!("{name}{{{labels}}} {value}{fraction}\n");
    }
    text
}

fn label(name: &str, value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    format!("{name}=\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::margin::{Margin, Severity};

    fn stage(name: &str, status: StageStatus, size: Option<u64>, seconds: f64) -> StageReport {
        StageReport {
            rows: size,
            bytes: size.map(|size| size << 20),
            seconds,
            ..StageReport::new(name.into(), "export", status)
        }
    }

    fn margin(result: CheckResult) -> Margin {
        Margin {
            check: "min_rows".to_owned(),
            subject: None,
            severity: Severity::Fail,
            result,
            value: 1.into(),
            limit: 1.into(),
            margin: "1 of at least 1".to_owned(),
            message: None,
        }
    }

    fn report(status: RunStatus, stages: Vec<StageReport>) -> RunReport {
        let started = chrono::DateTime::from_timestamp_millis(1_785_000_000_123).unwrap();
        let mut report = RunReport::new("r", "p.yaml", started);
        report.status = status;
        report.seconds = 12.5;
        report.stages = stages;
        report
    }

    #[test]
    fn a_run_with_its_stages() {
        let stages = vec![
            stage("orbits", StageStatus::Done, Some(3), 2.25),
            StageReport {
                checks: vec![margin(CheckResult::Failed), margin(CheckResult::Passed)],
                ..stage("a-b", StageStatus::Failed, None, 0.000_012_34)
            },
            stage("a", StageStatus::UpToDate, Some(1 << 30), 0.0),
            stage("odd \\ \" \n é", StageStatus::Unchanged, Some(0), 1e20),
        ];
        let report =
            RunReport { peak_memory_bytes: Some(1 << 30), retries: 2, ..report(RunStatus::Failed, stages) };
        insta::assert_snapshot!(text("night \\ \" \n", &report, Some(1_784_000_000.0)));
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        insta::assert_snapshot!(text("night", &report(RunStatus::Done, Vec::new()), None));
    }
}
