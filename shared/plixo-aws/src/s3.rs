//! A bucket of objects.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{AwsError, from_sdk};

const SERVICE: &str = "S3";

/// The least that a part of an upload has, but for the last, bytes
/// ([limits](https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)).
pub const LEAST_PART: usize = 5 * 1024 * 1024;

/// A part that the bucket has, as it names it when all of them become an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: i32,
    /// What the bucket answered for it.
    pub etag: String,
    /// Its checksum, where the bucket answered one.
    pub crc32: Option<String>,
}

/// The port to a bucket. A role that may not list it is refused where it asks for an object that is not there.
pub trait Objects: Send + Sync {
    /// Puts an object if there is none of that key, and answers whether it did.
    ///
    /// # Errors
    /// [`AwsError`]: nobody knows whether it is there.
    fn put_if_absent(
        &self,
        key: &str,
        content_type: &str,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<bool, AwsError>> + Send;

    /// Puts an object in the place of whatever has that key.
    ///
    /// # Errors
    /// [`AwsError`]: nobody knows whether it is there.
    fn put(
        &self,
        key: &str,
        content_type: &str,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// An object's bytes.
    ///
    /// # Errors
    /// [`AwsError`].
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, AwsError>> + Send;

    /// Takes an object away, if it is there.
    ///
    /// # Errors
    /// [`AwsError`]: nobody knows whether it is gone.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// The keys that begin with `prefix` and come after `after`, in their order: up to 1,000, and whether there are more.
    ///
    /// # Errors
    /// [`AwsError`].
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> impl Future<Output = Result<(Vec<String>, bool), AwsError>> + Send;

    /// An address at which whoever has it gets the object for so long, as a file of that name. It does not look whether
    /// the object is there.
    ///
    /// # Errors
    /// [`AwsError`]: there are no credentials to sign with.
    fn presign(
        &self,
        key: &str,
        file_name: &str,
        good_for: Duration,
    ) -> impl Future<Output = Result<String, AwsError>> + Send;

    /// Begins an upload in parts, and answers its id. [`Upload`] does the rest.
    ///
    /// # Errors
    /// [`AwsError`].
    fn begin_upload(
        &self,
        key: &str,
        content_type: &str,
    ) -> impl Future<Output = Result<String, AwsError>> + Send;

    /// Uploads one part.
    ///
    /// # Errors
    /// [`AwsError`].
    fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: i32,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<Part, AwsError>> + Send;

    /// Makes an object of an upload's parts, in the place of whatever has that key.
    ///
    /// # Errors
    /// [`AwsError`]: nobody knows whether it is there.
    fn complete_upload(
        &self,
        key: &str,
        upload: &str,
        parts: Vec<Part>,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Takes an upload's parts away.
    ///
    /// # Errors
    /// [`AwsError`]: the bucket's rule takes them away later.
    fn abort_upload(&self, key: &str, upload: &str) -> impl Future<Output = Result<(), AwsError>> + Send;
}

/// An object that is written bit by bit, with no more than a part of it in memory. Nobody sees it before it is whole.
#[derive(Debug)]
pub struct Upload<'a, O> {
    objects: &'a O,
    key: &'a str,
    id: String,
    parts: Vec<Part>,
    held: Vec<u8>,
    sent: u64,
}

impl<'a, O: Objects> Upload<'a, O> {
    /// Begins it.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn begin(objects: &'a O, key: &'a str, content_type: &str) -> Result<Self, AwsError> {
        let id = objects.begin_upload(key, content_type).await?;
        Ok(Self { objects, key, id, parts: Vec::new(), held: Vec::new(), sent: 0 })
    }

    /// Goes on with it. After an error, nothing but [`Self::abort`] helps.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), AwsError> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= LEAST_PART { self.send().await } else { Ok(()) }
    }

    async fn send(&mut self) -> Result<(), AwsError> {
        let held = std::mem::take(&mut self.held);
        self.sent = self.sent.saturating_add(u64::try_from(held.len()).unwrap_or(u64::MAX));
        let number = i32::try_from(self.parts.len().saturating_add(1)).unwrap_or(i32::MAX);
        self.parts.push(self.objects.upload_part(self.key, &self.id, number, held).await?);
        Ok(())
    }

    /// Makes it an object, and answers its bytes. Where that fails, the parts are taken away.
    ///
    /// # Errors
    /// [`AwsError`]: nobody knows whether the object is there.
    pub async fn finish(mut self) -> Result<u64, AwsError> {
        let done = self.end().await;
        if done.is_err() {
            self.abort().await;
            return done.map(|()| 0);
        }
        Ok(self.sent)
    }

    async fn end(&mut self) -> Result<(), AwsError> {
        // An upload has at least one part, be it empty.
        if !self.held.is_empty() || self.parts.is_empty() {
            self.send().await?;
        }
        self.objects.complete_upload(self.key, &self.id, self.parts.clone()).await
    }

    /// Takes back what was written. What this cannot take away, the bucket's rule on unfinished uploads does.
    pub async fn abort(self) {
        let _ = self.objects.abort_upload(self.key, &self.id).await;
    }
}

/// A bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// The bucket of that name.
    #[must_use]
    pub fn new(config: &SdkConfig, name: String) -> Self {
        let config = aws_sdk_s3::config::Builder::from(config).interceptor(crate::calls::Calls).build();
        Self { client: Client::from_conf(config), name }
    }
}

impl Objects for Bucket {
    async fn put_if_absent(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> Result<bool, AwsError> {
        let asked = self.client.put_object().bucket(&self.name).key(key).content_type(content_type);
        match asked.if_none_match("*").body(ByteStream::from(bytes)).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(false),
            Err(error) => Err(from_sdk(SERVICE, error)),
        }
    }

    async fn put(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), AwsError> {
        let asked = self.client.put_object().bucket(&self.name).key(key).content_type(content_type);
        let put = asked.body(ByteStream::from(bytes)).send().await;
        put.map(drop).map_err(|error| from_sdk(SERVICE, error))
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, AwsError> {
        let found = match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(found) => found,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(from_sdk(SERVICE, error)),
        };
        let read = found.body.collect().await;
        let cause = |_| AwsError::Unavailable { service: SERVICE, cause: "the object broke off".to_owned() };
        Ok(Some(read.map_err(cause)?.to_vec()))
    }

    async fn delete(&self, key: &str) -> Result<(), AwsError> {
        let asked = self.client.delete_object().bucket(&self.name).key(key);
        asked.send().await.map(drop).map_err(|error| from_sdk(SERVICE, error))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<(Vec<String>, bool), AwsError> {
        let asked = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
        let listed = asked.set_start_after(after.map(str::to_owned)).send().await;
        let listed = listed.map_err(|error| from_sdk(SERVICE, error))?;
        let more = listed.is_truncated.unwrap_or_default();
        let keys = listed.contents.unwrap_or_default().into_iter().filter_map(|object| object.key);
        Ok((keys.collect(), more))
    }

    async fn presign(&self, key: &str, file_name: &str, good_for: Duration) -> Result<String, AwsError> {
        let refused =
            |cause: &dyn std::fmt::Display| AwsError::Refused { service: SERVICE, cause: cause.to_string() };
        let good_for = PresigningConfig::expires_in(good_for).map_err(|error| refused(&error))?;
        let asked = self.client.get_object().bucket(&self.name).key(key);
        let asked = asked.response_content_disposition(format!("attachment; filename=\"{file_name}\""));
        let signed = asked.presigned(good_for).await.map_err(|error| from_sdk(SERVICE, error))?;
        Ok(signed.uri().to_owned())
    }

    async fn begin_upload(&self, key: &str, content_type: &str) -> Result<String, AwsError> {
        let asked = self.client.create_multipart_upload().bucket(&self.name).key(key);
        let begun = asked.content_type(content_type).send().await;
        let id = begun.map_err(|error| from_sdk(SERVICE, error))?.upload_id;
        let cause = "an upload without an id".to_owned();
        id.ok_or(AwsError::Unavailable { service: SERVICE, cause })
    }

    async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: i32,
        bytes: Vec<u8>,
    ) -> Result<Part, AwsError> {
        let asked = self.client.upload_part().bucket(&self.name).key(key).upload_id(upload);
        let sent = asked.part_number(number).body(ByteStream::from(bytes)).send().await;
        let sent = sent.map_err(|error| from_sdk(SERVICE, error))?;
        Ok(Part { number, etag: sent.e_tag.unwrap_or_default(), crc32: sent.checksum_crc32 })
    }

    async fn complete_upload(&self, key: &str, upload: &str, parts: Vec<Part>) -> Result<(), AwsError> {
        let named = |Part { number, etag, crc32 }| {
            CompletedPart::builder().part_number(number).e_tag(etag).set_checksum_crc32(crc32).build()
        };
        let parts = parts.into_iter().map(named).collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let asked = self.client.complete_multipart_upload().bucket(&self.name).key(key).upload_id(upload);
        let done = asked.multipart_upload(parts).send().await;
        done.map(drop).map_err(|error| from_sdk(SERVICE, error))
    }

    async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), AwsError> {
        let asked = self.client.abort_multipart_upload().bucket(&self.name).key(key).upload_id(upload);
        asked.send().await.map(drop).map_err(|error| from_sdk(SERVICE, error))
    }
}
