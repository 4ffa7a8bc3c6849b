//! Scenario: what people install. The package for Debian is built, looked at, unpacked and run; the image is built and taken apart.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use autocall_tests::{
    provided_by_run,
    server::{Binary, ServeOptions, forget_own_settings},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("server/packaging").join(name)
}

/// Runs something to its end, in a folder.
fn run(folder: &Path, program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    forget_own_settings(|name| {
        command.env_remove(name);
    });
    command.args(args).current_dir(folder).output().unwrap()
}

/// What it says; it must not fail.
fn said(folder: &Path, program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> String {
    let output = run(folder, program, args);
    assert!(
        output.status.success(),
        "{args:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Packs the program that is tested. Not made smaller, which takes a minute for one with all that a debugger wants.
fn pack(folder: &Path, out: &str) -> String {
    let output = Command::new(packaging("build-deb"))
        .args([&*provided_by_run("AUTOCALL_BIN"), out])
        .current_dir(folder)
        .env("COMPRESSION", "none")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The package, and what is in it. It is built once: the program is large.
struct Package {
    folder: TempDir,
    file: String,
    root: PathBuf,
    control: PathBuf,
}

impl Package {
    fn built() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = pack(folder.path(), "out");
        said(folder.path(), "dpkg-deb", &["-x", &file, "root"]);
        said(folder.path(), "dpkg-deb", &["-e", &file, "control"]);
        let (root, control) = (folder.path().join("root"), folder.path().join("control"));
        Self { folder, file, root, control }
    }
}

#[tokio::test]
async fn the_package_holds_what_is_needed() {
    let package = Package::built();
    it_is_whole(&package);
    what_is_in_it_runs(&package).await;
    the_unit_is_right_and_leaves_little_open(&package);
    every_command_has_its_manual_and_shells_know_it(&package);
    let again = pack(package.folder.path(), "again");
    assert!(fs::read(&package.file).unwrap() == fs::read(again).unwrap(), "the same program gives the same package");
}

/// The commands that the help of a command lists.
fn commands(folder: &Path, program: &Path, above: &[&str]) -> Vec<String> {
    let help = said(folder, program, &[above, &["--help"]].concat());
    let listed = help.split("\nCommands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap();
    let names = listed.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

fn it_is_whole(package: &Package) {
    let (folder, root, control) = (package.folder.path(), &package.root, &package.control);
    let field = |name: &str| said(folder, "dpkg-deb", &["-f", &package.file, name]).trim().to_owned();
    assert_eq!(field("Package"), "autocall");
    assert!(field("Depends").contains("systemd | adduser"), "{}", field("Depends"));
    let program = PathBuf::from(provided_by_run("AUTOCALL_BIN"));
    assert_eq!(format!("autocall {}", field("Version")), said(folder, &program, &["--version"]).trim());
    // Every file is as it was packed, and only root may change it.
    let sums = fs::read_to_string(control.join("md5sums")).unwrap();
    said(root, "md5sum", &["--check", "--quiet", control.join("md5sums").to_str().unwrap()]);
    let contents = said(folder, "dpkg-deb", &["--contents", &package.file]);
    for line in contents.lines() {
        let (mode, owner) = (&line[..10], line.split_whitespace().nth(1).unwrap());
        assert!(owner == "root/root" && !mode[4..].contains('w'), "{line}");
        let path = line.split_whitespace().nth(5).unwrap().trim_start_matches("./");
        let is_file = !path.is_empty() && !path.ends_with('/') && !path.starts_with("etc/");
        assert!(!is_file || sums.contains(&format!("  {path}\n")), "{path} has no sum");
    }
    let config = root.join("etc/autocall/autocall.toml");
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o640, "it may hold a password");
    assert_eq!(fs::read_to_string(control.join("conffiles")).unwrap(), "/etc/autocall/autocall.toml\n");
    for script in ["postinst", "prerm", "postrm"] {
        said(control, "sh", &["-n", script]);
    }
    let postrm = fs::read_to_string(control.join("postrm")).unwrap();
    let removal = postrm.split("\npurge)").next().unwrap();
    assert!(postrm.contains("rm -rf /var/lib/autocall") && !removal.contains("rm -rf"), "data goes at a purge alone");
    assert!(removal.contains("its data stays in /var/lib/autocall"), "and that is said");

    let text = fs::read_to_string(&config).unwrap();
    let set: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '['])).collect();
    assert_eq!(set, ["data_dir = \"/var/lib/autocall\""], "everything else is the default");
}

/// With the configuration that it brings, but for the folder, which belongs to another user.
async fn what_is_in_it_runs(package: &Package) {
    let config = package.root.join("etc/autocall/autocall.toml");
    let options = ServeOptions::new().program(package.root.join("usr/bin/autocall"));
    let server = Binary::spawn(options.env("AUTOCALL_CONFIG", config.to_str().unwrap())).await;
    Client::new(&server).alarm_is_answered("18712345678").await;
    assert!(!server.log().contains("WARN"), "{}", server.log());
}

fn the_unit_is_right_and_leaves_little_open(package: &Package) {
    let root = &package.root;
    let unit = fs::read_to_string(root.join("usr/lib/systemd/system/autocall.service")).unwrap();
    assert!(unit.contains("\nExecStart=/usr/bin/autocall serve --config /etc/autocall/autocall.toml\n"), "{unit}");
    assert!(unit.contains("\nUser=autocall\n") && unit.contains("\nStateDirectory=autocall\n"), "{unit}");
    // The program is not installed here.
    let program = root.join("usr/bin/autocall");
    let here = unit.replace("/usr/bin/autocall", program.to_str().unwrap());
    let folder = package.folder.path();
    fs::write(folder.join("autocall.service"), here).unwrap();
    fs::copy(root.join("usr/lib/systemd/system/autocall.socket"), folder.join("autocall.socket")).unwrap();
    let output = run(folder, "systemd-analyze", &["verify", "--man=no", "./autocall.service", "./autocall.socket"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !told.contains("autocall.service:") && !told.contains("autocall.socket:"), "{told}");
    // In tenths: the most that may be left open is 2.0 of 10.
    let args = ["security", "--offline=true", "--no-pager", "--threshold=20", "./autocall.service"];
    said(folder, "systemd-analyze", &args);
}

fn every_command_has_its_manual_and_shells_know_it(package: &Package) {
    let (folder, root) = (package.folder.path(), &package.root);
    let program = root.join("usr/bin/autocall");
    let page = |name: &str| {
        let file = root.join(format!("usr/share/man/man1/{name}.1.gz"));
        said(folder, "gzip", &["-dc", file.to_str().unwrap()])
    };
    let mut pages = BTreeSet::from(["autocall".to_owned()]);
    for command in commands(folder, &program, &[]) {
        let name = format!("autocall-{command}");
        let below = commands(folder, &program, &[&command]);
        pages.extend(below.iter().map(|one| format!("{name}-{one}")));
        pages.insert(name);
    }
    let there: BTreeSet<String> = fs::read_dir(root.join("usr/share/man/man1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().trim_end_matches(".1.gz").to_owned())
        .collect();
    assert!(pages.is_subset(&there), "no page for {:?}", pages.difference(&there).collect::<Vec<_>>());
    assert!(page("autocall-doctor").contains("json") && page("autocall-prune").contains("older"), "{}", page("autocall-doctor"));

    let bash = root.join("usr/share/bash-completion/completions/autocall");
    said(folder, "bash", &["-n", bash.to_str().unwrap()]);
    // What somebody gets who has typed that much and presses the key.
    let ask =
        "source \"$1\"; COMP_WORDS=(autocall handset ro); COMP_CWORD=2; _autocall autocall ro handset; echo \"${COMPREPLY[@]}\"";
    assert_eq!(said(folder, "bash", &["-c", ask, "bash", bash.to_str().unwrap()]).trim(), "rotate");
    let zsh = fs::read_to_string(root.join("usr/share/zsh/vendor-completions/_autocall")).unwrap();
    let fish = fs::read_to_string(root.join("usr/share/fish/vendor_completions.d/autocall.fish")).unwrap();
    assert!(zsh.starts_with("#compdef autocall") && fish.contains("complete -c autocall"), "{fish}");
}

#[test]
fn an_image_holds_the_program_and_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let refused = run(folder, packaging("build-image"), &[&provided_by_run("AUTOCALL_BIN"), "image.tar"]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("is not static") && !folder.join("image.tar").exists(), "{told}");

    // The tested program is not static; the compiler at hand makes one that is, as the document says.
    fs::write(folder.join("autocall.rs"), "fn main() { println!(\"autocall 9.8.7\"); }\n").unwrap();
    fs::write(folder.join("ca.crt"), "certificates\n").unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    said(folder, rustc, &["-C", "target-feature=+crt-static", "-C", "strip=symbols", "autocall.rs"]);
    let build = |file: &str| {
        let output = Command::new(packaging("build-image"))
            .args(["autocall", file])
            .current_dir(folder)
            .env("CA_CERTIFICATES", folder.join("ca.crt"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(folder.join(file)).unwrap()
    };
    assert!(build("image.tar") == build("again.tar"), "the same program gives the same image");
    fs::create_dir(folder.join("image")).unwrap();
    said(folder, "tar", &["-xf", "image.tar", "-C", "image"]);
    let read = |path: &str| -> Value { serde_json::from_slice(&fs::read(folder.join("image").join(path)).unwrap()).unwrap() };
    let blob = |descriptor: &Value| {
        let (digest, size) = (descriptor["digest"].as_str().unwrap(), descriptor["size"].as_u64().unwrap());
        let path = format!("blobs/{}", digest.replace(':', "/"));
        let file = folder.join("image").join(&path);
        let sum = said(folder, "sha256sum", &[file.to_str().unwrap()]);
        assert_eq!((sum.split_whitespace().next(), fs::metadata(file).unwrap().len()), (digest.split(':').nth(1), size));
        path
    };
    assert_eq!(read("oci-layout")["imageLayoutVersion"], "1.0.0");
    let manifest = read(&blob(&read("index.json")["manifests"][0]));
    let (config, layer) = (blob(&manifest["config"]), blob(&manifest["layers"][0]));
    let old = read("manifest.json");
    assert_eq!((&old[0]["Config"], &old[0]["Layers"][0]), (&Value::from(config.clone()), &Value::from(layer.clone())));
    assert_eq!(old[0]["RepoTags"][0], "autocall:9.8.7");
    let config = read(&config);
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/autocall");
    assert!(!config["config"]["User"].as_str().unwrap().starts_with('0'), "not as root");

    let layer = folder.join("image").join(layer);
    let plain = Command::new("gzip").arg("-dc").stdin(fs::File::open(&layer).unwrap()).output().unwrap().stdout;
    fs::write(folder.join("layer.tar"), plain).unwrap();
    let sum = said(folder, "sha256sum", &["layer.tar"]);
    assert_eq!(config["rootfs"]["diff_ids"][0].as_str().unwrap(), format!("sha256:{}", sum.split_whitespace().next().unwrap()));
    let list = said(folder, "tar", &["-tvf", "layer.tar", "--numeric-owner"]);
    let line = |path: &str| list.lines().find(|line| line.ends_with(path)).unwrap_or_else(|| panic!("no {path} in\n{list}"));
    assert!(line("var/lib/autocall/").starts_with("drwx------ 10001/10001"), "{list}");
    assert!(
        line("usr/bin/autocall").starts_with("-rwxr-xr-x 0/0") && line("ca-certificates.crt").starts_with("-rw-r--r-- 0/0"),
        "{list}"
    );
    fs::create_dir(folder.join("root")).unwrap();
    said(folder, "tar", &["-xf", "layer.tar", "-C", "root", "usr"]);
    assert_eq!(said(folder, folder.join("root/usr/bin/autocall"), &[]), "autocall 9.8.7\n");
}
