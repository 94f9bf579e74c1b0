//! What Hugging Face's data sets write into a parquet file about its columns: which are images, which are labels, and the
//! names of their classes.

use parquet::file::metadata::KeyValue;
use serde_json::{Map, Value};

/// The key under which it is written.
const KEY: &str = "huggingface";

/// What is said of the columns; nothing where nothing is said that can be understood.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Features {
    images: Vec<String>,
    /// Columns of classes, with the names of these.
    classes: Vec<(String, Vec<String>)>,
}

impl Features {
    pub(super) fn of(metadata: Option<&Vec<KeyValue>>) -> Self {
        let text = metadata.into_iter().flatten().find(|entry| entry.key == KEY);
        let parsed = text.and_then(|entry| serde_json::from_str(entry.value.as_deref()?).ok());
        let features = |said: &Value| said.get("info")?.get("features")?.as_object().cloned();
        parsed
            .as_ref()
            .and_then(features)
            .map(|columns| Self::of_columns(&columns))
            .unwrap_or_default()
    }

    fn of_columns(columns: &Map<String, Value>) -> Self {
        let mut features = Self::default();
        for (name, column) in columns {
            match column.get("_type").and_then(Value::as_str) {
                Some("Image") => features.images.push(name.clone()),
                Some("ClassLabel") => {
                    let names = column.get("names").and_then(Value::as_array);
                    let names = names.into_iter().flatten().filter_map(Value::as_str);
                    features.classes.push((name.clone(), names.map(str::to_owned).collect()));
                }
                _ => {}
            }
        }
        features
    }

    /// Columns of images.
    pub(super) fn images(&self) -> Vec<&str> {
        self.images.iter().map(String::as_str).collect()
    }

    /// Columns of classes.
    pub(super) fn labels(&self) -> Vec<&str> {
        self.classes.iter().map(|(column, _)| column.as_str()).collect()
    }

    /// Names of a column's classes, in the order of their numbers.
    pub(super) fn names(&self, column: &str) -> Option<Vec<String>> {
        let (_, names) = self.classes.iter().find(|(name, _)| name == column)?;
        (!names.is_empty()).then(|| names.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Features {
        Features::of(Some(&vec![
            KeyValue::new("pandas".into(), "{}".to_string()),
            KeyValue::new(KEY.into(), text.to_string()),
        ]))
    }

    #[test]
    fn images_and_the_names_of_classes_are_found() {
        let features = of(r#"{"info": {"features": {
            "img": {"_type": "Image"},
            "fine_label": {"names": ["apple", "bee"], "_type": "ClassLabel"},
            "id": {"dtype": "string", "_type": "Value"}}}}"#);
        assert_eq!((features.images(), features.labels()), (vec!["img"], vec!["fine_label"]));
        assert_eq!(features.names("fine_label").unwrap(), ["apple", "bee"]);
        assert_eq!((features.names("id"), features.names("img")), (None, None));
    }

    #[test]
    fn what_cannot_be_understood_says_nothing() {
        for text in [
            "",
            "[]",
            "{",
            r#"{"info": 3}"#,
            r#"{"info": {"features": {"a": 1, "b": {"_type": 2}}}}"#,
        ] {
            assert_eq!(of(text), Features::default(), "{text}");
        }
        assert_eq!(Features::of(None), Features::default());
        assert_eq!(
            of(r#"{"info": {"features": {"a": {"_type": "ClassLabel"}}}}"#).names("a"),
            None
        );
    }
}
