//! One parquet file: which of its columns are image and label, and their values.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::features::Features;
use super::guard::guarded;
use crate::data::error::DataError;
use crate::data::layouts::npz::Label;

/// Names of columns of images, of those that no features name; the first that is there.
const IMAGES: [&str; 6] = ["image", "img", "images", "picture", "pixels", "jpg"];

/// Names of columns of labels. Where there are several, as CIFAR-100 has, the first.
const LABELS: [&str; 8] =
    ["label", "labels", "fine_label", "class", "target", "category", "label_name", "y"];

/// An open file.
pub(super) struct Table {
    pub(super) path: PathBuf,
    /// Names of the classes, in the order of their numbers, where the file has them.
    pub(super) names: Option<Vec<String>>,
    /// What else could have been the label, where something could.
    pub(super) note: Option<String>,
    reader: SerializedFileReader<File>,
    image: usize,
    label: usize,
}

impl Table {
    /// Opens a file and finds its columns.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Parquet`], or [`DataError::Columns`] without images or labels.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|reason| DataError::io(path, reason))?;
        let reader = guarded(path, || SerializedFileReader::new(file))?;
        let metadata = reader.metadata().file_metadata();
        let features = Features::of(metadata.key_value_metadata());
        let columns = metadata.schema_descr().columns();
        let find = |names: &[&str], known: &[&str], fits: fn(&ColumnDescriptor) -> bool| {
            let named = |name: &&str| columns.iter().position(|c| root(c) == *name && fits(c));
            // What the features call an image or a class is one; where several are, a usual name goes first.
            let known_usual = names.iter().filter(|name| known.contains(name));
            known_usual.chain(known).find_map(named).or_else(|| names.iter().find_map(named))
        };
        let image = find(&IMAGES, &features.images(), is_image)
            // Images are stored as groups of their bytes and their path, whatever they are called.
            .or_else(|| columns.iter().position(|c| is_image(c) && c.path().parts().len() == 2));
        let label = find(&LABELS, &features.labels(), is_label);
        let (Some(image), Some(label)) = (image, label) else {
            return Err(DataError::Columns {
                path: path.into(),
                what: if image.is_none() { "images" } else { "labels" },
                found: columns.iter().map(|column| column.path().string()).collect(),
            });
        };
        let (label_name, known) = (root(&columns[label]), features.labels());
        let others: Vec<_> = known.into_iter().filter(|name| *name != label_name).collect();
        let note = (!others.is_empty()).then(|| {
            format!("the classes are those of {label_name}, not of {}", others.join(", "))
        });
        let names = features.names(label_name);
        Ok(Self { path: path.into(), names, note, reader, image, label })
    }

    /// Number of groups of rows.
    pub(super) fn groups(&self) -> usize {
        self.reader.metadata().num_row_groups()
    }

    /// The label of each row of a group; `None` where it has none.
    pub(super) fn labels(&self, group: usize) -> Result<Vec<Option<Label>>, DataError> {
        let whole = |n: i64| Label::Whole(n.into());
        let labels = match self.column(group, self.label)? {
            ColumnReader::Int32ColumnReader(c) => {
                self.values(c, self.label, |n| whole(n.into()))?
            }
            ColumnReader::Int64ColumnReader(c) => self.values(c, self.label, whole)?,
            ColumnReader::ByteArrayColumnReader(c) => self.values(c, self.label, |bytes| {
                Label::Text(String::from_utf8_lossy(bytes.data()).into_owned())
            })?,
            // `is_label` lets no others in.
            _ => Vec::new(),
        };
        let told = |label: Option<Label>| label.filter(|label| *label != UNLABELLED);
        Ok(labels.into_iter().map(told).collect())
    }

    /// The file of the image of each row of a group; `None` where it is not in the table.
    pub(super) fn images(&self, group: usize) -> Result<Vec<Option<ByteArray>>, DataError> {
        match self.column(group, self.image)? {
            ColumnReader::ByteArrayColumnReader(c) => self.values(c, self.image, |bytes| bytes),
            _ => Ok(Vec::new()),
        }
    }

    fn column(&self, group: usize, column: usize) -> Result<ColumnReader, DataError> {
        guarded(&self.path, || self.reader.get_row_group(group)?.get_column_reader(column))
    }

    /// All values of a column without repetitions, `None` where it, or the group that it is in, is null.
    fn values<T: DataType, V>(
        &self,
        mut reader: ColumnReaderImpl<T>,
        column: usize,
        value: impl Fn(T::T) -> V,
    ) -> Result<Vec<Option<V>>, DataError> {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        guarded(&self.path, || {
            reader.read_records(usize::MAX, Some(&mut levels), None, &mut values)
        })?;
        let mut values = values.into_iter().map(value);
        let schema = self.reader.metadata().file_metadata().schema_descr();
        // A value has the largest level, and one of another is null.
        match schema.column(column).max_def_level() {
            0 => Ok(values.map(Some).collect()),
            most => Ok(levels
                .into_iter()
                .map(|level| if level == most { values.next() } else { None })
                .collect()),
        }
    }
}

/// What Hugging Face's data sets store for an image whose label is not told.
const UNLABELLED: Label = Label::Whole(-1);

/// The name of the column or group at the top.
fn root(column: &ColumnDescriptor) -> &str {
    column.path().parts().first().map_or("", String::as_str)
}

/// Whether a column has bytes, one value a row: those of an image's file, alone or in a group beside its path.
fn is_image(column: &ColumnDescriptor) -> bool {
    let parts = column.path().parts();
    let place = matches!(parts, [_]) || matches!(parts, [_, last] if last == "bytes");
    place
        && column.max_rep_level() == 0
        && column.physical_type() == Physical::BYTE_ARRAY
        && !is_text(column)
}

/// Whether a column has whole numbers or text, one value a row.
fn is_label(column: &ColumnDescriptor) -> bool {
    let kind = match column.physical_type() {
        Physical::INT32 | Physical::INT64 => true,
        Physical::BYTE_ARRAY => is_text(column),
        _ => false,
    };
    kind && column.max_rep_level() == 0 && column.path().parts().len() == 1
}

fn is_text(column: &ColumnDescriptor) -> bool {
    column.converted_type() == ConvertedType::UTF8
        || matches!(column.logical_type_ref(), Some(LogicalType::String))
}
