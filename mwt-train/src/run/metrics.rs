//! What a run measures every few steps: a row of `metrics.csv`, the same as an object in `metrics.jsonl`.

use serde::{Deserialize, Serialize};

use crate::train::Progress;

/// A row of metrics. What was not measured is absent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Outer steps taken.
    pub step: u64,
    /// Epoch under way, from 0.
    pub epoch: u64,
    /// Reconstruction loss R; this and what follows, up to the norms, are means over the steps since the last row.
    pub reconstruction: f32,
    /// Cross-entropy CE.
    pub classification: f32,
    /// Share of the training images classified right.
    pub accuracy: f32,
    /// Gradient norm of θ and the SIREN's head before clipping.
    pub norm_siren: f32,
    /// Gradient norm of α before clipping.
    pub norm_alpha: f32,
    /// Gradient norm of the Transformer and β before clipping.
    pub norm_classifier: f32,
    /// Learning rate of θ and the SIREN's head.
    #[serde(alias = "rate_siren")]
    pub lr_siren: f64,
    /// Learning rate of α.
    #[serde(alias = "rate_alpha")]
    pub lr_alpha: f64,
    /// Learning rate of the Transformer and β.
    #[serde(alias = "rate_classifier")]
    pub lr_classifier: f64,
    /// At an epoch's end: share of the validation images that are classified right.
    #[serde(alias = "held_out_accuracy")]
    pub validation_accuracy: Option<f32>,
    /// At an epoch's end: mean PSNR of the validation images in dB.
    #[serde(alias = "held_out_psnr")]
    pub validation_psnr: Option<f32>,
    /// Training images per second since the last row.
    pub images_per_second: Option<f32>,
    /// The most memory that the process has had so far, MiB.
    pub memory_mib: Option<f32>,
    /// With several processes: milliseconds of a step that the first one spent exchanging gradients, waiting included.
    #[serde(default)]
    pub exchange_ms: Option<f32>,
    /// The process that waited the least, for which the others waited.
    #[serde(default)]
    pub slowest_rank: Option<u32>,
}

impl Row {
    /// What the trainer says; the rest is absent.
    pub fn new(p: &Progress) -> Self {
        let [norm_siren, norm_alpha, norm_classifier] = p.norms;
        let [lr_siren, lr_alpha, lr_classifier] = p.learning_rates;
        Self {
            step: p.step,
            epoch: p.epoch,
            reconstruction: p.reconstruction,
            classification: p.classification,
            accuracy: p.accuracy,
            norm_siren,
            norm_alpha,
            norm_classifier,
            lr_siren,
            lr_alpha,
            lr_classifier,
            validation_accuracy: None,
            validation_psnr: None,
            images_per_second: None,
            memory_mib: None,
            exchange_ms: None,
            slowest_rank: None,
        }
    }

    /// Names and values, in the order of the columns.
    fn fields(&self) -> Vec<(&'static str, String)> {
        fn text(value: Option<f32>) -> String {
            value.map_or_else(String::new, |v| v.to_string())
        }
        vec![
            ("step", self.step.to_string()),
            ("epoch", self.epoch.to_string()),
            ("reconstruction", self.reconstruction.to_string()),
            ("classification", self.classification.to_string()),
            ("accuracy", self.accuracy.to_string()),
            ("norm_siren", self.norm_siren.to_string()),
            ("norm_alpha", self.norm_alpha.to_string()),
            ("norm_classifier", self.norm_classifier.to_string()),
            ("lr_siren", self.lr_siren.to_string()),
            ("lr_alpha", self.lr_alpha.to_string()),
            ("lr_classifier", self.lr_classifier.to_string()),
            ("validation_accuracy", text(self.validation_accuracy)),
            ("validation_psnr", text(self.validation_psnr)),
            // What the clock and the system say comes last: two runs agree on the columns before it.
            ("images_per_second", text(self.images_per_second)),
            ("memory_mib", text(self.memory_mib)),
            ("exchange_ms", text(self.exchange_ms)),
            ("slowest_rank", self.slowest_rank.map_or_else(String::new, |rank| rank.to_string())),
        ]
    }

    /// The row as a line of comma-separated values.
    pub fn csv(&self) -> String {
        let values: Vec<String> = self.fields().into_iter().map(|(_, value)| value).collect();
        values.join(",") + "\n"
    }

    /// The row as a line of JSON.
    pub fn json(&self) -> String {
        // Numbers and absent values alone: nothing that JSON could refuse.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

/// The first line of `metrics.csv`.
pub fn head() -> String {
    let names: Vec<&str> =
        Row::new(&Progress::default()).fields().into_iter().map(|(name, _)| name).collect();
    names.join(",") + "\n"
}

/// The lines of either file up to `step`. A line without its end was being written when the run died.
pub fn until(text: &str, step: u64) -> String {
    let step_of = |line: &str| {
        let number = line.strip_prefix("{\"step\":").unwrap_or(line).split(',').next();
        number.and_then(|n| n.parse::<u64>().ok())
    };
    let kept = |line: &&str| line.ends_with('\n') && step_of(line).is_none_or(|n| n <= step);
    text.split_inclusive('\n').filter(kept).collect()
}

/// A `metrics.csv` under today's names of its columns, whose order no version has changed; what came later is absent in
/// earlier rows. An empty `head`, as `metrics.jsonl` has, leaves the text as it is.
pub(super) fn with_head(text: String, head: &str) -> String {
    let commas = |line: &str| line.bytes().filter(|b| *b == b',').count();
    let padded = |row: &str| {
        row.to_owned() + &",".repeat(commas(head) - commas(row).min(commas(head))) + "\n"
    };
    match text.split_once('\n') {
        Some((_, rows)) if !head.is_empty() => {
            head.to_owned() + &rows.lines().map(padded).collect::<String>()
        }
        _ if text.is_empty() => head.to_owned(),
        _ => text,
    }
}

/// The rows of a `metrics.jsonl`.
///
/// # Errors
/// The first line that is no row: its number, from 1, and why.
pub fn parse(text: &str) -> Result<Vec<Row>, (usize, serde_json::Error)> {
    let row =
        |(n, line): (usize, &str)| serde_json::from_str(line).map_err(|source| (n + 1, source));
    text.lines().enumerate().map(row).collect()
}

/// The most memory that this process has had, MiB; nothing where the system does not say.
pub fn peak_memory_mib() -> Option<f32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f32>().ok().map(|kib| kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64) -> Row {
        let json = format!(
            "{{\"step\":{step},\"epoch\":1,\"reconstruction\":0.5,\"classification\":2.25,\"accuracy\":0.125,\
             \"norm_siren\":1.0,\"norm_alpha\":2.0,\"norm_classifier\":3.0,\"rate_siren\":0.001,\"rate_alpha\":0.01,\
             \"rate_classifier\":0.002,\"held_out_accuracy\":null,\"held_out_psnr\":20.5}}"
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn rows_come_back_and_later_ones_are_cut_off() {
        let rows = [row(10), row(20), row(30)];
        let text: String = rows.iter().map(Row::json).collect();
        assert_eq!(parse(&text).unwrap(), rows);
        assert_eq!(parse(&until(&text, 20)).unwrap(), rows[..2]);
        let csv = head() + &rows.iter().map(Row::csv).collect::<String>();
        assert_eq!(until(&csv, 10), head() + &rows[0].csv());
        assert_eq!(until(&csv[..csv.len() - 1], 30), head() + &rows[0].csv() + &rows[1].csv());
        assert_eq!(rows[0].csv(), "10,1,0.5,2.25,0.125,1,2,3,0.001,0.01,0.002,,20.5,,,,\n");
        let earlier = "step,names\n10,1,0.5\n20,2\n".to_owned();
        assert_eq!(with_head(earlier, "a,b,c,d\n"), "a,b,c,d\n10,1,0.5,\n20,2,,\n");
        assert_eq!(parse("{}").unwrap_err().0, 1);
    }

    /// Both files have the same columns in the same order.
    #[test]
    fn columns_are_the_fields_of_the_json() {
        let json = row(10).json();
        let names = json.split('"').skip(1).step_by(2).collect::<Vec<_>>().join(",") + "\n";
        assert_eq!(head(), names);
    }
}
