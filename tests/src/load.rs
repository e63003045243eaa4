//! A load generator: keep-alive HTTPS connections, all served by one thread that never sleeps, which
//! post bodies made beforehand.
//!
//! It never sleeps because of what it measures: a server on the same machine would have to wake it up
//! for every answer, at a price that depends on whether the other cores are busy, and that no server
//! pays for peers elsewhere. It costs little beside the server: no parsing beyond lengths, no
//! allocation per header, nothing sealed or opened while the clock runs. What came back is kept, so
//! that every answer can be checked afterwards.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// How long a server may take for one answer; only a hang takes longer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Both ends of an answer's headers.
const HEADERS_END: &[u8] = b"\r\n\r\n";

/// Connections to one server, opened when they are first used, and used again for every volley.
#[derive(Debug)]
pub struct Fleet {
    harbour: Harbour,
    /// Those that were opened have a place; a server ends connections on which nothing comes.
    connections: Vec<Option<Connection>>,
}

/// Where connections go.
#[derive(Debug)]
struct Harbour {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

/// What one volley brought back.
#[derive(Debug)]
pub struct Volley {
    /// The answers, each at the place of its request.
    pub answers: Vec<Answer>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP's status code.
    pub http_status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// From the first octet of the request to the last one of the answer.
    pub latency: Duration,
}

#[derive(Debug)]
struct Connection {
    tls: ClientConnection,
    tcp: TcpStream,
    host: String,
    /// Octets that were read and not used yet.
    buffer: Vec<u8>,
    /// The request that is not answered yet: its place, and when it was sent.
    asked: Option<(usize, Instant)>,
}

impl Volley {
    /// Requests per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.answers.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that `percent` of the requests did not exceed.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut all: Vec<Duration> = self.answers.iter().map(|one| one.latency).collect();
        all.sort_unstable();
        let place = (all.len() * percent).div_ceil(100).max(1) - 1;
        all.get(place).copied().unwrap_or_default()
    }
}

impl Fleet {
    /// Up to `connections` connections to `localhost` at `address`, whose certificate the authority
    /// in the PEM text `authority` made.
    ///
    /// # Errors
    /// The text holds no certificate.
    pub fn new(address: SocketAddr, authority: &str, connections: usize) -> io::Result<Self> {
        let tls = Arc::new(client_config(authority)?);
        Ok(Self {
            harbour: Harbour { address, tls },
            connections: (0..connections).map(|_| None).collect(),
        })
    }

    /// Posts every body to `path` once, each as soon as a connection is free, and waits for all
    /// answers.
    ///
    /// # Errors
    /// The server cannot be reached or not trusted, a connection broke, or what came back is not
    /// HTTP.
    pub fn fire(&mut self, path: &str, bodies: &[Vec<u8>]) -> io::Result<Volley> {
        let mut waiting = bodies.iter().enumerate().peekable();
        let mut answers = vec![None; bodies.len()];
        let mut left = bodies.len();
        let began = moment();
        let mut heard_at = began;
        while left > 0 {
            let left_before = left;
            for place in &mut self.connections {
                let connection = match place {
                    Some(connection) => connection,
                    None if waiting.peek().is_none() => continue,
                    None => place.insert(self.harbour.connect()?),
                };
                if let Some((place, answer)) = connection.hear()? {
                    answers[place] = Some(answer);
                    left -= 1;
                }
                if connection.asked.is_none()
                    && let Some((place, body)) = waiting.next()
                {
                    connection.post(place, path, body)?;
                }
            }
            if left < left_before {
                heard_at = moment();
            } else if heard_at.elapsed() > ANSWER_TIME_MAX {
                return Err(io::ErrorKind::TimedOut.into());
            } else {
                // Whoever shares the core may have it; nobody has to wake us up.
                std::thread::yield_now();
            }
        }
        Ok(Volley {
            elapsed: began.elapsed(),
            answers: answers.into_iter().flatten().collect(),
        })
    }
}

impl Harbour {
    fn connect(&self) -> io::Result<Connection> {
        let tcp = TcpStream::connect(self.address)?;
        // Without it the last segment of a request waits for an acknowledgement.
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        tcp.set_write_timeout(Some(ANSWER_TIME_MAX))?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut tls =
            ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
        tls.complete_io(&mut &tcp)?;
        tcp.set_nonblocking(true)?;
        Ok(Connection {
            tls,
            tcp,
            host: format!("localhost:{}", self.address.port()),
            buffer: Vec::new(),
            asked: None,
        })
    }
}

impl Connection {
    /// Sends the request at `place`.
    fn post(&mut self, place: usize, path: &str, body: &[u8]) -> io::Result<()> {
        self.asked = Some((place, moment()));
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        )
        .into_bytes();
        // One write: one TLS record, one segment.
        request.extend_from_slice(body);
        self.tls.writer().write_all(&request)?;
        self.send()
    }

    /// Sends what TLS wants to send. What the socket does not take now goes out later.
    fn send(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.tcp) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The answer to the request that is not answered yet, with its place, once it is whole.
    fn hear(&mut self) -> io::Result<Option<(usize, Answer)>> {
        let Some((place, began)) = self.asked else {
            return Ok(None);
        };
        self.send()?;
        if !self.read_more()? {
            return Ok(None);
        }
        let Some((http_status, body)) = self.whole_answer()? else {
            return Ok(None);
        };
        self.asked = None;
        let latency = began.elapsed();
        Ok(Some((
            place,
            Answer {
                http_status,
                body,
                latency,
            },
        )))
    }

    /// Whether anything came.
    fn read_more(&mut self) -> io::Result<bool> {
        match self.tls.read_tls(&mut self.tcp) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let state = self.tls.process_new_packets().map_err(io::Error::other)?;
        let begin = self.buffer.len();
        self.buffer
            .resize(begin + state.plaintext_bytes_to_read(), 0);
        self.tls.reader().read_exact(&mut self.buffer[begin..])?;
        Ok(true)
    }

    fn whole_answer(&mut self) -> io::Result<Option<(u16, Vec<u8>)>> {
        let Some(place) = find(&self.buffer, HEADERS_END) else {
            return if self.buffer.len() > HEADERS_BYTES_MAX {
                Err(io::Error::other("the headers do not end"))
            } else {
                Ok(None)
            };
        };
        let headers_end = place + HEADERS_END.len();
        let (http_status, length) = read_headers(&self.buffer[..headers_end])
            .ok_or_else(|| io::Error::other("the answer is not HTTP with a Content-Length"))?;
        let end = headers_end + length;
        if self.buffer.len() < end {
            return Ok(None);
        }
        let body = self.buffer[headers_end..end].to_vec();
        self.buffer.drain(..end);
        Ok(Some((http_status, body)))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a load generator measures durations"
)]
fn moment() -> Instant {
    Instant::now()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Status and Content-Length.
fn read_headers(octets: &[u8]) -> Option<(u16, usize)> {
    let text = std::str::from_utf8(octets).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim())
    });
    Some((status.parse().ok()?, length?.parse().ok()?))
}

fn client_config(authority: &str) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots
            .add(certificate.map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_length_of_an_answer_are_read() {
        let octets = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 12\r\n\r\n";
        assert_eq!(read_headers(octets), Some((503, 12)));
        assert_eq!(read_headers(b"HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(read_headers(b"220 smtp ready\r\n\r\n"), None);
    }

    #[test]
    fn percentiles_are_latencies_that_occurred() {
        let answers = (1..=100).map(|millis| Answer {
            http_status: 200,
            body: Vec::new(),
            latency: Duration::from_millis(millis),
        });
        let volley = Volley {
            answers: answers.collect(),
            elapsed: Duration::from_secs(2),
        };
        assert_eq!(volley.percentile(50), Duration::from_millis(50));
        assert_eq!(volley.percentile(99), Duration::from_millis(99));
        assert!((volley.rate() - 50.0).abs() < f64::EPSILON);
    }
}
