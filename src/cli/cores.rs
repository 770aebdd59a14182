//! Which cores the shards run on, and which are left for the control thread. Knows no shard.

use super::Failure;
use crate::ids::PARTITIONS;
use crate::settings::CoreList;

/// The cores this process may use.
pub(super) fn allowed() -> Result<Vec<usize>, Failure> {
    affinity::get_thread_affinity()
        .map_err(|error| Failure::failed(format!("the allowed cores are unknown: {error}")))
}

/// The cores of a list, each of them allowed.
pub(super) fn resolve(wanted: &CoreList) -> Result<Vec<usize>, Failure> {
    choose(wanted, &allowed()?)
}

/// The allowed cores that no shard runs on.
pub(super) fn spare(taken: &[usize]) -> Vec<usize> {
    let allowed = allowed().unwrap_or_default();
    allowed.into_iter().filter(|core| !taken.contains(core)).collect()
}

fn choose(wanted: &CoreList, allowed: &[usize]) -> Result<Vec<usize>, Failure> {
    let CoreList::Only(cores) = wanted else {
        // More shards than partitions would leave some without work.
        return Ok(allowed.iter().copied().take(usize::from(PARTITIONS)).collect());
    };
    match cores.iter().find(|core| !allowed.contains(core)) {
        Some(core) => Err(Failure::failed(format!(
            "core {core} is none this process may use; it may use {}",
            list(allowed)
        ))
        .next(
            "choose among those with --cores, take them `all`, or widen them (taskset, cpuset, AllowedCPUs=)",
        )),
        None => Ok(cores.clone()),
    }
}

/// Core numbers as `--cores` takes them: `0-3,6`.
pub(super) fn list(cores: &[usize]) -> String {
    let runs = cores.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    runs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_cores_are_chosen() {
        let allowed: Vec<usize> = (0..100).collect();
        assert_eq!(choose(&CoreList::All, &allowed).unwrap().len(), 64);
        assert_eq!(choose(&CoreList::Only(vec![3, 1]), &allowed).unwrap(), [3, 1]);
        let failure = choose(&CoreList::Only(vec![1, 4]), &[0, 1, 2]).unwrap_err().to_string();
        assert!(
            failure.contains("core 4") && failure.contains("0-2") && failure.contains("--cores"),
            "{failure}"
        );
    }

    #[test]
    fn runs_of_cores_are_written_short() {
        assert_eq!(list(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(list(&[]), "");
    }

    #[test]
    fn spare_cores_are_not_the_shards() {
        let all = allowed().unwrap();
        assert!(spare(&all).is_empty());
        assert_eq!(spare(&all[1..]), all[..1]);
    }
}
