//! The operations the Mesh is built from: Ed448 signatures and agreement behind one trait with two
//! providers (architecture A-24), digests, key derivation, ciphers (crypto §3 to §6).
