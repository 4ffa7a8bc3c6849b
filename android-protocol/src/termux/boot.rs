//! Starts the handset with the phone: a script for the app Termux:Boot.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The script, for this program and this configuration.
#[must_use]
pub fn script(shell: &Path, program: &Path, config: &Path) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    format!(
        "#!{}\n# Started by Termux:Boot when the phone starts.\ntermux-wake-lock\nmkdir -p \"$HOME/.local/state/autocall\"\nwhile :; do\n  {} --config {} >> \"$HOME/.local/state/autocall/handset.log\" 2>&1\n  sleep 10\ndone\n",
        shell.display(),
        quoted(program),
        quoted(config)
    )
}

/// Writes the script to where Termux:Boot looks for it; where that is.
///
/// # Errors
///
/// If the file system refuses.
pub fn install(home: &Path, shell: &Path, program: &Path, config: &Path) -> io::Result<PathBuf> {
    let folder = home.join(".termux/boot");
    fs::create_dir_all(&folder)?;
    let path = folder.join("10-autocall");
    fs::write(&path, script(shell, program, config))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    Ok(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn the_script_may_be_run_and_names_both_files() {
        let home = tempfile::tempdir().unwrap();
        let path = install(home.path(), Path::new("/bin/sh"), Path::new("/a b/it's"), Path::new("/c/handset.toml")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("#!/bin/sh\n") && text.contains(r"'/a b/it'\''s' --config '/c/handset.toml'"), "{text}");
        let checked = std::process::Command::new("sh").arg("-n").arg(&path).status().unwrap();
        assert!(checked.success());
    }
}
