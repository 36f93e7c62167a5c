use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use aws_lc_rs::digest::{SHA256, digest};

use crate::{GeneratedKey, KeyFailure, KeyService, Secret};

/// A key service in memory that counts its calls. It can be made to fail, to wait, and to be as lax as the emulators of
/// KMS that unwrap what they never wrapped.
#[derive(Default)]
pub(super) struct FakeKeyService {
    state: Mutex<State>,
    gate: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    wrapped: Vec<(String, [u8; 32])>,
    calls: usize,
    failures: VecDeque<KeyFailure>,
    lax: bool,
}

impl FakeKeyService {
    pub(super) fn lax() -> Self {
        Self { state: Mutex::new(State { lax: true, ..State::default() }), ..Self::default() }
    }

    /// Calls to unwrap, also those that failed or were dropped.
    pub(super) fn calls(&self) -> usize {
        self.state().calls
    }

    /// The next call fails; several calls of this queue up.
    pub(super) fn fail_next(&self, failure: KeyFailure) {
        self.state().failures.push_back(failure);
    }

    /// Calls wait until the guard is dropped.
    pub(super) async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.gate.lock().await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn begin(&self) -> Result<(), KeyFailure> {
        drop(self.gate.lock().await);
        tokio::task::yield_now().await;
        self.state().failures.pop_front().map_or(Ok(()), Err)
    }
}

impl KeyService for FakeKeyService {
    async fn generate_key(&self, organisation: &str) -> Result<GeneratedKey, KeyFailure> {
        self.begin().await?;
        let mut state = self.state();
        let wrapped = state.wrapped.len().to_be_bytes().to_vec();
        let secret = digest(&SHA256, &[b"key", wrapped.as_slice()].concat());
        state.wrapped.push((organisation.into(), secret.as_ref().try_into().unwrap()));
        Ok(GeneratedKey { secret: Secret::from_slice(secret.as_ref()).unwrap(), wrapped })
    }

    async fn unwrap_key(&self, organisation: &str, wrapped: &[u8]) -> Result<Secret, KeyFailure> {
        self.state().calls += 1;
        self.begin().await?;
        let state = self.state();
        let known = wrapped.try_into().ok().and_then(|index| state.wrapped.get(usize::from_be_bytes(index)));
        match known {
            Some((owner, secret)) if owner == organisation => Ok(Secret::from_slice(secret).unwrap()),
            None if state.lax => Ok(Secret::from_slice(digest(&SHA256, wrapped).as_ref()).unwrap()),
            _ => Err(KeyFailure::refused("InvalidCiphertextException")),
        }
    }
}
