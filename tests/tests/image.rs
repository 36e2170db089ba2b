//! Each image is one static program that runs as nobody on a read-only root. `make image-test` builds
//! them first.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use headscale_testkit::tell;
use serde_json::Value;
use tempfile::TempDir;

/// What there are images of; each is called as its program.
const PROGRAMS: [&str; 2] = ["headscale-sidecar", "headscale-operator"];
/// The user and group of the image, as chroot takes numbers.
const NOBODY: &str = "+65532:+65532";

/// An image's configuration, and a folder with its files.
struct Image {
    program: &'static str,
    configuration: Value,
    root: PathBuf,
    _folder: TempDir,
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output
}

fn unpack(archive: &Path, to: &Path) {
    fs::create_dir(to).expect("a new folder");
    run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(to));
}

/// Those in the folder that `HEADSCALE_IMAGES` names. None, and a line that says so, where it names
/// none.
fn images() -> Vec<Image> {
    let Some(folder) = std::env::var_os("HEADSCALE_IMAGES") else {
        tell("skipped: needs the images, which make image-test builds and names the folder of");
        return Vec::new();
    };
    let folder = Path::new(&folder);
    PROGRAMS.map(|program| read(program, &folder.join(format!("{program}.tar")))).into()
}

/// The image of `program` in an OCI archive.
fn read(program: &'static str, archive: &Path) -> Image {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = folder.path().join("layout");
    unpack(archive, &layout);
    let json = |path: PathBuf| -> Value {
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).expect("JSON")
    };
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a digest");
        layout.join("blobs").join(digest.replace(':', "/"))
    };
    let index = json(layout.join("index.json"));
    let manifest = json(blob(&index["manifests"][0]));
    let layers = manifest["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 1, "{program}: one layer, of one file");
    let root = folder.path().join("root");
    unpack(&blob(&layers[0]), &root);
    let configuration = json(blob(&manifest["config"]));
    Image { program, configuration, root, _folder: folder }
}

/// What may mount what nobody else sees, which changing the root of a program takes. `None`, and a
/// line that says so, where nothing may.
fn who_may_mount() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["env"], &["sudo", "-n"]];
    let found = ways.into_iter().find(|way| {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).args(["unshare", "--mount", "true"]);
        command.output().is_ok_and(|done| done.status.success())
    });
    if found.is_none() {
        tell("skipped: needs `unshare --mount`, as root or with sudo, to run the images");
    }
    found
}

/// What the image's program does with `arguments`, as nobody, with nothing but the image's files,
/// which cannot be changed.
fn run_in(image: &Image, root: &[&str], arguments: &[&str]) -> Output {
    let program = image.program;
    let script = format!(
        "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && \
         exec env -i \"PATH=$PATH\" chroot --userspec={NOBODY} \"$0\" /{program} \"$@\""
    );
    Command::new(root[0])
        .args(&root[1..])
        .args(["unshare", "--mount", "sh", "-c", &script])
        .arg(&image.root)
        .args(arguments)
        .output()
        .expect("it runs")
}

#[test]
fn each_image_is_one_program_that_runs_as_nobody() {
    for image in images() {
        let program = image.program;
        let files: Vec<_> = fs::read_dir(&image.root)
            .expect("files")
            .map(|entry| entry.expect("a file").file_name())
            .collect();
        assert_eq!(files, [program]);
        let configuration = &image.configuration["config"];
        assert_eq!(configuration["User"], "65532:65532", "{program}");
        assert_eq!(configuration["Entrypoint"], serde_json::json!([format!("/{program}")]));
        assert!(configuration["Cmd"].is_null(), "{configuration}");
        let labels: BTreeMap<String, String> =
            serde_json::from_value(configuration["Labels"].clone()).expect("labels");
        assert_eq!(labels["org.opencontainers.image.title"], program);
        assert_eq!(labels["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
        // What it frees goes back to the node.
        let variables = configuration["Env"].as_array().into_iter().flatten();
        let mut variables = variables.filter_map(serde_json::Value::as_str);
        let is_tuned = variables.any(|it| it.starts_with("GLIBC_TUNABLES=glibc.malloc."));
        assert_eq!(is_tuned, program == "headscale-operator", "{configuration}");
        assert_eq!(image.configuration["created"], "1970-01-01T00:00:00Z", "{program}");
    }
}

#[test]
fn each_program_needs_no_libraries_and_writes_nothing() {
    let images = images();
    if images.is_empty() {
        return;
    }
    let Some(root) = who_may_mount() else { return };
    for image in images {
        let program = image.program;
        for (argument, expected) in [("--help", "Usage:"), ("--version", env!("CARGO_PKG_VERSION"))]
        {
            let output = run_in(&image, root, &[argument]);
            let said = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            let success = output.status.success();
            assert!(success && said.contains(expected), "{program} {argument}: {said}{errors}");
        }
        let wrong = run_in(&image, root, &["--no-such-flag"]);
        let errors = String::from_utf8_lossy(&wrong.stderr);
        assert_eq!(wrong.status.code(), Some(2), "{program}: {errors}");
    }
}
