//! A load generator: keep-alive HTTPS connections, one thread each, that post bodies made beforehand.
//!
//! It costs little beside the server: no parsing beyond lengths, no allocation per header, nothing
//! sealed or opened while the clock runs. What came back is kept, so that every answer can be checked
//! afterwards.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

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
    stream: StreamOwned<ClientConnection, TcpStream>,
    host: String,
    /// Octets that were read and not used yet.
    buffer: Vec<u8>,
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
        let (next, harbour) = (AtomicUsize::new(0), &self.harbour);
        let began = moment();
        let parts: Vec<io::Result<Vec<(usize, Answer)>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .connections
                .iter_mut()
                .map(|connection| scope.spawn(|| harbour.work(connection, path, bodies, &next)))
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    let panicked = |_| Err(io::Error::other("a connection's thread panicked"));
                    thread.join().unwrap_or_else(panicked)
                })
                .collect()
        });
        let elapsed = began.elapsed();
        let mut numbered = Vec::with_capacity(bodies.len());
        for part in parts {
            numbered.extend(part?);
        }
        numbered.sort_unstable_by_key(|&(place, _)| place);
        let answers = numbered.into_iter().map(|(_, answer)| answer).collect();
        Ok(Volley { answers, elapsed })
    }
}

impl Harbour {
    /// Takes the next body that nobody took, until there is none.
    fn work(
        &self,
        connection: &mut Option<Connection>,
        path: &str,
        bodies: &[Vec<u8>],
        next: &AtomicUsize,
    ) -> io::Result<Vec<(usize, Answer)>> {
        let mut answers = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(body) = bodies.get(place) else {
                return Ok(answers);
            };
            let open = match connection {
                Some(open) => open,
                None => connection.insert(self.connect()?),
            };
            answers.push((place, open.post(path, body)?));
        }
    }

    fn connect(&self) -> io::Result<Connection> {
        let tcp = TcpStream::connect(self.address)?;
        // Without it the last segment of a request waits for an acknowledgement.
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        tcp.set_write_timeout(Some(ANSWER_TIME_MAX))?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
        Ok(Connection {
            stream: StreamOwned::new(tls, tcp),
            host: format!("localhost:{}", self.address.port()),
            buffer: Vec::new(),
        })
    }
}

impl Connection {
    fn post(&mut self, path: &str, body: &[u8]) -> io::Result<Answer> {
        let began = moment();
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        )
        .into_bytes();
        // One write: one TLS record, one segment.
        request.extend_from_slice(body);
        self.stream.write_all(&request)?;
        self.stream.flush()?;
        let (http_status, body) = self.answer()?;
        Ok(Answer {
            http_status,
            body,
            latency: began.elapsed(),
        })
    }

    fn answer(&mut self) -> io::Result<(u16, Vec<u8>)> {
        let headers_end = loop {
            if let Some(place) = find(&self.buffer, HEADERS_END) {
                break place + HEADERS_END.len();
            }
            if self.buffer.len() > HEADERS_BYTES_MAX {
                return Err(io::Error::other("the headers do not end"));
            }
            self.read_more()?;
        };
        let (http_status, length) = read_headers(&self.buffer[..headers_end])
            .ok_or_else(|| io::Error::other("the answer is not HTTP with a Content-Length"))?;
        let end = headers_end + length;
        while self.buffer.len() < end {
            self.read_more()?;
        }
        let body = self.buffer[headers_end..end].to_vec();
        self.buffer.drain(..end);
        Ok((http_status, body))
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut part = [0; 16 * 1024];
        match self.stream.read(&mut part)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(&part[..count]);
                Ok(())
            }
        }
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
