#![doc = include_str!("../README.md")]

mod certificate;
mod chain;
mod checkpoint;
mod entry;
mod file;
mod kept;
mod note;
mod proof;
#[cfg(test)]
mod tests;
mod tree;
mod verify;

pub use certificate::{Certificate, CertificateError};
pub use chain::{Head, SealError};
pub use checkpoint::{Checkpoint, CheckpointError, Span};
pub use entry::Entry;
pub use file::{NotVerified, Verified, verify_file, write_after, write_span, write_unsealed};
pub use kept::{LATEST, List, beginning, checkpoint_name, hour_of, list_name};
pub use note::{KeyError, Note, NoteError, PublicKey, SignError, Signer};
pub use proof::{consistency_proof, inclusion_proof, verify_consistency, verify_inclusion};
pub use tree::{Hash, Range, leaf_hash, node_hash};
pub use verify::{Fault, Finding, Verifier};
