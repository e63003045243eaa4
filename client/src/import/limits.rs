//! Bounds of an import. They keep one strange file from filling a catalog with entries that no
//! service accepts; nothing is dropped on reaching them, see each one.

/// Octets of a file that is imported. A larger file is refused whole, with a sentence that says to
/// split it: address books and calendars are a hundredth of this.
pub const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Octets of JSON that the original of one entry may take. A longer original is cut into parts
/// that are kept in further entries, so that every entry stays below the 256 KiB that a service
/// accepts (architecture A-8).
pub const ORIGINAL_PART_BYTES_MAX: usize = 128 * 1024;

/// Octets of JSON that the members of one entry may take without its original. A record that
/// needs more is kept verbatim only, and reported.
pub const MEMBERS_BYTES_MAX: usize = 96 * 1024;

/// Octets of a unique id that an import makes from folders, titles, hosts and users; longer ones
/// are cut. A service accepts 1,024 (containers §6.2); the rest is for a number behind it.
pub const UNIQUE_ID_BYTES_MAX: usize = 1_000;

/// Octets of input that a note quotes; the entry keeps the whole text.
pub const NOTE_QUOTE_BYTES_MAX: usize = 160;

/// Folders in folders that a path names; deeper ones get an entry of their own.
pub const FOLDER_DEPTH_MAX: usize = 64;

/// Octets of a folder's heading, or of the heading of a file, that originals repeat; a longer one
/// gets an entry of its own.
pub const HEADING_BYTES_MAX: usize = 4 * 1024;

/// Octets of a title that go into a path.
pub const NAME_BYTES_MAX: usize = 512;

/// Octets of headings, folders, time zones and header rows that all originals of one import may
/// repeat, so that each can be read alone. Beyond it an original holds its record only, and what
/// no original holds gets an entry of its own.
pub const REPEATED_BYTES_MAX: usize = 64 * 1024 * 1024;
