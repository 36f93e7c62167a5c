use proptest::prelude::*;

use super::*;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    };
    !bytes.iter().fold(u32::MAX, step)
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [name, data].concat();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], &named, &crc(&named).to_be_bytes()].concat()
}

/// The chunks of a file, each with its name.
fn chunks(mut file: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    file = file.strip_prefix(SIGNATURE).unwrap();
    let mut all = Vec::new();
    while !file.is_empty() {
        let length = usize::try_from(u32::from_be_bytes(file[..4].try_into().unwrap())).unwrap();
        all.push((file[4..8].try_into().unwrap(), file[8..8 + length].to_vec()));
        file = &file[12 + length..];
    }
    all
}

fn joined(chunks: &[([u8; 4], Vec<u8>)]) -> Vec<u8> {
    let all = chunks.iter().map(|(name, data)| chunk(name, data));
    SIGNATURE.iter().copied().chain(all.flatten()).collect()
}

/// With chunks of that name and content before or behind the one that is named.
fn with(file: &[u8], before: &[u8; 4], more: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut all = chunks(file);
    let at = all.iter().position(|(name, _)| name == before).unwrap();
    all.splice(at..at, more.iter().map(|(name, data)| (**name, data.to_vec())));
    joined(&all)
}

fn encoded(width: u32, height: u32, colour: ColorType, depth: BitDepth, samples: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        encoder.set_palette(
            (0..=255).flat_map(|n| [n, 255 - n, n / 2]).take(3 << bits(depth)).collect::<Vec<_>>(),
        );
        encoder.set_trns([255, 128].as_slice());
    }
    write(encoder, samples).unwrap();
    file
}

fn bits(depth: BitDepth) -> usize {
    match depth {
        BitDepth::One => 1,
        BitDepth::Two => 2,
        BitDepth::Four => 4,
        BitDepth::Eight => 8,
        BitDepth::Sixteen => 16,
    }
}

/// A picture of every colour of its kind, 20 by 17 pixels.
fn picture(colour: ColorType, depth: BitDepth) -> Vec<u8> {
    let row = (20 * colour.samples() * bits(depth)).div_ceil(8);
    let samples: Vec<u8> = (0..17 * row).map(|n| u8::try_from(n % 251).unwrap()).collect();
    encoded(20, 17, colour, depth, &samples)
}

fn kinds() -> Vec<(ColorType, BitDepth)> {
    use BitDepth::{Eight, Four, One, Sixteen, Two};
    use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    let of = |colour, depths: &[BitDepth]| depths.iter().map(|depth| (colour, *depth)).collect::<Vec<_>>();
    [
        of(Grayscale, &[One, Two, Four, Eight, Sixteen]),
        of(Indexed, &[One, Two, Four, Eight]),
        of(GrayscaleAlpha, &[Eight, Sixteen]),
        of(Rgb, &[Eight, Sixteen]),
        of(Rgba, &[Eight, Sixteen]),
    ]
    .concat()
}

#[test]
fn a_picture_stays_as_it_is_and_comes_out_as_the_same_bytes() {
    for (colour, depth) in kinds() {
        let file = picture(colour, depth);
        let kept = only(&file).unwrap();
        assert_eq!(read(&kept).unwrap().pixels, read(&file).unwrap().pixels, "{colour:?} {depth:?}");
        assert_eq!(only(&kept), Ok(kept), "{colour:?} {depth:?}");
    }
}

#[test]
fn few_colours_take_few_bits() {
    let kind = |file: &[u8]| {
        let kept = only(file).unwrap();
        let decoder = Decoder::new(Cursor::new(kept)).read_info().unwrap();
        (decoder.info().color_type, bits(decoder.info().bit_depth))
    };
    let of = |pixel: fn(u32) -> [u8; 4]| {
        let samples: Vec<u8> = (0..64 * 64).flat_map(|n| pixel(n % 64)).collect();
        kind(&encoded(64, 64, ColorType::Rgba, BitDepth::Eight, &samples))
    };
    let byte = |n: u32| u8::try_from(n).unwrap();
    assert_eq!(of(|n| [9, 8, 7, u8::from(n > 30) * 255]), (ColorType::Indexed, 1));
    assert_eq!(of(|n| [9, 8, u8::try_from(n % 3).unwrap(), 255]), (ColorType::Indexed, 2));
    assert_eq!(of(|n| [9, 8, u8::try_from(n % 16).unwrap(), 255]), (ColorType::Indexed, 4));
    assert_eq!(of(|n| [9, 8, u8::try_from(n).unwrap(), 255]), (ColorType::Indexed, 8));
    let shades: Vec<u8> = (0..64 * 64).map(|n| byte(n / 16 % 256)).collect();
    assert_eq!(
        kind(&encoded(64, 64, ColorType::Grayscale, BitDepth::Eight, &shades)),
        (ColorType::Grayscale, 8)
    );
    let smooth: Vec<u8> = (0..64 * 64).flat_map(|n| [byte(n % 64), byte(n / 64), 7]).collect();
    assert_eq!(kind(&encoded(64, 64, ColorType::Rgb, BitDepth::Eight, &smooth)), (ColorType::Rgb, 8));
}

#[test]
fn nothing_but_pixels_is_kept() {
    let plain = picture(ColorType::Rgba, BitDepth::Eight);
    let kept = only(&plain).unwrap();
    let names: Vec<_> = chunks(&kept).into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| [*b"IHDR", *b"PLTE", *b"tRNS", *b"IDAT", *b"IEND"].contains(name)));
    let more: [(&[u8; 4], &[u8]); 7] = [
        (b"tEXt", b"Comment\0a secret"),
        (b"zTXt", b"Comment\0\0x\x9c"),
        (b"iTXt", b"Comment\0\0\0\0\0a secret"),
        (b"eXIf", b"II*\0\x08\0\0\0a secret"),
        (b"iCCP", b"profile\0\0a secret"),
        (b"tIME", &[7, 0xea, 6, 15, 12, 0, 0]),
        (b"prVt", b"a secret"),
    ];
    assert_eq!(only(&with(&plain, b"IDAT", &more)), Ok(kept.clone()));
    assert_eq!(only(&with(&plain, b"IEND", &more)), Ok(kept.clone()));
    assert_eq!(only(&[&plain[..], b"PK\x03\x04 a secret"].concat()), Ok(kept.clone()), "behind the end");
    // Behind the pixels, in the compressed data.
    let mut long = chunks(&plain);
    let data = long.iter_mut().find(|(name, _)| name == b"IDAT").unwrap();
    data.1.extend_from_slice(b"a secret");
    assert_eq!(only(&joined(&long)), Ok(kept));
}

#[test]
fn what_is_wholly_transparent_has_no_colour() {
    let hidden: Vec<u8> = (0..16 * 16).flat_map(|n| [u8::try_from(n).unwrap(), 1, 2, 0]).collect();
    let kept = only(&encoded(16, 16, ColorType::Rgba, BitDepth::Eight, &hidden)).unwrap();
    assert!(read(&kept).unwrap().pixels.iter().all(|pixel| *pixel == [0; 4]));
    assert_eq!(only(&encoded(16, 16, ColorType::Rgba, BitDepth::Eight, &[0; 1024])), Ok(kept));
}

#[test]
fn an_image_is_no_smaller_and_no_larger_than_that() {
    let of = |width: u32, height: u32| {
        let samples = vec![0; usize::try_from(width.div_ceil(8) * height).unwrap()];
        only(&encoded(width, height, ColorType::Grayscale, BitDepth::One, &samples)).map(|_| ())
    };
    for (width, height) in [(16, 16), (1024, 16), (16, 1024), (1024, 1024)] {
        assert_eq!(of(width, height), Ok(()));
    }
    for (width, height) in [(15, 16), (16, 15), (1025, 16), (16, 1025), (1, 1), (20_000, 20_000)] {
        assert_eq!(of(width, height), Err(ImageError::Sides));
    }
    // What says so is believed before there is room for any of it.
    let [_, _, size @ ..] = [0_u8, 0, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 16, 6, 0, 0, 0];
    assert_eq!(only(&joined(&[(*b"IHDR", size.to_vec()), (*b"IDAT", vec![])])), Err(ImageError::Sides));
}

#[test]
fn a_picture_of_too_many_bytes_is_refused() {
    let mut noise = 1_u32;
    let mut sample = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.to_be_bytes()[0]
    };
    let samples: Vec<u8> = (0..60 * 60 * 3).map(|_| sample()).collect();
    let file = encoded(60, 60, ColorType::Rgb, BitDepth::Eight, &samples);
    assert_eq!(only(&file), Err(ImageError::TooLarge));
    assert!(only(&encoded(50, 50, ColorType::Rgb, BitDepth::Eight, &samples[..7500])).is_ok());
}

#[test]
fn a_damaged_file_is_refused_wherever_the_damage_is() {
    for (colour, depth) in [(ColorType::Indexed, BitDepth::Four), (ColorType::Rgb, BitDepth::Eight)] {
        let file = with(&picture(colour, depth), b"IDAT", &[(b"tEXt", b"Comment\0text")]);
        for end in 0..file.len() {
            assert_eq!(only(&file[..end]), Err(ImageError::Unreadable), "cut at {end}");
        }
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 4;
            assert!(only(&damaged).is_err(), "changed at {at}");
        }
    }
    for other in
        [&b""[..], b"GIF89a", b"\xff\xd8\xff\xe0", b"<svg xmlns='http://www.w3.org/2000/svg'/>", SIGNATURE]
    {
        assert_eq!(only(other), Err(ImageError::Unreadable));
    }
}

#[test]
fn what_unpacks_to_much_more_is_read_in_little_room_or_refused() {
    // The most that an image of these sizes can hold: 8 MiB of samples.
    let bomb = encoded(1024, 1024, ColorType::Rgba, BitDepth::Sixteen, &vec![0; 8 << 20]);
    let kept = only(&bomb).unwrap();
    assert!(kept.len() < 1000, "{} of {}", kept.len(), bomb.len());
    // The same data behind a head that says that there is little.
    let mut all = chunks(&bomb);
    all[0].1[..8].copy_from_slice(&[0, 0, 0, 16, 0, 0, 0, 16]);
    let small = only(&joined(&all));
    let little = only(&encoded(16, 16, ColorType::Rgba, BitDepth::Eight, &[0; 1024]));
    assert!(small == Err(ImageError::Unreadable) || small == little);
    // Compressed texts and profiles are not unpacked.
    let packed = &chunks(&bomb).into_iter().find(|(name, _)| name == b"IDAT").unwrap().1;
    let (text, profile) = ([b"Comment\0\0", &packed[..]].concat(), [b"profile\0\0", &packed[..]].concat());
    let plain = picture(ColorType::Rgb, BitDepth::Eight);
    let loaded = with(&plain, b"IDAT", &[(b"zTXt", &text), (b"iCCP", &profile)]);
    assert_eq!(only(&loaded), only(&plain));
}

#[test]
fn of_an_animation_the_first_frame_is_kept() {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 16, 16);
    encoder.set_color(ColorType::Rgb);
    encoder.set_animated(3, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    for shade in [10, 20, 30] {
        writer.write_image_data(&[shade; 16 * 16 * 3]).unwrap();
    }
    writer.finish().unwrap();
    let first = encoded(16, 16, ColorType::Rgb, BitDepth::Eight, &[10; 16 * 16 * 3]);
    assert_eq!(only(&file), only(&first));
    let names: Vec<_> = chunks(&only(&file).unwrap()).into_iter().map(|(name, _)| name).collect();
    assert!(!names.contains(b"acTL") && !names.contains(b"fdAT"));
}

/// Rows as they stand in the first pass of an interlaced image and those after it: 16 by 16, one grey.
#[test]
fn an_interlaced_picture_is_read_whole() {
    let passes = [(2, 2), (2, 2), (4, 2), (4, 4), (8, 4), (8, 8), (16, 8)];
    let rows: Vec<u8> = passes
        .iter()
        .flat_map(|(width, height)| [&[0][..], &vec![77; *width]].concat().repeat(*height))
        .collect();
    let length = u16::try_from(rows.len()).unwrap();
    let (a, b) = rows.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let (head, sum) =
        ([&length.to_le_bytes()[..], &(!length).to_le_bytes()].concat(), (b << 16 | a).to_be_bytes());
    let packed = [&[0x78, 1, 1][..], &head, &rows, &sum].concat();
    let size = [0, 0, 0, 16, 0, 0, 0, 16, 8, 0, 0, 0, 1].to_vec();
    let file = joined(&[(*b"IHDR", size), (*b"IDAT", packed), (*b"IEND", vec![])]);
    assert_eq!(only(&file), only(&encoded(16, 16, ColorType::Grayscale, BitDepth::Eight, &[77; 256])));
}

proptest! {
    #[test]
    fn any_bytes_are_a_picture_or_none(bytes: Vec<u8>) {
        let _ = only(&bytes);
        let _ = only(&[SIGNATURE, &bytes].concat());
    }

    /// What was changed has the right sums again, so that it gets as far as it can.
    #[test]
    fn a_picture_that_was_tampered_with_is_a_picture_or_none(
        kind in 0..15_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..8),
        moved in any::<Option<(prop::sample::Index, prop::sample::Index)>>(),
    ) {
        let (colour, depth) = kinds()[kind];
        let more: [(&[u8; 4], &[u8]); 3] = [
            (b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
            (b"fcTL", &[0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0]),
            (b"gAMA", &[0, 0, 0xb1, 0x8f]),
        ];
        let mut all = chunks(&with(&picture(colour, depth), b"IDAT", &more));
        for (which, at, value) in changes {
            let which = which.index(all.len());
            let data = &mut all[which].1;
            if !data.is_empty() {
                let at = at.index(data.len());
                data[at] = value;
            }
        }
        if let Some((from, to)) = moved {
            let (from, to) = (from.index(all.len()), to.index(all.len()));
            all.swap(from, to);
        }
        if let Ok(kept) = only(&joined(&all)) {
            prop_assert!(kept.len() <= MAX_BYTES);
            prop_assert_eq!(only(&kept), Ok(kept));
        }
    }
}

#[test]
fn the_demos_logo_is_as_it_would_be_kept() {
    let demo = include_bytes!("../../../../plixoctl/src/demo/nordlicht.png");
    assert_eq!(only(demo).as_deref(), Ok(&demo[..]));
}
