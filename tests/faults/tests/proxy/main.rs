//! The proxy passes on what it should, and does harm where it is told to.

mod grpc;
mod http;
mod kubernetes;
mod support;
