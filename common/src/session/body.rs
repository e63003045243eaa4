//! The three forms of an HTTP body: bare JSON, JSON in an unencrypted envelope, a sealed envelope
//! (service §2.2, decisions Q-2 and Q-37). What is answered to which is the front-end's business.

use crate::dare::Envelope;
use crate::encoding::json;
use crate::error::ServiceError;
use crate::protocol::{Code, Request, Transaction};

/// A body, told apart by its first octet that is not blank.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// `{`: bare JSON, answered bare.
    Bare(BareRequest),
    /// `[` without encryption: answered in the same form (decision Q-37).
    Plain(BareRequest),
    /// `[` with a session: the rest is [`super::examine`]'s.
    Sealed(Box<Envelope>),
}

/// A request that nobody authenticated.
#[derive(Debug, Clone, PartialEq)]
pub struct BareRequest {
    /// The transaction, if the tag is known: a refusal is of its class (decision Q-2).
    pub transaction: Option<Transaction>,
    /// The JSON.
    pub text: Vec<u8>,
}

impl BareRequest {
    /// Looks at the tag only.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        Self {
            transaction: tag_of(text).and_then(Transaction::from_tag),
            text: text.to_vec(),
        }
    }

    /// Reads the request.
    ///
    /// # Errors
    /// As for [`parse_request`].
    pub fn request(&self) -> Result<Request, ServiceError> {
        parse_request(&self.text)
    }
}

/// Tells the form of a body.
///
/// # Errors
/// 400/100 if it has none of the three, 400/102 for another encoding than JSON (P 4.4) and for an
/// envelope encrypted in another way.
pub fn read_body(octets: &[u8]) -> Result<Body, ServiceError> {
    check_encoding(octets)?;
    match octets.iter().find(|octet| !octet.is_ascii_whitespace()) {
        Some(b'{') => Ok(Body::Bare(BareRequest::of(octets))),
        Some(b'[') => {
            let envelope: Envelope = json::parse(octets).map_err(|error| {
                ServiceError::new(Code::Malformed, "the envelope cannot be read")
                    .with_context(error)
            })?;
            if envelope.header.session.is_some() {
                Ok(Body::Sealed(Box::new(envelope)))
            } else if envelope.header.is_encrypted() {
                Err(ServiceError::new(
                    Code::Encoding,
                    "an encrypted request has a session",
                ))
            } else {
                Ok(Body::Plain(BareRequest::of(envelope.payload.as_slice())))
            }
        }
        _ => Err(ServiceError::new(
            Code::Malformed,
            "a request is a JSON object or an envelope",
        )),
    }
}

/// Reads a request, bare or opened.
///
/// # Errors
/// 400/102 for another encoding than JSON, 501/101 for an unknown tag, 400/100 for anything else.
pub fn parse_request(text: &[u8]) -> Result<Request, ServiceError> {
    check_encoding(text)?;
    json::parse(text).map_err(|error| {
        let is_unknown = tag_of(text).is_some_and(|tag| Transaction::from_tag(tag).is_none());
        if is_unknown && json::check(text).is_ok() {
            ServiceError::new(Code::UnknownOperation, "there is no such transaction")
        } else {
            ServiceError::new(Code::Malformed, "the request cannot be read")
        }
        .with_context(error)
    })
}

/// Refuses JSON-B and JSON-C, which Hello does not offer. They are told by their codes, all of them
/// above ASCII: one stands where JSON has the first text or number.
fn check_encoding(octets: &[u8]) -> Result<(), ServiceError> {
    let first = octets
        .iter()
        .find(|octet| !octet.is_ascii_whitespace() && !matches!(octet, b'{' | b'['));
    if first.is_some_and(|octet| !octet.is_ascii()) {
        return Err(ServiceError::new(
            Code::Encoding,
            "requests are encoded as JSON",
        ));
    }
    Ok(())
}

/// The first member's name of a JSON object, if it is written without escapes.
#[must_use]
pub fn tag_of(text: &[u8]) -> Option<&str> {
    let rest = text.trim_ascii_start().strip_prefix(b"{")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let end = rest.iter().position(|&octet| octet == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> BareRequest {
        match read_body(text.as_bytes()) {
            Ok(Body::Bare(bare)) => bare,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_three_forms_are_told_apart() {
        assert_eq!(
            bare(" \r\n{ \"Hello\" : {}}").transaction,
            Some(Transaction::Hello)
        );
        let plain = read_body(b"[{},\"eyJIZWxsbyI6e319\"]").unwrap();
        assert_eq!(plain, Body::Plain(BareRequest::of(br#"{"Hello":{}}"#)));
        let sealed = read_body(br#"[{"enc":"A256GCM","Session":"AA"},""]"#).unwrap();
        assert!(matches!(sealed, Body::Sealed(_)));
        for (text, code) in [
            (r#"[{"enc":"A256CBC"},""]"#, Code::Encoding),
            ("[{}", Code::Malformed),
            ("[{},\"=\",{},{}]", Code::Malformed),
            ("", Code::Malformed),
            ("\"Hello\"", Code::Malformed),
            ("null", Code::Malformed),
        ] {
            assert_eq!(read_body(text.as_bytes()).unwrap_err().code, code, "{text}");
        }
    }

    // Decisions Q-2 and Q-16, X-12
    #[test]
    fn a_tag_says_of_which_class_a_refusal_is() {
        for (text, transaction, code) in [
            (r#"{"Hello":{}}"#, Some(Transaction::Hello), None),
            (r#"{"StatusRequest":{}}"#, Some(Transaction::Status), None),
            (
                r#"{"Status":{"Account":1}}"#,
                Some(Transaction::Status),
                Some(Code::Malformed),
            ),
            (
                r#"{"Hello":{},"Status":{}}"#,
                Some(Transaction::Hello),
                Some(Code::Malformed),
            ),
            (
                r#"{"Hello":{},"Hello":{}}"#,
                Some(Transaction::Hello),
                Some(Code::Malformed),
            ),
            (r#"{"hello":{}}"#, None, Some(Code::UnknownOperation)),
            (r#"{"Operate":{}}"#, None, Some(Code::UnknownOperation)),
            (r#"{"Operate":{"a":1,"a":2}}"#, None, Some(Code::Malformed)),
            ("{}", None, Some(Code::Malformed)),
            ("{", None, Some(Code::Malformed)),
        ] {
            let bare = bare(text);
            assert_eq!(bare.transaction, transaction, "{text}");
            let refusal = bare.request().err().map(|error| error.code);
            assert_eq!(refusal, code, "{text}");
        }
    }
}
