//! Tables and address books as people have them: what programs write into files, made into rows, cells and cards that the importers
//! understand. Pure.

pub mod cells;
pub mod contacts;
pub mod content_line;
pub mod encoding;
pub mod table;

/// A file larger than this is surely none of these.
pub const LARGEST: usize = 16 << 20;

/// At most so many lines of one kind are told.
pub const MOST_TOLD: usize = 100;

/// Cuts a list that would bury its reader.
#[must_use]
pub fn told(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(MOST_TOLD);
    lines.truncate(MOST_TOLD);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}
