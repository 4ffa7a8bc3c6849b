//! What processes use, and figures of many.

use std::fs;
use std::time::Duration;

/// Clock ticks a second in `/proc`, on every Linux there is.
const TICKS: f64 = 100.0;

/// The machine, in a line.
pub fn described() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{cores} cores of{}, load {}",
        model.trim_start_matches([' ', '\t', ':']).trim_start_matches(':'),
        load.split(' ').next().unwrap_or("?")
    )
}

/// Processor time that a process has used, in seconds.
pub fn used(process: u32) -> f64 {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = line.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / TICKS
}

/// The same of all processes of Postgres on this machine, those that have ended included.
pub fn used_by_postgres() -> f64 {
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_postgres =
        all.filter(|process| fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim() == "postgres"));
    of_postgres.map(used).sum()
}

/// Memory that a process holds, in KiB.
pub fn resident(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Processor time that one of our processes and Postgres have used since.
pub struct Since {
    process: u32,
    own: f64,
    postgres: f64,
    at: std::time::Instant,
}

impl Since {
    pub fn now(process: u32) -> Self {
        Self { process, own: used(process), postgres: used_by_postgres(), at: std::time::Instant::now() }
    }

    pub fn seconds(&self) -> f64 {
        self.at.elapsed().as_secs_f64()
    }

    /// Processor time of the process, in seconds.
    pub fn own(&self) -> f64 {
        used(self.process) - self.own
    }

    /// Shares of a core: of the process, and of Postgres.
    pub fn shares(&self) -> String {
        let share = |seconds: f64| format!("{:.1} % of a core", seconds / self.seconds() * 100.0);
        let postgres = used_by_postgres() - self.postgres;
        match postgres > 0.0 {
            true => format!("server {}, Postgres {}", share(self.own()), share(postgres)),
            false => format!("server {}", share(self.own())),
        }
    }
}

/// Figures of one thing.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    pub fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub fn add_time(&mut self, time: Duration) {
        self.add(time.as_secs_f64() * 1000.0);
    }

    /// The figure below which so many of a hundred lie.
    pub fn of_hundred(&self, many: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = ((sorted.len() as f64 - 1.0) * many / 100.0).round() as usize;
        sorted.get(place).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.of_hundred(50.0)
    }

    /// Of each to the one of the other in the same round.
    pub fn to(&self, others: &Self) -> Self {
        Self(self.0.iter().zip(&others.0).map(|(own, other)| own / other).collect())
    }

    /// Median, least and most.
    pub fn told(&self, digits: usize) -> String {
        let (least, most) = (self.of_hundred(0.0), self.of_hundred(100.0));
        format!("{:.digits$} [{least:.digits$} … {most:.digits$}]", self.median())
    }

    /// As times in milliseconds.
    pub fn times(&self) -> String {
        format!("p50 {:.1}, p99 {:.1}, max {:.1} ms", self.median(), self.of_hundred(99.0), self.of_hundred(100.0))
    }
}
