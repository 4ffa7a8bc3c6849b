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
        "#!{}\n# Started by Termux:Boot when the phone starts.\ntermux-wake-lock\nlog=\"$HOME/.local/state/autocall/handset.log\"\nmkdir -p \"${{log%/*}}\"\nwhile :; do\n  \
         # Above 1 MB it becomes the log before this one.\n  if [ -f \"$log\" ] && [ \"$(wc -c < \"$log\")\" -gt 1048576 ]; then mv -f \"$log\" \"$log.1\"; fi\n  \
         {} --config {} >> \"$log\" 2>&1\n  sleep 10\ndone\n",
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

    #[test]
    fn a_log_that_has_grown_is_put_aside_before_the_next_start() {
        let home = tempfile::tempdir().unwrap();
        let path = install(home.path(), Path::new("/bin/sh"), Path::new("/bin/echo"), Path::new("/c/handset.toml")).unwrap();
        let log = home.path().join(".local/state/autocall/handset.log");
        fs::create_dir_all(log.parent().unwrap()).unwrap();
        let grown = vec![b'x'; (1 << 20) + 1];
        fs::write(&log, &grown).unwrap();
        let mut script = std::process::Command::new("/bin/sh");
        let mut running = script.arg(&path).env("HOME", home.path()).stderr(std::process::Stdio::null()).spawn().unwrap();
        let mut begun = false;
        for _ in 0..6000 {
            // Whatever was put aside: the program has begun to write.
            begun = fs::read_to_string(&log).is_ok_and(|text| text.contains("--config"));
            if begun {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        running.kill().unwrap();
        running.wait().unwrap();
        assert!(begun, "it never started");
        assert!(fs::metadata(&log).unwrap().len() < 1 << 20, "it has grown for ever");
        assert_eq!(fs::read(home.path().join(".local/state/autocall/handset.log.1")).unwrap().len(), grown.len());
    }
}
