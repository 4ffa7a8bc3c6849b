//! Why an alarm is rung for once more, as its timeline says it.

/// A person asks for it.
pub(in crate::engine) const ASKED: &str = "asked";
/// The maintenance that held it is over.
pub(in crate::engine) const RELEASED: &str = "released";
/// It is more urgent than it was.
pub(in crate::engine) const WORSE: &str = "worse";
/// There is something in it that nobody has taken.
pub(in crate::engine) const NEWS: &str = "new_alert";
