//! The rows of a Status, with their text (P 10.9, containers §8.2).
//!
//! Devices that poll get the same rows again and again until something is committed. Whoever keeps
//! the rows keeps what was written of them: the next answer has the text copied into it.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::constraints::ContainerStatus;

/// Rows that do not change any more. Cloning shares them, and their text.
#[derive(Clone, Default)]
pub struct StatusRows(Arc<Kept>);

#[derive(Default)]
struct Kept {
    rows: Vec<ContainerStatus>,
    /// The JSON of `rows`, once somebody wrote them.
    text: OnceLock<Box<RawValue>>,
}

impl StatusRows {
    fn text(&self) -> Result<&RawValue, serde_json::Error> {
        if let Some(text) = self.0.text.get() {
            return Ok(text);
        }
        let text = to_raw_value(&self.0.rows)?;
        Ok(self.0.text.get_or_init(|| text))
    }
}

impl From<Vec<ContainerStatus>> for StatusRows {
    fn from(rows: Vec<ContainerStatus>) -> Self {
        Self(Arc::new(Kept {
            rows,
            text: OnceLock::new(),
        }))
    }
}

impl FromIterator<ContainerStatus> for StatusRows {
    fn from_iter<I: IntoIterator<Item = ContainerStatus>>(rows: I) -> Self {
        rows.into_iter().collect::<Vec<_>>().into()
    }
}

impl Deref for StatusRows {
    type Target = [ContainerStatus];

    fn deref(&self) -> &[ContainerStatus] {
        &self.0.rows
    }
}

impl PartialEq for StatusRows {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for StatusRows {}

impl fmt::Debug for StatusRows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

impl Serialize for StatusRows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text().map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StatusRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::json;
    use crate::protocol::{Outcome, Response, StatusResponse};

    fn rows() -> Vec<ContainerStatus> {
        let row = |name: &str, index| ContainerStatus {
            container: Some(name.to_owned()),
            index: Some(index),
            digest: Some([7; 64].into()),
        };
        vec![row("mmm_Inbound", 1), row("app_\"quoted\"", 2)]
    }

    #[test]
    fn rows_are_written_alike_the_first_time_and_every_other() {
        let kept = StatusRows::from(rows());
        for _ in 0..3 {
            assert_eq!(json::write(&kept), json::write(&rows()));
        }
        assert_eq!(json::write(&StatusRows::default()), b"[]");
    }

    #[test]
    fn an_answer_with_kept_rows_is_read_as_it_was() {
        let answer = Response::Status(Box::new(StatusResponse {
            outcome: Outcome::ok(),
            container_status: rows().into(),
            ..StatusResponse::default()
        }));
        let text = json::write(&answer);
        assert_eq!(text, json::write(&answer), "also with the text kept");
        assert_eq!(json::parse::<Response>(&text).unwrap(), answer);
        let value: serde_json::Value = json::parse(&text).unwrap();
        assert_eq!(serde_json::to_value(&answer).unwrap(), value);
    }
}
