//! Which Headscale an image is.

use headscale_standin::Version;

/// The tag of an image; `None` where it has none.
fn tag(image: &str) -> Option<&str> {
    let name = image.rsplit_once('/').map_or(image, |(_, name)| name);
    Some(name.split('@').next()?.split_once(':')?.1)
}

/// The minor version of an image's tag, as `0.29`.
pub(crate) fn minor(image: &str) -> Option<String> {
    let tag = tag(image)?;
    let mut parts = tag.strip_prefix('v').unwrap_or(tag).split(['.', '-', '+']);
    let (major, minor): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(format!("{major}.{minor}"))
}

/// The version of the stand-in that is this image, and what it says of itself.
pub(crate) fn stand_in(image: &str) -> Option<(Version, String)> {
    let version = match minor(image)?.as_str() {
        "0.28" => Version::V0_28,
        "0.29" => Version::V0_29,
        "0.30" => Version::V0_30,
        _ => return None,
    };
    let tag = tag(image)?;
    Some((version, format!("v{}", tag.strip_prefix('v').unwrap_or(tag))))
}
