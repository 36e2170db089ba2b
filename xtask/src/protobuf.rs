//! `proto/src/generated/headscale.v1.rs`: what Headscale's Unix socket speaks before 0.30, from our
//! own description of it.

use std::fs;

use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

/// Where the generated file stands, from the root of the repository.
pub const PATH: &str = "proto/src/generated/headscale.v1.rs";

const NAME: &str = "headscale/v1/api_keys.proto";
const SOURCE: &str = include_str!("../../proto/proto/headscale/v1/api_keys.proto");

const HEAD: &str = "\
// Made by `cargo xtask generate` from proto/proto/headscale/v1/api_keys.proto. Do not edit.
";

/// The messages, the client and, for those who ask for it, the server.
///
/// # Errors
///
/// What is wrong with the description, or why its temporary folder cannot be used.
pub fn render() -> Result<String, String> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Ours);
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_source_info(true).include_imports(true);
    compiler.open_file(NAME).map_err(|error| format!("{error:?}"))?;

    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    tonic_prost_build::configure()
        // How it connects is the client's own business.
        .build_transport(false)
        .emit_rerun_if_changed(false)
        // It holds a key: proto/src/grpc.rs has a `Debug` that does not show it.
        .skip_debug([".headscale.v1.CreateApiKeyResponse"])
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .out_dir(dir.path())
        .compile_fds(compiler.file_descriptor_set())
        .map_err(|error| error.to_string())?;
    let text = fs::read_to_string(dir.path().join("headscale.v1.rs"))
        .map_err(|error| error.to_string())?;
    Ok(format!("{HEAD}{text}"))
}

/// Our description, which is compiled into this program like all that is generated from.
struct Ours;

impl FileResolver for Ours {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == NAME {
            File::from_source(name, SOURCE)
        } else {
            Err(protox::Error::file_not_found(name))
        }
    }
}
