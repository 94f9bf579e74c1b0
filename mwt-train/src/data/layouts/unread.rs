//! What a path is that holds no data set in a layout that is read, by its content, and what to do about it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::idx::{is_magic, unpacked};
use super::listing::{files_of, folders_of, has_ending};
use super::splits::{counted, ending};
use crate::data::error::DataError;

const UNPACK: &str = "unpack it and give the folder that comes out";
const FOLDER: &str = "give the folder that it lies in";
const PICTURES: &str = "write its images as files, one folder a class, or as NumPy arrays (numpy.savez with x_train, y_train, x_test, y_test)";

/// Those that are called `.parquet` are read where the program can.
const TABLES_OF_IMAGES: &str = if cfg!(feature = "parquet") {
    "call it NAME.parquet"
} else {
    "this program was built without the feature `parquet`; write its images as files, one folder a class"
};

const PICKLE: &str = "a Python pickle";
const BATCHES: &str =
    "give the folder of CIFAR's batches, or write its images as files, one folder a class";

/// How files begin, what they are, and what to do.
const BEGINNINGS: &[(&[u8], &str, &str)] = &[
    (b"PK\x03\x04", "a zip archive", UNPACK),
    (b"PK\x05\x06", "an empty zip archive", "download it again"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!", "a rar archive", UNPACK),
    (b"BZh", "a file packed by bzip2", UNPACK),
    (b"\xfd7zXZ\0", "a file packed by xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a file packed by zstd", UNPACK),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", PICTURES),
    (b"PAR1", "a parquet file", TABLES_OF_IMAGES),
    (b"ARROW1", "an Arrow file", PICTURES),
    (b"MATLAB 5.0", "a MATLAB file", PICTURES),
    (b"SQLite format 3", "a data base", PICTURES),
    (
        b"\x93NUMPY",
        "a NumPy array without its labels",
        "write all arrays into one archive with numpy.savez",
    ),
    (b"\x89MWT", "a bundle, not a data set", "give the data set"),
    (b"\x89PNG", "an image", FOLDER),
    (b"\xff\xd8\xff", "an image", FOLDER),
    (b"GIF8", "an image", FOLDER),
    (b"RIFF", "a sound or an image", FOLDER),
    (b"\x80\x02", PICKLE, BATCHES),
    (b"\x80\x03", PICKLE, BATCHES),
    (b"\x80\x04", PICKLE, BATCHES),
];

/// Files of a directory that are looked at.
const LOOKED_AT: usize = 100;

const TABLE: &str = "a table";

/// Endings of tables and lists, which have no beginning of their own.
const TABLES: [&str; 4] = ["csv", "tsv", "json", "jsonl"];

/// Why a file is no data set.
pub(super) fn of_file(path: &Path) -> DataError {
    let told = |what, remedy| DataError::NotRead { path: path.into(), what, remedy };
    match kind(path) {
        Err(reason) => DataError::io(path, reason),
        Ok(Some((what, remedy))) => told(what, remedy),
        Ok(None) => told("not a data set: a file of an unknown kind", "give a folder"),
    }
}

/// What a file is, and what to do, where that is known.
fn kind(path: &Path) -> io::Result<Option<(&'static str, &'static str)>> {
    let mut start = Vec::new();
    File::open(path)?.take(512).read_to_end(&mut start)?;
    let known = BEGINNINGS.iter().find(|(bytes, ..)| start.starts_with(bytes));
    if let Some((_, what, remedy)) = known {
        return Ok(Some((what, remedy)));
    }
    let mut inside = Vec::new();
    let gzipped = start.starts_with(&[0x1f, 0x8b]);
    if gzipped {
        // What cannot be unpacked is an archive all the same.
        let _ = unpacked(path).and_then(|file| file.take(512).read_to_end(&mut inside));
    }
    Ok(if is_tar(&inside) {
        Some(("a tar archive packed by gzip", UNPACK))
    } else if gzipped {
        Some(("a file packed by gzip", UNPACK))
    } else if is_tar(&start) {
        Some(("a tar archive", UNPACK))
    } else if start.get(8) == Some(&b'{') {
        Some(("a file of tensors, not a data set", "give the data set"))
    } else if is_magic(&start) {
        let remedy = "call it as MNIST's are, train-images-idx3-ubyte and so on";
        Some(("an idx file without a name that says its use", remedy))
    } else if has_ending(path, &TABLES) {
        Some((TABLE, PICTURES))
    } else {
        None
    })
}

fn is_tar(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar")
}

/// Why a directory is no data set: what it holds.
pub(super) fn of_dir(path: &Path) -> DataError {
    let (files, folders) = match (files_of(path), folders_of(path)) {
        (Ok(files), Ok(folders)) => (files, folders),
        (Err(error), _) | (_, Err(error)) => return error,
    };
    // A file in it, or one level deeper, may say all: an archive that was not unpacked, a table. Images say nothing: they
    // would be read if they lay in folders of classes.
    let inner = folders.iter().flat_map(|folder| files_of(folder).unwrap_or_default());
    let all: Vec<_> = files.iter().cloned().chain(inner).take(LOOKED_AT).collect();
    let is = |file: &&PathBuf, table: bool| {
        let kind = kind(file).ok().flatten().filter(|(_, remedy)| *remedy != FOLDER);
        kind.is_some_and(|(what, _)| (what == TABLE) == table)
    };
    // Tables last, for lists of all kinds lie beside other files.
    let found =
        all.iter().find(|file| is(file, false)).or_else(|| all.iter().find(|file| is(file, true)));
    if let Some(file) = found {
        return of_file(file);
    }
    let mut endings = BTreeMap::new();
    files.iter().for_each(|file| *endings.entry(ending(file)).or_default() += 1);
    let files = match files.len() {
        0 => None,
        n => Some(format!("{n} files ({})", counted(&endings))),
    };
    let folders = match folders.len() {
        0 => None,
        1 => Some("1 folder".into()),
        n => Some(format!("{n} folders")),
    };
    let what = match (files, folders) {
        (None, None) => "an empty folder".into(),
        (files, folders) => files.into_iter().chain(folders).collect::<Vec<_>>().join(" and "),
    };
    DataError::UnknownLayout { path: path.into(), what }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_told_by_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.bin");
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (content, what) in [
            (&b"PK\x03\x04 and more"[..], "zip archive; unpack it"),
            (&tar, "tar archive; unpack it"),
            (b"\x1f\x8bdamaged", "packed by gzip; unpack it"),
            (b"\x89HDF\r\n\x1a\n", "HDF5"),
            (b"\0\0\x08\x03", "an idx file"),
            (b"", "unknown kind"),
        ] {
            fs::write(&file, content).unwrap();
            let line = of_file(&file).to_string();
            assert!(line.contains(what) && !line.contains('\n'), "{line}");
        }
        let table = dir.path().join("mnist_train.csv");
        fs::write(&table, "label,pixel0\n5,0\n").unwrap();
        assert!(of_file(&table).to_string().contains("a table"));
        assert!(of_dir(dir.path()).to_string().contains("mnist_train.csv: a table"));
        // One level deeper and beside lists. A table without its ending; with it, it would be read.
        let inner = dir.path().join("data");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("train-00000-of-00001"), b"PAR1____PAR1").unwrap();
        let line = of_dir(dir.path()).to_string();
        assert!(line.contains("train-00000-of-00001: a parquet file; "), "{line}");
        fs::remove_dir_all(&inner).unwrap();
        fs::remove_file(&table).unwrap();
        assert!(of_dir(dir.path()).to_string().contains("1 files (1 .bin)"));
    }
}
