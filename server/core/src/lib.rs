//! The rules of the server, as functions over plain types: the time is a parameter, and nothing here reads a file, sends or waits.
//!
//! It is a package of its own so that the compiler holds this: neither a database nor a network is among its dependencies.

pub mod alarm;
pub mod audit;
pub mod backoff;
pub mod call_log;
pub mod coming;
pub mod connect;
pub mod cti;
pub mod effort;
pub mod ids;
pub mod line;
pub mod monitor;
pub mod needs;
pub mod numbers;
pub mod reports;
pub mod rights;
pub mod roster;
pub mod sheet;
pub mod shout;
pub mod signal;
pub mod visible;
