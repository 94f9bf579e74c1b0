//! Between one slice per tensor and one flat slice per group.

use super::names::{Group, Spec};

/// Values of every tensor, group by group: the tensors of a group follow each other in [`specs`](super::specs), and the groups do.
pub fn join<'v>(specs: &[Spec], values: impl IntoIterator<Item = &'v [f32]>) -> [Vec<f32>; 3] {
    let mut groups = Group::ALL.map(|_| Vec::new());
    for (spec, values) in specs.iter().zip(values) {
        groups[spec.group as usize].extend_from_slice(values);
    }
    groups
}

/// The inverse of [`join`].
pub fn split(specs: &[Spec], groups: &[Vec<f32>; 3]) -> Vec<Vec<f32>> {
    let mut starts = [0; 3];
    let part = |spec: &Spec| {
        let start = &mut starts[spec.group as usize];
        *start += spec.len();
        groups[spec.group as usize][*start - spec.len()..*start].to_vec()
    };
    specs.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use mwt_core::ModelConfig;

    use super::*;
    use crate::weights::layout::specs;

    #[test]
    fn groups_join_and_split() {
        let specs = specs(&ModelConfig::NANO);
        let values: Vec<Vec<f32>> =
            specs.iter().enumerate().map(|(i, s)| vec![i as f32; s.len()]).collect();
        let groups = join(&specs, values.iter().map(Vec::as_slice));
        assert_eq!(split(&specs, &groups), values);
        // One group after the other is one tensor after the other.
        assert_eq!(groups.concat(), values.concat());
    }
}
