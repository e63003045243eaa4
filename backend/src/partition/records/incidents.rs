//! Incidents as rows: on record in table 25, and what they count in table 26 (service §8, X-61).

use mesh_common::conduct::Incident;

use super::{Reader, RowError, Rows, Writer, decode, encode};
use crate::store::keys;

/// Format of what an incident counts.
const WEIGHT: u8 = 1;

impl Rows {
    /// Puts an incident on record, and counts it against whom it is about.
    pub(crate) fn record_incident(&mut self, incident: &Incident) {
        let place = keys::conduct::incident(incident.at, incident.id);
        self.set(place, encode(incident));
        let weight = Writer::new(WEIGHT).u32(incident.weight).finish();
        self.set(keys::conduct::counts(incident), weight);
    }
}

pub(crate) fn incident(value: &[u8]) -> Result<Incident, RowError> {
    decode("incident", value)
}

/// What an incident counts, in thousandths.
pub(crate) fn weight(value: &[u8]) -> Result<u32, RowError> {
    let mut row = Reader::new("weight of an incident", value, WEIGHT)?;
    let weight = row.u32()?;
    row.finish()?;
    Ok(weight)
}
