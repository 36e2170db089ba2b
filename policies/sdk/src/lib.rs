//! Write plugins for Headscale policies in Rust.
//!
//! A plugin is a WebAssembly component that judges policies ([`Validator`]) or writes them
//! ([`Renderer`]). It sees the policy, its settings and the answers of [`Reachability`]; it sees no
//! file, network, environment, clock or randomness.
//!
//! # Examples
//!
//! A validator that wants an owner for every tag, and its test, which needs no WebAssembly:
//!
//! ```
//! use headscale_policy_sdk::{
//!     Descriptor, Finding, Plugin, Reachability, Request, Rule, Severity, Validator, export, testing,
//! };
//! use serde_json::json;
//!
//! struct Owners;
//!
//! impl Plugin for Owners {
//!     fn describe() -> Descriptor {
//!         Descriptor::new("owners", "0.1.0", "Tags have owners").rule(
//!             Rule::new("unowned-tag", Severity::Error, "A tag has no owner")
//!                 .help("Nobody can give the tag to a node: name an owner in `tagOwners`."),
//!         )
//!     }
//! }
//!
//! impl Validator for Owners {
//!     type Settings = serde_json::Value;
//!
//!     fn validate(
//!         request: &Request<Self::Settings>,
//!         _: &dyn Reachability,
//!     ) -> Result<Vec<Finding>, String> {
//!         let unowned = request.policy.tag_owners.iter().filter(|owned| owned.owners.is_empty());
//!         Ok(unowned
//!             .map(|tag| Finding::new("unowned-tag", &tag.pointer, format!("{} has no owner", tag.tag)))
//!             .collect())
//!     }
//! }
//!
//! export!(Owners: validator);
//!
//! let policy = json!({"tagOwners": {"tag:web": [], "tag:db": ["alice@"]}});
//! let findings = testing::validate::<Owners>(&policy, &json!({}), &testing::Tailnet::new()).unwrap();
//! assert_eq!(findings.len(), 1);
//! assert_eq!(findings[0].pointer, "/tagOwners/tag:web");
//! ```
//!
//! Settings and parameters are what [`serde::Deserialize`] makes of the user's JSON; the host has
//! held them against [`Descriptor::settings_schema`] or [`Descriptor::params_schema`] before.

// The paths in what `wit_bindgen` generates name this crate, so that they hold in guests too.
extern crate self as headscale_policy_sdk;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::needless_pass_by_value,
    clippy::semicolon_if_nothing_returned,
    clippy::use_self,
    reason = "generated; its documentation is that of policies/wit"
)]
mod bindings;
mod describe;
pub mod inventory;
pub mod log;
mod plugin;
pub mod pointer;
pub mod policy;
pub mod ports;
pub mod prefix;
mod reachability;
pub mod testing;

pub use bindings::headscale::policy::reachability::{
    Access, Cause, Explanation, Extent, Node, Problem, Query, Resolved,
};
pub use bindings::headscale::policy::types::{
    Descriptor, Edit, Finding, Fix, Related, Rule, Severity,
};
pub use plugin::{Plugin, Renderer, Request, Validator};
pub use policy::Policy;
pub use reachability::Reachability;

/// What [`export!`] needs, and nobody else.
#[doc(hidden)]
pub mod __private {
    pub use wit_bindgen;

    pub use crate::bindings::exports::headscale::policy::{meta, renderer, validator};
    pub use crate::bindings::headscale::policy::types;
    pub use crate::plugin::{check_settings, describe, render, validate};

    /// The encoded world of a plugin that does both.
    pub const PLUGIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/plugin"));
    /// The encoded world of a renderer.
    pub const RENDERER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/renderer-plugin"));
    /// The encoded world of a validator.
    pub const VALIDATOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/validator-plugin"));

    /// The bytes of a world as an array, as a custom section needs them.
    ///
    /// # Panics
    /// When `N` is not their number.
    #[must_use]
    pub const fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
        match bytes.first_chunk() {
            Some(array) if bytes.len() == N => *array,
            _ => [0; N],
        }
    }
}

/// Makes a type the plugin that a component is: once for each guest crate (`crate-type =
/// ["cdylib"]`), as `export!(Type: validator)`, `export!(Type: renderer)` or
/// `export!(Type: validator + renderer)`.
///
/// On targets other than `wasm32` it only checks that the type is what it is said to be.
#[macro_export]
macro_rules! export {
    ($plugin:ident: validator) => {
        $crate::__export!($plugin, VALIDATOR, check_settings validator);
    };
    ($plugin:ident: renderer) => {
        $crate::__export!($plugin, RENDERER, no_settings renderer);
    };
    ($plugin:ident: validator + renderer) => {
        $crate::__export!($plugin, PLUGIN, check_settings validator renderer);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($plugin:ident, $world:ident, $settings:ident $($part:ident)+) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::__private::{meta, types};

            struct Exported;

            impl meta::Guest for Exported {
                fn describe() -> types::Descriptor {
                    $crate::__private::describe::<$plugin>()
                }

                fn check_settings(settings: String) -> Result<(), Vec<String>> {
                    $crate::__export!(@$settings $plugin, &settings)
                }
            }

            $crate::__export_headscale_policy_meta_0_1_0_cabi!(
                Exported with_types_in $crate::__private::meta
            );

            $($crate::__export!(@$part $plugin);)+

            #[unsafe(link_section = "component-type:headscale-policy-sdk")]
            #[used]
            static WORLD: [u8; $crate::__private::$world.len()] =
                $crate::__private::array($crate::__private::$world);
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            $($crate::__export!(@is $part $plugin);)+
        };
    };
    (@check_settings $plugin:ident, $settings:expr) => {
        $crate::__private::check_settings::<$plugin>($settings)
    };
    (@no_settings $plugin:ident, $settings:expr) => {{
        let _: &str = $settings;
        Ok(())
    }};
    (@validator $plugin:ident) => {
        impl $crate::__private::validator::Guest for Exported {
            fn validate(request: types::Request) -> Result<Vec<types::Finding>, String> {
                $crate::__private::validate::<$plugin>(&request)
            }
        }

        $crate::__export_headscale_policy_validator_0_1_0_cabi!(
            Exported with_types_in $crate::__private::validator
        );
    };
    (@renderer $plugin:ident) => {
        impl $crate::__private::renderer::Guest for Exported {
            fn render(params: String) -> Result<String, String> {
                $crate::__private::render::<$plugin>(&params)
            }
        }

        $crate::__export_headscale_policy_renderer_0_1_0_cabi!(
            Exported with_types_in $crate::__private::renderer
        );
    };
    (@is validator $plugin:ident) => {
        const fn is_validator<T: $crate::Validator>() {}
        is_validator::<$plugin>();
    };
    (@is renderer $plugin:ident) => {
        const fn is_renderer<T: $crate::Renderer>() {}
        is_renderer::<$plugin>();
    };
}
