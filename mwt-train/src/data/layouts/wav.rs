//! Folders of WAV files: `train/<class>/*.wav` beside `test/` or `val/`.
//!
//! A sound is the mean of its channels, -1 to 1, at one rate, and of one length: its beginning. A
//! shorter one is followed by zeros, not by NaN: behind the end of a recording is silence, which is a
//! value, and a model shall not learn to tell classes by where the recording stopped. WAV files of
//! integers of 8, 16, 24 and 32 bits and of floats of 32 bits are read.

use std::num::NonZeroU32;
use std::path::Path;

use hound::{SampleFormat, WavReader};
use mwt_core::Extents;
use rayon::prelude::*;

use super::class_folders::{Listed, list};
use super::listing::Entry;
use super::splits::Splits;
use crate::data::error::DataError;
use crate::data::options::{LoadOptions, Parts};
use crate::data::resample::{frames_for, resample};
use crate::data::room::room;
use crate::data::signals::Signals;
use crate::data::sound_fault::SoundFault;

const EXTENSIONS: [&str; 1] = ["wav"];

/// More samples per second than any converter gives; keeps hostile headers from costing time.
const MOST_RATE: u32 = 768_000;

/// Whether the directory has sounds in folders of classes.
pub(super) fn is_wav(dir: &Path) -> Result<bool, DataError> {
    Splits::of(dir, &EXTENSIONS).map(|splits| splits.is_some())
}

/// Reads the sounds of a directory: the first `length` samples at `rate` samples per second.
pub(super) fn load(
    dir: &Path,
    options: &LoadOptions,
    rate: NonZeroU32,
    length: usize,
) -> Result<Parts<Signals>, DataError> {
    let Listed { classes, train, validation, test, remarks } = list(dir, &EXTENSIONS, options)?;
    let read = |entries: Option<Vec<Entry>>| {
        entries.map(|entries| read_split(dir, &entries, rate, length, options)).transpose()
    };
    let (train, validation, test) = (read(train)?, read(validation)?, read(test)?);
    Ok(Parts { classes, train, validation, test, remarks })
}

fn read_split(
    dir: &Path,
    entries: &[Entry],
    rate: NonZeroU32,
    length: usize,
    options: &LoadOptions,
) -> Result<Signals, DataError> {
    let extents = Extents::series(length);
    let mut values = room(dir, entries.len(), extents, 1, options)?;
    values.resize(entries.len() * length, 0.0);
    // Collected before the errors are looked at, so that the first file at fault is the one
    // reported, whichever thread was faster.
    let results: Vec<_> = values
        .par_chunks_exact_mut(length)
        .zip(entries)
        .map(|(sound, (path, _))| {
            let read = read_sound(path, rate, sound);
            read.map_err(|fault| DataError::Sound { path: path.clone(), fault })
        })
        .collect();
    results.into_iter().collect::<Result<(), DataError>>()?;
    let labels = entries.iter().map(|(_, label)| *label).collect();
    Ok(Signals { extents, channels: 1, values, labels })
}

/// Reads the beginning of a sound.
fn read_sound(path: &Path, rate: NonZeroU32, sound: &mut [f32]) -> Result<(), SoundFault> {
    let mut reader = WavReader::open(path).map_err(SoundFault::Decode)?;
    let spec = reader.spec();
    let from = NonZeroU32::new(spec.sample_rate).filter(|rate| rate.get() <= MOST_RATE);
    let from = from.ok_or(SoundFault::Rate(spec.sample_rate))?;
    let channels = usize::from(spec.channels).max(1);
    // No more than the window needs is read, however long the file is.
    let frames = frames_for(sound.len(), from, rate);
    let samples = frames.saturating_mul(channels);
    let mixed = match spec.sample_format {
        SampleFormat::Float => mix(reader.samples::<f32>().take(samples), channels)?,
        SampleFormat::Int => {
            // Twice as many values as bits, so half of them on each side of 0.
            let half = (1u64 << spec.bits_per_sample.clamp(1, 32)) as f32 / 2.0;
            let numbers = reader.samples::<i32>().take(samples);
            mix(numbers.map(|number| number.map(|number| number as f32 / half)), channels)?
        }
    };
    resample(&mixed, from, rate, sound);
    Ok(())
}

/// The mean of each frame's channels; a last frame that is not whole is left out.
fn mix(
    samples: impl Iterator<Item = hound::Result<f32>>,
    channels: usize,
) -> Result<Vec<f32>, SoundFault> {
    let mut mixed = Vec::new();
    let (mut sum, mut count) = (0.0, 0);
    for sample in samples {
        let sample = sample.map_err(SoundFault::Decode)?;
        if !sample.is_finite() {
            return Err(SoundFault::NotFinite(mixed.len()));
        }
        // Divided first, so that the sum of large floats is no infinity.
        sum += sample / channels as f32;
        count += 1;
        if count == channels {
            mixed.push(sum);
            (sum, count) = (0.0, 0);
        }
    }
    Ok(mixed)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hound::{WavSpec, WavWriter};
    use tempfile::TempDir;

    use super::*;

    fn rate(rate: u32) -> NonZeroU32 {
        NonZeroU32::new(rate).unwrap()
    }

    fn spec(channels: u16, sample_rate: u32, bits: u16, sample_format: SampleFormat) -> WavSpec {
        WavSpec { channels, sample_rate, bits_per_sample: bits, sample_format }
    }

    fn write<S: hound::Sample + Copy>(path: &Path, spec: WavSpec, samples: &[S]) {
        let mut writer = WavWriter::create(path, spec).unwrap();
        samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
        writer.finalize().unwrap();
    }

    /// Two classes with a sound each to train and to test on, of one channel at 8 kHz.
    fn fixture() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (class, value) in [("no", 0x2000i16), ("yes", -0x4000)] {
            for split in ["train", "val"] {
                let folder = dir.path().join(split).join(class);
                fs::create_dir_all(&folder).unwrap();
                let spec = spec(1, 8_000, 16, SampleFormat::Int);
                write(&folder.join("1.wav"), spec, &[value, 0, 2 * (value / 2)]);
            }
        }
        dir
    }

    fn load_sound(dir: &TempDir, at: u32, length: usize) -> Result<Vec<f32>, DataError> {
        load(dir.path(), &LoadOptions::default(), rate(at), length)
            .map(|parts| parts.train.unwrap().values[..length].to_vec())
    }

    #[test]
    fn sounds_are_cut_or_followed_by_silence() {
        let dir = fixture();
        assert!(is_wav(dir.path()).unwrap() && !is_wav(&dir.path().join("train/no")).unwrap());
        let parts = load(dir.path(), &LoadOptions::default(), rate(8_000), 5).unwrap();
        let (classes, train, test) = (parts.classes, parts.train.unwrap(), parts.test.unwrap());
        assert_eq!(classes, ["no", "yes"]);
        assert_eq!((train.extents, train.channels), (Extents::series(5), 1));
        assert_eq!((train.labels.as_slice(), &test), ([0, 1].as_slice(), &train));
        let wanted = [0.25, 0.0, 0.25, 0.0, 0.0, -0.5, 0.0, -0.5, 0.0, 0.0];
        assert_eq!(train.values, wanted);
        assert_eq!(load_sound(&dir, 8_000, 2).unwrap(), [0.25, 0.0]);
    }

    #[test]
    fn all_widths_are_read_and_channels_are_mixed() {
        let dir = fixture();
        let path = dir.path().join("train/no/1.wav");
        let both = |spec: u16| (spec, [0.5, -1.0]);
        for (bits, wanted) in [8, 16, 24, 32].map(both) {
            let top = 1i64 << (bits - 1);
            let samples = [top / 2, top / 2, -top, -top].map(|v| v as i32);
            write(&path, spec(2, 8_000, bits, SampleFormat::Int), &samples);
            assert_eq!(load_sound(&dir, 8_000, 2).unwrap(), wanted, "{bits} bits");
        }
        write(&path, spec(2, 8_000, 32, SampleFormat::Float), &[0.5f32, -0.25, 3.0, 1.0]);
        assert_eq!(load_sound(&dir, 8_000, 2).unwrap(), [0.125, 2.0]);
        write(&path, spec(2, 8_000, 32, SampleFormat::Float), &[f32::MAX; 4]);
        assert_eq!(load_sound(&dir, 8_000, 2).unwrap(), [f32::MAX; 2]);
    }

    #[test]
    fn another_rate_is_brought_to_the_wanted_one() {
        let dir = fixture();
        let path = dir.path().join("train/no/1.wav");
        let tone =
            |at: u32, n: usize| (1_000.0 * std::f64::consts::TAU * n as f64 / f64::from(at)).sin();
        let samples: Vec<f32> = (0..44_100).map(|n| 0.5 * tone(44_100, n) as f32).collect();
        write(&path, spec(1, 44_100, 32, SampleFormat::Float), &samples);
        let sound = load_sound(&dir, 16_000, 16_500).unwrap();
        for n in 100..15_900 {
            assert!((f64::from(sound[n]) - 0.5 * tone(16_000, n)).abs() < 2e-3, "sample {n}");
        }
        assert!(sound[16_050..].iter().all(|v| *v == 0.0));
    }

    #[test]
    fn samples_that_are_no_numbers_and_wild_rates_are_refused() {
        let dir = fixture();
        let path = dir.path().join("train/no/1.wav");
        let message = || load_sound(&dir, 8_000, 2).unwrap_err().to_string();
        write(&path, spec(1, 8_000, 32, SampleFormat::Float), &[0.0, f32::NAN]);
        assert!(message().contains("1.wav: a sample of frame 1"), "{}", message());
        write(&path, spec(1, 768_001, 16, SampleFormat::Int), &[0i16]);
        assert!(message().contains("768001 samples per second"), "{}", message());
        let mut bytes = fs::read(&path).unwrap();
        // Samples and bytes per second.
        bytes[24..32].fill(0);
        fs::write(&path, bytes).unwrap();
        assert!(message().contains("0 samples per second"), "{}", message());
        fs::write(&path, "no sound").unwrap();
        assert!(message().contains("1.wav: not a readable WAV file"), "{}", message());
    }

    #[test]
    fn folders_that_do_not_fit_are_refused() {
        let dir = fixture();
        let load =
            |length| load(dir.path(), &LoadOptions::default(), rate(8_000), length).unwrap_err();
        assert!(matches!(load(0), DataError::GridSize { .. }));
        assert!(matches!(load(65_537), DataError::GridSize { .. }));
        fs::rename(dir.path().join("val/yes"), dir.path().join("val/maybe")).unwrap();
        assert!(matches!(load(2), DataError::UnknownClass { class, .. } if class == "maybe"));
    }

    #[test]
    fn a_limit_keeps_every_class() {
        let dir = fixture();
        for class in ["no", "yes"] {
            let folder = dir.path().join("train").join(class);
            fs::copy(folder.join("1.wav"), folder.join("2.wav")).unwrap();
        }
        let options = LoadOptions { limit: Some(2), ..LoadOptions::default() };
        let train = load(dir.path(), &options, rate(8_000), 1).unwrap().train.unwrap();
        assert_eq!((train.labels, train.values), (vec![0, 1], vec![0.25, -0.5]));
    }

    #[test]
    fn damaged_files_are_errors_and_never_panics() {
        let dir = fixture();
        let path = dir.path().join("train/no/1.wav");
        for spec in [spec(2, 8_000, 16, SampleFormat::Int), spec(1, 8_000, 32, SampleFormat::Float)]
        {
            match spec.sample_format {
                SampleFormat::Int => write(&path, spec, &[1i16, 2, 3, 4]),
                SampleFormat::Float => write(&path, spec, &[1.0f32, 2.0]),
            }
            let good = fs::read(&path).unwrap();
            for end in 0..good.len() {
                fs::write(&path, &good[..end]).unwrap();
                let _ = load_sound(&dir, 8_000, 8);
            }
            for (at, bit) in (0..good.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                fs::write(&path, &bad).unwrap();
                if let Err(error) = load_sound(&dir, 8_000, 8) {
                    assert!(!error.to_string().contains('\n'), "{error}");
                }
            }
        }
    }
}
