//! What a person should know of how the pictures of a whole set were seen.

use std::collections::BTreeMap;

use super::view::Remark;

/// How many pictures there is something to say of.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    /// Takes note of one picture.
    pub(crate) fn add(&mut self, remarks: &[Remark]) {
        for remark in remarks {
            *self.0.entry(of_many(remark)).or_default() += 1;
        }
    }

    /// A line for each thing to say.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(what, count)| {
            let images = if *count == 1 { "image" } else { "images" };
            format!("{count} {images} {what}")
        })
    }
}

/// What a remark says, behind `5 images`.
fn of_many(remark: &Remark) -> &'static str {
    match remark {
        Remark::OnBlack => {
            "with a drawing of transparency alone, unseen on white, got black behind it; --background says otherwise"
        }
        Remark::Hidden => {
            "with a drawing of transparency alone that cannot be seen on this --background; give another"
        }
        Remark::AlphaIgnored => {
            "transparent all over: their colours were taken as if they were not"
        }
        Remark::Faint { .. } => {
            "whose 16-bit numbers end below 4096 of 65535, nearly black; save them with the whole range"
        }
        Remark::Cut { .. } => {
            "of which more than 30 % lies outside the middle that is looked at; --fit pad or stretch shows all"
        }
    }
}
