//! Another service that posts messages to accounts of ours, one after the other, and repeats each until
//! it is taken in: by the recipient's owner, or by whoever leaves it for the owner (decision Q-5).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_common::account::intake::{ForwardingService, IntakeMessage, MessageSender};
use mesh_common::account::testing::{message, udf};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{AccountRequest, Evidence, NodeId};
use mesh_common::dare::merkle::payload_digest;
use mesh_common::protocol::{Code, PostRequest, Request};
use mesh_common::session::{Caller, Mode, RequestId, Via};
use mesh_common::time::Clock;

use crate::client::{People, owner_after};
use crate::node::{Node, unanswered};
use crate::roads::{PATIENCE, Roads};
use crate::world::World;

/// A message that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenIn {
    /// Its UniqueID.
    pub unique_id: String,
    /// For whom.
    pub recipient: AccountAddress,
    /// Whether it was left for the owner (202) when it was posted for the first time.
    pub was_left_at_once: bool,
}

/// What a service was told.
#[derive(Debug, Default)]
pub struct Receipts {
    /// In the order in which they were posted.
    pub taken: Vec<TakenIn>,
    /// Answers that should not be.
    pub surprises: Vec<String>,
    /// Whether it has posted everything that it wanted to.
    pub is_done: bool,
}

/// Another service.
pub struct Correspondent {
    world: World,
    roads: Roads,
    people: People,
    domain: String,
    /// The nodes that it found to be owners are not kept: every account has its own.
    owner: Option<NodeId>,
    receipts: Arc<Mutex<Receipts>>,
}

impl Correspondent {
    /// The service of `domain`, which writes to `people`.
    #[must_use]
    pub fn new(world: World, roads: Roads, people: People, domain: &str) -> Self {
        Self {
            world,
            roads,
            people,
            domain: domain.to_owned(),
            owner: None,
            receipts: Arc::default(),
        }
    }

    /// What it was told.
    #[must_use]
    pub fn receipts(&self) -> Arc<Mutex<Receipts>> {
        Arc::clone(&self.receipts)
    }

    /// Posts so many messages, each a while after the last was taken in.
    pub async fn run(mut self, messages: u64, pause_max: Duration) {
        for number in 1..=messages {
            let pause = self.world.between(Duration::ZERO, pause_max);
            self.world.sleep(pause).await;
            // Nobody is there yet: later.
            if let Some(recipient) = self.people.any(&self.world, None) {
                self.insist(number, recipient).await;
            }
        }
        self.note(|receipts| receipts.is_done = true);
    }

    fn note(&self, change: impl FnOnce(&mut Receipts)) {
        let mut receipts = self.receipts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut receipts);
    }

    async fn insist(&mut self, number: u64, recipient: AccountAddress) {
        let unique_id = format!("{}-{number}", self.domain);
        self.owner = None;
        let mut request = self.request(&unique_id, &recipient);
        for attempt in 1_u64.. {
            let now = Clock::now(&self.world);
            request.request_id.0[8..].copy_from_slice(&attempt.to_be_bytes());
            request.received_at = now;
            request.deadline = now + PATIENCE;
            let outcome = self.attempt(request.clone()).await;
            let code = outcome
                .as_ref()
                .map(|answer| answer.response.outcome().code());
            match code {
                Ok(Some(code @ (Code::Ok | Code::Accepted))) => {
                    let taken = TakenIn {
                        unique_id,
                        recipient,
                        was_left_at_once: code == Code::Accepted && attempt == 1,
                    };
                    return self.note(|receipts| receipts.taken.push(taken));
                }
                Ok(_) => {
                    let surprise = format!("{unique_id}: {outcome:?}");
                    return self.note(|receipts| receipts.surprises.push(surprise));
                }
                Err(_) => {
                    let pause = Duration::from_millis(50 + self.world.roll(950));
                    self.world.sleep(pause).await;
                }
            }
        }
    }

    async fn attempt(&mut self, request: AccountRequest) -> crate::node::Outcome {
        let Some(node) = self.roads.find(self.owner) else {
            return Err(unanswered());
        };
        let outcome = self.roads.call(&node, request, Node::receive).await;
        self.owner = owner_after(&outcome, &node);
        outcome
    }

    fn request(&self, unique_id: &str, recipient: &AccountAddress) -> AccountRequest {
        let name = format!("correspondent@{}", self.domain);
        let sender = AccountAddress::parse(&name).unwrap_or_else(|_| recipient.clone());
        let envelope = message("RequestContact", unique_id, "{}");
        let service = ForwardingService {
            domain: self.domain.clone(),
            udf: udf(&self.domain),
        };
        let digest = payload_digest(envelope.payload.as_slice());
        let forwarded = IntakeMessage {
            sender: MessageSender {
                address: sender,
                account_udf: udf(&name),
                mesh_udf: None,
                signed_by: Some(udf(&format!("{name} device"))),
            },
            service: Some(service.clone()),
            unique_id: unique_id.to_owned(),
            message_type: Some("RequestContact".to_owned()),
            payload_digest: digest,
            envelope,
            block_bytes: 100,
        };
        let mut request_id = [0; 16];
        request_id.copy_from_slice(&payload_digest(unique_id.as_bytes())[..16]);
        AccountRequest {
            account: recipient.clone(),
            caller: Caller {
                mode: Mode::Service,
                via: Via::Ticket,
                account: None,
                profile_udf: Some(service.udf.clone()),
                key_udf: udf(&format!("{} key", self.domain)),
                credential_digest: [0; 32],
                domain: Some(service.domain),
            },
            request_id: RequestId(request_id),
            request_digest: payload_digest(unique_id.as_bytes()),
            received_at: Clock::now(&self.world),
            deadline: Clock::now(&self.world),
            request: Request::Post(PostRequest::default()),
            evidence: Evidence::Forwarded(Box::new(forwarded)),
        }
    }
}
