//! What happens without a request: deadlines, silence, windows, outages, forgetting; and who is woken.

pub mod backups;
pub mod duty_log;
pub mod handsets;
pub mod health;
pub mod heartbeats;
pub mod idle;
pub mod lookout;
pub mod outages;
pub mod presence;
pub mod retention;
pub mod shifts;
mod sought;
pub mod test_call;
pub mod tick;
pub mod waiting;
pub mod windows;
