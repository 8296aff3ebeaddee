//! How much memory this process may use: the machine's, or what a container or a Slurm job leaves of it.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The default memory for rows: half of the available memory, which counts as 8 GiB if it is unknown \[bytes\].
pub(super) fn half() -> u64 {
    const UNKNOWN_BYTES: u64 = 8 << 30;
    let of_job = std::env::var("SLURM_MEM_PER_NODE").ok();
    let limits = available_below(Path::new("/")).into_iter().chain(of_job.as_deref().and_then(mebibytes));
    limits.min().unwrap_or(UNKNOWN_BYTES) / 2
}

/// What Slurm gives a job \[MiB\], which not every site enforces by control groups; 0 is the whole memory of the node.
fn mebibytes(text: &str) -> Option<u64> {
    text.parse::<u64>().ok()?.checked_mul(1 << 20).filter(|bytes| *bytes > 0)
}

/// The memory of the machine, or the least limit of the control groups that this process is in \[bytes\]; `None` if
/// neither is known.
fn available_below(root: &Path) -> Option<u64> {
    machine(root).into_iter().chain(limits(root)).min()
}

fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The limits on the groups that this process is in, and on those around them.
fn limits(root: &Path) -> Vec<u64> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines() {
        // "hierarchy:controllers:group"; the second version of control groups has no controllers there.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let (mount, file) = if controllers.is_empty() {
            ("sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            continue;
        };
        let group: PathBuf =
            Path::new(group).components().filter(|part| matches!(part, Component::Normal(_))).collect();
        for group in group.ancestors() {
            // "max" is no limit; a container may not see the groups around its own.
            let text = fs::read_to_string(root.join(mount).join(group).join(file));
            found.extend(text.ok().and_then(|text| text.trim().parse::<u64>().ok()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_job_is_in_mebibytes() {
        assert_eq!(
            ["300", "0", "", "18446744073709551615"].map(mebibytes),
            [Some(300 << 20), None, None, None]
        );
    }

    type Files = &'static [(&'static str, &'static str)];

    fn root(files: Files) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            #[expect(clippy::disallowed_methods, reason = "a file that the kernel would have")]
            fs::write(path, text).unwrap();
        }
        root
    }

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:       1000 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_least_limit_counts() {
        let cases: [(Files, Option<u64>); 6] = [
            (&[], None),
            (&[MACHINE], Some(1_024_000)),
            (
                &[MACHINE, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "max\n")],
                Some(1_024_000),
            ),
            (
                &[
                    MACHINE,
                    ("proc/self/cgroup", "0::/slurm/job_7/step_0\n"),
                    ("sys/fs/cgroup/slurm/job_7/memory.max", "5000\n"),
                    ("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n"),
                ],
                Some(5000),
            ),
            (
                &[
                    MACHINE,
                    ("proc/self/cgroup", "3:cpu,cpuacct:/a\n2:hugetlb,memory:/a\n0::/\n"),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                    ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "7000\n"),
                    ("sys/fs/cgroup/cpu,cpuacct/a/memory.limit_in_bytes", "1\n"),
                ],
                Some(7000),
            ),
            // In a container the mount shows its own group as the outermost.
            (
                &[MACHINE, ("proc/self/cgroup", "0::/docker/1\n"), ("sys/fs/cgroup/memory.max", "6000\n")],
                Some(6000),
            ),
        ];
        for (files, expected) in cases {
            assert_eq!(available_below(root(files).path()), expected, "{files:?}");
        }
    }
}
