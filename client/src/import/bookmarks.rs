//! Bookmarks: the Netscape bookmark file, as Chrome, Firefox, Safari and their relatives write it.
//! Folders become the path of a bookmark (schema draft §7.4.8, containers §6.2). Each bookmark
//! keeps a small bookmark file of its own as its original: heading, folders, and itself, verbatim.

use std::borrow::Cow;

use mesh_common::catalog::entry::{CatalogEntry, CatalogedBookmark};

use super::bookmark_pieces::{Piece, PieceKind, pieces};
use super::collector::{Collector, Record};
use super::identity::percent_encode;
use super::limits::{FOLDER_DEPTH_MAX, HEADING_BYTES_MAX, NAME_BYTES_MAX};
use super::report::{ImportReport, cut, quote};
use super::source::{Source, is_blank};

/// The path of entries that hold text nobody could read.
const UNREAD: &str = "Not read";

/// Reads a bookmark file.
pub(super) fn import(source: &Source<'_>, keys: &mut dyn FnMut() -> String) -> ImportReport {
    let pieces = pieces(source);
    let heading = heading_of(&pieces);
    let mut walk = Walk {
        collector: Collector::new("text/html", keys),
        heading,
        heading_kept: false,
        dialect: dialect_of(heading),
        folders: Vec::new(),
        open_heading: None,
    };
    for piece in &pieces {
        walk.piece(piece);
    }
    walk.end()
}

/// What stands before the first list, if it is as short as programs write it.
fn heading_of<'a>(pieces: &[Piece<'a>]) -> &'a [u8] {
    match pieces.first() {
        Some(Piece {
            kind: PieceKind::Heading,
            octets,
            ..
        }) if octets.len() <= HEADING_BYTES_MAX => octets,
        _ => b"",
    }
}

/// Whose file it is, as far as headings tell.
fn dialect_of(heading: &[u8]) -> &'static str {
    let has = |text: &[u8]| heading.windows(text.len()).any(|window| window == text);
    if has(b"Bookmarks Menu") {
        "Firefox bookmarks"
    } else if has(b"<HTML>") {
        "Safari bookmarks"
    } else {
        "Netscape bookmarks"
    }
}

/// An open folder.
struct Folder<'a> {
    name: String,
    heading: &'a [u8],
    line: usize,
    /// Whether an original has its heading.
    kept: bool,
    /// Lists without a name that are open inside it.
    lists: usize,
}

/// Where the import stands in the file.
struct Walk<'a, 'k> {
    collector: Collector<'k>,
    /// What stands before the first list, if originals repeat it, and whether one has it.
    heading: &'a [u8],
    heading_kept: bool,
    dialect: &'static str,
    folders: Vec<Folder<'a>>,
    /// A folder's heading whose list has not begun.
    open_heading: Option<Folder<'a>>,
}

impl<'a> Walk<'a, '_> {
    fn piece(&mut self, piece: &Piece<'a>) {
        if piece.kind != PieceKind::Open
            && let Some(folder) = self.open_heading.take()
        {
            self.keep_folder(folder);
        }
        match &piece.kind {
            PieceKind::Heading if piece.octets.len() <= HEADING_BYTES_MAX => {}
            PieceKind::Heading | PieceKind::Stray => self.unread(piece.line, piece.octets),
            PieceKind::Separator => self.collector.kept(
                piece.line,
                quote(piece.octets),
                "a separator: bookmarks in a catalog have no order",
            ),
            PieceKind::Open => match (self.open_heading.take(), self.folders.last_mut()) {
                (Some(folder), _) => self.folders.push(folder),
                (None, Some(folder)) => folder.lists += 1,
                (None, None) => {}
            },
            PieceKind::Close => self.close(),
            PieceKind::Folder => self.folder(piece),
            PieceKind::Bookmark => self.bookmark(piece),
        }
    }

    fn close(&mut self) {
        match self.folders.last_mut() {
            Some(folder) if folder.lists > 0 => folder.lists -= 1,
            _ => {
                if let Some(folder) = self.folders.pop() {
                    self.keep_folder(folder);
                }
            }
        }
    }

    fn end(mut self) -> ImportReport {
        if let Some(folder) = self.open_heading.take() {
            self.keep_folder(folder);
        }
        while let Some(folder) = self.folders.pop() {
            self.keep_folder(folder);
        }
        if !self.heading_kept && !is_blank(self.heading) {
            self.unread(1, self.heading);
        }
        self.collector.finish()
    }

    fn folder(&mut self, piece: &Piece<'a>) {
        for attribute in piece.attributes.keys() {
            self.collector
                .kept(piece.line, format!("H3 {attribute}"), NO_MEMBER);
        }
        let name = if piece.title.is_empty() {
            "(no name)"
        } else {
            &piece.title
        };
        self.open_heading = Some(Folder {
            name: name.to_owned(),
            heading: piece.octets,
            line: piece.line,
            kept: false,
            lists: 0,
        });
    }

    fn bookmark(&mut self, piece: &Piece<'a>) {
        let uri = piece
            .attributes
            .get("HREF")
            .filter(|uri| !uri.is_empty())
            .cloned();
        self.notes(piece, uri.is_some());
        let path = self.path();
        let name = if piece.title.is_empty() {
            uri.as_deref()
        } else {
            Some(&*piece.title)
        };
        let leaf = in_path(cut(name.unwrap_or("(no name)"), NAME_BYTES_MAX));
        let record = Record {
            line: piece.line,
            octets: Cow::Owned(self.original(piece.octets)),
            source: self.dialect.to_owned(),
            import_id: format!(
                "{}: {} {path}",
                self.dialect,
                uri.as_deref().or(name).unwrap_or_default()
            ),
            entry: CatalogEntry::CatalogedBookmark(CatalogedBookmark {
                uri,
                title: Some(piece.title.clone()).filter(|title| !title.is_empty()),
                path: Some(format!("{path}{leaf}")),
                ..CatalogedBookmark::default()
            }),
        };
        self.collector.add(record);
    }

    fn notes(&mut self, piece: &Piece<'a>, has_address: bool) {
        if !has_address {
            self.collector
                .kept(piece.line, "HREF", "the bookmark has no address");
        }
        for attribute in piece.attributes.keys().filter(|name| *name != "HREF") {
            self.collector.kept(piece.line, attribute, NO_MEMBER);
        }
        if piece.described {
            self.collector.kept(piece.line, "DD", NO_MEMBER);
        }
        if std::str::from_utf8(piece.octets).is_err() {
            let what = quote(piece.octets);
            self.collector.kept(
                piece.line,
                what,
                "not UTF-8: read as Windows-1252, octets kept",
            );
        }
    }

    /// The names of the open folders, each with `/` behind it.
    fn path(&self) -> String {
        let names = self
            .folders
            .iter()
            .take(FOLDER_DEPTH_MAX)
            .map(|folder| &folder.name);
        names
            .map(|name| in_path(cut(name, NAME_BYTES_MAX)) + "/")
            .collect()
    }

    /// The piece in its folders under the file's heading, or alone once originals repeat too
    /// much.
    fn original(&mut self, piece: &[u8]) -> Vec<u8> {
        let around = self.folders.iter_mut().take(FOLDER_DEPTH_MAX);
        let mut around: Vec<&mut Folder<'a>> = around
            .filter(|folder| folder.heading.len() <= HEADING_BYTES_MAX)
            .collect();
        let headings: usize = around.iter().map(|folder| folder.heading.len()).sum();
        if !self.collector.may_repeat(self.heading.len() + headings) {
            return piece.to_vec();
        }
        self.heading_kept = true;
        let mut original = self.heading.to_vec();
        original.extend(b"<DL><p>\n");
        for folder in &mut around {
            folder.kept = true;
            original.extend(folder.heading);
            original.extend(b"<DL><p>\n");
        }
        original.extend(piece);
        original.extend(b"</DL><p>\n".repeat(around.len() + 1));
        original
    }

    /// A folder that no original has is kept in an entry without an address: one that nothing
    /// lies in, one that lies too deep, one whose heading is too long.
    fn keep_folder(&mut self, folder: Folder<'a>) {
        if folder.kept {
            return;
        }
        let name = folder.name.as_bytes();
        self.collector.kept(
            folder.line,
            quote(name),
            "a folder, kept in an entry of its own",
        );
        let path = format!(
            "{}{}/",
            self.path(),
            in_path(cut(&folder.name, NAME_BYTES_MAX))
        );
        let record = Record {
            line: folder.line,
            octets: Cow::Owned(self.original(folder.heading)),
            source: self.dialect.to_owned(),
            import_id: format!("{}: {path}", self.dialect),
            entry: CatalogEntry::CatalogedBookmark(CatalogedBookmark {
                title: Some(folder.name),
                path: Some(path),
                ..CatalogedBookmark::default()
            }),
        };
        self.collector.add(record);
    }

    fn unread(&mut self, line: usize, octets: &[u8]) {
        let kind = CatalogEntry::CatalogedBookmark(CatalogedBookmark {
            title: Some(quote(octets)),
            path: Some(format!("{UNREAD}/{}", in_path(&quote(octets)))),
            ..CatalogedBookmark::default()
        });
        self.collector
            .add_unread(kind, line, octets, "not part of a bookmark");
    }
}

/// Why an attribute stays in the original only.
const NO_MEMBER: &str = "a Mesh bookmark has no member for it";

/// A name as one step of a path.
fn in_path(name: &str) -> String {
    percent_encode(name, |letter| letter == '/' || letter == '%')
}
