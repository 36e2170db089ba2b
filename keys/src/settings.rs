//! How a key is looked after.

use jiff::SignedDuration;
use thiserror::Error;

/// For how long keys live, and when they are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    lifetime: SignedDuration,
    rotation_buffer: SignedDuration,
    grace: SignedDuration,
}

/// Why settings cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// A key would be expired when it is made.
    #[error("expiration ({0:#}) must be at least a second")]
    Lifetime(SignedDuration),
    /// A time before the expiration cannot be negative.
    #[error("rotation buffer ({0:#}) must not be negative")]
    Buffer(SignedDuration),
    /// Each key would be due for rotation when it is made.
    #[error("rotation buffer ({buffer:#}) must be less than expiration ({lifetime:#})")]
    BufferTooLong {
        /// What was asked for.
        buffer: SignedDuration,
        /// What it must be less than.
        lifetime: SignedDuration,
    },
    /// A replaced key cannot die before it was replaced.
    #[error("grace ({0:#}) must not be negative")]
    Grace(SignedDuration),
    /// A replaced key would expire before its grace is over.
    #[error("grace ({grace:#}) must not be longer than the rotation buffer ({buffer:#})")]
    GraceTooLong {
        /// What was asked for.
        grace: SignedDuration,
        /// What it must not exceed.
        buffer: SignedDuration,
    },
    /// Keys would be replaced so fast that many replaced ones work at any time.
    #[error(
        "a key would be replaced after {age:#}, more than 16 times in a grace of {grace:#}: make \
         the rotation buffer or the grace shorter"
    )]
    TooOften {
        /// How old a key gets before it is replaced.
        age: SignedDuration,
        /// How long it works after that.
        grace: SignedDuration,
    },
}

impl Settings {
    /// An hour: how long a replaced key goes on working where nothing else is said.
    pub const DEFAULT_GRACE: SignedDuration = SignedDuration::from_hours(1);

    /// Keys that live `lifetime`, are replaced `rotation_buffer` before they expire, and work for
    /// `grace` after they were replaced; without one, an hour, or less where that cannot be.
    ///
    /// # Errors
    ///
    /// When a key would be born expired or due, a replaced one would not last its grace, or more
    /// than 16 replaced ones would work at a time.
    pub fn new(
        lifetime: SignedDuration,
        rotation_buffer: SignedDuration,
        grace: Option<SignedDuration>,
    ) -> Result<Self, SettingsError> {
        let buffer = rotation_buffer;
        if lifetime < SignedDuration::from_secs(1) {
            return Err(SettingsError::Lifetime(lifetime));
        }
        if buffer.is_negative() {
            return Err(SettingsError::Buffer(buffer));
        }
        if buffer >= lifetime {
            return Err(SettingsError::BufferTooLong { buffer, lifetime });
        }
        // 16 times the age at which a key is replaced.
        let often = (lifetime - buffer).checked_mul(16).unwrap_or(SignedDuration::MAX);
        let grace = match grace {
            None => Self::DEFAULT_GRACE.min(buffer).min(often),
            Some(grace) if grace.is_negative() => return Err(SettingsError::Grace(grace)),
            Some(grace) if grace > buffer => {
                return Err(SettingsError::GraceTooLong { grace, buffer });
            }
            Some(grace) if grace > often => {
                return Err(SettingsError::TooOften { age: lifetime - buffer, grace });
            }
            Some(grace) => grace,
        };
        Ok(Self { lifetime, rotation_buffer, grace })
    }

    /// How long a new key lives.
    #[must_use]
    pub fn lifetime(&self) -> SignedDuration {
        self.lifetime
    }

    /// How long before its expiration a key is replaced.
    #[must_use]
    pub fn rotation_buffer(&self) -> SignedDuration {
        self.rotation_buffer
    }

    /// How long a replaced key goes on working.
    #[must_use]
    pub fn grace(&self) -> SignedDuration {
        self.grace
    }
}
