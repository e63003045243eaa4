//! QR codes of what has to get from one device to another by way of a camera or paper: PINs, EARLs,
//! keys and shares. Drawn for a terminal or as a PNG file (UDF draft §1.2.2, service §6.5).

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code, as the standard asks for.
const QUIET_MODULES: usize = 4;
/// Pixels of a module's side in a PNG file.
const MODULE_PIXELS: usize = 8;
/// What a PNG file has for a light pixel; a dark one has 0.
const LIGHT: u8 = 0xff;

/// A text that does not become a picture.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    /// More octets than the largest code holds.
    #[error("{found_bytes} octets do not fit into a QR code")]
    TooLong {
        /// Octets of the text.
        found_bytes: usize,
    },
    /// The encoder of the picture failed.
    #[error("the picture cannot be written")]
    Picture(#[source] png::EncodingError),
}

/// A QR code. It may show a secret, so it does not print itself in logs.
pub struct Qr {
    /// Row by row, quiet zone included: whether the module is dark.
    dark: Vec<bool>,
    side: usize,
}

impl std::fmt::Debug for Qr {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Qr({} modules)", self.side)
    }
}

impl Drop for Qr {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.dark);
    }
}

impl Qr {
    /// The code of `text`, readable with a seventh of it damaged.
    ///
    /// # Errors
    /// [`QrError::TooLong`].
    pub fn of(text: &str) -> Result<Self, QrError> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| {
            QrError::TooLong {
                found_bytes: text.len(),
            }
        })?;
        let width = code.width();
        let side = width + 2 * QUIET_MODULES;
        let mut dark = vec![false; side * side];
        for (position, color) in code.to_colors().into_iter().enumerate() {
            let (row, column) = (position / width, position % width);
            dark[(row + QUIET_MODULES) * side + column + QUIET_MODULES] = color == Color::Dark;
        }
        Ok(Self { dark, side })
    }

    /// The code in half-block characters, two rows of modules per line, for light text on a dark
    /// ground: what is light is drawn.
    #[must_use]
    pub fn to_terminal(&self) -> String {
        let mut text = String::with_capacity((self.side + 1) * self.side * 2);
        for row in (0..self.side).step_by(2) {
            for column in 0..self.side {
                let above = !self.is_dark(row, column);
                let below = row + 1 < self.side && !self.is_dark(row + 1, column);
                text.push(match (above, below) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push('\n');
        }
        text
    }

    /// The code as a PNG file, black on white.
    ///
    /// # Errors
    /// [`QrError::Picture`].
    pub fn to_png(&self) -> Result<Vec<u8>, QrError> {
        let pixels = self.side * MODULE_PIXELS;
        let size = u32::try_from(pixels).expect("the largest code has 185 modules a side");
        let mut octets = Vec::new();
        let mut encoder = png::Encoder::new(&mut octets, size, size);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut data = zeroize::Zeroizing::new(Vec::with_capacity(pixels * pixels));
        for y in 0..pixels {
            for x in 0..pixels {
                let is_dark = self.is_dark(y / MODULE_PIXELS, x / MODULE_PIXELS);
                data.push(if is_dark { 0 } else { LIGHT });
            }
        }
        let mut writer = encoder.write_header().map_err(QrError::Picture)?;
        writer.write_image_data(&data).map_err(QrError::Picture)?;
        writer.finish().map_err(QrError::Picture)?;
        Ok(octets)
    }

    fn is_dark(&self, row: usize, column: usize) -> bool {
        self.dark[row * self.side + column]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "mcu://alice@example.com/NCGD-ZOQL-JRVF-TALA-EY";

    /// What another program reads in a picture of `side` pixels a side.
    fn read(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> String {
        let mut picture = rqrr::PreparedImage::prepare_from_bitmap(side, side, is_dark);
        let grids = picture.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    #[test]
    fn a_picture_is_read_back_by_another_program() {
        for text in [TEXT, "x", &"abandon ".repeat(24)] {
            let octets = Qr::of(text).unwrap().to_png().unwrap();
            let decoder = png::Decoder::new(std::io::Cursor::new(octets));
            let mut reader = decoder.read_info().unwrap();
            let side = reader.info().width as usize;
            let mut pixels = vec![0; side * side];
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(read(side, |x, y| pixels[y * side + x] == 0), text);
        }
    }

    #[test]
    fn a_drawing_in_a_terminal_is_read_back_by_another_program() {
        let drawn = Qr::of(TEXT).unwrap().to_terminal();
        let lines: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
        let side = lines[0].len();
        let scale = 4;
        let is_dark = |x: usize, y: usize| {
            let (x, y) = (x / scale, y / scale);
            let light = match lines[y / 2][x] {
                '█' => true,
                '▀' => y % 2 == 0,
                '▄' => y % 2 == 1,
                _ => false,
            };
            !light
        };
        assert_eq!(read(side * scale, is_dark), TEXT);
    }

    #[test]
    fn more_than_a_code_holds_is_told() {
        let error = Qr::of(&"x".repeat(3_000)).unwrap_err();
        assert_eq!(error.to_string(), "3000 octets do not fit into a QR code");
    }

    #[test]
    fn a_code_does_not_print_what_it_shows() {
        assert!(format!("{:?}", Qr::of(TEXT).unwrap()).starts_with("Qr("));
    }
}
