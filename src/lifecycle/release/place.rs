//! DEST: what a user calls a store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::cloud::Cloud;
use super::folder::Folder;
use super::remote::Remote;
use crate::error::{Error, Place, Result, foreign};

/// Nothing came for so long: the connection is dead.
const SILENCE: Duration = Duration::from_secs(60);

/// Opens what `dest` names; asks no network.
pub(super) fn open(dest: &str) -> Result<Arc<dyn Remote>> {
    let Some((scheme, rest)) = dest.split_once("://") else {
        return Ok(Arc::new(Folder::new(Path::new(dest))?));
    };
    if scheme == "file" {
        let path = rest.strip_prefix("localhost").unwrap_or(rest);
        return match path.starts_with('/') {
            true => Ok(Arc::new(Folder::new(Path::new(path))?)),
            false => Err(bad(dest, "expected file:///PATH, found no absolute path")),
        };
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(bad(dest, "expected a bucket's name after ://, found none"));
    }
    let prefix = object_store::path::Path::parse(prefix.trim_matches('/')).map_err(|e| {
        bad(dest, &format!("expected PREFIX/PREFIX behind the bucket, found {}", foreign(e)))
    })?;
    // Rustls takes the first provider that is set; another part of the program may have set one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |e: object_store::Error| super::faults::fault("open", dest, e);
    let (options, retry) = (options(), retry());
    let cloud = match scheme {
        "s3" | "s3a" => {
            let s3 = AmazonS3Builder::new().with_bucket_name(bucket).with_client_options(options);
            let s3 = environment("AWS_", s3, AmazonS3Builder::with_config);
            let endpoint = s3
                .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
                .or_else(|| s3.get_config_value(&AmazonS3ConfigKey::Endpoint));
            let s3 = match endpoint.is_some_and(|url| is_loopback(&url)) {
                true => s3.with_allow_http(true),
                false => s3,
            };
            Cloud::new(s3.with_retry(retry).build().map_err(failed)?, dest, prefix)
        }
        "gs" => {
            let gs = GoogleCloudStorageBuilder::new()
                .with_bucket_name(bucket)
                .with_client_options(options);
            let gs = environment("GOOGLE_", gs, GoogleCloudStorageBuilder::with_config);
            Cloud::new(gs.with_retry(retry).build().map_err(failed)?, dest, prefix)
        }
        "az" | "azure" | "abfs" | "abfss" => {
            let az = MicrosoftAzureBuilder::new()
                .with_container_name(bucket)
                .with_client_options(options);
            let az = environment("AZURE_", az, MicrosoftAzureBuilder::with_config);
            Cloud::new(az.with_retry(retry).build().map_err(failed)?, dest, prefix)
        }
        _ => return Err(bad(dest, &format!("expected a known kind of store, found {scheme}://"))),
    };
    Ok(Arc::new(cloud?))
}

fn bad(dest: &str, problem: &str) -> Error {
    Error::data(dest, Place::File, problem)
        .hint("DEST is a folder, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX")
}

/// Settings of the environment that the store's own programs read too, over ours.
fn environment<B, K: std::str::FromStr>(
    prefix: &str,
    builder: B,
    with: impl Fn(B, K, String) -> B,
) -> B {
    std::env::vars_os().fold(builder, |builder, (name, value)| {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { return builder };
        match name.to_ascii_lowercase().parse() {
            Ok(key) if name.starts_with(prefix) => with(builder, key, value.to_owned()),
            _ => builder,
        }
    })
}

/// A slow transfer may take long, a silent one not.
fn options() -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(3))
        .with_timeout_disabled()
        .with_read_timeout(SILENCE)
}

/// About ten seconds in all: a night's run survives a hiccup, a person sees that a store is away.
fn retry() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(4),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: 7, retry_timeout: Duration::from_secs(120) }
}

/// Whether a plain connection leaves the machine.
fn is_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_connection_is_taken_on_the_machine_itself_only() {
        for url in ["http://127.0.0.1:9000", "http://localhost:1/x", "http://[::1]:5"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["http://10.0.0.1:9000", "https://localhost", "http://localhost.example", ""] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn a_dest_that_names_no_store_is_refused_in_one_line() {
        for (dest, problem) in [
            ("ftp://host/x", "expected a known kind of store, found ftp://"),
            ("s3:///x", "expected a bucket's name"),
            ("file://x", "expected file:///PATH"),
            ("s3://bucket/a//b", "expected PREFIX/PREFIX behind the bucket"),
        ] {
            let e = open(dest).unwrap_err();
            assert!(e.to_string().contains(problem), "{e}");
            assert_eq!((e.exit_code(), e.to_string().lines().count()), (2, 1));
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(open(file.path().to_str().unwrap()).is_err());
    }
}
