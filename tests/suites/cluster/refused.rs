//! What a device is told that cannot be served at present: over HTTP, through a real front-end, by a node that
//! is played (cluster §4.6, §14).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_backend::{SystemClock, SystemEntropy};
use mesh_common::account::connect::Publication;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, Backend, CallFailure, Fence, NodeId, NodeService, Nudge, PassFailure,
    Roles, Route, RoutedNode, RoutingTable, SigningKeys, TicketSecret, Told, Unit, Verified, Watch,
};
use mesh_common::discovery::Pinned;
use mesh_common::error::ServiceError;
use mesh_common::protocol::Code;
use mesh_common::session::Epoch;
use mesh_common::time::{Clock as _, Timestamp};
use mesh_common::udf::Udf;
use mesh_link::{LinkSecurity, LinkServer, LinkService};
use mesh_tests::client::{Answer as HttpAnswer, Client};
use mesh_tests::cluster::{Cluster, Plan, Role};
use mesh_tests::golden;
use mesh_tests::people::Person;
use mesh_tests::service::loopback;

use super::crowd::eventually;
use super::scene::turn;

/// A node that owns everything, and carries nothing out.
struct Unwilling {
    told: Told,
    says: Mutex<CallFailure>,
}

impl Unwilling {
    /// It is found at `address`.
    fn at(address: SocketAddr) -> Self {
        let id = NodeId([7; 16]);
        let node = RoutedNode {
            address: address.to_string(),
            zone: String::new(),
            roles: Roles {
                backend: true,
                outbound: false,
            },
            draining: false,
        };
        let fence = Fence {
            generation: 1,
            epoch: 1,
        };
        let owners = Unit::all().map(|unit| (unit, Route { node: id, fence }));
        let secret = TicketSecret {
            epoch: Epoch::at(SystemClock.now()).0,
            secret: zeroize::Zeroizing::new([3; 32]),
        };
        Self {
            told: Told {
                revision: 1,
                routes: Arc::new(RoutingTable {
                    nodes: [(id, node)].into(),
                    owners: owners.collect(),
                }),
                ticket_secrets: Arc::new(vec![secret]),
            },
            says: Mutex::new(CallFailure::Moved(None)),
        }
    }

    fn say(&self, failure: CallFailure) {
        *self.says.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn said(&self) -> CallFailure {
        let says = self.says.lock();
        says.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Backend for Unwilling {
    fn signing_keys<'a>(
        &'a self,
        _: &'a AccountAddress,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, ServiceError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn perform(&self, _: Verified<AccountRequest>) -> BoxFuture<'_, Result<Answer, CallFailure>> {
        Box::pin(std::future::ready(Err(self.said())))
    }

    fn receive(
        &self,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, CallFailure>> {
        self.perform(request)
    }

    fn heard_from(&self, _: &str) {}

    fn watch<'a>(&'a self, _: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(std::future::ready(None))
    }

    fn published<'a>(
        &'a self,
        _: &'a AccountAddress,
        _: &'a Udf,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, ServiceError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl NodeService for Unwilling {
    fn told(&self) -> Told {
        self.told.clone()
    }

    fn told_anew(&self, _: u64) -> BoxFuture<'_, Told> {
        Box::pin(std::future::pending())
    }

    fn nudged(&self, _: Nudge) {}

    fn pinned<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a Pinned>,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Pinned>, ServiceError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn watch_on<'a>(&'a self, _: Route, _: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(std::future::ready(None))
    }

    fn pass_on(
        &self,
        _: Route,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, PassFailure>> {
        Box::pin(async move { Ok(self.perform(request).await?) })
    }
}

/// What a device is told that wants an account: what comes of it in time, on a machine that may have better
/// things to do.
fn told(cluster: &Cluster) -> HttpAnswer {
    let person = Person::named("nina");
    let mut last = None;
    let is_told = eventually(|| {
        let mut client = Client::on(cluster.connect(), person.device.as_connected());
        let answer = client.create_account(&person);
        let is_told = answer.code() == Some(Code::Overload);
        last = Some(answer);
        is_told
    });
    let answer = last.expect("it was asked");
    assert!(is_told, "{}", answer.told());
    answer
}

/// In how many seconds it is to come again: as long as was asked for, or by chance half as long again.
fn pause_of(answer: &HttpAnswer) -> u64 {
    let told = answer.http.header("Retry-After");
    let seconds = told.and_then(|text| text.parse().ok());
    seconds.expect("it is told a number of seconds")
}

#[test]
fn whoever_finds_a_busy_owner_or_none_is_told_when_to_come_again() {
    let _turn = turn();
    let mut cluster = Cluster::laid(Plan {
        frontends: 1,
        backends: 1,
        outbound: 0,
        ..Plan::default()
    });
    let [back, front] =
        [Role::Backend, Role::Frontend].map(|role| cluster.of(role).next().expect("there is one"));
    let door = cluster.member(back).door();
    let node = Arc::new(Unwilling::at(door.address()));
    let link = LinkService {
        service: Arc::clone(&node) as Arc<dyn NodeService>,
        security: LinkSecurity::PlainOnLoopback,
        clock: Arc::new(SystemClock),
        traces: None,
    };
    let server =
        LinkServer::start(loopback(), 1, link, &mut SystemEntropy).expect("a port is free");
    door.lead_to(Some(server.address()));
    cluster.member_mut(front).start();
    assert!(eventually(
        || cluster.member(front).asked("/readyz").0 == 200
    ));

    node.say(CallFailure::Busy(Duration::from_secs(7)));
    let busy = told(&cluster);
    assert!((7..=11).contains(&pause_of(&busy)), "{}", busy.told());
    golden::check_answer("refused/busy", &busy);

    // It waits for an owner before it is refused.
    node.say(CallFailure::Moved(None));
    let parked = told(&cluster);
    assert!((2..=3).contains(&pause_of(&parked)), "{}", parked.told());
    golden::check_answer("refused/moved", &parked);
    assert!(
        cluster
            .member(front)
            .measured("mesh_route_park_seconds_count", "")
            >= Some(1.0)
    );
    drop(server);
}
