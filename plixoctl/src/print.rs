//! What commands print.

use std::io::{ErrorKind, Write, stderr, stdout};

use anyhow::Context;

/// Prints a line. That nobody reads on, as `head` does not, is no error: what a command does is done all the same, and how it ends
/// tells whether it was.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("printing"),
    }
}

/// Tells on standard error how far it is, which is nothing to fail for.
pub(crate) fn progress(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}
