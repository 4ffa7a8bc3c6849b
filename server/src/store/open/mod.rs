//! Opening a database: the embedded folder, or Postgres.

pub mod installation;
pub mod look;
pub mod note;
pub mod postgres;
pub mod primary;
mod reaching;
pub mod sqlite_folder;
