//! [`Gifs`]: the built-in flags, made when they are first asked for.

use super::png::FLAGS;
use gif::{Encoder, Frame};
use std::collections::HashMap;
use std::error::Error;
use std::sync::OnceLock;

/// How many colours a GIF can have besides the transparent one.
const MOST_COLOURS: usize = 255;
/// Pixels below this opacity become transparent: GIF has no partial transparency.
const HALF_OPAQUE: u8 = 128;

/// The flags as GIFs. Each is converted once.
pub(super) struct Gifs(Vec<OnceLock<Vec<u8>>>);

impl Gifs {
    pub(super) fn new() -> Self {
        Self(FLAGS.iter().map(|_| OnceLock::new()).collect())
    }

    /// Returns the flag of a country by its code in lower case. The first call for
    /// a code converts its flag; concurrent calls wait for it.
    pub(super) fn flag(&self, code: &str) -> Option<&[u8]> {
        if code.bytes().any(|letter| letter.is_ascii_uppercase()) {
            return None;
        }
        let code = code.to_ascii_uppercase();
        let place = FLAGS
            .binary_search_by_key(&code.as_str(), |(code, _)| code)
            .ok()?;
        let gif = self.0[place].get_or_init(|| {
            gif_of_png(FLAGS[place].1).expect("the flags of twemoji-assets are valid PNG")
        });
        Some(gif)
    }
}

fn gif_of_png(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let header = minipng::decode_png_header(bytes).map_err(unreadable)?;
    let mut dots = vec![0; header.required_bytes_rgba8bpc()];
    let mut picture = minipng::decode_png(bytes, &mut dots).map_err(unreadable)?;
    picture.convert_to_rgba8bpc().map_err(unreadable)?;
    let dots = picture.pixels().chunks_exact(4);
    let (mut colours, places) = palette(&dots);

    let (width, height) = (
        u16::try_from(picture.width())?,
        u16::try_from(picture.height())?,
    );
    let transparent = u8::try_from(colours.len() / 3)?;
    colours.extend([0; 3]);
    let places: Vec<u8> = places
        .into_iter()
        .map(|place| place.unwrap_or(transparent))
        .collect();
    let frame = Frame::from_palette_pixels(width, height, places, colours, Some(transparent));
    let mut gif = Vec::new();
    Encoder::new(&mut gif, width, height, &[])?.write_frame(&frame)?;
    Ok(gif)
}

#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unreadable(error: minipng::Error) -> String {
    format!("not a PNG: {error:?}")
}

/// Finds the colours of a picture, as red, green, blue, and the index of each
/// pixel's colour among them; `None` is a transparent pixel.
///
/// If there are too many colours, the last bit of each is dropped, repeatedly until
/// they fit. Only the edges of a flag have many shades.
fn palette<'a>(dots: &(impl Iterator<Item = &'a [u8]> + Clone)) -> (Vec<u8>, Vec<Option<u8>>) {
    (0..8)
        .find_map(|lost_bits| palette_with(dots.clone(), 0xff << lost_bits))
        .expect("with one bit left there are eight colours")
}

fn palette_with<'a>(
    dots: impl Iterator<Item = &'a [u8]>,
    mask: u8,
) -> Option<(Vec<u8>, Vec<Option<u8>>)> {
    let mut known = HashMap::new();
    let mut colours = Vec::new();
    let mut places = Vec::new();
    for dot in dots {
        if dot[3] < HALF_OPAQUE {
            places.push(None);
            continue;
        }
        let colour = [dot[0] & mask, dot[1] & mask, dot[2] & mask];
        let next = u8::try_from(known.len()).ok()?;
        let place = *known.entry(colour).or_insert_with(|| {
            colours.extend(&dot[..3]);
            next
        });
        places.push(Some(place));
    }
    (known.len() <= MOST_COLOURS).then_some((colours, places))
}
