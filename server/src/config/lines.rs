//! Section `lines`: public numbers.

use super::{Key, Value, ValueKind};
use crate::line::command::OwnCarrier;

/// Section `lines`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinesConfig {
    /// Carriers beside those that the program knows.
    pub carriers: Vec<OwnCarrier>,
}

/// The keys of this section, in the order of the manual.
pub(super) const KEYS: &[Key] = &[Key {
    path: "lines.carriers",
    env: "AUTOCALL_LINES_CARRIERS",
    kind: ValueKind::List,
    meaning: "Carriers beside the known ones, as `id code`, with `N` for the number in the code that forwards all calls: `acme **21*N#`.",
    set: |config, value| {
        config.lines.carriers = value.list().iter().map(|item| item.parse()).collect::<Result<_, _>>()?;
        Ok(())
    },
    get: |config| Value::List(config.lines.carriers.iter().map(ToString::to_string).collect()),
}];
