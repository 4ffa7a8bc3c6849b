//! Whether the configuration is what it seems to be.

use std::os::unix::fs::PermissionsExt;

use futures_util::future::BoxFuture;

use super::{Finding, Seen};
use crate::store::StoreError;

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let mut found: Vec<Finding> =
            seen.loaded.warnings.iter().map(|warning| Finding::warn(warning.clone(), "see docs/configuration.md")).collect();
        let Some(file) = &seen.file else {
            found.push(Finding::good(
                "every value is right; no file is named, so they come from the defaults and the environment",
            ));
            return Ok(found);
        };
        let file_name = file.display();
        found.push(Finding::good(format!("every value in {file_name} and in the environment is right")));
        let mode = std::fs::metadata(file).map(|metadata| metadata.permissions().mode()).unwrap_or_default();
        found.extend(readable(&file_name.to_string(), mode, &seen.loaded.secrets_in_file));
        Ok(found)
    })
}

/// What may be said of a file that others can read.
fn readable(file: &str, mode: u32, secrets: &[&str]) -> Option<Finding> {
    (mode & 0o004 != 0 && !secrets.is_empty()).then(|| {
        Finding::warn(
            format!("everybody on this computer can read {file}, in which {} may hold a password", secrets.join(" and ")),
            format!("chmod 640 {file}, or put it into a file of its own ({}_file)", secrets[0]),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_secrets_that_others_can_read_are_worth_a_word() {
        assert!(readable("f", 0o100_644, &["database_url"]).is_some_and(|found| found.said.contains("database_url")));
        assert_eq!(readable("f", 0o100_644, &[]), None);
        assert_eq!(readable("f", 0o100_640, &["database_url"]), None);
    }
}
