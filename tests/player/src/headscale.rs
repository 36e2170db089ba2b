//! The container of Headscale.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use headscale_standin::{Options, PolicyMode, StandIn, TlsFiles};
use headscale_testkit::headscale::{Program, programs};
use k8s_openapi::api::core::v1::Container;
use serde_json::{Value, json};

use crate::container::{Exit, Place, Running};
use crate::image;

const CONFIG: &str = "/etc/headscale/config.yaml";
const SOCKET: &str = "/var/run/headscale/headscale.sock";
const DATABASE: &str = "/var/lib/headscale/db.sqlite";
const NOISE_KEY: &str = "/var/lib/headscale/noise_private.key";
/// One region, so that the map is not empty and nothing leaves this machine.
const DERP: &str = "\
regions:
  900:
    regionid: 900
    regioncode: none
    regionname: none
    nodes:
      - {name: 900a, regionid: 900, hostname: 127.0.0.1, stunport: -1, derpport: 3340}
";

/// The real Headscale of an image, where `HEADSCALE_BIN` names one of that minor version.
fn real(image: &str) -> Option<Program> {
    let minor = image::minor(image)?;
    let is_it = |program: &Program| {
        program.version.strip_prefix(&minor).is_some_and(|rest| !rest.starts_with(char::is_numeric))
    };
    programs().into_iter().find(is_it)
}

/// Whether real ones are to be run.
fn has_real() -> bool {
    std::env::var_os("HEADSCALE_BIN").is_some_and(|value| !value.is_empty())
}

/// Whether there is a Headscale that is this image.
pub(crate) fn is_known(image: &str) -> bool {
    if has_real() { real(image).is_some() } else { image::stand_in(image).is_some() }
}

/// What a container has for configuration, with a way from its paths to files here.
struct Config<'a> {
    place: &'a Place<'a>,
    container: &'a Container,
    values: Value,
}

impl<'a> Config<'a> {
    fn read(place: &'a Place<'a>, container: &'a Container) -> Result<Self, Exit> {
        let wrong = |why: String| Exit::new(1, format!("loading config: {CONFIG}: {why}"));
        let file = place.volumes.path(container, CONFIG);
        let file = file.ok_or_else(|| wrong("no such file or directory".to_owned()))?;
        let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let values = serde_saphyr::from_str(&text)
            .map_err(|error: serde_saphyr::Error| wrong(error.to_string()))?;
        Ok(Self { place, container, values })
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.values.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
    }

    /// The file that the text at `pointer` names, or else `default`.
    fn file(&self, pointer: &str, default: &str) -> Result<PathBuf, Exit> {
        let path = self.text(pointer).unwrap_or(default);
        let file = self.place.volumes.path(self.container, path);
        file.ok_or_else(|| Exit::new(1, format!("{path}: read-only file system")))
    }
}

/// Starts the container; gives where it listens.
pub(crate) async fn start(
    place: &Place<'_>,
    container: &Container,
) -> Result<(Running, SocketAddr), Exit> {
    let config = Config::read(place, container)?;
    if has_real() { start_real(&config) } else { start_stand_in(&config).await }
}

async fn start_stand_in(config: &Config<'_>) -> Result<(Running, SocketAddr), Exit> {
    let image = config.container.image.as_deref().unwrap_or_default();
    let (version, reported) = image::stand_in(image).expect("a known image");
    let mut options = Options::new(version, config.place.directory.join("headscale")).on_tcp();
    options.reported_version = reported;
    options.database = Some(config.file("/database/sqlite/path", DATABASE)?);
    options.socket = Some(config.file("/unix_socket", SOCKET)?);
    options.key_cost = config.place.world.known().orders.key_cost;
    if config.text("/policy/mode") == Some("database") {
        options.policy_mode = PolicyMode::Database;
    }
    if let Some(path) = config.text("/policy/path") {
        options.policy_path = config.place.volumes.path(config.container, path);
    }
    if let Some(path) = config.text("/tls_cert_path") {
        let certificate = config.file("/tls_cert_path", path)?;
        options.tls = Some(TlsFiles { certificate, key: config.file("/tls_key_path", "")? });
    }
    let noise_key = config.file("/noise/private_key_path", NOISE_KEY)?;
    if !noise_key.exists() {
        fs::write(&noise_key, noise_key_text()).expect("the volume takes files");
    }
    let started = StandIn::start(options).await;
    let server = started.map_err(|error| Exit::new(1, error.to_string()))?;
    let address = server.address().expect("it listens");
    let pod = config.place.pod.to_owned();
    config.place.world.known().stand_ins.insert(pod, server);
    Ok((Running::StandIn, address))
}

fn noise_key_text() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("randomness");
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("privkey:{digits}")
}

fn start_real(config: &Config<'_>) -> Result<(Running, SocketAddr), Exit> {
    let image = config.container.image.as_deref().unwrap_or_default();
    let program = real(image).expect("a known image");
    let directory = config.place.directory;
    let mut values = config.values.clone();
    let here = |path: &str| config.place.volumes.path(config.container, path);
    replace_paths(&mut values, &here);
    // PostgreSQL is not in the pod, even where its host is the folder of a socket.
    if let Some(host) = config.values.pointer("/database/postgres/host") {
        values["database"]["postgres"]["host"] = host.clone();
    }
    let (address, other) = (free_address(), json!(free_address()));
    values["listen_addr"] = json!(address);
    values["metrics_listen_addr"] = json!(free_address());
    // 0.30 knows no such key.
    if values.get("grpc_listen_addr").is_some() {
        values["grpc_listen_addr"] = other;
    }
    let derp = directory.join("derp.yaml");
    fs::write(&derp, DERP).expect("written");
    values["derp"] = json!({
        "server": { "enabled": false },
        "urls": [],
        "paths": [derp],
        "auto_update_enabled": false,
    });
    let file = directory.join("headscale-config.yaml");
    fs::write(&file, values.to_string()).expect("written");
    let mut command = Command::new(program.path());
    command.args(["serve", "-c"]).arg(&file).env_clear().env("HOME", directory);
    Ok((config.place.spawn(config.container, command), address))
}

/// Has every text that is a path in the container be the path of the file.
fn replace_paths(value: &mut Value, here: &impl Fn(&str) -> Option<PathBuf>) {
    match value {
        Value::String(text) => {
            if let Some(path) = here(text) {
                *text = path.display().to_string();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|it| replace_paths(it, here)),
        Value::Object(values) => values.values_mut().for_each(|it| replace_paths(it, here)),
        _ => {}
    }
}

/// One that is free; where somebody else takes it before Headscale does, that is started again.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("a port")
}
