//! ModelNet40's layout, `<class>/{train,test}/*.off`: meshes as volumes of the distance to their
//! surface.
//!
//! A mesh is shifted and scaled until its bounding box is centred and its longest side reaches from
//! -0.95 to 0.95. The distance is that to the nearest of 32 768 points drawn evenly from the surface,
//! so that meshes that are not closed, or have faces inside, need no special care. It is unsigned, and
//! in the unit of the grid over [-1, 1]³, whose axes are the mesh's x, y and z.

use std::path::Path;

use kd_tree::KdTree;
use mwt_core::Extents;
use rayon::prelude::*;

use super::listing::{Entry, files, folders, thin_out};
use super::off::{self, Mesh};
use crate::data::error::DataError;
use crate::data::options::{LoadOptions, SignalParts};
use crate::data::room::room;
use crate::data::signals::Signals;
use crate::util::random::Rng;

/// Points drawn from a surface.
const POINTS: usize = 32_768;
/// Half the longest side of a mesh's bounding box.
const REACH: f64 = 0.95;

const EXTENSIONS: [&str; 1] = ["off"];

/// Whether the directory has a class with a mesh to train on.
pub(super) fn is_mesh(dir: &Path) -> bool {
    let has_mesh = |class: &String| {
        files(&dir.join(class).join("train"), &EXTENSIONS).is_ok_and(|files| !files.is_empty())
    };
    folders(dir).is_ok_and(|classes| classes.iter().any(has_mesh))
}

/// Reads the meshes of a directory onto grids of `side` positions along each axis.
pub(super) fn load(
    dir: &Path,
    options: &LoadOptions,
    side: usize,
) -> Result<SignalParts, DataError> {
    let mut classes = folders(dir)?;
    // Other folders may lie beside the classes.
    classes.retain(|class| {
        let folder = dir.join(class);
        folder.join("train").is_dir() || folder.join("test").is_dir()
    });
    let read = |split| {
        let entries = thin_out(list(dir, &classes, split)?, options.limit);
        read_split(dir, &entries, side, options)
    };
    let (train, test) = (read("train")?, read("test")?);
    Ok((classes, train, test))
}

/// The meshes of a split, class by class.
fn list(dir: &Path, classes: &[String], split: &str) -> Result<Vec<Entry>, DataError> {
    let mut entries = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let folder = dir.join(class).join(split);
        let found = files(&folder, &EXTENSIONS)?;
        if found.is_empty() {
            return Err(DataError::NoFiles { path: folder, what: ".off" });
        }
        // `folders` refuses more classes than fit.
        entries.extend(found.into_iter().map(|path| (path, label as u16)));
    }
    Ok(entries)
}

fn read_split(
    dir: &Path,
    entries: &[Entry],
    side: usize,
    options: &LoadOptions,
) -> Result<Signals, DataError> {
    let extents = Extents::volume(side, side, side);
    let mut values = room(dir, entries.len(), extents, 1, options)?;
    let positions = extents.positions();
    values.resize(entries.len() * positions, 0.0);
    // Collected before the errors are looked at, so that the first file at fault is the one
    // reported, whichever thread was faster.
    let results: Vec<_> = values
        .par_chunks_exact_mut(positions)
        .zip(entries)
        .map(|(volume, (path, _))| {
            let mesh = off::read(path)?;
            // From its name, so that a mesh is the same whichever others are read.
            let mut rng = Rng::new(options.seed, name_hash(dir, path));
            let points = surface_points(&mesh, &mut rng);
            let points = points.ok_or_else(|| DataError::NoSurface { path: path.clone() })?;
            distances(points, extents, volume);
            Ok(())
        })
        .collect();
    results.into_iter().collect::<Result<(), DataError>>()?;
    let labels = entries.iter().map(|(_, label)| *label).collect();
    Ok(Signals { extents, channels: 1, values, labels })
}

/// FNV-1a of the path below the directory, the same on every system.
fn name_hash(dir: &Path, path: &Path) -> u64 {
    let below = path.strip_prefix(dir).unwrap_or(path);
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for part in below {
        for byte in part.to_string_lossy().bytes().chain(*b"/") {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

/// Points drawn evenly from the surface of a mesh in its place on the grid; `None` when it has none.
fn surface_points(mesh: &Mesh, rng: &mut Rng) -> Option<Vec<[f32; 3]>> {
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    // Of the corners alone: a vertex that no face has is no part of the surface.
    for corner in mesh.triangles.iter().flatten() {
        for axis in 0..3 {
            low[axis] = low[axis].min(mesh.vertices[*corner][axis]);
            high[axis] = high[axis].max(mesh.vertices[*corner][axis]);
        }
    }
    let longest = (0..3).map(|axis| high[axis] - low[axis]).fold(0.0, f64::max);
    if longest <= 0.0 {
        return None;
    }
    let place = |corner: usize| {
        let vertex = mesh.vertices[corner];
        [0, 1, 2].map(|axis| {
            let centre = (low[axis] + high[axis]) / 2.0;
            (vertex[axis] - centre) / longest * (2.0 * REACH)
        })
    };

    let mut total = 0.0;
    let areas = mesh.triangles.iter().map(|triangle| {
        let [a, b, c] = triangle.map(place);
        total += twice_area(a, b, c);
        total
    });
    let areas: Vec<f64> = areas.collect();
    let draw = |_| {
        let at = unit(rng) * total;
        // Rounding may put `at` on the very end.
        let index = areas.partition_point(|sum| *sum <= at).min(areas.len() - 1);
        let [a, b, c] = mesh.triangles[index].map(place);
        // Osada and others (2002): the root makes the density even.
        let (root, part) = (unit(rng).sqrt(), unit(rng));
        [0, 1, 2].map(|axis| {
            let side = b[axis] + part * (c[axis] - b[axis]);
            (a[axis] + root * (side - a[axis])) as f32
        })
    };
    (total > 0.0).then(|| (0..POINTS).map(draw).collect())
}

/// A number in 0..1, of all the bits that an f64 holds.
fn unit(rng: &mut Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn twice_area(a: [f64; 3], b: [f64; 3], c: [f64; 3]) -> f64 {
    let [u, v] = [b, c].map(|corner| [0, 1, 2].map(|axis| corner[axis] - a[axis]));
    let normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    normal.iter().map(|n| n * n).sum::<f64>().sqrt()
}

/// The distance of each position to the nearest of some points.
fn distances(points: Vec<[f32; 3]>, extents: Extents, volume: &mut [f32]) {
    let tree = KdTree::build_by_ordered_float(points);
    for (position, distance) in volume.iter_mut().enumerate() {
        let mut at = [0.0; 3];
        extents.coordinates(position, &mut at);
        if let Some(nearest) = tree.nearest(&at) {
            *distance = nearest.squared_distance.sqrt();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::data::surface::square_to_triangle;

    /// A cube with its lower corner at (10, 10, 10) and sides of 4, of square faces.
    const CUBE: &str = "OFF\n8 6 12\n10 10 10\n14 10 10\n14 14 10\n10 14 10\n10 10 14\n14 10 14\n\
        14 14 14\n10 14 14\n4 0 1 2 3\n4 4 5 6 7\n4 0 1 5 4\n4 1 2 6 5\n4 2 3 7 6\n4 3 0 4 7\n";
    /// A flat triangle, and a vertex far away that no face has.
    const TRIANGLE: &str = "OFF4 1 0\n0 0 0\n2 0 0\n0 1 0\n99 99 99\n3 0 1 2\n";

    fn fixture() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (class, text) in [("cube", CUBE), ("flat", TRIANGLE)] {
            for split in ["train", "test"] {
                let folder = dir.path().join(class).join(split);
                fs::create_dir_all(&folder).unwrap();
                for name in ["1.off", "2.OFF"] {
                    fs::write(folder.join(name), text).unwrap();
                }
            }
        }
        fs::create_dir(dir.path().join("notes")).unwrap();
        dir
    }

    #[test]
    fn distances_are_those_of_the_surface() {
        let dir = fixture();
        assert!(is_mesh(dir.path()));
        let (classes, train, test) = load(dir.path(), &LoadOptions::default(), 9).unwrap();
        assert_eq!(classes, ["cube", "flat"]);
        assert_eq!((train.labels.as_slice(), test.labels.len()), ([0, 0, 1, 1].as_slice(), 4));
        assert_eq!((train.extents, train.channels), (Extents::volume(9, 9, 9), 1));
        assert_eq!(train.values.len(), 4 * 729);
        let corners = [[-0.95, -0.475, 0.0], [0.95, -0.475, 0.0], [-0.95, 0.475, 0.0]];
        for position in 0..729 {
            let mut at = [0.0f32; 3];
            train.extents.coordinates(position, &mut at);
            let off = at.map(|v| v.abs() - 0.95);
            let inside = off.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let outside = off.map(|v| v.max(0.0) * v.max(0.0)).iter().sum::<f32>().sqrt();
            let cube = if inside < 0.0 { -inside } else { outside };
            let flat = square_to_triangle(at, &corners).sqrt();
            // Points are some 0.03 apart on the cube, and none is nearer than the surface.
            for (mesh, want, apart) in [(0, cube, 0.06), (2, flat, 0.04)] {
                let found = train.values[mesh * 729 + position];
                assert!((-1e-4..apart).contains(&(found - want)), "{at:?}: {found}, not {want}");
            }
        }
    }

    #[test]
    fn a_mesh_is_the_same_whichever_others_are_read() {
        let dir = fixture();
        let load = |limit, seed| {
            let options = LoadOptions { limit, seed, ..LoadOptions::default() };
            load(dir.path(), &options, 4).unwrap().1
        };
        let (all, few) = (load(None, 0), load(Some(2), 0));
        assert_eq!(few.labels, [0, 1]);
        assert_eq!(few.values, [&all.values[64..128], &all.values[192..]].concat());
        assert_ne!(all.values[..64], all.values[64..128]);
        assert_ne!(load(None, 1).values, all.values);
        assert!(load(Some(0), 0).values.is_empty());
    }

    #[test]
    fn points_are_spread_evenly() {
        // Two triangles of areas 1 and 3, one above the other.
        let mesh = Mesh {
            vertices: vec![
                [0.0, 0.0, 0.0],
                [2.0, 0.0, 0.0],
                [0.0, 1.0, 0.0],
                [0.0, 0.0, 2.0],
                [2.0, 0.0, 2.0],
                [0.0, 3.0, 2.0],
            ],
            triangles: vec![[0, 1, 2], [3, 4, 5]],
        };
        let points = surface_points(&mesh, &mut Rng::new(0, 0)).unwrap();
        let above = points.iter().filter(|point| point[2] > 0.0).count() as f64 / POINTS as f64;
        assert!((above - 0.75).abs() < 0.01, "{above}");
        // A triangle's centre is the mean of its corners: y from -0.95 to 0.95 here.
        let upper = points.iter().filter(|point| point[2] > 0.0).map(|point| f64::from(point[1]));
        let mean = upper.clone().sum::<f64>() / upper.count() as f64;
        assert!((mean - (-0.95 + 1.9 / 3.0)).abs() < 0.01, "{mean}");
    }

    #[test]
    fn meshes_without_a_surface_are_refused() {
        let dir = fixture();
        let path = dir.path().join("flat/test/1.off");
        for text in [
            "OFF 0 0 0\n",
            "OFF 3 0 0\n0 0 0\n1 0 0\n0 1 0\n",
            "OFF 3 1 0\n0 0 0\n1 0 0\n2 0 0\n3 0 1 2\n",
            "OFF 1 1 0\n5 5 5\n3 0 0 0\n",
        ] {
            fs::write(&path, text).unwrap();
            let error = load(dir.path(), &LoadOptions::default(), 2).unwrap_err();
            assert!(matches!(&error, DataError::NoSurface { path: found } if *found == path));
        }
        fs::write(&path, "OFF\n1 x 0\n").unwrap();
        let message = load(dir.path(), &LoadOptions::default(), 2).unwrap_err().to_string();
        assert!(message.contains("1.off:2: `x` is not a number"), "{message}");
    }

    #[test]
    fn extreme_meshes_are_read() {
        let dir = fixture();
        let path = dir.path().join("flat/test/1.off");
        for text in [
            "OFF 3 1 0\n-1e30 -1e30 0\n1e30 1e30 0\n0 1e30 1e30\n3 0 1 2\n",
            "OFF 3 1 0\n0 0 0\n1e-300 0 0\n0 1e-300 0\n3 0 1 2\n",
        ] {
            fs::write(&path, text).unwrap();
            let (_, _, test) = load(dir.path(), &LoadOptions::default(), 3).unwrap();
            // No two points of the grid are farther apart than its diagonal.
            assert!(test.values.iter().all(|v| (0.0..3.47).contains(v)));
        }
    }

    #[test]
    fn missing_parts_and_impossible_sides_are_errors() {
        let dir = fixture();
        let load = |side| load(dir.path(), &LoadOptions::default(), side).unwrap_err();
        assert!(matches!(load(0), DataError::GridSize { .. }));
        assert!(matches!(load(257), DataError::GridSize { .. }));
        fs::remove_file(dir.path().join("cube/test/1.off")).unwrap();
        fs::remove_file(dir.path().join("cube/test/2.OFF")).unwrap();
        assert!(load(3).to_string().contains("no .off files"));
        fs::remove_dir(dir.path().join("cube/test")).unwrap();
        assert!(matches!(load(3), DataError::Io { .. }));
        assert!(!is_mesh(&dir.path().join("cube")));
    }
}
