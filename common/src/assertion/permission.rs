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

/// Whether `permissions` let a device send messages tagged `message_tag`: none are listed at all,
/// or one names the tag, its group or `*` without the role `Reject`.
#[must_use]
pub fn grants(permissions: &[Permission], message_tag: &str) -> bool {
    let group = group_of(message_tag);
    permissions.is_empty()
        || permissions.iter().any(|permission| {
            let name = permission.name.as_deref().unwrap_or_default();
            let named = name == "*" || name == message_tag || Some(name) == group;
            named && permission.role.as_deref() != Some("Reject")
        })
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
    }
}
