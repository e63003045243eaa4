//! Who may use the API: nobody without the token, no browser, no other name than loopback's; and who did
//! what is on record.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::Office;
use super::desks::Desks;

/// Sends a request with these header lines and gives the status and the whole answer.
fn ask(office: &Office, first_line: &str, headers: &[&str], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(office.address).unwrap();
    let head = headers.join("\r\n");
    let length = body.len();
    write!(
        stream,
        "{first_line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[test]
fn nobody_is_answered_without_the_token() {
    let office = Office::open(Desks::busy());
    let token = office.token();
    let right = format!("Authorization: Bearer {token}");
    let host = "Host: 127.0.0.1:8444";
    assert_eq!(ask(&office, "GET /v1/queue", &[host, &right], "").0, 200);
    let wrong = format!("Authorization: Bearer {}", token.replace(&token[..1], "!"));
    let cut = format!("Authorization: Bearer {}", &token[..token.len() - 1]);
    let basic = format!("Authorization: Basic {token}");
    for header in ["X: y", &wrong, &cut, &basic, "Authorization: Bearer "] {
        let (status, answer) = ask(&office, "GET /v1/queue", &[host, header], "");
        assert_eq!(status, 401, "{header}");
        assert!(answer.to_lowercase().contains("www-authenticate: bearer"));
        assert!(!answer.contains("dead.example"));
        assert!(!answer.contains(&token));
    }
    let (status, _) = ask(&office, "POST /v1/queue/fail", &[host], "{}");
    assert_eq!(status, 401);
    let (status, _) = ask(&office, "GET /v1/nothing", &[host], "");
    assert_eq!(status, 401, "what there is is told to operators alone");
}

#[test]
fn pages_of_browsers_are_refused_even_with_the_token() {
    let office = Office::open(Desks::busy());
    let right = format!("Authorization: Bearer {}", office.token());
    let host = "Host: localhost:8444";
    for header in [
        "Origin: http://localhost:8444",
        "Origin: null",
        "Sec-Fetch-Site: same-origin",
    ] {
        let (status, _) = ask(&office, "GET /v1/queue", &[host, &right, header], "");
        assert_eq!(status, 403, "{header}");
    }
    for host in ["Host: rebound.example:8444", "Host: 127.0.0.1.example"] {
        let (status, _) = ask(&office, "GET /v1/queue", &[host, &right], "");
        assert_eq!(status, 421, "{host}");
    }
    let preflight = [
        "Origin: http://evil.example",
        "Access-Control-Request-Method: POST",
        host,
    ];
    let (status, answer) = ask(&office, "OPTIONS /v1/queue/fail", &preflight, "");
    assert_eq!(status, 403);
    assert!(!answer.to_lowercase().contains("access-control-allow"));
}

#[test]
fn an_order_is_json_and_says_what_it_is_about() {
    let office = Office::open(Desks::busy());
    let right = format!("Authorization: Bearer {}", office.token());
    let json = "Content-Type: application/json";
    let host = "Host: [::1]:8444";
    let everything = r#"{"selection":{}}"#;
    let misspelt = r#"{"selection":{"destination":"dead.example"},"resaon":"x"}"#;
    let good = r#"{"selection":{"destination":"dead.example"},"reason":"x"}"#;
    for (header, body, expected) in [
        (json, everything, 400),
        (json, misspelt, 400),
        (json, "", 400),
        ("Content-Type: text/plain", good, 400),
        ("Content-Type: application/x-www-form-urlencoded", good, 400),
        (json, good, 200),
    ] {
        let (status, answer) = ask(
            &office,
            "POST /v1/queue/hold",
            &[host, &right, header],
            body,
        );
        assert_eq!(status, expected, "{body} {answer}");
        let has_advice = answer.contains("\"try\":");
        assert_eq!(has_advice, expected != 200, "{answer}");
    }
    let long = format!(r#"{{"selection":{{"message":"{}"}}}}"#, "x".repeat(20_000));
    let (status, _) = ask(
        &office,
        "POST /v1/queue/retry",
        &[host, &right, json],
        &long,
    );
    assert_eq!(status, 400);
    let (status, _) = ask(&office, "DELETE /v1/queue", &[host, &right], "");
    assert_eq!(status, 404);
    let (status, answer) = ask(&office, "GET /v1/nothing", &[host, &right], "");
    assert_eq!(status, 404);
    assert!(answer.contains("meshd help"));
    let (status, _) = ask(&office, "GET /v1/queue/items?max=1", &[host, &right], "");
    assert_eq!(
        status, 409,
        "a selection of nothing is no selection of everything"
    );
    let (status, _) = ask(
        &office,
        "GET /v1/queue/items?destnation=x",
        &[host, &right],
        "",
    );
    assert_eq!(status, 400);
}

#[test]
fn health_and_measures_need_no_token() {
    let office = Office::open(Desks::empty());
    for path in ["GET /livez", "GET /readyz", "GET /metrics"] {
        assert_eq!(ask(&office, path, &["Host: any.example"], "").0, 200);
    }
}

#[test]
fn who_did_what_is_on_record() {
    let office = Office::open(Desks::busy());
    office.run("meshd queue list");
    assert_eq!(office.audit().len(), 0, "looking is no order");
    office.run("meshd queue hold dead.example --reason \"they move house\"");
    office.run("meshd queue resume example.net");
    let lines = office.audit();
    assert_eq!(
        lines.len(),
        4,
        "each order before it is carried out and after"
    );
    assert_eq!(lines[0]["action"], "hold");
    assert_eq!(
        lines[0]["about"]["selection"]["destination"],
        "dead.example"
    );
    assert_eq!(lines[0]["about"]["reason"], "they move house");
    assert!(lines[0]["operator"].as_str().unwrap().contains("uid "));
    assert!(lines[1]["done"].is_object());
    let refused = lines[3]["refused"].as_str().unwrap();
    assert!(
        refused.starts_with("no such order is in force"),
        "{refused}"
    );
}
