//! The `.ts` files of aeon and sktime: `NAME_TRAIN.ts` and `NAME_TEST.ts` in a directory.
//!
//! A header of `@` tags, then a line for each series: its channels with `:` between them, its class
//! last. A channel is values with commas between them, or pairs `(time,value)`. A missing value is
//! `?`. <https://www.aeon-toolkit.org/en/stable/api_reference/file_specifications/ts.html> has it all.
//!
//! Of the header only the classes are used. Whether series have times, how many channels and how long
//! they are is seen in the data, because headers in circulation are wrong about it at times.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use mwt_core::Extents;

use super::timestamp;
use crate::data::error::DataError;
use crate::data::line_fault::{LineFault, excerpt};
use crate::data::options::{LoadOptions, SignalParts, directory_name};
use crate::data::room::room;
use crate::data::signals::Signals;

const TRAIN: &str = "_TRAIN.ts";
const TEST: &str = "_TEST.ts";

/// Whether the directory has a training file beside its test file.
pub(super) fn is_ts(dir: &Path) -> bool {
    names(dir).is_ok_and(|names| !names.is_empty())
}

/// Reads the two files of a directory.
///
/// All series are placed on one grid, as long as the longest training series. One that is shorter
/// ends in NaN: stretching it would change its tempo, which may be what tells its class. One of the
/// test that is longer is cut. Where values have times, each goes to the position nearest to its
/// time, counted from the series' first time to its last; of two at one position the later stays.
pub(super) fn load(dir: &Path, options: &LoadOptions) -> Result<SignalParts, DataError> {
    let (train_path, test_path) = find(dir)?;
    let train_file = read(&train_path, None)?;
    let test_file = read(&test_path, Some(&train_file))?;
    // Before the limit: it shall not change the grid.
    let length = train_file.longest();
    let train = train_file.place(&train_path, length, options)?;
    let test = test_file.place(&test_path, length, options)?;
    Ok((train_file.classes, train, test))
}

/// The names of the data sets in a directory, sorted.
fn names(dir: &Path) -> Result<Vec<String>, DataError> {
    let io = |reason| DataError::io(dir, reason);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let file = entry.map_err(io)?.file_name();
        let name = file.to_str().and_then(|file| file.strip_suffix(TRAIN));
        if let Some(name) = name
            && dir.join(format!("{name}{TEST}")).is_file()
        {
            names.push(name.to_string());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The training and the test file: the only ones, or those with the directory's name.
fn find(dir: &Path) -> Result<(PathBuf, PathBuf), DataError> {
    let mut names = names(dir)?;
    let own = directory_name(dir);
    let name = match names.as_slice() {
        [] => {
            return Err(DataError::Missing {
                path: dir.into(),
                what: format!("NAME{TRAIN} with NAME{TEST}"),
            });
        }
        [name] => name,
        several => match several.iter().find(|name| **name == own) {
            Some(name) => name,
            None => {
                names.truncate(4);
                return Err(DataError::Ambiguous { path: dir.into(), found: names });
            }
        },
    };
    Ok((dir.join(format!("{name}{TRAIN}")), dir.join(format!("{name}{TEST}"))))
}

/// All series of a file, one channel after the other.
#[derive(Default)]
struct Series {
    classes: Vec<String>,
    /// The number of each class by its name in small letters: files are careless about case.
    numbers: HashMap<String, u16>,
    channels: usize,
    values: Vec<f32>,
    /// The time of each value; empty where they have none.
    times: Vec<f64>,
    /// Where each channel of each series ends in `values`.
    ends: Vec<usize>,
    labels: Vec<u16>,
}

/// Reads a file; the classes and channels of a test file are those of its training file.
fn read(path: &Path, train: Option<&Series>) -> Result<Series, DataError> {
    let io = |reason| DataError::io(path, reason);
    let mut lines = BufReader::new(File::open(path).map_err(io)?).lines();
    let mut series = Series::default();
    let mut header = true;
    let mut number = 0;
    while let Some(line) = lines.next().transpose().map_err(io)? {
        number += 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |fault| DataError::Line { path: path.into(), line: number, fault };
        if !header {
            series.read_line(line).map_err(fault)?;
            continue;
        }
        let ends = series.read_tag(line).map_err(fault)?;
        if ends {
            header = false;
            if let Some(train) = train {
                series.classes.clone_from(&train.classes);
                series.numbers.clone_from(&train.numbers);
                series.channels = train.channels;
            }
            if series.classes.is_empty() {
                return Err(fault(LineFault::NoClasses));
            }
            let found = series.classes.len();
            if found > usize::from(u16::MAX) + 1 {
                return Err(DataError::TooManyClasses { path: path.into(), found });
            }
        }
    }
    match (header, series.labels.is_empty()) {
        (true, _) => {
            let fault = LineFault::Ends("@data");
            Err(DataError::Line { path: path.into(), line: number, fault })
        }
        (false, true) => Err(DataError::NoImages { path: path.into() }),
        (false, false) => Ok(series),
    }
}

impl Series {
    /// Reads a line of the header; whether it is the last.
    fn read_tag(&mut self, line: &str) -> Result<bool, LineFault> {
        let mut words = line.split_whitespace();
        let tag = words.next().unwrap_or_default().to_lowercase();
        let is_true = |word: Option<&str>| word.is_some_and(|w| w.eq_ignore_ascii_case("true"));
        match tag.as_str() {
            "@data" => return Ok(true),
            "@targetlabel" if is_true(words.next()) => return Err(LineFault::NotClasses),
            "@classlabel" if is_true(words.next()) => {
                for class in words {
                    // Beyond what a label can tell apart only the count matters.
                    let number = u16::try_from(self.classes.len()).unwrap_or(u16::MAX);
                    // One that is named twice keeps its first number.
                    if let Entry::Vacant(entry) = self.numbers.entry(class.to_lowercase()) {
                        entry.insert(number);
                        self.classes.push(class.into());
                    }
                }
            }
            _ if tag.starts_with('@') => {}
            _ => return Err(LineFault::NoTag(excerpt(line))),
        }
        Ok(false)
    }

    /// Reads one series.
    fn read_line(&mut self, line: &str) -> Result<(), LineFault> {
        let mut parts = line.rsplitn(2, ':');
        let class = parts.next().unwrap_or_default().trim();
        let channels = parts.next().ok_or(LineFault::Channels { found: 0, expected: 1 })?;
        let label = self.numbers.get(&class.to_lowercase()).copied();
        let label = label.ok_or_else(|| LineFault::Class(excerpt(class)))?;
        let mut found = 0;
        // Times of day have colons as well, but inside brackets.
        let mut inside = false;
        let outside = |c| {
            inside = (inside || c == '(') && c != ')';
            c == ':' && !inside
        };
        for channel in channels.split(outside) {
            found += 1;
            self.read_channel(channel.trim())?;
            self.ends.push(self.values.len());
        }
        if self.channels == 0 {
            self.channels = found;
        }
        if found != self.channels {
            return Err(LineFault::Channels { found, expected: self.channels });
        }
        self.labels.push(label);
        Ok(())
    }

    fn read_channel(&mut self, channel: &str) -> Result<(), LineFault> {
        if !channel.starts_with('(') {
            for value in channel.split(',') {
                self.values.push(read_value(value)?);
            }
            return if self.times.is_empty() { Ok(()) } else { Err(LineFault::MixedStamps) };
        }
        if self.times.len() != self.values.len() {
            return Err(LineFault::MixedStamps);
        }
        if !channel.ends_with(')') {
            return Err(LineFault::Stamp(excerpt(channel.rsplit(')').next().unwrap_or_default())));
        }
        // Between the closing bracket of one pair and the opening one of the next is a comma, and
        // behind the last is nothing.
        for pair in channel.split(')') {
            let pair = pair.trim_start_matches([',', ' ']);
            if pair.is_empty() {
                continue;
            }
            let parts = pair.strip_prefix('(').and_then(|pair| pair.rsplit_once(','));
            let (time, value) = parts.ok_or_else(|| LineFault::Stamp(excerpt(pair)))?;
            let time = timestamp::parse(time).ok_or_else(|| LineFault::Time(excerpt(time)))?;
            self.values.push(read_value(value)?);
            self.times.push(time);
        }
        Ok(())
    }

    /// The most values of a channel.
    fn longest(&self) -> usize {
        let starts = std::iter::once(&0).chain(&self.ends);
        self.ends.iter().zip(starts).map(|(end, start)| end - start).max().unwrap_or(0)
    }

    /// Places the first series, as many as the limit says, on a grid of `length`.
    fn place(
        &self,
        path: &Path,
        length: usize,
        options: &LoadOptions,
    ) -> Result<Signals, DataError> {
        let count = options.limit.unwrap_or(usize::MAX).min(self.labels.len());
        let extents = Extents::series(length);
        let mut values = room(path, count, extents, self.channels, options)?;
        values.resize(count * length * self.channels, f32::NAN);
        let mut start = 0;
        let signals = values.chunks_exact_mut(length * self.channels);
        for (signal, ends) in signals.zip(self.ends.chunks_exact(self.channels)) {
            let span = Span::of(self.times.get(start..ends[self.channels - 1]));
            for (channel, &end) in ends.iter().enumerate() {
                for (i, n) in (start..end).enumerate() {
                    let position = match self.times.get(n) {
                        Some(&time) => span.position(time, length),
                        None => i,
                    };
                    if position < length {
                        signal[position * self.channels + channel] = self.values[n];
                    }
                }
                start = end;
            }
        }
        Ok(Signals {
            extents,
            channels: self.channels,
            values,
            labels: self.labels[..count].to_vec(),
        })
    }
}

/// From a series' first time to its last.
struct Span {
    first: f64,
    last: f64,
}

impl Span {
    fn of(times: Option<&[f64]>) -> Self {
        let times = times.unwrap_or_default().iter();
        let (first, last) = (f64::INFINITY, f64::NEG_INFINITY);
        let (first, last) =
            times.fold((first, last), |(first, last), t| (t.min(first), t.max(last)));
        Span { first, last }
    }

    /// The position nearest to a time.
    fn position(&self, time: f64, length: usize) -> usize {
        // Halves, because the difference of two numbers may be beyond all numbers.
        let span = self.last / 2.0 - self.first / 2.0;
        if span <= 0.0 {
            return 0;
        }
        let part = (time / 2.0 - self.first / 2.0) / span;
        (part * length.saturating_sub(1) as f64).round() as usize
    }
}

/// A value; NaN where it is missing.
fn read_value(text: &str) -> Result<f32, LineFault> {
    let text = text.trim();
    if text == "?" || text.eq_ignore_ascii_case("nan") {
        return Ok(f32::NAN);
    }
    let value = text.parse().ok().filter(|value: &f32| value.is_finite());
    value.ok_or_else(|| LineFault::Number(excerpt(text)))
}

#[cfg(test)]
#[path = "ts_tests.rs"]
mod tests;
