//! What the permissions of a connection say (schema draft §7.2.13; ). The schema gives
//! no values, so these are ours.

use super::Permission;

/// Whether `permissions` make a device an administrator: one of them has `Name` or `Role` `Admin`,
/// in any case.
#[must_use]
pub fn is_administrator(permissions: &[Permission]) -> bool {
    let says_admin = |text: &Option<String>| {
        text.as_deref()
            .is_some_and(|text| text.eq_ignore_ascii_case("admin"))
    };
    permissions
        .iter()
        .any(|permission| says_admin(&permission.name) || says_admin(&permission.role))
}

/// Whether `permissions` let a device send messages tagged `message_tag`: one names the tag,
/// its group or `*` without the role `Reject`, or none names it and they do not limit it. ResponseConfirmation is a
/// privilege (S 6.4): any permission that is listed limits it. Other messages are limited by
/// permissions that name messages, where those for administrators and confirmations do not count.
#[must_use]
pub fn grants(permissions: &[Permission], message_tag: &str) -> bool {
    let name_of = |permission: &Permission| permission.name.clone().unwrap_or_default();
    let is_limited = if message_tag == RESPONSE_CONFIRMATION {
        !permissions.is_empty()
    } else {
        permissions.iter().map(name_of).any(|name| is_limit(&name))
    };
    let mut about_it = permissions
        .iter()
        .filter(|one| names_tag(&name_of(one), message_tag))
        .peekable();
    if about_it.peek().is_none() {
        return !is_limited;
    }
    about_it.any(|one| one.role.as_deref() != Some("Reject"))
}

/// Whether listing `name` limits a device to what is listed.
fn is_limit(name: &str) -> bool {
    let is_privilege = name.eq_ignore_ascii_case("admin") || names_tag(name, RESPONSE_CONFIRMATION);
    !name.is_empty() && (name == "*" || !is_privilege)
}

/// The message that only a device with the privilege may send (S 6.4).
const RESPONSE_CONFIRMATION: &str = "ResponseConfirmation";

/// Whether `name` stands for messages tagged `message_tag`: it is the tag, its group or `*`.
#[must_use]
pub fn names_tag(name: &str, message_tag: &str) -> bool {
    name == "*" || name == message_tag || Some(name) == group_of(message_tag)
}

/// The group a message tag belongs to.
pub(crate) fn group_of(message_tag: &str) -> Option<&'static str> {
    match message_tag {
        "RequestContact" | "ReplyContact" => Some("Contact"),
        "RequestConfirmation" | "ResponseConfirmation" => Some("Confirm"),
        "RequestTask" => Some("Task"),
        "OfferGroup" | "GroupInvitation" => Some("Group"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(name: &str, role: Option<&str>) -> Permission {
        Permission {
            name: Some(name.into()),
            role: role.map(Into::into),
            ..Permission::default()
        }
    }

    #[test]
    fn an_administrator_is_named_in_any_case_by_name_or_role() {
        assert!(is_administrator(&[permission("admin", None)]));
        assert!(is_administrator(&[permission("Device", Some("ADMIN"))]));
        assert!(!is_administrator(&[permission("Administrator", None)]));
        assert!(!is_administrator(&[]));
    }

    #[test]
    fn a_listed_permission_limits_what_is_sent() {
        assert!(grants(&[], "ResponseConfirmation"));
        assert!(grants(
            &[permission("Confirm", None)],
            "ResponseConfirmation"
        ));
        assert!(!grants(
            &[permission("Admin", None)],
            "ResponseConfirmation"
        ));
        assert!(!grants(
            &[permission("Confirm", Some("Reject"))],
            "RequestConfirmation"
        ));
        assert!(grants(&[permission("*", None)], "RequestTask"));
        assert!(grants(&[permission("Admin", None)], "RequestTask"));
        assert!(grants(&[permission("Confirm", None)], "RequestTask"));
        let both = [permission("Admin", None), permission("Task", None)];
        assert!(grants(&both, "RequestTask"));
        assert!(!grants(&both, "RequestContact"));
    }
}
