//! Prints the API's description: `make openapi` keeps it in `docs/openapi.json`.
#![expect(clippy::unwrap_used, reason = "a command for developers")]

#[path = "../src/document.rs"]
mod document;

fn main() {
    print!("{}", document::whole());
}
