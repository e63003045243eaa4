//! Who is asking: nobody, a device, a connected device, a service; by exchange or by ticket
//! (service §4).

pub mod caller;

pub use caller::{Caller, Mode, RequestId, Via};
