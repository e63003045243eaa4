//! Desks that stand in for a service: what waits is written down here, and orders change it.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use mesh_backend::desk::{
    Answer, Aside, AsideDesk, ConductDesk, ConductLevel, ConductView, DeskError, DestinationState,
    DestinationView, DomainDesk, DomainView, DomainsView, Explanation, IncidentView, Item,
    NewIncident, Overview, Owner, Phase, Quarantined, QueueDesk, Selection, StandingOrder,
    TroubleView, What, Whereabouts,
};
use mesh_common::address::AccountAddress;
use mesh_common::spool::MessageState;
use mesh_common::time::Timestamp;

/// The moment that everything is told from.
pub(crate) fn noon() -> Timestamp {
    "2026-02-03T12:00:00Z".parse().unwrap()
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// What stands on the desks.
#[derive(Debug, Default)]
struct Books {
    items: Vec<Item>,
    states: Vec<DestinationState>,
    orders: Vec<StandingOrder>,
    quarantine: Vec<Quarantined>,
    aside: Vec<Aside>,
    incidents: Vec<IncidentView>,
    is_away: bool,
}

/// All desks of a service.
#[derive(Debug, Default)]
pub(crate) struct Desks(Mutex<Books>);

impl Desks {
    /// Nothing has happened.
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// A dead destination, one that flows, one that asked to wait; poison; an entry that did not fit.
    pub(crate) fn busy() -> Self {
        let desks = Self::default();
        {
            let mut books = desks.books();
            books.items = (0..4).map(|number| item(number, "dead.example")).collect();
            books.items.push(item(7, "example.net"));
            books.items.push(item(8, "slow.example"));
            books.states = vec![dead(), flowing(), waiting()];
            books.quarantine = vec![
                Quarantined {
                    id: "0f".repeat(16),
                    reason: "handling it panicked three times".to_owned(),
                    item: Some(item(9, "example.org")),
                },
                Quarantined {
                    id: "ee".repeat(16),
                    reason: "the item does not read".to_owned(),
                    item: None,
                },
            ];
            books.aside = vec![entry(), unreadable()];
        }
        desks
    }

    /// The store does not answer.
    pub(crate) fn away() -> Self {
        let desks = Self::default();
        desks.books().is_away = true;
        desks
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }

    fn answer<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Books) -> Result<T, DeskError>,
    ) -> Answer<'_, T> {
        let mut books = self.books();
        let answer = if books.is_away {
            Err(DeskError::Unavailable {
                cause: "the store does not answer".to_owned(),
            })
        } else {
            read(&mut books)
        };
        Box::pin(std::future::ready(answer))
    }
}

fn address(text: &str) -> AccountAddress {
    AccountAddress::parse(text).unwrap()
}

fn item(number: u8, domain: &str) -> Item {
    let age = u64::from(number) * 20;
    Item {
        id: format!("{number:02x}").repeat(16),
        message: format!("NCAA-MSG{number}"),
        message_type: "RequestContact".to_owned(),
        sender: address(if number.is_multiple_of(2) {
            "alice@example.com"
        } else {
            "carol@example.edu"
        }),
        recipient: address(&format!("bob@{domain}")),
        class: "interactive".to_owned(),
        bytes: 2_100,
        enqueued_at: noon() - minutes(200 - age),
        expires_at: noon() + minutes(4_120 + age),
        due_at: noon() - minutes(3),
        next_try_at: None,
        attempts: 0,
        last_trouble: None,
        held: None,
    }
}

fn dead() -> DestinationState {
    DestinationState {
        domain: "dead.example".to_owned(),
        phase: Phase::Away {
            next_try_at: noon() + minutes(4),
        },
        limit: 1,
        in_flight: 0,
        last_success_at: None,
        last_trouble: Some(TroubleView {
            at: noon() - minutes(2),
            text: "no connection: connection refused".to_owned(),
        }),
    }
}

fn flowing() -> DestinationState {
    DestinationState {
        domain: "example.net".to_owned(),
        phase: Phase::Flowing,
        limit: 8,
        in_flight: 3,
        last_success_at: Some(noon() - Duration::from_secs(1)),
        last_trouble: None,
    }
}

fn waiting() -> DestinationState {
    DestinationState {
        domain: "slow.example".to_owned(),
        phase: Phase::Paused {
            until: noon() + minutes(30),
        },
        limit: 4,
        in_flight: 0,
        last_success_at: Some(noon() - minutes(9)),
        last_trouble: Some(TroubleView {
            at: noon() - minutes(8),
            text: "429: too many \u{1b}[31mmessages".to_owned(),
        }),
    }
}

fn entry() -> Aside {
    Aside {
        id: "0003".to_owned(),
        reason: "there is no room for it in Outbound".to_owned(),
        bytes: 640,
        account: Some(address("alice@example.com")),
        left_at: Some(noon() - minutes(90)),
        kind: Some("outcome".to_owned()),
        message: Some("NCAA-MSG5".to_owned()),
        other: Some(address("bob@example.net")),
    }
}

fn unreadable() -> Aside {
    Aside {
        id: "0004".to_owned(),
        reason: "the entry does not read".to_owned(),
        bytes: 12,
        account: None,
        left_at: None,
        kind: None,
        message: None,
        other: None,
    }
}

fn unknown(what: String) -> DeskError {
    DeskError::NotFound { what }
}

impl Books {
    fn matching(&self, selection: &Selection) -> Vec<Item> {
        let found = self.items.iter().filter(|item| selects(selection, item));
        let held = |item: &Item| {
            let mut holds = self.orders.iter().filter(|order| order.what == What::Hold);
            holds.find(|order| selects(&order.selection, item)).cloned()
        };
        found
            .map(|item| {
                let held = held(item);
                let domain = item.recipient.domain();
                let state = self.states.iter().find(|state| state.domain == domain);
                let phase = state.map_or(Phase::Idle, |state| state.phase);
                Item {
                    next_try_at: Some(phase.next_try_at(item.due_at)).filter(|_| held.is_none()),
                    held,
                    ..item.clone()
                }
            })
            .collect()
    }

    fn view(&self, domain: &str) -> Option<DestinationView> {
        let selection = Selection::of_destination(domain).unwrap();
        let items = self.matching(&selection);
        let order = |what| {
            let mut orders = self.orders.iter().filter(|order| order.what == what);
            orders.find(|order| order.selection == selection).cloned()
        };
        let state = self.states.iter().find(|state| state.domain == domain);
        if state.is_none() && items.is_empty() && order(What::Hold).is_none() {
            return None;
        }
        let mut tenants: Vec<_> = items.iter().map(|item| item.sender.domain()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        Some(DestinationView {
            state: state
                .cloned()
                .unwrap_or_else(|| DestinationState::unknown(domain)),
            waiting: items.len() as u64,
            waiting_bytes: items.iter().map(|item| item.bytes).sum(),
            oldest_at: items.iter().map(|item| item.enqueued_at).min(),
            tenants: tenants.len() as u64,
            held: order(What::Hold),
            routed: order(What::Route),
            owner: Owner::default(),
        })
    }

    fn conduct(&self, subject: &str) -> ConductView {
        let about = self.incidents.iter().filter(|one| one.subject == subject);
        let score: f64 = about.clone().map(|one| one.weight).sum();
        ConductView {
            subject: subject.to_owned(),
            level: if score > 2.0 {
                ConductLevel::Suspended
            } else if score > 1.0 {
                ConductLevel::Restricted
            } else if score > 0.5 {
                ConductLevel::Throttled
            } else {
                ConductLevel::Normal
            },
            score,
            incidents: about.clone().count() as u64,
            last_at: about.map(|one| one.at).max(),
        }
    }
}

fn selects(selection: &Selection, item: &Item) -> bool {
    let scope = selection.scope();
    let is = |wanted: &Option<String>, found: &[&str]| {
        let wanted = wanted.as_deref();
        wanted.is_none_or(|wanted| found.contains(&wanted))
    };
    is(&scope.destination, &[item.recipient.domain()])
        && is(&scope.tenant, &[item.sender.domain()])
        && is(&scope.message, &[&item.message, &item.id])
}

impl QueueDesk for Desks {
    fn overview(&self) -> Answer<'_, Overview> {
        self.answer(|books| {
            let domains = ["dead.example", "slow.example", "example.net"];
            let views = domains.into_iter().filter_map(|domain| books.view(domain));
            Ok(Overview {
                destinations: views.filter(|view| view.waiting > 0).collect(),
                in_flight: books
                    .states
                    .iter()
                    .map(|one| u64::from(one.in_flight))
                    .sum(),
                quarantined: books.quarantine.len() as u64,
                orders: books.orders.clone(),
            })
        })
    }

    fn destination<'a>(&'a self, domain: &'a str) -> Answer<'a, Option<DestinationView>> {
        self.answer(|books| Ok(books.view(domain)))
    }

    fn items<'a>(&'a self, selection: &'a Selection, max: usize) -> Answer<'a, Vec<Item>> {
        self.answer(|books| {
            let mut found = books.matching(selection);
            found.truncate(max);
            Ok(found)
        })
    }

    fn explain<'a>(&'a self, message: &'a str, sender: Option<&'a str>) -> Answer<'a, Explanation> {
        self.answer(|books| {
            let selection = Selection::of_message(message).unwrap();
            let found = books.matching(&selection);
            let mut recipients: Vec<Whereabouts> = found
                .into_iter()
                .map(|item| Whereabouts::Queued {
                    shard: 17,
                    destination: Box::new(books.view(item.recipient.domain()).unwrap()),
                    item: Box::new(item),
                })
                .collect();
            let poison = books.quarantine.iter().filter(|one| {
                let item = one.item.as_ref();
                item.is_some_and(|item| item.message == message)
            });
            recipients.extend(poison.map(|one| Whereabouts::Quarantined {
                entry: Box::new(one.clone()),
            }));
            if sender == Some("alice@example.com") && message == "NCAA-GONE" {
                let states = [
                    Some(MessageState::Received),
                    Some(MessageState::Failed),
                    None,
                ];
                recipients.extend(states.into_iter().zip(["ann", "ben", "cy"]).map(
                    |(state, name)| Whereabouts::Told {
                        recipient: format!("{name}@example.net"),
                        state,
                        at: state.map(|_| noon() - minutes(61)),
                    },
                ));
                recipients.push(Whereabouts::Intake {
                    recipient: address("dora@example.com"),
                    left_at: noon() - Duration::from_secs(2),
                    partition: 812,
                    owner: Owner::default(),
                });
                recipients.push(Whereabouts::SetAside {
                    entry: Box::new(Aside {
                        kind: Some("message".to_owned()),
                        account: Some(address("eve@example.com")),
                        other: Some(address("alice@example.com")),
                        ..entry()
                    }),
                });
            }
            Ok(Explanation {
                message: message.to_owned(),
                recipients,
            })
        })
    }

    fn orders(&self) -> Answer<'_, Vec<StandingOrder>> {
        self.answer(|books| Ok(books.orders.clone()))
    }

    fn order<'a>(&'a self, order: StandingOrder) -> Answer<'a, ()> {
        self.answer(|books| {
            // Who runs the tests is nobody's business.
            let by = "ops (uid 0)".to_owned();
            books.orders.push(StandingOrder { by, ..order });
            Ok(())
        })
    }

    fn revoke<'a>(&'a self, selection: &'a Selection, what: What) -> Answer<'a, u64> {
        self.answer(|books| {
            let before = books.orders.len();
            let is_meant =
                |order: &StandingOrder| order.what == what && order.selection == *selection;
            books.orders.retain(|order| !is_meant(order));
            Ok((before - books.orders.len()) as u64)
        })
    }

    fn retry<'a>(&'a self, selection: &'a Selection) -> Answer<'a, u64> {
        self.answer(|books| Ok(books.matching(selection).len() as u64))
    }

    fn fail<'a>(&'a self, selection: &'a Selection, _: &'a str) -> Answer<'a, u64> {
        self.answer(|books| {
            let before = books.items.len();
            books.items.retain(|item| !selects(selection, item));
            Ok((before - books.items.len()) as u64)
        })
    }

    fn quarantined(&self, max: usize) -> Answer<'_, Vec<Quarantined>> {
        self.answer(|books| Ok(books.quarantine.iter().take(max).cloned().collect()))
    }

    fn requeue<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.answer(
            |books| match books.quarantine.iter().position(|one| one.id == id) {
                None => Err(unknown(format!("no item {id} is in quarantine"))),
                Some(place) if books.quarantine[place].item.is_none() => Err(DeskError::Refused {
                    why: format!("item {id} does not read, so it can never be sent"),
                }),
                Some(place) => {
                    books.quarantine.remove(place);
                    Ok(())
                }
            },
        )
    }

    fn drop_quarantined<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.answer(|books| {
            books.quarantine.retain(|one| one.id != id);
            Ok(())
        })
    }
}

impl AsideDesk for Desks {
    fn aside(&self, max: usize) -> Answer<'_, Vec<Aside>> {
        self.answer(|books| Ok(books.aside.iter().take(max).cloned().collect()))
    }

    fn requeue<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.answer(|books| {
            let before = books.aside.len();
            books.aside.retain(|one| one.id != id);
            if books.aside.len() == before {
                return Err(unknown(format!("no entry {id} is set aside")));
            }
            Ok(())
        })
    }

    fn drop_aside<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        AsideDesk::requeue(self, id)
    }
}

impl ConductDesk for Desks {
    fn incidents<'a>(
        &'a self,
        subject: Option<&'a str>,
        max: usize,
    ) -> Answer<'a, Vec<IncidentView>> {
        self.answer(|books| {
            let about = |one: &&IncidentView| subject.is_none_or(|subject| one.subject == subject);
            let found = books.incidents.iter().rev().filter(about);
            Ok(found.take(max).cloned().collect())
        })
    }

    fn file<'a>(&'a self, incident: &'a NewIncident) -> Answer<'a, ConductView> {
        self.answer(|books| {
            books.incidents.push(IncidentView {
                at: noon() - minutes(1),
                subject: incident.subject.clone(),
                what: incident.what.clone(),
                weight: 1.0,
                reporter: incident.reporter.clone(),
                message: incident.message.clone(),
            });
            Ok(books.conduct(&incident.subject))
        })
    }

    fn conduct<'a>(&'a self, subject: &'a str) -> Answer<'a, ConductView> {
        self.answer(|books| Ok(books.conduct(subject)))
    }

    fn conspicuous(&self, max: usize) -> Answer<'_, Vec<ConductView>> {
        self.answer(|books| {
            let mut subjects: Vec<_> = books.incidents.iter().map(|one| &one.subject).collect();
            subjects.sort();
            subjects.dedup();
            let views = subjects.into_iter().map(|subject| books.conduct(subject));
            let is_conspicuous = |view: &ConductView| view.level != ConductLevel::Normal;
            Ok(views.filter(is_conspicuous).take(max).collect())
        })
    }

    fn forgive<'a>(&'a self, subject: &'a str) -> Answer<'a, ConductView> {
        self.answer(|books| {
            for one in &mut books.incidents {
                if one.subject == subject {
                    one.weight = 0.0;
                }
            }
            Ok(books.conduct(subject))
        })
    }
}

/// What the domains of a busy service use, those that store most in front.
fn domains() -> Vec<DomainView> {
    let view = |domain: &str, accounts, octets, messages_today| DomainView {
        domain: domain.to_owned(),
        accounts,
        accounts_max: (domain != "empty.example").then_some(2_000),
        octets,
        octets_max: (domain == "example.com").then_some(100 << 30),
        messages_today,
        messages_per_day_max: (domain == "example.com").then_some(10_000),
    };
    vec![
        view("example.com", 1_204, 77 << 30, 3_117),
        view("small.example", 1, 740, 0),
        view("empty.example", 0, 0, 0),
    ]
}

impl DomainDesk for Desks {
    fn domains(&self, max: usize) -> Answer<'_, DomainsView> {
        self.answer(|_| {
            let mut domains = domains();
            let total = domains.len() as u64;
            domains.truncate(max);
            Ok(DomainsView { domains, total })
        })
    }

    fn domain<'a>(&'a self, domain: &'a str) -> Answer<'a, DomainView> {
        self.answer(|_| {
            let found = domains().into_iter().find(|one| one.domain == domain);
            let what = format!("{domain} is not served here, and has no accounts");
            found.ok_or(DeskError::NotFound { what })
        })
    }
}
