//! A key that signs.

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use plixo_aws::AwsError;
use plixo_aws::sign::Sign;

use crate::Faults;
use crate::fakes::unavailable;

/// KMS's key for signatures.
#[derive(Debug, Clone)]
pub struct FakeSigner {
    key: Arc<EcdsaKeyPair>,
    faults: Faults,
}

impl FakeSigner {
    /// A new key, whose calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { key: Arc::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()), faults }
    }

    /// The same key, whose calls go wrong as planned elsewhere.
    #[must_use]
    pub fn with(&self, faults: Faults) -> Self {
        Self { faults, ..self.clone() }
    }
}

impl Sign for FakeSigner {
    async fn public_key(&self) -> Result<Vec<u8>, AwsError> {
        let der = || Ok(self.key.public_key().as_der().unwrap().as_ref().to_vec());
        self.faults.call(|| unavailable("KMS"), der).await
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AwsError> {
        let sign = || Ok(self.key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec());
        self.faults.call(|| unavailable("KMS"), sign).await
    }
}
