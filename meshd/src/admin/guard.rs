//! Who may use the API of operators: whoever shows the token, on loopback, and no page of a browser.
//!
//! A browser on this host can be made to send requests here by any page it shows. It cannot know the
//! token; and whatever it sends says where it comes from, or under which name it found this address
//! (DNS rebinding): both are refused before the token is looked at.

use std::net::IpAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use super::api::refusal;
use super::door::Door;
use super::token::Token;

/// Why a request is not looked at: status, sentence, what to do.
type Refused = (StatusCode, &'static str, &'static str);

/// Lets requests of operators pass.
pub(super) async fn admit(
    door: web::Data<Door>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match check(request.headers(), door.token()) {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err((status, message, advice)) => {
            tracing::warn!(
                path = request.path(),
                message,
                "a request to the operators' API was refused"
            );
            let response = refusal(status, message, advice);
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

fn check(headers: &HeaderMap, token: &Token) -> Result<(), Refused> {
    let is_local = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .is_some_and(is_loopback);
    if !is_local {
        return Err((
            StatusCode::MISDIRECTED_REQUEST,
            "the operators' API answers under 127.0.0.1, [::1] and localhost only",
            "use the address that meshd run prints",
        ));
    }
    if headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Err((
            StatusCode::FORBIDDEN,
            "the operators' API takes no requests of browsers",
            "use the meshd command, or a program that sends no Origin",
        ));
    }
    let presented = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if !presented.is_some_and(|presented| token.admits(presented)) {
        return Err((
            StatusCode::UNAUTHORIZED,
            "the operators' API asks for the token of this service",
            "send Authorization: Bearer and what the file admin/token of the data folder holds",
        ));
    }
    Ok(())
}

/// Whether `host` names this host by an address of loopback, or by `localhost`.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_loopback_are_this_host() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8444",
            "[::1]:8444",
            "localhost:1",
            "LOCALHOST",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "127.0.0.1.example.com:80",
            "10.0.0.1",
            "localhost.evil:80",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
