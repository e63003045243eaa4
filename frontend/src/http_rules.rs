//! What a request must look like before its body is read: path, method, headers, host, types
//! (service §2.1, decisions ).

use std::collections::HashMap;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use mesh_common::address::canonical_domain;
use mesh_common::error::ServiceError;
use mesh_common::limits::HTTP_HEADER_BYTES_MAX;
use mesh_common::protocol::Code;

use crate::config::FrontendConfig;

/// The paths every service answers, without their optional final slash.
pub(crate) const PATHS: [&str; 2] = ["/.well-known/mmm", "/.well-known/srv/mmm"];

/// Where that is found which hailing accounts publish, with its name behind (service §6.5).
pub(crate) const PUBLISHED: &str = "/.well-known/mmm-udf/{name}";

/// The rules of one front-end.
#[derive(Debug)]
pub(crate) struct HttpRules {
    path: Option<String>,
    hosts: HashMap<String, String>,
    default_domain: String,
    any_host: bool,
}

impl HttpRules {
    /// The rules that `config` states; `config` has been checked.
    pub(crate) fn new(config: &FrontendConfig) -> Self {
        let canonical = |name: &String| canonical_domain(name).unwrap_or_else(|_| name.clone());
        let domains: Vec<String> = config.domains.iter().map(canonical).collect();
        let default_domain = domains.first().cloned().unwrap_or_default();
        let mut hosts = HashMap::new();
        for name in config.host_names.iter().map(canonical) {
            hosts.insert(name, default_domain.clone());
        }
        for domain in domains {
            hosts.insert(format!("mmm.{domain}"), domain.clone());
            hosts.insert(domain.clone(), domain);
        }
        Self {
            path: config
                .path
                .as_ref()
                .map(|path| path.trim_end_matches('/').to_owned()),
            hosts,
            default_domain,
            any_host: config.interop.bare_json.is_some(),
        }
    }

    /// The domain a request is made to.
    ///
    /// # Errors
    /// 404 for another path, 405 for another method, 431 for large headers, 400 and 421 for the
    /// host, 415 for the type or coding of the body.
    pub(crate) fn check(&self, request: &HttpRequest) -> Result<&str, ServiceError> {
        self.check_path(request.path())?;
        if request.method() != Method::POST {
            return Err(refusal(Code::MethodNotAllowed, "requests are made by POST"));
        }
        check_header_size(request)?;
        let domain = self.domain(request)?;
        check_type(request)?;
        Ok(domain)
    }

    /// The domain from which something published is fetched.
    ///
    /// # Errors
    /// 405 for another method than GET and HEAD, 431 for large headers, 400 and 421 for the host.
    pub(crate) fn check_fetch(&self, request: &HttpRequest) -> Result<&str, ServiceError> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return Err(refusal(
                Code::MethodNotAllowed,
                "what is published is fetched by GET",
            ));
        }
        check_header_size(request)?;
        self.domain(request)
    }

    /// Whether `domain` (canonical) is served here.
    pub(crate) fn serves(&self, domain: &str) -> bool {
        self.hosts
            .get(domain)
            .is_some_and(|served| served == domain)
    }

    fn check_path(&self, path: &str) -> Result<(), ServiceError> {
        let path = path.strip_suffix('/').unwrap_or(path);
        if PATHS.contains(&path) || self.path.as_deref() == Some(path) {
            return Ok(());
        }
        Err(refusal(
            Code::NotFound,
            "there is nothing here; the service is at /.well-known/mmm",
        ))
    }

    fn domain(&self, request: &HttpRequest) -> Result<&str, ServiceError> {
        if self.any_host {
            return Ok(&self.default_domain);
        }
        let host = host_of(request)
            .ok_or_else(|| refusal(Code::Malformed, "the request has no Host header"))?;
        let name = without_port(host);
        let as_written = self.hosts.get(name);
        as_written
            .or_else(|| self.hosts.get(&canonical_domain(name).ok()?))
            .map(String::as_str)
            .ok_or_else(|| refusal(Code::Misdirected, "this host is not served here"))
    }
}

/// HTTP/2 carries the host in the request's target.
fn host_of(request: &HttpRequest) -> Option<&str> {
    request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri().host())
        .filter(|host| !host.is_empty())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Name, value and the four octets `: ` and line end of each header.
fn check_header_size(request: &HttpRequest) -> Result<(), ServiceError> {
    let octets: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if octets > HTTP_HEADER_BYTES_MAX {
        return Err(refusal(
            Code::HeadersTooLarge,
            &format!("the headers are larger than {HTTP_HEADER_BYTES_MAX} octets"),
        ));
    }
    Ok(())
}

fn check_type(request: &HttpRequest) -> Result<(), ServiceError> {
    let text = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let media_type = text(CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    if !media_type.is_some_and(|value| value.eq_ignore_ascii_case("application/json")) {
        return Err(refusal(
            Code::UnsupportedMediaType,
            "the Content-Type of a request is application/json",
        ));
    }
    match text(CONTENT_ENCODING) {
        None => Ok(()),
        Some(coding) if coding.trim().eq_ignore_ascii_case("identity") => Ok(()),
        Some(_) => Err(refusal(
            Code::UnsupportedMediaType,
            "a request is sent without a Content-Encoding",
        )),
    }
}

/// The announced length of the body.
pub(crate) fn announced_length(request: &HttpRequest) -> Option<u64> {
    request
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn refusal(code: Code, sentence: &str) -> ServiceError {
    ServiceError::new(code, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn rules() -> HttpRules {
        HttpRules::new(&FrontendConfig {
            domains: vec!["Example.com".into(), "example.net".into()],
            host_names: vec!["host1.example.org".into()],
            path: Some("/service".into()),
            ..FrontendConfig::default()
        })
    }

    fn post(path: &str, host: &str) -> HttpRequest {
        TestRequest::post()
            .uri(path)
            .insert_header((HOST, host))
            .insert_header((CONTENT_TYPE, "application/json; charset=utf-8"))
            .to_http_request()
    }

    // X-07/08, P-10.1-a, I-P-4.1-a
    #[test]
    fn every_accepted_path_and_host_is_accepted() {
        let rules = rules();
        for path in [
            "/.well-known/mmm",
            "/.well-known/mmm/",
            "/.well-known/srv/mmm",
            "/.well-known/srv/mmm/",
            "/service",
            "/service/",
            "/.well-known/mmm?x=y",
        ] {
            for (host, domain) in [
                ("example.com", "example.com"),
                ("EXAMPLE.COM:8443", "example.com"),
                ("mmm.example.net", "example.net"),
                ("host1.example.org", "example.com"),
            ] {
                assert_eq!(
                    rules.check(&post(path, host)).unwrap(),
                    domain,
                    "{path} {host}"
                );
            }
        }
    }

    #[test]
    fn foreign_paths_and_hosts_are_refused() {
        let rules = rules();
        for path in [
            "/",
            "/.well-known",
            "/.well-known/mmm/x",
            "/.well-known/mmm//",
        ] {
            assert_eq!(
                rules.check(&post(path, "example.com")).unwrap_err().code,
                Code::NotFound
            );
        }
        for host in [
            "example.org",
            "x.example.com",
            "localhost",
            "example.com.evil",
            "[::1]",
        ] {
            let refusal = rules.check(&post(PATHS[0], host)).unwrap_err();
            assert_eq!(refusal.code, Code::Misdirected, "{host}");
        }
        assert_eq!(
            rules.check(&post(PATHS[0], "")).unwrap_err().code,
            Code::Malformed
        );
    }

    // I-P-4.2.2-a
    #[test]
    fn other_methods_are_refused() {
        for method in [Method::GET, Method::PUT, Method::HEAD, Method::DELETE] {
            let request = TestRequest::with_uri(PATHS[0])
                .method(method)
                .to_http_request();
            assert_eq!(
                rules().check(&request).unwrap_err().code,
                Code::MethodNotAllowed
            );
        }
    }

    #[test]
    fn other_types_and_codings_are_refused() {
        let base = || {
            TestRequest::post()
                .uri(PATHS[0])
                .insert_header((HOST, "example.com"))
        };
        let json = (CONTENT_TYPE, "application/json");
        for request in [
            base(),
            base().insert_header((CONTENT_TYPE, "text/plain")),
            base()
                .insert_header(json.clone())
                .insert_header((CONTENT_ENCODING, "gzip")),
        ] {
            let refusal = rules().check(&request.to_http_request()).unwrap_err();
            assert_eq!(refusal.code, Code::UnsupportedMediaType);
        }
        let plain = base()
            .insert_header(json)
            .insert_header((CONTENT_ENCODING, "identity"));
        assert!(rules().check(&plain.to_http_request()).is_ok());
    }

    // P-4.2.3-a
    #[test]
    fn unknown_headers_are_ignored_up_to_the_bound() {
        let with = |octets: usize| {
            TestRequest::post()
                .uri(PATHS[0])
                .insert_header((HOST, "example.com"))
                .insert_header((CONTENT_TYPE, "application/json"))
                .insert_header(("X-Long", "x".repeat(octets)))
                .append_header(("X-Twice", "1"))
                .append_header(("X-Twice", "2"))
                .to_http_request()
        };
        assert!(rules().check(&with(HTTP_HEADER_BYTES_MAX / 2)).is_ok());
        let refusal = rules().check(&with(HTTP_HEADER_BYTES_MAX)).unwrap_err();
        assert_eq!(refusal.code, Code::HeadersTooLarge);
    }
}
