//! What object stores say when they say no, in one line.

use std::error::Error as _;
use std::io;

use crate::error::{Error, Place};

/// Turns a fault of a store into an error about `name`; `action` is what was tried.
pub(super) fn fault(action: &'static str, name: &str, error: object_store::Error) -> Error {
    use object_store::Error as E;
    let data =
        |problem: String, hint: &str| Error::data(name, Place::File, problem).hint(hint.to_owned());
    let said = said(&error);
    if is_no_bucket(&error) {
        return data("no such bucket".into(), "create it, or give another DEST");
    }
    match error {
        E::NotFound { .. } => data(
            "not in the store".into(),
            "its release is not complete: roll back, or publish again",
        ),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => data(
            format!("the store refuses these credentials ({said})"),
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS or \
             AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, and what they may do",
        ),
        E::NotImplemented { .. } | E::NotSupported { .. } => {
            data(format!("the store cannot do it: {said}"), "use one with conditional writes")
        }
        E::InvalidPath { .. } | E::UnknownConfigurationKey { .. } => data(said, ""),
        _ if said.contains("169.254.169.254") || said.contains("metadata.google") => data(
            "no credentials in the environment, and no machine role to ask".into(),
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS or \
             AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        ),
        _ if said.contains("scheme is not allowed") => data(
            "its endpoint is http://, which anybody on the way can read and change".into(),
            "take https://, or set AWS_ALLOW_HTTP=true",
        ),
        _ => Error::Io { action, path: name.into(), source: io::Error::other(said) },
    }
}

/// Whether a missing object is missing because its bucket is.
pub(super) fn is_no_bucket(error: &object_store::Error) -> bool {
    let text = chain(error).join(" ");
    ["NoSuchBucket", "specified bucket does not exist", "ContainerNotFound"]
        .iter()
        .any(|sign| text.contains(sign))
}

/// Whether the store understood what was asked and says no.
pub(super) fn is_refusal(error: &object_store::Error) -> bool {
    let text = chain(error).join(" ");
    text.contains("status code: 4") || text.contains("error response:")
}

/// All messages of an error and its sources.
fn chain(error: &object_store::Error) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        messages.push(error.to_string());
        source = error.source();
    }
    messages
}

/// What matters of a message: the server's code and words, or the innermost cause.
fn said(error: &object_store::Error) -> String {
    let messages = chain(error);
    let all = messages.join(" ");
    let tag = |name: &str| {
        let rest = all.split_once(&format!("<{name}>"))?.1;
        Some(rest.split_once("</")?.0.to_owned())
    };
    let said = match (tag("Code"), tag("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        _ => match all.contains("169.254.169.254") {
            true => all,
            false => messages.into_iter().last().unwrap_or_default(),
        },
    };
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
}
