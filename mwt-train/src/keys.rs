//! Every setting by its key: type, range and meaning. What `mwt-train config` prints, and what each value is held to.

use toml::{Table, Value};

use Kind::{Choice, Integer, Number, Size, Switch, Text};
use Range::{Above, Below, Within};

/// The values that a number may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// Both ends included.
    Within(f64, f64),
    /// The lower end excluded.
    Above(f64, f64),
    /// The upper end excluded.
    Below(f64, f64),
}

impl Range {
    /// Whether the upper end is only there against nonsense.
    fn is_open(self) -> bool {
        let (Self::Within(_, high) | Self::Above(_, high) | Self::Below(_, high)) = self;
        high >= 1e9
    }

    fn contains(self, value: f64) -> bool {
        match self {
            Self::Within(low, high) => low <= value && value <= high,
            Self::Above(low, high) => low < value && value <= high,
            Self::Below(low, high) => low <= value && value < high,
        }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Within(low, ..) if self.is_open() => write!(f, "at least {low}"),
            Self::Above(low, ..) if self.is_open() => write!(f, "above {low}"),
            Self::Within(low, high) => write!(f, "in {low}..={high}"),
            Self::Above(low, high) => write!(f, "above {low} and at most {high}"),
            Self::Below(low, high) => write!(f, "in {low}..{high}"),
        }
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Text.
    Text,
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Integer(Range),
    /// A number.
    Number(Range),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `[height, width]`.
    Size,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Switch => f.write_str("true or false"),
            Self::Integer(range) => write!(f, "integer {range}"),
            Self::Number(range) => write!(f, "number {range}"),
            Self::Choice(words) => f.write_str(&words.join(" | ")),
            Self::Size => f.write_str("[height, width]"),
        }
    }
}

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.name`, as in `settings.toml`.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What it means.
    pub meaning: &'static str,
}

const fn key(name: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key { name, kind, meaning }
}

const COUNT: Kind = Integer(Within(1.0, 1e9));
const SIDE: Kind = Integer(Within(1.0, 4096.0));
const RATE: Kind = Number(Above(0.0, f64::MAX));
const SEED: Kind = Integer(Within(0.0, 9e18));

/// All of them, in the order of `settings.toml`.
#[rustfmt::skip] // A table.
pub const KEYS: &[Key] = &[
    key("data.source", Text, "`digits` (built in), or the directory of a data set"),
    key("data.held_out", Integer(Within(0.0, 1e9)), "training images held out to choose by; a fifth of all at most"),
    key("data.limit", COUNT, "the most images of each split; all when absent"),
    key("data.image_size", Size, "height and width to which the images of a folder are brought; their own when absent"),
    key("data.memory_gib", Number(Within(0.0, 1e6)), "GiB that the decoded images of a folder may take in memory; when they would take more, each is decoded as it is used"),
    key("data.digits", COUNT, "training images of the built-in digits"),
    key("train.seed", SEED, "seed of everything random"),
    key("train.epochs", COUNT, "passes over the training images"),
    key("train.batch", Integer(Within(1.0, 1e6)), "N: images an outer step"),
    key("train.mode", Choice(&["mwt", "wt-simultaneous", "wt-sequential"]), "how SIREN and classifier are trained together: end to end (MWT), or without a gradient from the classifier into the SIREN (WT), both losses at once or one after the other"),
    key("train.w_cls", Number(Within(0.0, 1.0)), "weight of the classification loss's gradient on θ, α and the head"),
    key("train.label_smoothing", Number(Below(0.0, 1.0)), "share of the target that is spread over all classes evenly"),
    key("train.rate_siren", RATE, "peak rate of θ and the head"),
    key("train.rate_alpha", RATE, "peak rate of α"),
    key("train.rate_classifier", RATE, "peak rate of the Transformer and β"),
    key("train.rise", Number(Below(0.0, 1.0)), "share of the steps in which the rates rise"),
    key("train.weight_decay", Number(Below(0.0, 1.0)), "decoupled weight decay"),
    key("train.clip", Number(Above(0.0, 1e9)), "norm to which each group's gradient is clipped"),
    key("train.checkpoint_seconds", Number(Within(0.0, 1e6)), "seconds between two checkpoints; there is one at the end of each epoch besides"),
    key("train.epoch_images", Integer(Within(0.0, 1e9)), "images held out that are evaluated at the end of each epoch, to choose the best one by"),
    key("train.on_divergence", Choice(&["stop", "skip"]), "what becomes of an outer step whose losses or gradients are not finite"),
    key("augment.pad", Integer(Within(0.0, 1024.0)), "largest shift of a training image in pixels, reflected at the border"),
    key("augment.flip", Switch, "mirror half of the training images left to right"),
    key("augment.rotate", Number(Within(0.0, 180.0)), "largest rotation of a training image either way, in degrees"),
    key("augment.crop", Number(Within(0.01, 1.0)), "smallest share of a training image's area that a crop keeps; 1 keeps all"),
    key("model.dim", Integer(Within(8.0, 1024.0)), "D: neurons of a sine layer, and width of the Transformer"),
    key("model.hidden_layers", COUNT, "L: hidden sine layers, whose neurons are the tokens"),
    key("model.inner_steps", COUNT, "k: inner gradient steps"),
    key("model.blocks", COUNT, "B: blocks of the Transformer"),
    key("model.mlp_mult", COUNT, "width of a block's MLP, in D"),
    key("model.channels", COUNT, "C: channels of an image; the data set's"),
    key("model.classes", COUNT, "K: classes; the data set's"),
    key("model.pixels_per_step", COUNT, "P: pixels that each inner step looks at; s of the image's when absent"),
    key("model.sampling", Number(Above(0.0, 1.0)), "s: share of the pixels that each inner step looks at; the preset's when absent"),
    key("model.omega", Number(Above(0.0, 1e4)), "ω: frequency of the first sine layer"),
    key("model.lambda", Number(Above(0.0, 1e6)), "λ: scale of the tokens"),
    key("model.shared_alpha", Switch, "one α for all steps instead of one for each"),
    key("model.image.height", SIDE, "rows of an image; the data set's"),
    key("model.image.width", SIDE, "columns of an image; the data set's"),
    key("model.draw.kind", Choice(&["Random", "Partition"]), "which pixels each inner step looks at: fresh ones for each step and image (the paper's), or one fixed shuffled partition over the steps"),
    key("model.draw.seed", Integer(Within(0.0, 4_294_967_295.0)), "chooses the draw; train.seed when absent"),
];

/// The key of that name.
///
/// # Errors
/// One line with the nearest name.
pub fn find(name: &str) -> Result<&'static Key, String> {
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return Ok(key);
    }
    let names = KEYS.iter().map(|key| key.name);
    let hint = nearest(name, names).map_or_else(String::new, |n| format!("; did you mean {n}?"));
    Err(format!("there is no setting {name}{hint}"))
}

/// The name most like `name`, where one is like it at all.
pub fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    /// Less alike than this, two names are only chance.
    const ALIKE: f64 = 0.8;
    let alike = |other: &str| {
        // The last word alone is as good as the whole.
        let last = other.rsplit('.').next().unwrap_or_default();
        strsim::jaro_winkler(other, name).max(strsim::jaro_winkler(last, name))
    };
    let scored = names.map(|other| (alike(other), other)).filter(|(score, _)| *score >= ALIKE);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

impl Key {
    /// The value as it is stored, checked: an integer for a number is one, a word may be written in any case.
    ///
    /// # Errors
    /// One line with the key, the value and what it must be.
    pub fn value(&self, value: Value) -> Result<Value, String> {
        let wrong = |value: &Value| Err(format!("{} is {value}, must be {}", self.name, self.kind));
        let value = match (self.kind, value) {
            (Kind::Number(_), Value::Integer(n)) => Value::Float(n as f64),
            (Choice(words), Value::String(text)) => {
                match words.iter().find(|word| word.eq_ignore_ascii_case(&text)) {
                    Some(word) => Value::String((*word).to_owned()),
                    None => return wrong(&Value::String(text)),
                }
            }
            (_, value) => value,
        };
        let right = match (self.kind, &value) {
            (Kind::Text | Choice(_), Value::String(_)) | (Switch, Value::Boolean(_)) => true,
            (Kind::Integer(range), Value::Integer(n)) => range.contains(*n as f64),
            (Kind::Number(range), Value::Float(x)) => range.contains(*x),
            (Size, Value::Array(sides)) => {
                sides.len() == 2 && sides.iter().all(|s| s.as_integer().is_some_and(|s| s > 0))
            }
            _ => false,
        };
        if right { Ok(value) } else { wrong(&value) }
    }
}

/// The settings in a table by their keys.
pub fn flatten(table: &Table) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(section) => {
                let section = flatten(section).into_iter();
                all.extend(section.map(|(inner, value)| (format!("{name}.{inner}"), value)));
            }
            value => all.push((name.clone(), value.clone())),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, value: impl Into<Value>) -> String {
        find(name).unwrap().value(value.into()).unwrap_err()
    }

    #[test]
    fn values_are_held_to_their_kind_and_range() {
        assert_eq!(refused("train.w_cls", 1.5), "train.w_cls is 1.5, must be number in 0..=1");
        assert_eq!(refused("train.rise", 1.0), "train.rise is 1.0, must be number in 0..1");
        assert!(refused("train.epochs", "ten").contains("must be integer at least 1"));
        assert!(refused("train.clip", f64::NAN).contains("above 0"));
        assert!(refused("augment.flip", 1).contains("true or false"));
        assert!(refused("train.mode", "wt").contains("mwt | wt-simultaneous | wt-sequential"));
        assert!(
            refused("data.image_size", Value::Array(vec![28.into()])).contains("[height, width]")
        );
        let value = |name: &str, value: Value| find(name).unwrap().value(value).unwrap();
        assert_eq!(value("train.clip", 2.into()), Value::Float(2.0));
        assert_eq!(value("model.draw.kind", "random".into()), Value::String("Random".into()));
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest() {
        let hint = |name: &str| find(name).unwrap_err();
        assert_eq!(
            hint("train.epoch"),
            "there is no setting train.epoch; did you mean train.epochs?"
        );
        assert!(hint("w_cl").ends_with("did you mean train.w_cls?"));
        assert!(hint("model.depth").contains("did you mean model."));
        assert_eq!(hint("momentum"), "there is no setting momentum");
    }
}
