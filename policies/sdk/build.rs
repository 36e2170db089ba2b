//! Encodes what a component of each world imports and exports: `export!` puts that of the right
//! world into a guest, and `wit-component` makes the component from it.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use wit_component::{StringEncoding, metadata};
use wit_parser::Resolve;

const WIT: &str = "../wit";

fn main() -> Result<(), Box<dyn Error>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(WIT)?;
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    for world in ["plugin", "renderer-plugin", "validator-plugin"] {
        let id = resolve.select_world(&[package], Some(world))?;
        let bytes = metadata::encode(&resolve, id, StringEncoding::UTF8, None)?;
        fs::write(Path::new(&out).join(world), bytes)?;
    }
    println!("cargo::rerun-if-changed={WIT}");
    Ok(())
}
