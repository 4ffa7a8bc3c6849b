//! Lists of calls of other systems: what their programs write, read as they mean it; pure.

pub mod reading;
pub mod rows;
