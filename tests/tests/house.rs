//! The order of the code itself: no two files import each other in a circle, errors have types, and no document leads
//! to what is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

const CRATES: [&str; 8] = [
    "mwt-core",
    "mwt-infer",
    "mwt-train",
    "mwt-ffi",
    "mwt-python",
    "web",
    "firmware-example",
    "fuzz",
];

/// The files under `dir` with one of these extensions, without what was built.
fn files(dir: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !(name.starts_with('.') || ["target", "runs", "__pycache__"].contains(&&*name)) {
                found.extend(files(&path, extensions));
            }
        } else if path.extension().is_some_and(|e| extensions.contains(&&*e.to_string_lossy())) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn tokens(file: &Path) -> Vec<TokenTree> {
    let text = fs::read_to_string(file).unwrap();
    let stream: TokenStream = text.parse().unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    stream.into_iter().collect()
}

fn is(token: Option<&TokenTree>, text: &str) -> bool {
    match token {
        Some(TokenTree::Ident(ident)) => ident == text,
        Some(TokenTree::Punct(punct)) => {
            text.len() == 1 && punct.as_char() == text.chars().next().unwrap()
        }
        _ => false,
    }
}

/// A module by its path in its crate, `["settings", "keys"]`.
type Name = Vec<String>;

#[derive(Default)]
struct Module {
    file: PathBuf,
    children: BTreeSet<String>,
    /// What it hands on under a name: by what path.
    handed_on: BTreeMap<String, Vec<String>>,
    /// The paths that its code names.
    uses: Vec<Vec<String>>,
}

/// The modules of a crate, without its tests.
struct Crate(BTreeMap<Name, Module>);

impl Crate {
    fn read(dir: &Path) -> Self {
        let mut modules = Self(BTreeMap::new());
        modules.add(Vec::new(), dir.join("src/lib.rs"));
        modules
    }

    fn add(&mut self, name: Name, file: PathBuf) {
        let tokens = tokens(&file);
        self.0.insert(name.clone(), Module { file, ..Module::default() });
        self.scan(&name, &tokens);
    }

    /// Reads a module's tokens: the modules in it, what it hands on, and what it names.
    fn scan(&mut self, name: &Name, tokens: &[TokenTree]) {
        let mut test_only = false;
        let mut at = 0;
        while at < tokens.len() {
            let (token, next) = (&tokens[at], tokens.get(at + 1));
            if is(Some(token), "#") {
                test_only |= matches!(next, Some(TokenTree::Group(g)) if g.to_string().replace(' ', "").starts_with("[cfg(test)"));
                at += 2;
            } else if is(Some(token), "mod") {
                let child = next.unwrap().to_string();
                let body = tokens.get(at + 2);
                at += 3;
                if !std::mem::take(&mut test_only) {
                    self.child(name, child, body);
                }
            } else if is(Some(token), "use") && !is(next, "<") {
                let end = at + tokens[at..].iter().position(|t| is(Some(t), ";")).unwrap();
                let public = is(at.checked_sub(1).and_then(|before| tokens.get(before)), "pub")
                    || (at > 1 && is(tokens.get(at - 2), "pub"));
                let module = self.0.get_mut(name).unwrap();
                for path in paths(&tokens[at + 1..end]) {
                    if public {
                        // Of one word: a macro, which is this file's own.
                        if let [.., _, alias] = &path[..] {
                            module.handed_on.insert(alias.clone(), path);
                        }
                    } else if !test_only {
                        module.uses.push(path);
                    }
                }
                test_only = false;
                at = end + 1;
            } else if let TokenTree::Group(group) = token {
                if !std::mem::take(&mut test_only) {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    self.scan(name, &inner);
                }
                at += 1;
            } else if let TokenTree::Ident(_) = token
                && is(next, ":")
                && is(tokens.get(at + 2), ":")
                && !is(at.checked_sub(1).and_then(|before| tokens.get(before)), ":")
            {
                let mut end = at + 1;
                while is(tokens.get(end), ":") && is(tokens.get(end + 1), ":") {
                    if !matches!(tokens.get(end + 2), Some(TokenTree::Ident(_))) {
                        break;
                    }
                    end += 3;
                }
                self.0.get_mut(name).unwrap().uses.extend(paths(&tokens[at..end]));
                at = end;
            } else {
                test_only &= !is(Some(token), ";");
                at += 1;
            }
        }
    }

    fn child(&mut self, name: &Name, child: String, body: Option<&TokenTree>) {
        let of = self.0.get_mut(name).unwrap();
        of.children.insert(child.clone());
        let file = of.file.clone();
        let mut inner = name.clone();
        inner.push(child.clone());
        if let Some(TokenTree::Group(body)) = body {
            self.0.insert(inner.clone(), Module { file, ..Module::default() });
            let body: Vec<TokenTree> = body.stream().into_iter().collect();
            return self.scan(&inner, &body);
        }
        let dir = file.parent().unwrap();
        let stem = file.file_stem().unwrap().to_string_lossy();
        let dir = if ["lib", "mod"].contains(&&*stem) { dir.to_owned() } else { dir.join(&*stem) };
        let candidates = [dir.join(format!("{child}.rs")), dir.join(&child).join("mod.rs")];
        // One with `#[path]` or in a macro is none of these.
        if let Some(file) = candidates.into_iter().find(|file| file.exists()) {
            self.add(inner, file);
        }
    }

    /// The file that has what a module names by `path`, if it is of this crate.
    fn defines(&self, from: &Name, path: &[String], depth: usize) -> Option<&Path> {
        assert!(depth < 20, "{path:?} is handed on in a circle");
        let mut at = from.clone();
        let mut rest = path.iter().peekable();
        match path[0].as_str() {
            "crate" => {
                at.clear();
                rest.next();
            }
            "self" => {
                rest.next();
            }
            "super" => {
                while rest.next_if(|word| *word == "super").is_some() {
                    at.pop();
                }
            }
            child => {
                let module = &self.0[&at];
                let handed_on = depth > 0 && module.handed_on.contains_key(child);
                if !(module.children.contains(child) || handed_on) {
                    return None;
                }
            }
        }
        while let Some(word) = rest.next() {
            let module = &self.0[&at];
            let inner: Name = at.iter().chain([word]).cloned().collect();
            if self.0.contains_key(&inner) {
                at = inner;
            } else if let Some(target) = module.handed_on.get(word) {
                let whole: Vec<String> = target.iter().chain(rest).cloned().collect();
                return self.defines(&at, &whole, depth + 1);
            } else {
                break;
            }
        }
        Some(&self.0[&at].file)
    }

    /// For each file those that it imports from.
    fn arrows(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let mut arrows: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for (name, module) in &self.0 {
            let of = arrows.entry(&module.file).or_default();
            of.extend(module.uses.iter().filter_map(|path| self.defines(name, path, 0)));
            of.remove(&*module.file);
        }
        arrows
    }
}

/// The paths of a `use` tree, or of a path: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(tokens: &[TokenTree]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for part in tokens.split(|token| is(Some(token), ",")) {
        let mut path = Vec::new();
        let mut inner = None;
        for token in part {
            match token {
                TokenTree::Ident(word) if word == "as" => break,
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => inner = Some(group.stream()),
                _ => {}
            }
        }
        match inner {
            Some(inner) => {
                let inner: Vec<TokenTree> = inner.into_iter().collect();
                for rest in paths(&inner) {
                    // `self` in braces is the path before them.
                    let rest = rest.into_iter().filter(|word| word != "self");
                    all.push(path.iter().cloned().chain(rest).collect());
                }
            }
            None if !path.is_empty() => all.push(path),
            None => {}
        }
    }
    all
}

/// The files that reach themselves over imports.
fn circles<'p>(arrows: &BTreeMap<&'p Path, BTreeSet<&'p Path>>) -> Vec<&'p Path> {
    let reaches_itself = |start: &&Path| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![*start]);
        while let Some(file) = open.pop() {
            for next in &arrows[file] {
                if next == start {
                    return true;
                }
                if seen.insert(*next) {
                    open.push(next);
                }
            }
        }
        false
    };
    arrows.keys().copied().filter(reaches_itself).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut count = 0;
    for name in CRATES {
        let dir = root().join(name);
        if !dir.join("src/lib.rs").exists() {
            continue;
        }
        let modules = Crate::read(&dir);
        let arrows = modules.arrows();
        count += arrows.values().map(BTreeSet::len).sum::<usize>();
        let circles = circles(&arrows);
        let tied: Vec<_> = circles
            .iter()
            .map(|file| {
                let to = arrows[file].iter().filter(|to| circles.contains(*to));
                (file.display(), to.map(|to| to.display()).collect::<Vec<_>>())
            })
            .collect();
        assert!(tied.is_empty(), "files that import each other in a circle: {tied:#?}");
    }
    // The reading of imports has not gone blind.
    assert!(count > 200, "only {count} imports found");
}

/// A circle is seen whichever way it is written.
#[test]
fn circles_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let crate_of = |files: &[(&str, &str)]| {
        let src = dir.path().join("src");
        let _ = fs::remove_dir_all(&src);
        for (name, text) in files {
            let path = src.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let modules = Crate::read(dir.path());
        circles(&modules.arrows()).len()
    };
    let lib = ("lib.rs", "mod a; mod b;");
    assert_eq!(
        crate_of(&[
            lib,
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "use super::a::{self, A};")
        ]),
        2
    );
    assert_eq!(
        crate_of(&[lib, ("a.rs", "fn f() { crate::b::g() }"), ("b.rs", "use crate::{a::f as h};")]),
        2
    );
    assert_eq!(crate_of(&[lib, ("a.rs", "use crate::b::B;"), ("b.rs", "pub struct B;")]), 0);
    assert_eq!(
        crate_of(&[
            lib,
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "#[cfg(test)] mod tests { use crate::a::A; }")
        ]),
        0
    );
    // Over a name that a parent hands on, and between a parent and its child.
    assert_eq!(
        crate_of(&[
            ("lib.rs", "mod a; mod b; pub use a::A;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::A;")
        ]),
        2
    );
    assert_eq!(
        crate_of(&[
            ("lib.rs", "mod a; fn f() { a::g() } pub struct S;"),
            ("a.rs", "use super::S;")
        ]),
        2
    );
}

/// Whether tokens have a `Result<…, String>`, or an error type `String`.
fn has_string_error(tokens: &[TokenTree]) -> bool {
    let mut found = false;
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            found |= has_string_error(&group.stream().into_iter().collect::<Vec<_>>());
        }
        if is(Some(token), "Result") && is(tokens.get(at + 1), "<") {
            let mut depth = 0;
            let mut last: Vec<String> = Vec::new();
            for (i, token) in tokens[at + 1..].iter().enumerate() {
                let arrow = is(Some(token), ">") && is(tokens.get(at + i), "-");
                if is(Some(token), "<") {
                    depth += 1;
                } else if is(Some(token), ">") && !arrow {
                    depth -= 1;
                }
                if depth == 0 {
                    break;
                }
                if depth == 1 && is(Some(token), ",") {
                    last.clear();
                } else {
                    last.push(token.to_string());
                }
            }
            found |= last == ["String"];
        }
        let error_type = ["Err", "Error"].iter().any(|name| is(tokens.get(at + 1), name));
        if is(Some(token), "type") && error_type && is(tokens.get(at + 3), "String") {
            found = true;
        }
    }
    found
}

#[test]
fn errors_are_typed_outside_the_command_line() {
    assert!(
        has_string_error(&tokens(&root().join("mwt-train/src/cli/common.rs"))),
        "the check is blind"
    );
    for name in CRATES {
        for file in files(&root().join(name).join("src"), &["rs"]) {
            if !file.components().any(|part| part.as_os_str() == "cli") {
                assert!(
                    !has_string_error(&tokens(&file)),
                    "{}: an error that is a String",
                    file.display()
                );
            }
        }
    }
}

/// The targets of a document's links, `[text](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// A heading as the part of an address behind `#`.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_of_documents_lead_somewhere() {
    let mut count = 0;
    for file in files(root(), &["md"]) {
        let text = fs::read_to_string(&file).unwrap();
        for link in links(&text).filter(|link| !link.contains("://")) {
            count += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link} leads nowhere", file.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|line| anchor(line.trim_start_matches('#')) == heading);
                assert!(found, "{}: {link}: no such heading", file.display());
            }
        }
    }
    assert!(count > 20, "only {count} links found");
}

/// What a program or a document is named after which someone would look for it in the repository.
fn sources(text: &str) -> impl Iterator<Item = &str> {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    text.split(move |c| !word(c)).map(|word| word.trim_end_matches('.')).filter(|word| {
        [".py", ".md", ".sh"].iter().any(|end| word.len() > 3 && word.ends_with(end))
    })
}

/// Documents, comments and messages name no program or document that is not in the repository.
#[test]
fn what_is_named_as_a_source_is_there() {
    /// Files that a user makes.
    const MADE: [&str; 4] = ["mnist.md", "mnist.mwt.md", "mnist-v1.0.md", "model.md"];
    let all = files(root(), &["md", "py", "sh"]);
    let named = |name: &str| {
        let end = Path::new(name);
        MADE.contains(&name) || all.iter().any(|file| file.ends_with(end))
    };
    let extensions = ["md", "rs", "py", "sh", "toml", "h", "c", "txt"];
    // Tests make files of any name.
    let is_test = |file: &Path| {
        file.strip_prefix(root()).unwrap().components().any(|part| part.as_os_str() == "tests")
            && file.extension().is_some_and(|extension| extension == "rs")
    };
    for file in files(root(), &extensions).into_iter().filter(|file| !is_test(file)) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let text = text.replace("../", "").replace("./", "");
        for name in sources(&text).filter(|name| !name.contains("//")) {
            assert!(named(name), "{} names {name}, which is not there", file.display());
        }
    }
}
