//! A seller's logo.

use plixo_aws::secrets::ReadSecret;
use plixo_aws::ses::SendEmail;
use plixo_domain::id::OrgId;
use plixo_domain::ledger::{Kept, Logo, LogoHash};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_store::Tables;
use plixo_stripe::Checkout;

use crate::visit::{Failed, Visit};

/// An image's path changes with the image. As a page of its own it may load and do nothing.
const HEADERS: [(&str, &str); 3] = [
    ("cache-control", "public, max-age=31536000, immutable"),
    ("content-security-policy", "default-src 'none'; sandbox"),
    ("cross-origin-resource-policy", "same-origin"),
];

impl<T: Tables, K: KeyService, V: ReadSecret, C: Checkout, M: SendEmail> Visit<'_, T, K, V, C, M> {
    /// The logo that the path names: the one that the organisation has now, and no other. What can be no logo's path costs no
    /// call.
    pub(crate) async fn logo(&mut self) -> Result<Response, Failed> {
        let (org, hash) = self.of_path().ok_or(Failed::NotFound)?;
        let rows = self.portal.store.read(&org, vec![Logo::key(&())]).await?;
        let logo = rows.iter().find_map(|(_, stored)| stored.as_ref()).and_then(|(row, _)| Logo::of(row));
        let logo = logo.filter(|logo| logo.hash == hash).ok_or(Failed::NotFound)?;
        self.line.org = Some(org.to_string());
        let image = Response::bytes(200, "image/png", &logo.png);
        Ok(HEADERS.into_iter().fold(image, |image, (name, value)| image.with(name, value.to_owned())))
    }

    fn of_path(&self) -> Option<(OrgId, LogoHash)> {
        let hash = self.request.path("file")?.strip_suffix(".png")?;
        Some((self.request.path("org")?.parse().ok()?, hash.parse().ok()?))
    }
}
