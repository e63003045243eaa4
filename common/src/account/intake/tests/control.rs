//! The matrix of access control: for each of the six rules a case that it decides, and what each of
//! the five inputs changes about that.

use super::{bob, peer};
use crate::account::intake::control::{Inputs, Reason, Rule, Ruling, StrangerFacts, rule};
use crate::account::intake::site::InboundPolicy;
use crate::account::intake::{ForwardingService, MessageSender, Standpoint};
use crate::account::testing::udf;
use crate::address::AccountAddress;
use crate::conduct::Level;

/// One question, with everything it depends on.
#[derive(Clone)]
struct Case {
    sender: MessageSender,
    service: Option<ForwardingService>,
    service_level: Level,
    message_type: Option<&'static str>,
    standpoint: Standpoint,
    has_unreadable_contacts: bool,
    site: InboundPolicy,
    answers: bool,
    stranger: StrangerFacts,
}

impl Case {
    /// Bob, whom nobody knows, introduces himself.
    fn stranger() -> Self {
        Self {
            sender: bob(),
            service: None,
            service_level: Level::Normal,
            message_type: Some("RequestContact"),
            standpoint: Standpoint::Unknown,
            has_unreadable_contacts: false,
            site: InboundPolicy::default(),
            answers: false,
            stranger: StrangerFacts::default(),
        }
    }

    fn ruling(&self) -> Ruling {
        rule(&Inputs {
            sender: &self.sender,
            service: self.service.as_ref(),
            service_level: self.service_level,
            message_type: self.message_type,
            standpoint: self.standpoint,
            has_unreadable_contacts: self.has_unreadable_contacts,
            site: &self.site,
            answers: self.answers,
            stranger: self.stranger,
        })
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }
}

fn ok(rule: Rule) -> Ruling {
    Ruling {
        rule,
        verdict: Ok(()),
    }
}

fn no(rule: Rule, reason: Reason) -> Ruling {
    Ruling {
        rule,
        verdict: Err(reason),
    }
}

/// The five inputs of the draft, each as a change of a case (protocol draft §9.1.2.2).
struct Inputs5 {
    sender: fn(&mut Case),
    service: fn(&mut Case),
    message_type: fn(&mut Case),
    contacts: fn(&mut Case),
    site: fn(&mut Case),
}

/// A rule: the case it decides, and what the case becomes when one input changes.
struct Row {
    name: &'static str,
    base: Case,
    decides: Ruling,
    changes: Inputs5,
    /// In the order of the inputs.
    then: [Ruling; 5],
}

fn accredited(case: &mut Case) {
    case.site.accredited_profiles = [udf("account of bob")].into();
}

fn unsigned(case: &mut Case) {
    case.sender.signed_by = None;
}

fn forwarded(case: &mut Case) {
    case.service = Some(peer());
    case.sender.address = AccountAddress::parse("bob@example.net").unwrap();
}

fn forwarded_by_an_accredited_service(case: &mut Case) {
    forwarded(case);
    case.site.accredited_services = ["Example.NET".to_owned()].into();
}

#[expect(clippy::too_many_lines, reason = "it is one table")]
fn table() -> Vec<Row> {
    let stranger = Case::stranger();
    vec![
        Row {
            name: "1 the site blocks the account",
            base: stranger.with(|case| {
                case.site.blocked_accounts = [case.sender.address.clone()].into();
                case.site.blocked_services = ["example.net".to_owned()].into();
            }),
            decides: no(Rule::SiteBlock, Reason::Blocked),
            changes: Inputs5 {
                sender: accredited,
                service: forwarded,
                message_type: |case| case.message_type = Some("RequestTask"),
                contacts: |case| case.standpoint = Standpoint::Accept,
                site: |case| case.site = InboundPolicy::default(),
            },
            then: [
                no(Rule::SiteBlock, Reason::Blocked),
                no(Rule::SiteBlock, Reason::Blocked),
                no(Rule::SiteBlock, Reason::Blocked),
                no(Rule::SiteBlock, Reason::Blocked),
                ok(Rule::Stranger),
            ],
        },
        Row {
            name: "2 the site does not take the type",
            base: stranger.with(|case| case.site.types_denied = ["RequestContact".into()].into()),
            decides: no(Rule::SiteType, Reason::TypeNotTaken),
            changes: Inputs5 {
                sender: accredited,
                service: forwarded_by_an_accredited_service,
                message_type: |case| case.message_type = Some("RequestTask"),
                contacts: |case| case.standpoint = Standpoint::Accept,
                site: |case| case.site = InboundPolicy::default(),
            },
            then: [
                no(Rule::SiteType, Reason::TypeNotTaken),
                no(Rule::SiteType, Reason::TypeNotTaken),
                no(Rule::Stranger, Reason::NotPermitted),
                no(Rule::SiteType, Reason::TypeNotTaken),
                ok(Rule::Stranger),
            ],
        },
        Row {
            name: "3 the user takes the type from the contact",
            base: stranger.with(|case| {
                case.message_type = Some("RequestTask");
                case.standpoint = Standpoint::Accept;
            }),
            decides: ok(Rule::Permission),
            changes: Inputs5 {
                sender: unsigned,
                service: forwarded,
                message_type: |case| case.message_type = Some("MessagePIN"),
                contacts: |case| case.standpoint = Standpoint::Reject,
                site: |case| case.site.requires_accreditation = true,
            },
            then: [
                ok(Rule::Permission),
                ok(Rule::Permission),
                no(Rule::SiteType, Reason::TypeNotTaken),
                no(Rule::Permission, Reason::Rejected),
                ok(Rule::Permission),
            ],
        },
        Row {
            name: "4 the user was asked first",
            base: stranger.with(|case| {
                case.message_type = Some("ReplyContact");
                case.answers = true;
            }),
            decides: ok(Rule::Answer),
            changes: Inputs5 {
                sender: unsigned,
                service: forwarded,
                message_type: |case| {
                    case.message_type = Some("RequestConfirmation");
                    case.answers = false;
                },
                contacts: |case| case.standpoint = Standpoint::Reject,
                site: |case| case.site.types_denied = ["Contact".to_owned()].into(),
            },
            then: [
                ok(Rule::Answer),
                ok(Rule::Answer),
                no(Rule::Stranger, Reason::NotPermitted),
                no(Rule::Permission, Reason::Rejected),
                no(Rule::SiteType, Reason::TypeNotTaken),
            ],
        },
        Row {
            name: "5 a contact of whom nothing is said",
            base: stranger.with(|case| case.standpoint = Standpoint::Silent),
            decides: ok(Rule::Contact),
            changes: Inputs5 {
                sender: unsigned,
                service: forwarded,
                message_type: |case| case.message_type = Some("RequestConfirmation"),
                contacts: |case| case.standpoint = Standpoint::Unknown,
                site: |case| case.site.requires_accreditation = true,
            },
            then: [
                ok(Rule::Contact),
                ok(Rule::Contact),
                no(Rule::Contact, Reason::NotPermitted),
                ok(Rule::Stranger),
                ok(Rule::Contact),
            ],
        },
        Row {
            name: "6 a stranger where accreditation is asked for",
            base: stranger.with(|case| case.site.requires_accreditation = true),
            decides: no(Rule::Stranger, Reason::NotAccredited),
            changes: Inputs5 {
                sender: accredited,
                service: forwarded_by_an_accredited_service,
                message_type: |case| case.message_type = Some("RequestTask"),
                contacts: |case| case.standpoint = Standpoint::Silent,
                site: |case| case.site.requires_accreditation = false,
            },
            then: [
                ok(Rule::Stranger),
                ok(Rule::Stranger),
                no(Rule::Stranger, Reason::NotPermitted),
                ok(Rule::Contact),
                ok(Rule::Stranger),
            ],
        },
    ]
}

// P-9.1.2.2-a I-P-1-b I-P-10.12-a X-50..53
#[test]
fn five_inputs_by_six_rules() {
    let rows = table();
    assert_eq!(rows.len(), 6);
    for (number, row) in (1..).zip(&rows) {
        let decided = row.base.ruling();
        assert_eq!(decided, row.decides, "{}", row.name);
        assert_eq!(decided.rule.number(), number, "{}", row.name);
        let Inputs5 {
            sender,
            service,
            message_type,
            contacts,
            site,
        } = &row.changes;
        let changes = [
            ("sender", sender),
            ("service", service),
            ("type", message_type),
            ("contacts", contacts),
            ("site", site),
        ];
        for ((input, change), then) in changes.into_iter().zip(row.then) {
            let found = row.base.with(change).ruling();
            assert_eq!(found, then, "{}, changed {input}", row.name);
        }
    }
}

#[test]
fn each_list_of_the_site_blocks_by_its_own_name() {
    let stranger = Case::stranger();
    let blocks: [fn(&mut InboundPolicy); 6] = [
        |site| site.blocked_accounts = [AccountAddress::parse("BOB@example.com").unwrap()].into(),
        |site| site.blocked_profiles = [udf("account of bob")].into(),
        |site| site.blocked_profiles = [udf("mesh of bob")].into(),
        |site| site.blocked_services = ["Example.COM".to_owned()].into(),
        |site| site.types_denied = ["Contact".to_owned()].into(),
        |site| site.types_allowed = ["Task".to_owned()].into(),
    ];
    for (number, block) in blocks.into_iter().enumerate() {
        let blocked = stranger.with(|case| block(&mut case.site)).ruling();
        assert!(blocked.verdict.is_err(), "list {number}");
        let reason = blocked.verdict.unwrap_err();
        assert!(reason.is_incident(), "{reason}");
    }
    let by_udf = stranger.with(|case| {
        forwarded(case);
        case.site.blocked_services = [peer().udf.to_string()].into();
    });
    assert_eq!(by_udf.ruling(), no(Rule::SiteBlock, Reason::Blocked));
    let other = stranger.with(|case| case.site.blocked_services = ["example.org".into()].into());
    assert_eq!(other.ruling(), ok(Rule::Stranger));
}

#[test]
fn what_only_an_account_itself_writes_never_comes_from_another() {
    for tag in [
        "MessageComplete",
        "MessagePIN",
        "RequestConnection",
        "AcknowledgeConnection",
        "RespondConnection",
    ] {
        let case = Case::stranger().with(|case| {
            case.message_type = Some(tag);
            case.standpoint = Standpoint::Accept;
            case.answers = true;
        });
        assert_eq!(
            case.ruling(),
            no(Rule::SiteType, Reason::TypeNotTaken),
            "{tag}"
        );
    }
}

#[test]
fn a_message_without_a_type_comes_in_only_from_whom_everything_is_taken() {
    let unknown = Case::stranger().with(|case| case.message_type = None);
    assert_eq!(unknown.ruling(), no(Rule::Stranger, Reason::NotPermitted));
    let accepted = unknown.with(|case| case.standpoint = Standpoint::Accept);
    assert_eq!(accepted.ruling(), ok(Rule::Permission));
}

#[test]
fn an_unreadable_contact_asks_strangers_for_accreditation() {
    // Decision Q-53
    let case = Case::stranger().with(|case| case.has_unreadable_contacts = true);
    assert_eq!(case.ruling(), no(Rule::Stranger, Reason::NotAccredited));
    assert_eq!(case.with(accredited).ruling(), ok(Rule::Stranger));
    let known = case.with(|case| case.standpoint = Standpoint::Silent);
    assert_eq!(known.ruling(), ok(Rule::Contact));
}

#[test]
fn strangers_meet_each_bound_at_its_value() {
    let stranger = Case::stranger();
    let at = |facts: StrangerFacts| stranger.with(|case| case.stranger = facts).ruling();
    let facts = StrangerFacts {
        from_sender_today: 4,
        to_recipient_today: 49,
        content_bytes: 16 * 1024,
    };
    assert_eq!(at(facts), ok(Rule::Stranger));
    let refused = |reason| no(Rule::Stranger, reason);
    let fifth = StrangerFacts {
        from_sender_today: 5,
        ..facts
    };
    assert_eq!(at(fifth), refused(Reason::SenderQuota));
    let fiftieth = StrangerFacts {
        to_recipient_today: 50,
        ..facts
    };
    assert_eq!(at(fiftieth), refused(Reason::RecipientQuota));
    let longer = StrangerFacts {
        content_bytes: 16 * 1024 + 1,
        ..facts
    };
    assert_eq!(at(longer), refused(Reason::TooLong));
    assert!(!Reason::SenderQuota.is_incident());
}

// S-4.4-c
#[test]
fn a_service_that_draws_complaints_is_taken_at_its_level() {
    let stranger = Case::stranger().with(forwarded);
    let contact = stranger.with(|case| case.standpoint = Standpoint::Silent);
    let at = |case: &Case, level| case.with(|case| case.service_level = level).ruling();
    for level in [Level::Normal, Level::Throttled] {
        assert_eq!(at(&stranger, level), ok(Rule::Stranger), "{level:?}");
    }
    assert_eq!(
        at(&stranger, Level::Restricted),
        no(Rule::Stranger, Reason::Conduct)
    );
    assert_eq!(at(&contact, Level::Restricted), ok(Rule::Contact));
    assert_eq!(
        at(&contact, Level::Suspended),
        no(Rule::SiteBlock, Reason::Conduct)
    );
    assert!(
        !Reason::Conduct.is_incident(),
        "what follows from complaints is none, else nobody came back"
    );
}
