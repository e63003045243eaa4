//! Cuts a bookmark file into pieces: its heading, folders, bookmarks, the ends of lists, and what
//! is none of these. The tags are found as a browser finds them; every octet is in one piece.

use std::collections::BTreeMap;

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

use super::source::{Source, is_blank, legible};

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// What stands before the first list.
    Heading,
    /// `<DT><A …>…</A><DD>…`
    Bookmark,
    /// `<DT><H3 …>…</H3><DD>…`
    Folder,
    /// `<DL><p>`
    Open,
    /// `</DL><p>`
    Close,
    /// `<HR>`
    Separator,
    /// Anything else that is not blank.
    Stray,
}

/// A stretch of the file.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    /// What it is.
    pub(super) kind: PieceKind,
    /// The line it starts at.
    pub(super) line: usize,
    /// The piece itself.
    pub(super) octets: &'a [u8],
    /// The text of the link or heading.
    pub(super) title: String,
    /// The attributes of the link or heading, names in upper case.
    pub(super) attributes: BTreeMap<String, String>,
    /// Whether a description stands behind it.
    pub(super) described: bool,
}

/// Cuts a file.
pub(super) fn pieces<'a>(source: &'a Source<'_>) -> Vec<Piece<'a>> {
    let octets = source.octets();
    let mut cutter = Cutter {
        octets,
        pieces: Vec::new(),
        open: Open::at(0, PieceKind::Heading),
        line: 1,
        counted: 0,
    };
    let emitter = DefaultEmitter::<usize>::new_with_span();
    // Reading from memory has no errors.
    let mut read = 0;
    for token in Tokenizer::new_with_emitter(octets, emitter).flatten() {
        read = end_of(&token).unwrap_or(read).max(read);
        cutter.token(token);
    }
    // A tag that the end of the file cuts off is no token.
    if cutter.open.kind.is_structural() && !is_blank(octets.get(read..).unwrap_or_default()) {
        cutter.cut(read, PieceKind::Stray);
    }
    cutter.cut(octets.len(), PieceKind::Stray);
    cutter.pieces
}

impl PieceKind {
    /// Whether the piece is a tag that says where lists begin and end, and nothing else.
    const fn is_structural(self) -> bool {
        matches!(self, Self::Open | Self::Close | Self::Separator)
    }
}

/// Where a token ends.
fn end_of(token: &Token<usize>) -> Option<usize> {
    Some(match token {
        Token::StartTag(tag) => tag.span.end,
        Token::EndTag(tag) => tag.span.end,
        Token::String(text) | Token::Comment(text) => text.span.end,
        Token::Doctype(doctype) => doctype.span.end,
        Token::Error(_) => return None,
    })
}

/// The piece that is being read.
struct Open {
    start: usize,
    kind: PieceKind,
    /// Where text goes.
    target: Target,
    title: Vec<u8>,
    attributes: BTreeMap<String, String>,
    described: bool,
    /// Whether it has text or tags that its kind does not account for.
    strange: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Nothing,
    Title,
    Description,
}

impl Open {
    fn at(start: usize, kind: PieceKind) -> Self {
        Self {
            start,
            kind,
            target: Target::Nothing,
            title: Vec::new(),
            attributes: BTreeMap::new(),
            described: false,
            strange: false,
        }
    }
}

struct Cutter<'a> {
    octets: &'a [u8],
    pieces: Vec<Piece<'a>>,
    open: Open,
    /// The line of the octet `counted`.
    line: usize,
    counted: usize,
}

impl Cutter<'_> {
    fn token(&mut self, token: Token<usize>) {
        match token {
            Token::StartTag(tag) => self.start_tag(&tag),
            Token::EndTag(tag) => match tag.name.as_slice() {
                b"dl" => self.cut(tag.span.start, PieceKind::Close),
                b"a" | b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => {
                    self.open.target = Target::Nothing;
                }
                b"dt" | b"dd" | b"p" | b"body" | b"html" => {}
                _ => self.open.strange = true,
            },
            Token::String(text) => self.text(&text),
            Token::Comment(_) | Token::Doctype(_) => self.open.strange = true,
            Token::Error(_) => {}
        }
    }

    fn start_tag(&mut self, tag: &StartTag<usize>) {
        let start = tag.span.start;
        match tag.name.as_slice() {
            b"dl" => self.cut(start, PieceKind::Open),
            b"hr" => self.cut(start, PieceKind::Separator),
            b"dt" => self.cut(start, PieceKind::Stray),
            b"a" => self.item(tag, PieceKind::Bookmark),
            b"h1" if self.open.kind == PieceKind::Heading => {}
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => self.item(tag, PieceKind::Folder),
            b"dd" => {
                self.open.target = Target::Description;
                self.open.strange = true;
            }
            b"p" => {}
            _ => self.open.strange = true,
        }
        if matches!(tag.name.as_slice(), b"dl" | b"hr" | b"p" | b"dt") {
            self.open.strange |= !tag.attributes.is_empty();
        }
    }

    /// A link or a folder's heading: it belongs to the DT before it, if that has neither yet.
    fn item(&mut self, tag: &StartTag<usize>, kind: PieceKind) {
        let in_list_item = self.open.kind == PieceKind::Stray && !self.open.strange;
        if !in_list_item {
            self.cut(tag.span.start, kind);
        }
        self.open.kind = kind;
        self.open.target = Target::Title;
        for (name, value) in &tag.attributes {
            let name = legible(name).to_ascii_uppercase();
            self.open
                .attributes
                .insert(name, legible(value).trim().to_owned());
        }
    }

    fn text(&mut self, text: &[u8]) {
        match self.open.target {
            Target::Title => self.open.title.extend_from_slice(text),
            Target::Description => self.open.described |= !is_blank(text),
            Target::Nothing => self.open.strange |= !is_blank(text),
        }
    }

    /// Ends the open piece at `end` and starts the next one there.
    fn cut(&mut self, end: usize, next: PieceKind) {
        let open = std::mem::replace(&mut self.open, Open::at(end, next));
        let octets = self.octets.get(open.start..end).unwrap_or_default();
        let line = self.line_of(open.start);
        let blank_list_item =
            open.kind == PieceKind::Stray && !open.strange && self.is_only_dt(octets);
        if is_blank(octets) || blank_list_item {
            return;
        }
        let words = legible(&open.title);
        let title = words.split_whitespace().collect::<Vec<&str>>().join(" ");
        self.pieces.push(Piece {
            kind: open.kind,
            line,
            octets,
            title,
            attributes: open.attributes,
            described: open.described,
        });
        if open.kind.is_structural() && open.strange {
            self.pieces.push(Piece {
                kind: PieceKind::Stray,
                line,
                octets,
                title: String::new(),
                attributes: BTreeMap::new(),
                described: false,
            });
        }
    }

    /// Whether a list item has nothing in it.
    fn is_only_dt(&self, octets: &[u8]) -> bool {
        let text = octets.trim_ascii();
        text.len() <= 4 && text.first() == Some(&b'<')
    }

    /// The line of an octet; callers ask in ascending order.
    fn line_of(&mut self, start: usize) -> usize {
        let passed = self.octets.get(self.counted..start).unwrap_or_default();
        self.line += passed.iter().filter(|octet| **octet == b'\n').count();
        self.counted = start;
        self.line
    }
}
