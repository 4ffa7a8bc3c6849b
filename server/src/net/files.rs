//! The system's limit of open files, of which each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files beside those of connections: the database, its pools, the log.
const OTHERS: u64 = 100;

/// Makes room for so many connections, as far as the system allows, and says how many there may be.
#[must_use]
pub fn make_room(connections: usize) -> usize {
    let now = getrlimit(Resource::Nofile);
    let fitting = fit(connections, now.current, now.maximum);
    let Fitting { raise_to, connections: most } = fitting;
    if let Some(limit) = raise_to
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum: now.maximum })
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
        return fit(connections, now.current, now.current).connections;
    }
    if most < connections {
        tracing::warn!(
            "http.max_connections is {connections}, but the system allows this process {} open files: {most} connections are let \
             in; raise the limit (LimitNOFILE= in the unit of systemd, ulimit -n in a shell), or lower http.max_connections",
            now.maximum.unwrap_or_default()
        );
    }
    most
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fitting {
    /// What the soft limit has to become.
    raise_to: Option<u64>,
    connections: usize,
}

/// What fits. A limit that is `None` is none.
fn fit(connections: usize, soft: Option<u64>, hard: Option<u64>) -> Fitting {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHERS);
    let given = hard.map_or(wanted, |hard| hard.min(wanted));
    let raise_to = soft.filter(|soft| *soft < given).map(|_| given);
    let fits = usize::try_from(given.saturating_sub(OTHERS)).unwrap_or(usize::MAX);
    Fitting { raise_to, connections: fits.max(16).min(connections) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_into_the_files_that_the_system_gives() {
        let fits = |soft, hard| {
            let Fitting { raise_to, connections } = fit(2048, soft, hard);
            (raise_to, connections)
        };
        assert_eq!(fits(Some(1024), Some(524_288)), (Some(2148), 2048), "as systemd and shells begin");
        assert_eq!(fits(Some(4096), Some(524_288)), (None, 2048));
        assert_eq!(fits(None, None), (None, 2048));
        assert_eq!(fits(Some(1024), None), (Some(2148), 2048));
        assert_eq!(fits(Some(256), Some(1024)), (Some(1024), 924));
        assert_eq!(fits(Some(1024), Some(1024)), (None, 924));
        assert_eq!(fits(Some(64), Some(64)), (None, 16), "never less than the least");
    }
}
