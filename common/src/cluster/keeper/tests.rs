//! One Keeper, told what happens.
