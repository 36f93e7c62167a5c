//! A logo's image: read to its end, and written anew of nothing but its pixels.
//!
//! What else a file holds (texts, where and when a picture was taken, a preview, further frames, what stands behind its end) is
//! in no answer, nor is the colour of what is wholly transparent. Colours are taken as sRGB. One picture always comes out as the
//! same bytes.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::RangeInclusive;

use png::{
    BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, DeflateCompression, Encoder, EncodingError,
    Filter, Limits, Transformations,
};

/// The most bytes of an image, as it comes and as it is kept: a payer's page with all that it loads stays under 30,000.
pub(crate) const MAX_BYTES: usize = 9_000;
/// How wide and how high an image may be, pixels.
const SIDES: RangeInclusive<u32> = 16..=1024;
/// What reading may take beside the pixels, bytes: a row or two, and what chunks hold.
const MAX_BESIDE: usize = 64 << 10;

/// Why an image is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("the image is no PNG, or is damaged; save it as PNG anew")]
    Unreadable,
    #[error("the image has to be 16 to 1024 pixels wide, and 16 to 1024 pixels high")]
    Sides,
    #[error(
        "the image has more than 9,000 bytes once it is written anew; make it smaller, or draw it with fewer colours"
    )]
    TooLarge,
}

impl From<DecodingError> for ImageError {
    fn from(_: DecodingError) -> Self {
        Self::Unreadable
    }
}

impl From<EncodingError> for ImageError {
    fn from(_: EncodingError) -> Self {
        Self::Unreadable
    }
}

type Pixel = [u8; 4];

/// Red, green, blue and opacity, row by row from the top.
struct Image {
    width: u32,
    height: u32,
    pixels: Vec<Pixel>,
}

/// The image of those pixels, and nothing else of the file.
pub(crate) fn only(file: &[u8]) -> Result<Vec<u8>, ImageError> {
    let image = read(file)?;
    let written = match image.palette() {
        None => image.direct()?,
        // Few shades of grey need no palette.
        Some(palette) if image.is_grey() && image.is_opaque() => {
            let (indexed, direct) = (image.indexed(&palette)?, image.direct()?);
            if indexed.len() < direct.len() { indexed } else { direct }
        }
        Some(palette) => image.indexed(&palette)?,
    };
    if written.len() > MAX_BYTES { Err(ImageError::TooLarge) } else { Ok(written) }
}

/// Of an animation, the frame that is there without it.
fn read(file: &[u8]) -> Result<Image, ImageError> {
    let mut options = DecodeOptions::default();
    options.set_ignore_checksums(false);
    options.set_skip_ancillary_crc_failures(false);
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(file), options);
    decoder.set_limits(Limits { bytes: MAX_BESIDE });
    let header = decoder.read_header_info()?;
    let (width, height) = (header.width, header.height);
    // Nothing is made room for before this is known.
    if !SIDES.contains(&width) || !SIDES.contains(&height) {
        return Err(ImageError::Sides);
    }
    decoder.set_transformations(Transformations::normalize_to_color8() | Transformations::ALPHA);
    let mut reader = decoder.read_info()?;
    let mut samples = vec![0; reader.output_buffer_size().ok_or(ImageError::Unreadable)?];
    let frame = reader.next_frame(&mut samples)?;
    reader.finish()?;
    if (frame.width, frame.height) != (width, height) || frame.bit_depth != BitDepth::Eight {
        return Err(ImageError::Unreadable);
    }
    let seen = |pixel: Pixel| if matches!(pixel, [.., 0]) { [0; 4] } else { pixel };
    let pixels = match frame.color_type {
        ColorType::Rgba => samples.as_chunks().0.iter().map(|pixel| seen(*pixel)).collect(),
        ColorType::GrayscaleAlpha => samples
            .as_chunks()
            .0
            .iter()
            .map(|[grey, opacity]| seen([*grey, *grey, *grey, *opacity]))
            .collect(),
        _ => return Err(ImageError::Unreadable),
    };
    Ok(Image { width, height, pixels })
}

impl Image {
    fn is_opaque(&self) -> bool {
        self.pixels.iter().all(|[.., opacity]| *opacity == u8::MAX)
    }

    fn is_grey(&self) -> bool {
        self.pixels.iter().all(|[red, green, blue, _]| red == green && green == blue)
    }

    /// Its colours and the place of each, what is not opaque first, if a palette has room for them.
    fn palette(&self) -> Option<BTreeMap<Pixel, u8>> {
        // By opacity first, so that the opacities that have to be written are few.
        let mut colours = BTreeMap::new();
        let mut before = None;
        for pixel in &self.pixels {
            if before != Some(pixel) {
                colours.insert(by_opacity(*pixel), 0);
                if colours.len() > 256 {
                    return None;
                }
                before = Some(pixel);
            }
        }
        colours.values_mut().zip(0..=u8::MAX).for_each(|(place, n)| *place = n);
        Some(colours)
    }

    fn indexed(&self, palette: &BTreeMap<Pixel, u8>) -> Result<Vec<u8>, EncodingError> {
        let (depth, bits) = match palette.len() {
            ..=2 => (BitDepth::One, 1),
            3..=4 => (BitDepth::Two, 2),
            5..=16 => (BitDepth::Four, 4),
            _ => (BitDepth::Eight, 8),
        };
        let (width, each) = (usize::try_from(self.width).unwrap_or(usize::MAX), 8 / bits);
        let mut samples = Vec::with_capacity(self.pixels.len() / each + 1);
        for row in self.pixels.chunks(width) {
            for group in row.chunks(each) {
                let place = |n| group.get(n).and_then(|pixel| palette.get(&by_opacity(*pixel))).copied();
                let byte = (0..each).fold(0_u16, |byte, n| (byte << bits) | u16::from(place(n).unwrap_or(0)));
                let [byte, _] = byte.to_le_bytes();
                samples.push(byte);
            }
        }
        let (mut colours, mut opacities) = (Vec::new(), Vec::new());
        for [opacity, colour @ ..] in palette.keys() {
            colours.extend_from_slice(colour);
            opacities.extend((*opacity < u8::MAX).then_some(*opacity));
        }
        let mut file = Vec::new();
        let mut encoder = self.encoder(&mut file, ColorType::Indexed, depth);
        encoder.set_palette(colours);
        if !opacities.is_empty() {
            encoder.set_trns(opacities);
        }
        encoder.set_filter(Filter::NoFilter);
        write(encoder, &samples)?;
        Ok(file)
    }

    fn direct(&self) -> Result<Vec<u8>, EncodingError> {
        let all = self.pixels.iter();
        let (colour, samples): (_, Vec<u8>) = match (self.is_grey(), self.is_opaque()) {
            (true, true) => (ColorType::Grayscale, all.map(|[grey, ..]| *grey).collect()),
            (true, false) => {
                (ColorType::GrayscaleAlpha, all.flat_map(|[grey, .., opacity]| [*grey, *opacity]).collect())
            }
            (false, true) => {
                (ColorType::Rgb, all.flat_map(|[red, green, blue, _]| [*red, *green, *blue]).collect())
            }
            (false, false) => (ColorType::Rgba, all.flatten().copied().collect()),
        };
        let mut file = Vec::new();
        let mut encoder = self.encoder(&mut file, colour, BitDepth::Eight);
        encoder.set_filter(Filter::Adaptive);
        write(encoder, &samples)?;
        Ok(file)
    }

    fn encoder<'w>(
        &self,
        to: &'w mut Vec<u8>,
        colour: ColorType,
        depth: BitDepth,
    ) -> Encoder<'static, &'w mut Vec<u8>> {
        let mut encoder = Encoder::new(to, self.width, self.height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        encoder.set_deflate_compression(DeflateCompression::Level(9));
        encoder
    }
}

fn by_opacity([red, green, blue, opacity]: Pixel) -> Pixel {
    [opacity, red, green, blue]
}

fn write(encoder: Encoder<'_, &mut Vec<u8>>, samples: &[u8]) -> Result<(), EncodingError> {
    let mut writer = encoder.write_header()?;
    writer.write_image_data(samples)?;
    writer.finish()
}

#[cfg(test)]
mod tests;
