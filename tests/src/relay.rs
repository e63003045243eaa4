//! A fixed address in front of a process that comes back at another one: what was told where a service
//! is stays true though the service is killed and started again. Octets pass as they are, TLS included.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::service::loopback;

/// The address, and where it leads at present.
#[derive(Debug)]
pub struct Relay {
    /// Ended without waiting for what it does, from wherever it is dropped.
    runtime: Option<Runtime>,
    address: SocketAddr,
    leads_to: Arc<RwLock<Option<SocketAddr>>>,
}

impl Relay {
    /// An address that leads nowhere yet: whoever connects is turned away.
    ///
    /// # Errors
    /// The system gives no thread or no port.
    pub fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("relay")
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(loopback()))?;
        let address = listener.local_addr()?;
        let leads_to = Arc::<RwLock<_>>::default();
        runtime.spawn(accept(listener, Arc::clone(&leads_to)));
        Ok(Self {
            runtime: Some(runtime),
            address,
            leads_to,
        })
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to `place`, or nowhere.
    pub fn lead_to(&self, place: Option<SocketAddr>) {
        *self
            .leads_to
            .write()
            .unwrap_or_else(PoisonError::into_inner) = place;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, leads_to: Arc<RwLock<Option<SocketAddr>>>) {
    loop {
        let Ok((from, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let place = *leads_to.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = place {
            tokio::spawn(pass(from, place));
        }
    }
}

/// Passes octets both ways until both sides have ended.
async fn pass(mut from: TcpStream, place: SocketAddr) -> io::Result<()> {
    let mut to = TcpStream::connect(place).await?;
    from.set_nodelay(true)?;
    to.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut from, &mut to).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_lead_where_the_relay_says_at_the_time() {
        let relay = Relay::new().unwrap();
        let mut nowhere = TcpStream::connect(relay.address()).unwrap();
        assert!(matches!(nowhere.read(&mut [0; 1]), Ok(0) | Err(_)));
        for octet in [1, 2] {
            let place = TcpListener::bind(loopback()).unwrap();
            relay.lead_to(place.local_addr().ok());
            let mut from = TcpStream::connect(relay.address()).unwrap();
            let (mut to, _) = place.accept().unwrap();
            to.write_all(&[octet]).unwrap();
            let mut read = [0; 1];
            from.read_exact(&mut read).unwrap();
            assert_eq!(read, [octet]);
        }
    }
}
