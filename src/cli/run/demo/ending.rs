//! What the demo says at its end: files, science, and what to type next.

use std::path::{Path, PathBuf};

use crate::lines::fit;
use crate::pipeline::Pipeline;
use crate::plan::Graph;
use crate::run::words::{size, thousands};
use crate::run::{Found, Store};
use crate::stages::figures::{ObjectFigures, OffsetFigures, TableFigures};
use crate::throwaway::Throwaway;

use super::super::quoted_path;

pub(super) fn listing(store: &Store, graph: &Graph) -> String {
    let mut text = String::new();
    for id in graph.ids() {
        if let Found::Record(record) = store.record(&graph.stage(id).name)
            && let Some(output) = &record.output
        {
            let path = output.path.display().to_string();
            text += &format!("  {path:<33}  {:>6} rows  {:>8}\n", thousands(output.rows), size(output.bytes));
        }
    }
    text
}

/// Figures of the tables; the user may have changed the demo's pipeline.
pub(super) fn science(pipeline: &Pipeline, graph: &Graph) -> anyhow::Result<String> {
    let mut text = String::new();
    for stage in graph.ids().map(|id| graph.stage(id)) {
        let (Some(read), Some(out)) = (stage.kind.figures, &stage.out) else { continue };
        text += &match read(&pipeline.out_dir.join(out))? {
            TableFigures::Objects(figures) => of_objects(&figures),
            TableFigures::Offsets(figures) => of_detections(&figures),
        };
    }
    Ok(text)
}

fn of_objects(figures: &ObjectFigures) -> String {
    let fits = figures.bands.iter().map(|band| format!("{} {}", band.band, band.total() + band.outside));
    let failed: u64 = figures.bands.iter().map(|band| band.failed).sum();
    let objects = |number: u64| format!("{} object{}", thousands(number), if number == 1 { "" } else { "s" });
    let closest = figures
        .closest
        .as_ref()
        .map_or_else(String::new, |(moid_au, name)| format!("; the smallest is {moid_au:.4} au, of {name}"));
    format!(
        "the SSObject table has {}\n  H and G12 fits   {}; {failed} fits failed\n  Earth MOID       {}{closest}\n\n",
        objects(figures.objects),
        fits.collect::<Vec<_>>().join(", "),
        objects(figures.objects - figures.log10_moid_au.unknown),
    )
}

fn of_detections(figures: &OffsetFigures) -> String {
    let offsets = &figures.offsets;
    let (Some(median), Some(most), Some(far)) =
        (offsets.quantile(0.5), offsets.quantile(0.99), offsets.worst.first())
    else {
        return format!("the SSSource table has {} detections of objects\n\n", thousands(figures.detections));
    };
    let worst = format!("the largest is {:.3}\", of {}", far.arcsec, far.designation);
    let offset = format!("  ephOffset        median {median:.3}\", 99 % below {most:.3}\";");
    format!(
        "the SSSource table has {} detections of objects\n  predicted        {}\n{}\n\n",
        thousands(figures.detections),
        thousands(offsets.total),
        fit(&offset, [worst], 19).replacen(";  ", "; ", 1),
    )
}

/// This program, as it was typed.
pub(super) fn program() -> String {
    let program = std::env::args_os().next().map_or_else(|| "ssp-run".into(), PathBuf::from);
    quoted_path(&program)
}

/// How to talk to a server that is left running, and how to stop it.
pub(super) fn running(server: &Throwaway, dir: &Path) -> String {
    let (file, dir) = (quoted_path(&dir.join("pipelines/demo.yaml")), quoted_path(dir));
    let (host, port, program) = (quoted_path(server.socket_folder()), server.port(), program());
    let user = server.params().user.unwrap_or_default();
    format!(
        "\nthe database server is running\n  \
         look at it          psql -h {host} -U {user} mpc_sbn\n  \
         export a table      fast-export --host {host} \\\n                        \
         --user {user} --dbname mpc_sbn \\\n                        \
         --sql \"SELECT * FROM mpc_orbits\" --out orbits.parquet\n  \
         run the pipeline    PGHOST={host} \\\n                        \
         PGPORT={port} PGUSER={user} \\\n                        \
         {program} {file}\n  \
         stop it             {program} demo --stop --dir {dir}\n"
    )
}

/// What to type after the demo, in a folder as it was typed.
pub(super) fn next(dir: &Path, night: u8) -> String {
    let program = program();
    let of_demo = |path: &str| quoted_path(&dir.join(path));
    let (report, file) = (of_demo("data/.ssp/runs/latest/report.html"), of_demo("pipelines/demo.yaml"));
    let (again, flag) = if night == 1 { ("a second night", "--night 2 ") } else { ("run it again", "") };
    format!(
        "next\n  see the report      open {report}\n  \
         {again:<18}  {program} demo {flag}--dir {}\n  \
         list the outputs    {program} status {file}\n  \
         draw the pipeline   {program} graph {file}\n",
        quoted_path(dir),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_type_next_is_quoted_for_the_shell() {
        let text = next(Path::new("my demo"), 2);
        assert!(text.contains(" demo --dir 'my demo'\n"), "{text}");
        assert!(text.contains(" status 'my demo/pipelines/demo.yaml'\n"), "{text}");
    }
}
