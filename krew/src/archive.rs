//! Archives that depend on what is packed alone: not on when, where, as whom or in which order.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::write::DeflateEncoder;
use flate2::{Compression, GzBuilder};
use rawzip::time::UtcDateTime;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use tar::{EntryType, Header};

use crate::digest::sha256;
use crate::error::KrewError;
use crate::platform::Platform;
use crate::version::Version;

/// The start of 1980 in seconds since 1970: the times of zip archives begin there, and without any
/// time a file has a month of 0, which is none.
const FIRST_TIME_OF_ZIP: i64 = 315_532_800;

/// How much time packing may take for smaller archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As little as possible: for tests, which pack programs that were not optimised.
    Quick,
    /// As much as helps: for releases.
    Best,
}

impl Effort {
    fn level(self) -> Compression {
        match self {
            Self::Quick => Compression::fast(),
            Self::Best => Compression::best(),
        }
    }
}

/// What goes into the archive of one platform.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// What the program was built for.
    pub platform: &'static Platform,
    /// The version of the release.
    pub version: &'a Version,
    /// The program. Whatever it is called here, krew finds it as [`Platform::program`].
    pub program: &'a Path,
    /// The licence, which krew wants to see installed.
    pub license: &'a Path,
}

/// A file as it is packed.
struct Packed {
    name: &'static str,
    mode: u32,
    bytes: Vec<u8>,
}

/// Packs `contents` into `dir`, which is made if it is missing: [`Platform::archive`], and beside it
/// the same name with `.sha256`, which `sha256sum --check` reads. Replaces what is there. Gives the
/// path of the archive.
///
/// # Errors
///
/// When a file cannot be read or written, or what should be packed is empty.
pub fn write(contents: &Contents<'_>, dir: &Path, effort: Effort) -> Result<PathBuf, KrewError> {
    let platform = contents.platform;
    // Sorted by name, as they come in the archive.
    let files = [
        Packed { name: "LICENSE", mode: 0o644, bytes: read(contents.license)? },
        Packed { name: platform.program(), mode: 0o755, bytes: read(contents.program)? },
    ];
    fs::create_dir_all(dir).map_err(io_error(dir))?;
    let name = platform.archive(contents.version);
    let path = dir.join(&name);
    let out = BufWriter::new(File::create(&path).map_err(io_error(&path))?);
    let written = if platform.is_windows() {
        write_zip(&files, out, effort)
    } else {
        write_tar(&files, out, effort)
    };
    written.map_err(io_error(&path))?;
    let sum = dir.join(format!("{name}.sha256"));
    fs::write(&sum, format!("{}  {name}\n", sha256(&path)?)).map_err(io_error(&sum))?;
    Ok(path)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> KrewError {
    let path = path.to_owned();
    move |source| KrewError::Io { path, source }
}

fn read(path: &Path) -> Result<Vec<u8>, KrewError> {
    let bytes = fs::read(path).map_err(io_error(path))?;
    if bytes.is_empty() {
        return Err(KrewError::Empty { path: path.to_owned() });
    }
    Ok(bytes)
}

fn write_tar(files: &[Packed], out: impl Write, effort: Effort) -> io::Result<()> {
    // Neither a name nor a time in the header of gzip.
    let gzip = GzBuilder::new().write(out, effort.level());
    let mut tar = tar::Builder::new(gzip);
    for file in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(u64::try_from(file.bytes.len()).map_err(io::Error::other)?);
        header.set_mode(file.mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, file.name, file.bytes.as_slice())?;
    }
    tar.into_inner()?.finish()?.flush()
}

fn write_zip(files: &[Packed], out: impl Write, effort: Effort) -> io::Result<()> {
    let time = UtcDateTime::from_unix(FIRST_TIME_OF_ZIP);
    let mut zip = ZipArchiveWriter::new(out);
    for file in files {
        let (mut entry, config) = zip
            .new_file(file.name)
            .compression_method(CompressionMethod::DEFLATE)
            .last_modified(time)
            .unix_permissions(file.mode)
            .start()
            .map_err(io::Error::other)?;
        let mut data = config.wrap(DeflateEncoder::new(&mut entry, effort.level()));
        data.write_all(&file.bytes)?;
        let (encoder, descriptor) = data.finish().map_err(io::Error::other)?;
        encoder.finish()?;
        entry.finish(descriptor).map_err(io::Error::other)?;
    }
    zip.finish().map_err(io::Error::other)?.flush()
}
