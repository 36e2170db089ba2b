//! What the tests of the built-in plugins share: the examples of the repository, read as the host
//! reads them, and the engine as [`Reachability`](headscale_policy_sdk::Reachability).
