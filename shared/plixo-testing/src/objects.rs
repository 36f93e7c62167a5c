use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plixo_aws::AwsError;
use plixo_aws::s3::{LEAST_PART, Objects, Part};

use crate::Faults;
use crate::fakes::unavailable;

/// An upload's key, and its parts by number.
type Begun = (String, BTreeMap<i32, Vec<u8>>);

/// A bucket.
#[derive(Debug, Clone, Default)]
pub struct FakeBucket {
    objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// Each under its id; those that ended are `None`.
    uploads: Arc<Mutex<Vec<Option<Begun>>>>,
    faults: Faults,
}

impl FakeBucket {
    /// An empty bucket, whose calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Everything that it holds, by key.
    #[must_use]
    pub fn dump(&self) -> BTreeMap<String, Vec<u8>> {
        self.objects.lock().unwrap().clone()
    }

    /// How many uploads are neither completed nor aborted.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.uploads.lock().unwrap().iter().flatten().count()
    }

    async fn call<R>(&self, work: impl FnOnce() -> Result<R, AwsError>) -> Result<R, AwsError> {
        self.faults.call(|| unavailable("S3"), work).await
    }

    fn upload<R>(
        &self,
        key: &str,
        upload: &str,
        work: impl FnOnce(&mut Option<Begun>) -> Result<R, AwsError>,
    ) -> Result<R, AwsError> {
        let mut uploads = self.uploads.lock().unwrap();
        let found = upload.parse().ok().and_then(|n: usize| uploads.get_mut(n));
        match found {
            Some(found) if found.as_ref().is_some_and(|(of, _)| of == key) => work(found),
            _ => Err(refused("NoSuchUpload")),
        }
    }
}

fn refused(code: &str) -> AwsError {
    AwsError::Refused { service: "S3", cause: code.to_owned() }
}

impl Objects for FakeBucket {
    async fn put_if_absent(&self, key: &str, _: &str, bytes: Vec<u8>) -> Result<bool, AwsError> {
        self.call(|| {
            let mut objects = self.objects.lock().unwrap();
            let is_new = !objects.contains_key(key);
            if is_new {
                objects.insert(key.to_owned(), bytes);
            }
            Ok(is_new)
        })
        .await
    }

    async fn put(&self, key: &str, _: &str, bytes: Vec<u8>) -> Result<(), AwsError> {
        self.call(|| {
            self.objects.lock().unwrap().insert(key.to_owned(), bytes);
            Ok(())
        })
        .await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, AwsError> {
        self.call(|| Ok(self.objects.lock().unwrap().get(key).cloned())).await
    }

    async fn delete(&self, key: &str) -> Result<(), AwsError> {
        self.call(|| {
            self.objects.lock().unwrap().remove(key);
            Ok(())
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<(Vec<String>, bool), AwsError> {
        self.call(|| {
            let objects = self.objects.lock().unwrap();
            let wanted = objects.keys().filter(|key| key.starts_with(prefix));
            let mut wanted = wanted.filter(|key| after.is_none_or(|after| key.as_str() > after)).cloned();
            let keys: Vec<_> = wanted.by_ref().take(1_000).collect();
            Ok((keys, wanted.next().is_some()))
        })
        .await
    }

    async fn presign(&self, key: &str, file_name: &str, good_for: Duration) -> Result<String, AwsError> {
        // Signing asks nobody.
        let seconds = good_for.as_secs();
        Ok(format!(
            "https://bucket.test/{key}?X-Amz-Expires={seconds}&response-content-disposition={file_name}"
        ))
    }

    async fn begin_upload(&self, key: &str, _: &str) -> Result<String, AwsError> {
        self.call(|| {
            let mut uploads = self.uploads.lock().unwrap();
            uploads.push(Some((key.to_owned(), BTreeMap::new())));
            Ok((uploads.len() - 1).to_string())
        })
        .await
    }

    async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: i32,
        bytes: Vec<u8>,
    ) -> Result<Part, AwsError> {
        let take = |begun: &mut Option<Begun>| {
            let (_, parts) = begun.as_mut().ok_or_else(|| refused("NoSuchUpload"))?;
            parts.insert(number, bytes);
            Ok(Part { number, etag: format!("\"{number}\""), crc32: None })
        };
        self.call(|| self.upload(key, upload, take)).await
    }

    async fn complete_upload(&self, key: &str, upload: &str, parts: Vec<Part>) -> Result<(), AwsError> {
        let complete = |begun: &mut Option<Begun>| {
            let (_, held) = begun.as_ref().ok_or_else(|| refused("NoSuchUpload"))?;
            let held: Option<Vec<_>> = parts.iter().map(|part| held.get(&part.number)).collect();
            let held = held.filter(|held| !held.is_empty()).ok_or_else(|| refused("InvalidPart"))?;
            let (_, whole) = held.split_last().ok_or_else(|| refused("InvalidPart"))?;
            if whole.iter().any(|part| part.len() < LEAST_PART) {
                return Err(refused("EntityTooSmall"));
            }
            let bytes = held.into_iter().flatten().copied().collect();
            self.objects.lock().unwrap().insert(key.to_owned(), bytes);
            *begun = None;
            Ok(())
        };
        self.call(|| self.upload(key, upload, complete)).await
    }

    async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), AwsError> {
        let abort = |begun: &mut Option<Begun>| {
            *begun = None;
            Ok(())
        };
        self.call(|| self.upload(key, upload, abort)).await
    }
}
