//! Hello to a service: its profiles over TLS, verified, and compared with what the domain had before
//! (service §4.3 and §7.3, decision Q-52).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_common::delivery::Unreachable;
use mesh_common::discovery::Pinned;
use mesh_common::encoding::json;
use mesh_common::protocol::{HelloResponse, Response};
use mesh_common::session::client::{ClientSession, ServiceIdentity};
use mesh_common::session::{Body, read_body};
use tokio::time::{Instant, timeout_at};

use crate::connections::{HttpAnswer, NoAnswer};
use crate::greeting::{Greeting, GreetingError};
use crate::locator::Place;
use crate::peers::Inner;

impl Inner {
    /// Who the service at `place` is: what was learned within `age_max`, or what it says now.
    pub(crate) async fn greet(
        &self,
        place: &Place,
        age_max: Duration,
        deadline: Instant,
    ) -> Result<Arc<Greeting>, GreetingError> {
        let peer = self.memory.peer(&place.key());
        let known = || {
            let greeting = peer.greeting()?;
            let age = self.clock.now().since(greeting.fetched_at);
            (age < age_max).then_some(greeting)
        };
        if let Some(greeting) = known() {
            return Ok(greeting);
        }
        let _gate = timeout_at(deadline, peer.greeting_gate.lock())
            .await
            .map_err(|_| GreetingError::TimedOut)?;
        if let Some(greeting) = known() {
            return Ok(greeting);
        }
        let greeting = Arc::new(self.say_hello(place, deadline).await?);
        peer.learn(&greeting);
        Ok(greeting)
    }

    async fn say_hello(&self, place: &Place, deadline: Instant) -> Result<Greeting, GreetingError> {
        let way = self.way(place, deadline).await?;
        let hello = Bytes::from(ClientSession::bare_hello());
        let mut time = Duration::ZERO;
        let answer = self
            .connections
            .exchange(&way.route, &[], hello, deadline, &mut time)
            .await
            .map_err(|none| match none {
                NoAnswer::Unreachable(why) => GreetingError::Unreachable(why),
                NoAnswer::TimedOut => GreetingError::TimedOut,
            })?;
        let hello = read_hello(&answer)?;
        let service = tokio::task::spawn_blocking(move || ServiceIdentity::from_hello(&hello))
            .await
            .map_err(|error| GreetingError::Store(error.to_string()))?
            .map_err(|error| GreetingError::Unreachable(identity(&error)))?;
        let key = place.key();
        let pinned = self.pin(&key, &service, way.named.as_ref()).await?;
        tracing::debug!(peer = key, service = %service.service_udf, "greeted");
        Ok(Greeting {
            domain: key,
            service,
            pinned,
            fetched_at: self.clock.now(),
        })
    }

    /// Compares the service with the one before, and remembers it for good.
    async fn pin(
        &self,
        key: &str,
        service: &ServiceIdentity,
        named: Option<&mesh_common::udf::Udf>,
    ) -> Result<Pinned, GreetingError> {
        let store = |error: crate::pins::StoreError| {
            tracing::error!(peer = key, error = ?error, "pins cannot be read or written");
            GreetingError::Store(error.to_string())
        };
        let before = self.pins.pinned(key).await.map_err(store)?;
        let after = Pinned::after(before.as_ref(), service, named, self.clock.now()).map_err(
            |error| {
                tracing::error!(peer = key, %error, "a peer is not who it was: nothing is sent there");
                GreetingError::Unreachable(identity(&error))
            },
        )?;
        if before.as_ref() != Some(&after) {
            self.pins.pin(key, &after).await.map_err(store)?;
        }
        Ok(after)
    }
}

fn identity(error: &dyn std::error::Error) -> Unreachable {
    Unreachable::Identity(error.to_string())
}

fn read_hello(answer: &HttpAnswer) -> Result<HelloResponse, GreetingError> {
    let response = match read_body(&answer.body) {
        Ok(Body::Bare(bare)) => json::parse(&bare.text).ok(),
        _ => None,
    };
    match response {
        Some(Response::Hello(hello)) if hello.outcome.is_success() => Ok(*hello),
        _ => Err(GreetingError::Foreign {
            http: answer.status,
            retry_after: answer.retry_after,
        }),
    }
}
