//! The last part of `meshd verify`: whether what domains are said to use is what their accounts do (cluster §9).

use mesh_backend::usage::recount::{CountPlace, Counted};

use super::hand::Hand;
use super::passes::PROBLEMS_TOLD;
use crate::operate::args::Verify;
use crate::operate::failure::Failure;
use crate::operate::page::{counted, plain};
use crate::operate::progress::Progress;

/// Compares what domains are said to use with what their accounts do, in all partitions.
pub(super) fn count(
    asked: &Verify,
    hand: &dyn Hand,
    progress: &Progress,
) -> Result<Counted, Failure> {
    let mut place = CountPlace {
        partition: 0,
        domain: asked.domain.clone(),
        mend: asked.mend,
    };
    let mut total = Counted::default();
    loop {
        let step = hand.count(&place)?;
        total.accounts += step.accounts;
        total.drifted.extend(step.drifted);
        total.unsettled += step.unsettled;
        let Some(next) = step.next else {
            return Ok(total);
        };
        place.partition = next;
        progress.tell(&format!(
            "what domains use: {} counted",
            counted(total.accounts, "account")
        ));
    }
}

/// What domains are said to use where that is wrong, a line each.
pub(super) fn page(usage: &Counted) -> String {
    let mut text = String::new();
    for one in usage.drifted.iter().take(PROBLEMS_TOLD) {
        text.push_str(&format!(
            "  {} in partition {}: {} and {} are said, there are {} and {}{}\n",
            plain(&one.domain),
            one.partition,
            counted(one.accounts_said, "account"),
            counted(one.octets_said, "octet"),
            counted(one.accounts, "account"),
            counted(one.octets, "octet"),
            if one.is_mended { "; set right" } else { "" },
        ));
    }
    if usage.unsettled > 0 {
        text.push_str(&format!(
            "  {} changed all the time and could not be compared\n",
            counted(usage.unsettled, "sum")
        ));
    }
    if usage.drifted.is_empty() {
        return format!("what domains use is what their accounts do\n{text}");
    }
    let wrong = counted(usage.drifted.len() as u64, "sum");
    let advice = match usage.drifted.iter().all(|one| one.is_mended) {
        true => "",
        false => "try: meshd verify --mend    sets it right, also while the service runs\n",
    };
    format!("what domains use: {wrong} not right:\n{text}{advice}")
}
