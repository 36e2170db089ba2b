//! Connection flags before the command, as kubectl users write them:
//! `kubectl headscale -n vpn get users`.

use std::ffi::OsString;

use clap::{Arg, Args as _, Command};

use crate::kubernetes::ConnectionArgs;

/// `args`, the first of them being the program's own name, with the connection flags that stand
/// before the command moved behind it, where the command that takes them is known.
pub(crate) fn moved(args: Vec<OsString>) -> Vec<OsString> {
    let (mut args, leading) = split(args);
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    args.splice(end..end, leading);
    args
}

/// `args` without the connection flags that stand before the command, and those.
pub(crate) fn split(mut args: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let mut leading = Vec::new();
    let first = args.get(1).and_then(|arg| arg.to_str());
    // Most runs need not know the flags here.
    if !first.is_some_and(|arg| arg.starts_with('-')) {
        return (args, leading);
    }
    let flags = ConnectionArgs::augment_args(Command::new(""));
    while let Some(width) = args.get(1).and_then(|arg| width(&flags, arg.to_str()?)) {
        if args.len() <= width {
            break;
        }
        leading.extend(args.drain(1..=width));
    }
    (args, leading)
}

/// How many arguments the connection flag `arg` takes up, itself among them; `None` where it is no
/// such flag.
fn width(flags: &Command, arg: &str) -> Option<usize> {
    let (name, has_value) = match arg.split_once('=') {
        Some((name, _)) => (name, true),
        None => (arg, false),
    };
    let long =
        |flag: &&Arg| name.strip_prefix("--").is_some_and(|name| flag.get_long() == Some(name));
    if let Some(flag) = flags.get_arguments().find(long) {
        let is_boolean = flag.is_require_equals_set();
        return Some(if has_value || is_boolean { 1 } else { 2 });
    }
    let mut short = arg.strip_prefix('-')?.chars();
    let letter = short.next()?;
    flags.get_arguments().find(|flag| flag.get_short() == Some(letter))?;
    // -nNAME or -n NAME
    Some(if short.next().is_some() { 1 } else { 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let args = line.split(' ').map(OsString::from).collect();
        let moved: Vec<String> =
            moved(args).into_iter().map(|arg| arg.into_string().expect("text")).collect();
        assert_eq!(moved.join(" "), expected);
    }

    #[test]
    fn flags_before_the_command_go_behind_it() {
        check("k -n vpn get users", "k get users -n vpn");
        check("k -nvpn --context=c get users -o wide", "k get users -o wide -nvpn --context=c");
        check("k --insecure-skip-tls-verify get users", "k get users --insecure-skip-tls-verify");
        check("k --as joe --as-group a get users -- x", "k get users --as joe --as-group a -- x");
    }

    #[test]
    fn all_else_stays_where_it_is() {
        check("k get users -n vpn", "k get users -n vpn");
        check("k --help", "k --help");
        check("k --color never get users", "k --color never get users");
        check("k -n", "k -n");
        check("k -x y", "k -x y");
    }
}
