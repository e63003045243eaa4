//! A container read as messages by id: what was posted, and in which state each message is
//! (containers §7).
