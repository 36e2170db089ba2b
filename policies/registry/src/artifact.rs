//! A plugin as a registry keeps it, in the layout that the CNCF gives for WebAssembly artifacts:
//! an OCI image manifest, a configuration and the component as the only layer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::Digest;
use crate::inspect::{InspectError, Inspection, Kind, inspect};

/// Media type of the manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of the configuration.
pub const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// Media type of the component.
pub const COMPONENT_TYPE: &str = "application/wasm";

/// The largest component, in bytes.
pub const MAX_COMPONENT_BYTES: u64 = 32 << 20;
/// The largest manifest and the largest configuration, in bytes: what registries must take.
pub const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

/// When an artifact says it was made: never, so that the same plugin has the same digest.
const CREATED: &str = "1970-01-01T00:00:00Z";
const ARCHITECTURE: &str = "wasm";
/// What the layout calls any component, whether or not it imports WASI.
const OS: &str = "wasip2";

/// What people read about an artifact without pulling it; each becomes an annotation of the
/// manifest where it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// The plugin's name.
    pub title: Option<String>,
    /// Its semantic version.
    pub version: Option<String>,
    /// One line: what it is for.
    pub description: Option<String>,
    /// SPDX expression.
    pub licenses: Option<String>,
    /// URL of its source code; Renovate finds the notes of a release by it.
    pub source: Option<String>,
    /// Commit that it was built from.
    pub revision: Option<String>,
    /// URL to learn more.
    pub url: Option<String>,
}

impl Annotations {
    fn pairs(&self) -> impl Iterator<Item = (String, &str)> {
        [
            ("title", &self.title),
            ("version", &self.version),
            ("description", &self.description),
            ("licenses", &self.licenses),
            ("source", &self.source),
            ("revision", &self.revision),
            ("url", &self.url),
        ]
        .into_iter()
        .filter_map(|(key, value)| {
            Some((format!("org.opencontainers.image.{key}"), value.as_deref()?))
        })
    }
}

/// Refers to content by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a descriptor")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    /// In bytes.
    pub(crate) size: u64,
}

impl Descriptor {
    fn of(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(content),
            size: content.len() as u64,
        }
    }

    /// Whether `content` is what it refers to.
    fn check(&self, part: Part, content: &[u8]) -> Result<(), ArtifactError> {
        let actual = Digest::of(content);
        if actual == self.digest && content.len() as u64 == self.size {
            return Ok(());
        }
        Err(ArtifactError::Integrity { part, expected: self.digest.clone(), actual })
    }
}

/// A manifest, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(crate) struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// What a manifest says before anything else of it is known.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Shape {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

impl Manifest {
    /// Reads a manifest and holds it against the layout and the limits.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::Layout`] and [`ArtifactError::TooLarge`].
    pub(crate) fn read(json: &[u8]) -> Result<Self, ArtifactError> {
        let layout = ArtifactError::Layout;
        let unreadable = |error| layout(format!("the manifest is not one: {error}"));
        let shape: Shape = serde_json::from_slice(json).map_err(unreadable)?;
        if shape.manifests.is_some() {
            return Err(layout("it is an index of several images, not one plugin".to_owned()));
        }
        if shape.schema_version != 2 || shape.media_type.is_some_and(|ty| ty != MANIFEST_TYPE) {
            return Err(layout(format!("the manifest is not of type {MANIFEST_TYPE}")));
        }
        let manifest: Self = serde_json::from_slice(json).map_err(unreadable)?;
        if manifest.config.media_type != CONFIG_TYPE {
            return Err(layout(format!(
                "its configuration is of type {:?}, expected {CONFIG_TYPE}; is it a container \
                 image?",
                manifest.config.media_type
            )));
        }
        let layer = manifest.component()?;
        if layer.media_type != COMPONENT_TYPE {
            return Err(layout(format!(
                "its layer is of type {:?}, expected {COMPONENT_TYPE}",
                layer.media_type
            )));
        }
        for (part, size, limit) in [
            (Part::Config, manifest.config.size, MAX_DOCUMENT_BYTES),
            (Part::Component, layer.size, MAX_COMPONENT_BYTES),
        ] {
            if size > limit {
                return Err(ArtifactError::TooLarge { part, limit });
            }
        }
        Ok(manifest)
    }

    /// The one layer.
    pub(crate) fn component(&self) -> Result<&Descriptor, ArtifactError> {
        match self.layers.as_slice() {
            [layer] => Ok(layer),
            layers => Err(ArtifactError::Layout(format!(
                "it has {} layers, expected one: the component",
                layers.len()
            ))),
        }
    }

    /// An annotation `org.opencontainers.image.KEY`.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(&format!("org.opencontainers.image.{key}")).map(String::as_str)
    }
}

/// A configuration.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Config {
    #[serde(default)]
    created: Option<String>,
    architecture: String,
    os: String,
    layer_digests: Vec<Digest>,
    #[serde(default)]
    component: Option<Interfaces>,
}

/// What a configuration tells of the component; never trusted, because the component tells it too.
#[derive(Debug, Serialize, Deserialize)]
#[serde(expecting = "an object")]
struct Interfaces {
    exports: Vec<String>,
    imports: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// A part of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The manifest.
    Manifest,
    /// The configuration.
    Config,
    /// The component.
    Component,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Manifest => "manifest",
            Self::Config => "configuration",
            Self::Component => "component",
        })
    }
}

/// A size for people.
pub(crate) fn bytes(size: u64) -> String {
    const MIB: u64 = 1 << 20;
    if size.is_multiple_of(MIB) { format!("{} MiB", size / MIB) } else { format!("{size} bytes") }
}

/// Content that is no plugin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ArtifactError {
    /// A part is not what its digest or its size says.
    #[error("the {part} has another digest: expected {expected}, found {actual}")]
    Integrity {
        /// Which one.
        part: Part,
        /// What refers to it says.
        expected: Digest,
        /// What it has.
        actual: Digest,
    },
    /// A part is larger than it may be.
    #[error("the {part} is larger than {}", bytes(*.limit))]
    TooLarge {
        /// Which one.
        part: Part,
        /// The limit in bytes.
        limit: u64,
    },
    /// It does not have the layout of a WebAssembly artifact.
    #[error("{0}")]
    Layout(String),
    /// It is not a component, but something else.
    #[error("the component is {}", match .0 {
        Kind::CoreModule => "a core module",
        Kind::Component | Kind::Other => "no WebAssembly binary",
    })]
    NoComponent(Kind),
    /// The component is broken.
    #[error("the component is {0}")]
    Broken(#[from] InspectError),
    /// An annotation cannot be kept.
    #[error("annotation {key} has a control character")]
    Annotation {
        /// Its key.
        key: String,
    },
}

/// A plugin with all that a registry keeps of it. Its digests are verified and its component is
/// one, whose code nobody has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    digest: Digest,
    parsed: Manifest,
    manifest: Vec<u8>,
    config: Vec<u8>,
    component: Vec<u8>,
    inspection: Inspection,
}

impl Artifact {
    /// Packs `component`. The same arguments give the same digest. `world` is the name of the world
    /// that the component is for, as in `headscale:policy/plugin@0.1.0`, where it is known.
    ///
    /// # Errors
    ///
    /// When `component` is no component or too large, and when an annotation has control
    /// characters.
    pub fn pack(
        component: Vec<u8>,
        world: Option<&str>,
        annotations: &Annotations,
    ) -> Result<Self, ArtifactError> {
        let inspection = check_component(&component)?;
        let mut pairs = BTreeMap::new();
        for (key, value) in annotations.pairs() {
            if value.chars().any(char::is_control) {
                return Err(ArtifactError::Annotation { key });
            }
            pairs.insert(key, value.to_owned());
        }
        let names = |externs: &[crate::inspect::Extern]| {
            externs.iter().map(|found| found.name.clone()).collect()
        };
        let config = json(&Config {
            created: Some(CREATED.to_owned()),
            architecture: ARCHITECTURE.to_owned(),
            os: OS.to_owned(),
            layer_digests: vec![inspection.digest.clone()],
            component: Some(Interfaces {
                exports: names(&inspection.exports),
                imports: names(&inspection.imports),
                target: world.map(str::to_owned),
            }),
        })?;
        let parsed = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_TYPE.to_owned()),
            config: Descriptor::of(CONFIG_TYPE, &config),
            layers: vec![Descriptor::of(COMPONENT_TYPE, &component)],
            annotations: pairs,
        };
        let manifest = json(&parsed)?;
        Ok(Self { digest: Digest::of(&manifest), parsed, manifest, config, component, inspection })
    }

    /// Puts together what was stored or sent apart. `digest` is that of the manifest where it is
    /// known.
    ///
    /// # Errors
    ///
    /// When a part is not what refers to it says, and when the whole is no plugin.
    pub fn unpack(
        digest: Option<&Digest>,
        manifest: Vec<u8>,
        config: Vec<u8>,
        component: Vec<u8>,
    ) -> Result<Self, ArtifactError> {
        let actual = Digest::of(&manifest);
        if let Some(expected) = digest.filter(|expected| **expected != actual) {
            let expected = expected.clone();
            return Err(ArtifactError::Integrity { part: Part::Manifest, expected, actual });
        }
        let parsed = Manifest::read(&manifest)?;
        parsed.config.check(Part::Config, &config)?;
        let layer = parsed.component()?;
        layer.check(Part::Component, &component)?;
        check_config(&config, layer)?;
        let inspection = check_component(&component)?;
        Ok(Self { digest: actual, parsed, manifest, config, component, inspection })
    }

    /// The digest of the manifest, by which the artifact is pinned.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The manifest as it is kept.
    #[must_use]
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// The configuration as it is kept.
    #[must_use]
    pub fn config(&self) -> &[u8] {
        &self.config
    }

    /// The component.
    #[must_use]
    pub fn component(&self) -> &[u8] {
        &self.component
    }

    /// What the component is and asks for.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// The annotation `org.opencontainers.image.KEY`. Its text is the registry's: not trusted.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.parsed.annotation(key)
    }

    /// The parts with their digests, in the order in which they can be stored: what refers to
    /// others comes last.
    pub(crate) fn parts(&self) -> [(Part, &Digest, &[u8]); 3] {
        [
            (Part::Component, &self.inspection.digest, &self.component),
            (Part::Config, &self.parsed.config.digest, &self.config),
            (Part::Manifest, &self.digest, &self.manifest),
        ]
    }

    /// The component alone.
    #[must_use]
    pub fn into_component(self) -> Vec<u8> {
        self.component
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, ArtifactError> {
    serde_json::to_vec(value).map_err(|error| ArtifactError::Layout(error.to_string()))
}

fn check_component(component: &[u8]) -> Result<Inspection, ArtifactError> {
    if component.len() as u64 > MAX_COMPONENT_BYTES {
        let limit = MAX_COMPONENT_BYTES;
        return Err(ArtifactError::TooLarge { part: Part::Component, limit });
    }
    let inspection = inspect(component)?;
    if inspection.kind != Kind::Component {
        return Err(ArtifactError::NoComponent(inspection.kind));
    }
    Ok(inspection)
}

/// Holds a configuration against the layer that it belongs to.
fn check_config(json: &[u8], layer: &Descriptor) -> Result<(), ArtifactError> {
    let config: Config = serde_json::from_slice(json)
        .map_err(|error| ArtifactError::Layout(format!("the configuration is not one: {error}")))?;
    if config.architecture != ARCHITECTURE {
        return Err(ArtifactError::Layout(format!(
            "it is for the architecture {:?}, expected {ARCHITECTURE}",
            config.architecture
        )));
    }
    if config.layer_digests != [layer.digest.clone()] {
        return Err(ArtifactError::Layout(
            "the configuration does not name the component's digest in layerDigests".to_owned(),
        ));
    }
    Ok(())
}
