//! The mesh files of Princeton's Object File Format: `.off`.
//!
//! The word OFF, the numbers of vertices, faces and edges, a line for each vertex, and a line for each
//! face: how many corners it has and which vertices they are. What follows on a line, such as a
//! colour, and comments behind `#` mean nothing here. In ModelNet some files have the numbers glued to
//! the word: `OFF490 518 0`. <https://segeval.cs.princeton.edu/public/off_format.html> defines it.

use std::fs;
use std::path::Path;

use crate::data::error::DataError;
use crate::data::line_fault::{LineFault, excerpt};

/// The largest coordinate: squares of squares still are numbers.
const LARGEST: f64 = 1e30;

/// Triangles in space.
pub(super) struct Mesh {
    pub(super) vertices: Vec<[f64; 3]>,
    /// Faces of more than three corners are cut into fans.
    pub(super) triangles: Vec<[usize; 3]>,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Mesh, DataError> {
    let bytes = fs::read(path).map_err(|reason| DataError::io(path, reason))?;
    // Comments may be in any encoding; numbers are not.
    let text = String::from_utf8_lossy(&bytes);
    parse(&text).map_err(|(line, fault)| DataError::Line { path: path.into(), line, fault })
}

/// The lines that say something, each with its number from 1.
struct Lines<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self, what: &'static str) -> Result<&'a str, (usize, LineFault)> {
        for (i, line) in self.lines.by_ref() {
            self.number = i + 1;
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                return Ok(line);
            }
        }
        Err((self.number, LineFault::Ends(what)))
    }
}

/// Reads a mesh, or gives the line at fault.
fn parse(text: &str) -> Result<Mesh, (usize, LineFault)> {
    let mut lines = Lines { lines: text.lines().enumerate(), number: 1 };
    let first = lines.next("OFF")?;
    let first = first.trim_start_matches('\u{feff}');
    let glued = first.strip_prefix("OFF").map(str::trim);
    let glued = glued.ok_or_else(|| (lines.number, LineFault::NotOff(excerpt(first))))?;
    let counts = if glued.is_empty() { lines.next("the numbers of vertices")? } else { glued };
    let mut counts = counts.split_whitespace().map(whole);
    let mut count = || counts.next().unwrap_or(Err(LineFault::Ends("a number")));
    let vertex_count = count().map_err(|fault| (lines.number, fault))?;
    let face_count = count().map_err(|fault| (lines.number, fault))?;

    // Both grow with the lines that really come, whatever the counts promise.
    let mut mesh = Mesh { vertices: Vec::new(), triangles: Vec::new() };
    for _ in 0..vertex_count {
        let line = lines.next("a vertex")?;
        mesh.vertices.push(vertex(line).map_err(|fault| (lines.number, fault))?);
    }
    for _ in 0..face_count {
        let line = lines.next("a face")?;
        mesh.add_face(line).map_err(|fault| (lines.number, fault))?;
    }
    Ok(mesh)
}

fn whole(text: &str) -> Result<usize, LineFault> {
    text.parse().map_err(|_| LineFault::Number(excerpt(text)))
}

fn vertex(line: &str) -> Result<[f64; 3], LineFault> {
    let mut numbers = line.split_whitespace();
    let mut at = [0.0; 3];
    for coordinate in &mut at {
        let text = numbers.next().ok_or(LineFault::Vertex)?;
        let number: f64 = text.parse().map_err(|_| LineFault::Number(excerpt(text)))?;
        if !(-LARGEST..=LARGEST).contains(&number) {
            return Err(LineFault::Vertex);
        }
        *coordinate = number;
    }
    Ok(at)
}

impl Mesh {
    /// Adds a face as triangles that share its first corner. One of fewer than three corners has no
    /// area and adds none.
    fn add_face(&mut self, line: &str) -> Result<(), LineFault> {
        let mut numbers = line.split_whitespace();
        let expected = whole(numbers.next().unwrap_or_default())?;
        let mut corners = Vec::new();
        for text in numbers.take(expected) {
            let vertex = whole(text)?;
            if vertex >= self.vertices.len() {
                return Err(LineFault::NoVertex { vertex, vertices: self.vertices.len() });
            }
            corners.push(vertex);
        }
        if corners.len() < expected {
            return Err(LineFault::Corners { found: corners.len(), expected });
        }
        if let [first, rest @ ..] = corners.as_slice() {
            self.triangles.extend(rest.windows(2).map(|pair| [*first, pair[0], pair[1]]));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: &str = "OFF\n4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n";

    fn fault(text: &str) -> (usize, String) {
        let (line, fault) = parse(text).err().unwrap();
        (line, fault.to_string())
    }

    #[test]
    fn faces_become_fans() {
        let mesh = parse(SQUARE).unwrap();
        assert_eq!(mesh.vertices[2], [1.0, 1.0, 0.0]);
        assert_eq!(mesh.triangles, [[0, 1, 2], [0, 2, 3]]);
    }

    #[test]
    fn glued_counts_comments_and_colours_are_read() {
        let glued =
            SQUARE.replace("OFF\n4", "# comment\n\nOFF4").replace("2 3", "2 3 255 0 0 # red");
        assert_eq!(parse(&glued).unwrap().triangles.len(), 2);
        let spaced = SQUARE.replace("OFF\n4", "OFF 4").replace('\n', "\r\n");
        assert_eq!(parse(&spaced).unwrap().vertices.len(), 4);
        let lines = SQUARE.replace("4 1 0", "4 3 0") + "2 0 1\n0\n";
        assert_eq!(parse(&lines).unwrap().triangles.len(), 2);
    }

    #[test]
    fn faults_have_their_line() {
        assert_eq!(fault(""), (1, "the file ends where OFF should follow".into()));
        assert_eq!(fault("ply\n"), (1, "`ply` where the word OFF should begin the file".into()));
        assert_eq!(
            fault("OFF\n"),
            (1, "the file ends where the numbers of vertices should follow".into())
        );
        assert_eq!(fault("OFF\n\n4"), (3, "the file ends where a number should follow".into()));
        assert_eq!(fault("OFF\n-4 1 0"), (2, "`-4` is not a number".into()));
        assert_eq!(fault(&SQUARE.replace("1 1 0", "1 x 0")).0, 5);
        assert_eq!(fault(&SQUARE.replace("1 1 0", "1 1")).0, 5);
        assert_eq!(fault(&SQUARE.replace("1 1 0", "1 nan 0")).0, 5);
        assert_eq!(fault(&SQUARE.replace("1 1 0", "1 1e31 0")).0, 5);
        let corner = fault(&SQUARE.replace("2 3", "2 4"));
        assert_eq!(corner, (7, "vertex 4 (from 0) where there are 4".into()));
        let corners = fault(&SQUARE.replace("4 0", "5 0"));
        assert_eq!(corners, (7, "4 corners where 5 are promised".into()));
    }

    #[test]
    fn counts_that_promise_the_moon_take_no_memory() {
        let huge = format!("OFF {0} {0} 0\n0 0 0\n", usize::MAX);
        assert_eq!(fault(&huge), (2, "the file ends where a vertex should follow".into()));
        let huge = SQUARE.replace("4 0 1", &format!("{} 0 1", usize::MAX));
        assert_eq!(fault(&huge).0, 7);
        for end in 0..SQUARE.len() - 2 {
            assert!(parse(&SQUARE[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn damaged_text_never_panics() {
        let bytes = SQUARE.as_bytes();
        for (at, other) in (0..bytes.len()).flat_map(|at| b"\n -.#9ex\xff".map(|b| (at, b))) {
            let mut bad = bytes.to_vec();
            bad[at] = other;
            if let Ok(mesh) = parse(&String::from_utf8_lossy(&bad)) {
                assert!(mesh.triangles.iter().flatten().all(|v| *v < mesh.vertices.len()));
            }
        }
    }
}
