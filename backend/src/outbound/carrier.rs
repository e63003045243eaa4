//! Who carries messages to other services: one transfer at a time, many at once. In a service it is
//! `mesh-peer`; tests play the peers themselves.

use std::time::Duration;

use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::dare::Envelope;
use mesh_common::delivery::Attempt;
use mesh_peer::Peers;

use crate::desk::Route;

/// One message on its way to one recipient (decision Q-14).
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    /// For which domain of ours the service speaks: that of the sender.
    pub from: String,
    /// To whom; the domain of the address is the peer.
    pub recipient: AccountAddress,
    /// The message verbatim.
    pub envelope: Envelope,
    /// Where to, in place of what discovery finds.
    pub route: Option<Route>,
    /// When it must be over, everything included.
    pub time_max: Duration,
}

/// Carries messages.
pub trait Carrier: Send + Sync + 'static {
    /// Carries one message, and tells what that came to. Dropping the future abandons the transfer: the
    /// peer may have the message all the same.
    fn carry(&self, transfer: Transfer) -> BoxFuture<'_, Attempt>;
}

impl Carrier for Peers {
    fn carry(&self, transfer: Transfer) -> BoxFuture<'_, Attempt> {
        Box::pin(async move {
            let place = transfer.route.as_ref();
            let place = place.map(|route| (route.host.as_str(), route.port));
            self.post(
                &transfer.from,
                &transfer.recipient,
                transfer.envelope,
                place,
                transfer.time_max,
            )
            .await
        })
    }
}
