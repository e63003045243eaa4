//! In which order the targets of a domain are tried: by priority, within one priority by weight and
//! chance (RFC 2782; the DNS library gives records as they were received).

use super::records::Target;
use crate::entropy::{Entropy, draw};

/// `targets` in the order they are to be tried this time.
#[must_use]
pub fn in_order(mut targets: Vec<Target>, entropy: &mut dyn Entropy) -> Vec<Target> {
    // Within a priority, RFC 2782 has those without weight first, so that they have some chance.
    targets.sort_by_key(|target| (target.priority, target.weight));
    let mut order = Vec::with_capacity(targets.len());
    while let Some(first) = targets.first() {
        let priority = first.priority;
        let alike = targets.partition_point(|target| target.priority == priority);
        let chosen = choose(&targets[..alike], entropy);
        order.push(targets.remove(chosen));
    }
    order
}

/// The position of the first target at which the running sum of weights reaches a number drawn from
/// zero to their sum.
fn choose(alike: &[Target], entropy: &mut dyn Entropy) -> usize {
    if alike.len() < 2 {
        return 0;
    }
    let sum: u64 = alike.iter().map(|target| u64::from(target.weight)).sum();
    let drawn = u64::from_be_bytes(draw(entropy)) % (sum + 1);
    let mut running = 0;
    alike
        .iter()
        .position(|target| {
            running += u64::from(target.weight);
            running >= drawn
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn target(host: &str, priority: u16, weight: u16) -> Target {
        Target {
            priority,
            weight,
            host: host.to_owned(),
            port: 443,
            addresses: Vec::new(),
            path: None,
        }
    }

    /// How often each host comes first in `rounds` draws.
    fn firsts(targets: &[Target], rounds: usize) -> impl Fn(&str) -> usize {
        let mut entropy = SeededEntropy::new(17);
        let hosts: Vec<String> = (0..rounds)
            .map(|_| in_order(targets.to_vec(), &mut entropy)[0].host.clone())
            .collect();
        move |host| hosts.iter().filter(|first| *first == host).count()
    }

    #[test]
    fn a_lower_priority_is_always_tried_first() {
        let targets = [target("late", 20, 65_535), target("early", 10, 0)];
        let count = firsts(&targets, 100);
        assert_eq!(count("early"), 100);
    }

    #[test]
    fn within_a_priority_weights_decide_how_often() {
        let targets = [target("ten", 0, 10), target("forty", 0, 40)];
        let count = firsts(&targets, 10_000);
        // RFC 2782 draws from zero to the sum, so "ten" has eleven parts in fifty-one.
        let share = count("ten") as f64 / 10_000.0;
        assert!((share - 11.0 / 51.0).abs() < 0.02, "{share}");
    }

    #[test]
    fn a_target_without_weight_is_tried_now_and_then() {
        let targets = [target("none", 0, 0), target("some", 0, 9)];
        let count = firsts(&targets, 10_000);
        let share = count("none") as f64 / 10_000.0;
        assert!((share - 0.1).abs() < 0.02, "{share}");
    }

    #[test]
    fn every_target_is_in_the_order_once() {
        let targets: Vec<Target> = (0..5u16)
            .map(|number| target(&number.to_string(), number % 2, number))
            .collect();
        let mut order: Vec<_> = in_order(targets, &mut SeededEntropy::new(1))
            .into_iter()
            .map(|target| target.host)
            .collect();
        order.sort();
        assert_eq!(order, ["0", "1", "2", "3", "4"]);
    }
}
