//! A network that can be bad: a fixed address in front of a process, whose octets are delayed, slowed, held
//! back or cut off as a test says. What is held back goes on when that ends, as it does when a network heals.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::service::loopback;

/// Octets that travel together.
const CHUNK_BYTES: usize = 16 * 1_024;

/// How octets travel, both ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// Each chunk comes so much later.
    pub delay: Duration,
    /// Octets a second on each connection, if there is a bound.
    pub rate: Option<u32>,
    /// Connections are accepted and stay open, and nothing passes: half-open, as after a cable was pulled.
    pub holds: bool,
}

/// What holds at present.
#[derive(Debug, Clone, Copy)]
struct Present {
    place: Option<SocketAddr>,
    weather: Weather,
    /// Connections of an earlier time were cut.
    time: u64,
}

/// The address, and the network behind it.
#[derive(Debug)]
pub struct Proxy {
    /// Ended without waiting for what it does, from wherever it is dropped.
    runtime: Option<Runtime>,
    address: SocketAddr,
    present: watch::Sender<Present>,
    passed: Arc<AtomicU64>,
}

impl Proxy {
    /// An address that leads nowhere yet: whoever connects is turned away.
    ///
    /// # Errors
    /// The system gives no thread or no port.
    pub fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("proxy")
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(loopback()))?;
        let address = listener.local_addr()?;
        let present = watch::Sender::new(Present {
            place: None,
            weather: Weather::default(),
            time: 0,
        });
        let passed = Arc::<AtomicU64>::default();
        runtime.spawn(accept(listener, present.subscribe(), Arc::clone(&passed)));
        Ok(Self {
            runtime: Some(runtime),
            address,
            present,
            passed,
        })
    }

    /// An address that leads to `place`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn to(place: SocketAddr) -> io::Result<Self> {
        let proxy = Self::new()?;
        proxy.lead_to(Some(place));
        Ok(proxy)
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to `place`, or turns them away.
    pub fn lead_to(&self, place: Option<SocketAddr>) {
        self.present.send_modify(|present| present.place = place);
    }

    /// From now on octets travel like this, those of open connections too.
    pub fn set(&self, weather: Weather) {
        self.present
            .send_modify(|present| present.weather = weather);
    }

    /// Breaks all connections, whose octets on the way are lost. New ones can be made.
    pub fn cut(&self) {
        self.present.send_modify(|present| present.time += 1);
    }

    /// Octets that have passed, both ways.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, present: watch::Receiver<Present>, passed: Arc<AtomicU64>) {
    loop {
        let Ok((from, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let (mut present, passed) = (present.clone(), Arc::clone(&passed));
        let (place, time) = {
            let now = present.borrow();
            (now.place, now.time)
        };
        let Some(place) = place else { continue };
        tokio::spawn(async move {
            let mut of_the_cut = present.clone();
            tokio::select! {
                _ = of_the_cut.wait_for(|present| present.time != time) => {}
                // One side has broken the connection, and the other sees that.
                _ = pass(from, place, &mut present, &passed) => {}
            }
        });
    }
}

/// Passes octets both ways until both sides have ended.
async fn pass(
    mut from: TcpStream,
    place: SocketAddr,
    present: &mut watch::Receiver<Present>,
    passed: &AtomicU64,
) -> io::Result<()> {
    present
        .wait_for(|present| !present.weather.holds)
        .await
        .map_err(io::Error::other)?;
    let mut to = TcpStream::connect(place).await?;
    from.set_nodelay(true)?;
    to.set_nodelay(true)?;
    let (from_read, from_write) = from.split();
    let (to_read, to_write) = to.split();
    let there = one_way(from_read, to_write, present.clone(), passed);
    let back = one_way(to_read, from_write, present.clone(), passed);
    tokio::try_join!(there, back)?;
    Ok(())
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut present: watch::Receiver<Present>,
    passed: &AtomicU64,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut chunk).await?;
        let Weather { delay, rate, .. } = present
            .wait_for(|present| !present.weather.holds)
            .await
            .map_err(io::Error::other)?
            .weather;
        let transfer = rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(count as f64 / f64::from(rate.max(1)))
        });
        let time = delay + transfer;
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..count]).await?;
        passed.fetch_add(count as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// What is tried in vain lasts so long.
    const MOMENT: Duration = Duration::from_millis(100);

    /// A connection through a proxy, both ends.
    fn connection() -> (Proxy, TcpStream, TcpStream) {
        let place = TcpListener::bind(loopback()).unwrap();
        let proxy = Proxy::to(place.local_addr().unwrap()).unwrap();
        let from = TcpStream::connect(proxy.address()).unwrap();
        let (to, _) = place.accept().unwrap();
        (proxy, from, to)
    }

    fn passes(from: &mut TcpStream, to: &mut TcpStream, octet: u8) {
        from.write_all(&[octet]).unwrap();
        let mut read = [0; 1];
        to.read_exact(&mut read).unwrap();
        assert_eq!(read, [octet]);
    }

    fn is_quiet(stream: &mut TcpStream) -> bool {
        stream.set_read_timeout(Some(MOMENT)).unwrap();
        let nothing = stream.read(&mut [0; 1]);
        stream.set_read_timeout(None).unwrap();
        nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    #[test]
    fn octets_pass_both_ways_and_are_counted() {
        let (proxy, mut from, mut to) = connection();
        passes(&mut from, &mut to, 1);
        passes(&mut to, &mut from, 2);
        // The count follows the octets.
        while proxy.passed() < 2 {
            std::thread::yield_now();
        }
        drop(to);
        assert_eq!(from.read(&mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn what_is_held_back_arrives_when_the_network_heals() {
        let (proxy, mut from, mut to) = connection();
        passes(&mut from, &mut to, 1);
        proxy.set(Weather {
            holds: true,
            ..Weather::default()
        });
        from.write_all(&[2]).unwrap();
        assert!(is_quiet(&mut to));
        proxy.set(Weather::default());
        let mut read = [0; 1];
        to.read_exact(&mut read).unwrap();
        assert_eq!(read, [2]);
    }

    #[test]
    fn a_cut_breaks_what_is_open_and_nothing_else() {
        let place = TcpListener::bind(loopback()).unwrap();
        let proxy = Proxy::to(place.local_addr().unwrap()).unwrap();
        let mut before = TcpStream::connect(proxy.address()).unwrap();
        let (mut to, _) = place.accept().unwrap();
        passes(&mut before, &mut to, 1);
        proxy.cut();
        assert!(matches!(before.read(&mut [0; 1]), Ok(0) | Err(_)));
        assert!(matches!(to.read(&mut [0; 1]), Ok(0) | Err(_)));
        let mut after = TcpStream::connect(proxy.address()).unwrap();
        let (mut to, _) = place.accept().unwrap();
        passes(&mut after, &mut to, 2);
        proxy.lead_to(None);
        let mut nowhere = TcpStream::connect(proxy.address()).unwrap();
        assert!(matches!(nowhere.read(&mut [0; 1]), Ok(0) | Err(_)));
        passes(&mut after, &mut to, 3);
    }

    #[test]
    fn slow_octets_arrive_whole() {
        let (proxy, mut from, mut to) = connection();
        proxy.set(Weather {
            delay: Duration::from_millis(5),
            rate: Some(2_000_000),
            holds: false,
        });
        let sent: Vec<u8> = (0..100_000_u32).map(|place| (place % 251) as u8).collect();
        let copy = sent.clone();
        let writing = std::thread::spawn(move || from.write_all(&copy).map(|()| from));
        let mut read = vec![0; sent.len()];
        to.read_exact(&mut read).unwrap();
        assert!(read == sent, "the octets are others");
        writing.join().unwrap().unwrap();
    }
}
