//! Requests that a front-end brings to a node that is not their owner (cluster §18, row 4).

use mesh_common::cluster::{Fence, NodeId, NodeService as _, Route};
use mesh_common::limits::PASSED_ON_MAX;

use super::*;

/// What node `number` knows of the owner of `unit`.
fn known<S: Store>(city: &City<S>, number: u8, unit: Unit) -> Route {
    let told = city.scene(number).backend.told();
    told.routes.owners[&unit]
}

fn passed_on<S: Store>(city: &City<S>, number: u8, result: &str) -> u64 {
    let metrics = city.scene(number).backend.metrics();
    let passed_on = &metrics.cluster.passed_on;
    passed_on.with_label_values(&[result]).get()
}

impl<S: Store> City<S> {
    /// What comes of an Upload of one bookmark that node `number` is to bring to its owner by `route`.
    async fn bring(
        &self,
        (number, route): (u8, Route),
        request: AccountRequest,
    ) -> Result<Answer, PassFailure> {
        let backend = &self.scene(number).backend;
        backend.pass_on(route, Verified::declare(request)).await
    }
}

#[actix::test]
async fn a_node_brings_a_request_to_its_owner_and_a_repetition_is_recognized() {
    let city = City::of(2).await;
    let alice = city.somebody_at(1).await;
    let route = known(&city, 2, unit(&alice));
    let request = alice.upload(city.scene(2).now(), 1, &[b"by way of node 2"]);
    let brought = city.bring((2, route), request.clone()).await.unwrap();
    // It came directly, too.
    let again = city.scene(1).perform(request).await.unwrap();
    assert_eq!(again.response, brought.response);
    assert_eq!(city.scene(1).bookmarks(&alice).await.0, 2);
    assert_eq!(passed_on(&city, 2, "answered"), 1);
    assert_eq!(city.owners(home(&alice)), [1]);
}

#[actix::test]
async fn a_node_that_has_become_the_owner_carries_it_out_itself() {
    let city = City::of(2).await;
    let alice = city.somebody_at(1).await;
    let route = known(&city, 2, unit(&alice));
    let request = alice.upload(city.scene(1).now(), 1, &[b"mine"]);
    assert!(city.bring((1, route), request).await.is_ok());
    assert_eq!(passed_on(&city, 1, "answered"), 0);
}

#[actix::test]
async fn of_two_claims_the_later_one_is_followed() {
    let city = City::of(3).await;
    let alice = city.somebody_at(1).await;
    let route = known(&city, 2, unit(&alice));
    // The front-end knows an owner of long ago.
    let of_old = Route {
        node: NodeId([9; 16]),
        fence: Fence {
            epoch: 0,
            ..route.fence
        },
    };
    let request = alice.upload(city.scene(2).now(), 1, &[b"found"]);
    assert!(city.bring((2, of_old), request).await.is_ok());
    // It knows a later one, which nobody here has heard of.
    let unheard_of = Route {
        node: NodeId([9; 16]),
        fence: Fence {
            epoch: route.fence.epoch + 1,
            ..route.fence
        },
    };
    let request = alice.upload(city.scene(2).now(), 2, &[b"lost"]);
    let brought = city.bring((2, unheard_of), request).await;
    assert!(matches!(brought, Err(PassFailure::Unreached(_))));
    assert_eq!(passed_on(&city, 2, "unreached"), 1);
    assert_eq!(city.scene(1).bookmarks(&alice).await.0, 2);
}

#[actix::test]
async fn whoever_is_not_the_owner_says_so_and_brings_it_no_further() {
    let city = City::of(3).await;
    let alice = city.somebody_at(1).await;
    let route = known(&city, 2, unit(&alice));
    let third = city.scene(3).backend.told();
    let third = third.routes.nodes.iter();
    let (third, _) = third
        .clone()
        .find(|(_, node)| node.address == "node3:1")
        .unwrap();
    // Node 2 is made to believe that it is node 3's, which knows that it is node 1's.
    let wrong = Route {
        node: *third,
        fence: Fence {
            epoch: route.fence.epoch + 1,
            ..route.fence
        },
    };
    let request = alice.upload(city.scene(2).now(), 1, &[b"nobody's"]);
    let brought = city.bring((2, wrong), request).await;
    let Err(PassFailure::Call(CallFailure::Moved(Some(hint)))) = brought else {
        panic!("{brought:?}");
    };
    assert_eq!(hint, route);
    assert_eq!(passed_on(&city, 2, "moved"), 1);
    for number in [1, 3] {
        for result in ["answered", "moved", "unreached"] {
            assert_eq!(passed_on(&city, number, result), 0);
        }
    }
    assert_eq!(city.scene(1).bookmarks(&alice).await.0, 1);
}

#[actix::test]
async fn an_owner_that_is_gone_is_reached_by_nobody() {
    let mut city = City::of(2).await;
    let alice = city.somebody_at(1).await;
    let route = known(&city, 2, unit(&alice));
    city.kill(1);
    let request = alice.upload(city.scene(2).now(), 1, &[b"too late"]);
    let brought = city.bring((2, route), request).await;
    assert!(matches!(brought, Err(PassFailure::Unreached(_))));
}

#[actix::test]
async fn so_many_are_brought_at_once() {
    let city = City::of(2).await;
    let alice = city.somebody_at(1).await;
    let route = known(&city, 2, unit(&alice));
    let membership = city.scene(2).backend.inner.shared.membership.as_ref();
    let passing = &membership.unwrap().passing;
    let all = passing.try_acquire_many(PASSED_ON_MAX as u32).unwrap();
    let request = alice.upload(city.scene(2).now(), 1, &[b"one too many"]);
    let brought = city.bring((2, route), request.clone()).await;
    assert!(matches!(
        brought,
        Err(PassFailure::Call(CallFailure::Busy(_)))
    ));
    drop(all);
    assert!(city.bring((2, route), request).await.is_ok());
}

#[actix::test]
async fn a_node_watches_at_the_owner_and_at_nobody_else() {
    let mut city = City::of(3).await;
    let alice = city.somebody_at(1).await;
    let route = known(&city, 2, unit(&alice));
    let (address, backend) = (&alice.address, city.scene(2).backend.clone());
    let mut watch = backend.watch_on(route, address).await.unwrap();
    let request = alice.upload(city.scene(1).now(), 1, &[b"news"]);
    city.scene(1).perform(request).await.unwrap();
    watch.changed().await;
    // Whoever is asked and is not the owner watches nothing, nor has it watched.
    let third = city.scene(3).backend.told().routes;
    let third = third
        .nodes
        .iter()
        .find(|(_, node)| node.address == "node3:1");
    let wrong = Route {
        node: *third.unwrap().0,
        fence: Fence {
            epoch: route.fence.epoch + 1,
            ..route.fence
        },
    };
    assert!(backend.watch_on(wrong, address).await.is_none());
    city.kill(1);
    assert!(backend.watch_on(route, address).await.is_none());
}
