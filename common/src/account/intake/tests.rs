//! Who may leave what, as tables: access control in one, contacts and receptions beside it.

pub(in crate::account) mod contacts;
mod control;
mod reception;

use super::{ForwardingService, MessageSender};
use crate::account::testing::udf;
use crate::address::AccountAddress;

fn address(text: &str) -> AccountAddress {
    AccountAddress::parse(text).unwrap()
}

/// Bob of this service, with a signed message.
fn bob() -> MessageSender {
    MessageSender {
        address: address("bob@example.com"),
        account_udf: udf("account of bob"),
        mesh_udf: Some(udf("mesh of bob")),
        signed_by: Some(udf("phone of bob")),
    }
}

/// Another service.
fn peer() -> ForwardingService {
    ForwardingService {
        domain: "example.net".to_owned(),
        udf: udf("service of example.net"),
    }
}
