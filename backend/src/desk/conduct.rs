//! Who draws complaints, as operators see it, and what operators file (service §8, X-61). Everything
//! follows from the incidents on record: tables 25 and 26.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use mesh_common::address::{AccountAddress, canonical_domain};
use mesh_common::conduct::{Incident, IncidentId, IncidentMessage, Level, Reporter, Subject};
use mesh_common::entropy;
use mesh_common::limits::INCIDENT_WEIGHT;
use mesh_common::time::Timestamp;

use super::{Answer, ConductDesk, ConductLevel, ConductView, DeskError, IncidentView, NewIncident};
use crate::handle::BackendHandle;
use crate::partition::reading;
use crate::partition::records::{self, Rows};
use crate::store::{Limit, Order, Read, Store, Tx, TxOptions, keys, walk};

/// What is on record of somebody.
#[derive(Debug, Default)]
struct Record {
    incidents: u64,
    last_at: Option<Timestamp>,
}

impl Record {
    fn count(&mut self, incident: &Incident) {
        self.incidents += 1;
        self.last_at = self.last_at.max(Some(incident.at));
    }
}

impl<S: Store> BackendHandle<S> {
    /// Whom `name` names: an account that lives here, or another service.
    fn subject(&self, name: &str) -> Result<Subject, DeskError> {
        let refused = |why: String| DeskError::Refused { why };
        let served = &self.inner.shared.config.policy.domains_served;
        if name.contains('@') {
            let address = AccountAddress::parse(name)
                .map_err(|error| refused(format!("{name:?} is no account: {error}")))?;
            if !served.contains(address.domain()) {
                return Err(refused(format!(
                    "{address} lives elsewhere: file it against the service of {}",
                    address.domain()
                )));
            }
            return Ok(Subject::Account(address));
        }
        let domain = canonical_domain(name)
            .map_err(|error| refused(format!("{name:?} is no domain: {error}")))?;
        if served.contains(&domain) {
            return Err(refused(format!(
                "{domain} is served here: file it against one of its accounts"
            )));
        }
        Ok(Subject::Service(domain))
    }

    async fn view_of(&self, subject: &Subject, record: &Record) -> Result<ConductView, DeskError> {
        let shared = &self.inner.shared;
        let now = shared.now();
        let tx = shared.store.begin(TxOptions::default());
        let score = reading::conduct(&tx, subject, now).await?.score(now);
        let policy = match subject {
            Subject::Account(address) => shared.config.policy_of(address),
            Subject::Service(_) => &shared.config.policy,
        };
        Ok(ConductView {
            subject: subject.name().to_owned(),
            level: shown(policy.conduct.level(score)),
            score,
            incidents: record.incidents,
            last_at: record.last_at,
        })
    }

    /// Shows every incident on record to `look`, the newest first, until it breaks. One that does not
    /// read is left out: what it counts is in its other row.
    async fn each_incident(
        &self,
        mut look: impl FnMut(Incident) -> ControlFlow<()> + Send,
    ) -> Result<(), DeskError> {
        let store = &self.inner.shared.store;
        let range = keys::conduct::incidents();
        walk::each_row(
            store,
            range,
            Order::Reverse,
            |row| match records::incident(&row.value) {
                Ok(incident) => look(incident),
                Err(_) => ControlFlow::Continue(()),
            },
        )
        .await?;
        Ok(())
    }

    async fn record_of(&self, subject: &Subject) -> Result<Record, DeskError> {
        let mut record = Record::default();
        self.each_incident(|incident| {
            if incident.subject == *subject {
                record.count(&incident);
            }
            ControlFlow::Continue(())
        })
        .await?;
        Ok(record)
    }

    async fn conduct_of(&self, subject: &Subject) -> Result<ConductView, DeskError> {
        let record = self.record_of(subject).await?;
        self.view_of(subject, &record).await
    }

    async fn put_on_record(&self, filed: &NewIncident) -> Result<ConductView, DeskError> {
        let subject = self.subject(&filed.subject)?;
        let shared = &self.inner.shared;
        let incident = Incident {
            id: IncidentId(entropy::draw(&mut shared.entropy.clone())),
            at: shared.now(),
            subject: subject.clone(),
            what: filed.what.clone(),
            weight: INCIDENT_WEIGHT,
            reporter: Reporter::Operator(filed.reporter.clone()),
            message: filed.message.as_ref().map(|unique_id| IncidentMessage {
                unique_id: unique_id.clone(),
                digest: None,
                sender: None,
            }),
        };
        let mut rows = Rows::default();
        rows.record_incident(&incident);
        let mut tx = shared.store.begin(shared.writing());
        rows.fill(&mut tx, shared.intakes());
        tx.commit().await?;
        shared.conduct.invalidate(subject.name());
        tracing::warn!(%subject, what = filed.what, incident = "filed by an operator", "incident");
        self.conduct_of(&subject).await
    }

    async fn wipe(&self, subject: &Subject) -> Result<(), DeskError> {
        let shared = &self.inner.shared;
        let range = keys::conduct::conduct(subject, Timestamp::from_millis(0));
        loop {
            let mut tx = shared.store.begin(shared.writing());
            let page = tx
                .range(&range, Limit::default(), Order::Forward, Read::Snapshot)
                .await?;
            if page.rows.is_empty() {
                break;
            }
            page.rows.iter().for_each(|row| tx.clear(&row.key));
            tx.commit().await?;
        }
        shared.conduct.invalidate(subject.name());
        tracing::warn!(%subject, "what counted against somebody was forgiven by an operator");
        Ok(())
    }
}

impl<S: Store> ConductDesk for BackendHandle<S> {
    fn incidents<'a>(
        &'a self,
        subject: Option<&'a str>,
        max: usize,
    ) -> Answer<'a, Vec<IncidentView>> {
        Box::pin(async move {
            let subject = subject.map(|name| self.subject(name)).transpose()?;
            let mut found = Vec::new();
            self.each_incident(|incident| {
                if found.len() >= max {
                    return ControlFlow::Break(());
                }
                if subject.as_ref().is_none_or(|one| *one == incident.subject) {
                    found.push(view(incident));
                }
                ControlFlow::Continue(())
            })
            .await?;
            Ok(found)
        })
    }

    fn file<'a>(&'a self, incident: &'a NewIncident) -> Answer<'a, ConductView> {
        Box::pin(self.put_on_record(incident))
    }

    fn conduct<'a>(&'a self, subject: &'a str) -> Answer<'a, ConductView> {
        Box::pin(async move { self.conduct_of(&self.subject(subject)?).await })
    }

    fn conspicuous(&self, max: usize) -> Answer<'_, Vec<ConductView>> {
        Box::pin(async move {
            let mut records: BTreeMap<Subject, Record> = BTreeMap::new();
            self.each_incident(|incident| {
                let record = records.entry(incident.subject.clone()).or_default();
                record.count(&incident);
                ControlFlow::Continue(())
            })
            .await?;
            let mut views = Vec::new();
            for (subject, record) in &records {
                let view = self.view_of(subject, record).await?;
                if view.level != ConductLevel::Normal {
                    views.push(view);
                }
            }
            views.sort_by(|one, other| other.score.total_cmp(&one.score));
            views.truncate(max);
            Ok(views)
        })
    }

    fn forgive<'a>(&'a self, subject: &'a str) -> Answer<'a, ConductView> {
        Box::pin(async move {
            let subject = self.subject(subject)?;
            self.wipe(&subject).await?;
            self.conduct_of(&subject).await
        })
    }
}

fn view(incident: Incident) -> IncidentView {
    IncidentView {
        at: incident.at,
        subject: incident.subject.name().to_owned(),
        what: incident.what,
        weight: f64::from(incident.weight) / 1_000.0,
        reporter: incident.reporter.to_string(),
        message: incident.message.map(|message| message.unique_id),
    }
}

const fn shown(level: Level) -> ConductLevel {
    match level {
        Level::Normal => ConductLevel::Normal,
        Level::Throttled => ConductLevel::Throttled,
        Level::Restricted => ConductLevel::Restricted,
        Level::Suspended => ConductLevel::Suspended,
    }
}
