//! The keys of incidents: table 25, where they are on record by time, and table 26, where they count
//! against whom they are about (service §8, X-61).

use mesh_common::conduct::{Incident, IncidentId, Subject};
use mesh_common::time::Timestamp;

use super::{concat, hash16};
use crate::store::KeyRange;

const INCIDENT: u8 = 0x25;
const CONDUCT: u8 = 0x26;

/// An incident on record.
#[must_use]
pub fn incident(at: Timestamp, id: IncidentId) -> Vec<u8> {
    concat(&[&[INCIDENT], &millis(at), &id.0])
}

/// All incidents, in the order of time.
#[must_use]
pub fn incidents() -> KeyRange {
    KeyRange::prefix(&[INCIDENT])
}

/// The incidents before `end`.
#[must_use]
pub fn incidents_before(end: Timestamp) -> KeyRange {
    KeyRange::new(&[INCIDENT], &concat(&[&[INCIDENT], &millis(end)]))
}

/// That an incident counts against its subject.
#[must_use]
pub fn counts(incident: &Incident) -> Vec<u8> {
    let of_subject = of_subject(&incident.subject);
    concat(&[&of_subject, &millis(incident.at), &incident.id.0])
}

/// What counts against `subject`, from `first` on.
#[must_use]
pub fn conduct(subject: &Subject, first: Timestamp) -> KeyRange {
    let of_subject = of_subject(subject);
    KeyRange::new(
        &concat(&[&of_subject, &millis(first)]),
        &KeyRange::prefix(&of_subject).end,
    )
}

/// What counts against anybody.
#[must_use]
pub fn all_conduct() -> KeyRange {
    KeyRange::prefix(&[CONDUCT])
}

/// Everything that counts against whom `key`, one of table 26, is about.
#[must_use]
pub fn conduct_beside(key: &[u8]) -> Option<KeyRange> {
    let of_subject = key.get(..17).filter(|key| key[0] == CONDUCT)?;
    Some(KeyRange::prefix(of_subject))
}

/// When the incident happened that `key`, one of table 26, is about.
#[must_use]
pub fn time_of_conduct(key: &[u8]) -> Option<Timestamp> {
    let (&CONDUCT, rest) = key.split_first()? else {
        return None;
    };
    let at = rest.get(16..24)?;
    let millis = u64::from_be_bytes(at.try_into().ok()?);
    Some(Timestamp::from_millis(i64::try_from(millis).ok()?))
}

fn of_subject(subject: &Subject) -> Vec<u8> {
    let kind: &[u8] = match subject {
        Subject::Account(_) => b"account",
        Subject::Service(_) => b"service",
    };
    concat(&[&[CONDUCT], &hash16(&[kind, subject.name().as_bytes()])])
}

fn millis(at: Timestamp) -> [u8; 8] {
    u64::try_from(at.as_millis()).unwrap_or(0).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(key: &[u8]) -> String {
        key.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// The layout is a promise to every store ever written: a change here needs a migration.
    #[test]
    fn the_keys_of_incidents_are_as_they_were_promised() {
        let at = Timestamp::from_millis(0x0102);
        let id = IncidentId([0x33; 16]);
        assert_eq!(
            hex(&incident(at, id)),
            format!("250000000000000102{}", "33".repeat(16))
        );
        let incident = incident_about("spam.example", at, id);
        assert_eq!(
            hex(&counts(&incident)),
            format!(
                "26{}0000000000000102{}",
                hex(&hash16(&[b"service", b"spam.example"])),
                "33".repeat(16)
            )
        );
    }

    #[test]
    fn what_counts_against_one_lies_together_in_the_order_of_time() {
        let early = incident_about("a.example", Timestamp::from_millis(5), IncidentId([9; 16]));
        let late = incident_about("a.example", Timestamp::from_millis(6), IncidentId([0; 16]));
        let other = incident_about("b.example", Timestamp::from_millis(6), IncidentId([0; 16]));
        assert!(counts(&early) < counts(&late));
        let range = conduct(&early.subject, Timestamp::from_millis(6));
        assert!(range.contains(&counts(&late)) && !range.contains(&counts(&early)));
        assert!(!range.contains(&counts(&other)) && all_conduct().contains(&counts(&other)));
        assert_eq!(
            time_of_conduct(&counts(&late)),
            Some(Timestamp::from_millis(6))
        );
        let beside = conduct_beside(&counts(&late)).unwrap();
        assert!(beside.contains(&counts(&early)) && !beside.contains(&counts(&other)));
    }

    fn incident_about(domain: &str, at: Timestamp, id: IncidentId) -> Incident {
        Incident {
            id,
            at,
            subject: Subject::Service(domain.to_owned()),
            what: String::new(),
            weight: 1,
            reporter: mesh_common::conduct::Reporter::Site,
            message: None,
        }
    }
}
