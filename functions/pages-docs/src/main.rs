//! Wiring of `pages-docs`.

use pages_docs::{Docs, FUNCTION};
use plixo_lambda::{Error, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let docs = &Docs::new()?;
    http::serve(FUNCTION, "none", |request, line| async move { docs.handle(&request, line) }).await
}
