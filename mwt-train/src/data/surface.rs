//! Surfaces whose distance to any point has a formula.
//!
//! A solid of revolution is a line in the half-plane of its axis; one with flat faces is triangles or
//! rectangles. The nearest of these pieces is the nearest of the surface, inside as outside, which the
//! usual signed distances of such solids are not where they join several.

/// A place or a direction.
pub(super) type Point = [f32; 3];

/// A surface with a bounding sphere of radius 1 at the origin.
pub(super) enum Surface {
    /// A tube of `thickness` about a circle of `radius` in the plane of the first two axes.
    Ring { radius: f32, thickness: f32 },
    /// All within `thickness` of a piece of the third axis, from -`half` to `half`.
    Rod { half: f32, thickness: f32 },
    /// An open line of points (distance from the third axis, height), turned about that axis.
    Turned(Vec<[f32; 2]>),
    /// Triangles.
    Faces(Vec<[Point; 3]>),
    /// Three square beams of half their thickness `half`, as long as the axes that they are on.
    Beams { half: f32, length: f32 },
}

impl Surface {
    pub(super) fn sphere() -> Self {
        Surface::Rod { half: 0.0, thickness: 1.0 }
    }

    pub(super) fn cube() -> Self {
        // A cross whose beams are as thick as they are long.
        let half = (1.0f32 / 3.0).sqrt();
        Surface::Beams { half, length: half }
    }

    /// A cylinder `slender` times as high as it is wide.
    pub(super) fn cylinder(slender: f32) -> Self {
        let radius = 1.0 / (1.0 + slender * slender).sqrt();
        let half = slender * radius;
        Surface::Turned(vec![[0.0, -half], [radius, -half], [radius, half], [0.0, half]])
    }

    /// A cone `slender` times as high as its base's radius, with tip and rim on the sphere.
    pub(super) fn cone(slender: f32) -> Self {
        // 1 = radius² + (height - 1)² and height = slender·radius.
        let radius = 2.0 * slender / (1.0 + slender * slender);
        let base = 1.0 - slender * radius;
        Surface::Turned(vec![[0.0, 1.0], [radius, base], [0.0, base]])
    }

    /// A torus whose tube is `thickness` of its whole radius thick.
    pub(super) fn torus(thickness: f32) -> Self {
        Surface::Ring { radius: 1.0 - thickness, thickness }
    }

    /// A capsule of this radius.
    pub(super) fn capsule(thickness: f32) -> Self {
        Surface::Rod { half: 1.0 - thickness, thickness }
    }

    /// Three beams across each other; `thick` is their thickness to their length.
    pub(super) fn cross(thick: f32) -> Self {
        // The outermost corner is (length, half, half).
        let length = 1.0 / (1.0 + 2.0 * thick * thick).sqrt();
        Surface::Beams { half: thick * length, length }
    }

    pub(super) fn tetrahedron() -> Self {
        let c = (1.0f32 / 3.0).sqrt();
        let corners = [[c, c, c], [c, -c, -c], [-c, c, -c], [-c, -c, c]];
        Surface::Faces(
            [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]
                .map(|face| face.map(|corner: usize| corners[corner]))
                .to_vec(),
        )
    }

    pub(super) fn octahedron() -> Self {
        let signs = [1.0, -1.0];
        let octants = signs.iter().flat_map(|x| signs.iter().map(move |y| (x, y)));
        let octants = octants.flat_map(|(x, y)| signs.iter().map(move |z| (x, y, z)));
        Surface::Faces(
            octants.map(|(x, y, z)| [[*x, 0.0, 0.0], [0.0, *y, 0.0], [0.0, 0.0, *z]]).collect(),
        )
    }

    /// A prism on a triangle, `slender` times as high as the triangle's circle is wide.
    pub(super) fn prism(slender: f32) -> Self {
        let radius = 1.0 / (1.0 + slender * slender).sqrt();
        let (half, side) = (slender * radius, 0.75f32.sqrt() * radius);
        let outline = [[radius, 0.0], [-0.5 * radius, side], [-0.5 * radius, -side]];
        let [top, bottom] = [half, -half].map(|z| outline.map(|[x, y]| [x, y, z]));
        let mut faces = vec![top, bottom];
        for (a, b) in [(0, 1), (1, 2), (2, 0)] {
            faces.push([top[a], top[b], bottom[a]]);
            faces.push([bottom[a], bottom[b], top[b]]);
        }
        Surface::Faces(faces)
    }

    /// The distance of a point to the surface.
    pub(super) fn distance(&self, at: Point) -> f32 {
        let [x, y, z] = at;
        match self {
            Surface::Ring { radius, thickness } => {
                let to_circle = length([(x * x + y * y).sqrt() - radius, z, 0.0]);
                (to_circle - thickness).abs()
            }
            Surface::Rod { half, thickness } => {
                (length([x, y, z - z.clamp(-half, *half)]) - thickness).abs()
            }
            Surface::Turned(line) => {
                let place = [(x * x + y * y).sqrt(), z, 0.0];
                let flat = |[x, y]: [f32; 2]| [x, y, 0.0];
                nearest(
                    line.windows(2).map(|ends| square_to_line(place, flat(ends[0]), flat(ends[1]))),
                )
            }
            Surface::Faces(faces) => nearest(faces.iter().map(|face| square_to_triangle(at, face))),
            Surface::Beams { half, length } => {
                // By symmetry the point may lie where all coordinates are positive: it then sees
                // one end and two sides of each beam.
                let at = at.map(f32::abs);
                nearest((0..3).flat_map(|along| {
                    let end = rectangle(at, along, *length, [-half, -half], [*half, *half]);
                    let [a, b] = [(along + 1) % 3, (along + 2) % 3];
                    // The sides begin where the other beams end.
                    let side = |out: usize| {
                        let mut low = [-half; 2];
                        let mut high = [*half; 2];
                        let place = usize::from((out + 1) % 3 != along);
                        (low[place], high[place]) = (*half, *length);
                        rectangle(at, out, *half, low, high)
                    };
                    [end, side(a), side(b)]
                }))
            }
        }
    }
}

/// The root of the smallest square.
fn nearest(squares: impl Iterator<Item = f32>) -> f32 {
    squares.fold(f32::INFINITY, f32::min).sqrt()
}

/// The squared distance to an axis-aligned rectangle where coordinate `axis` is `level` and the two
/// that follow it, in a circle, are from `low` to `high`.
fn rectangle(at: Point, axis: usize, level: f32, low: [f32; 2], high: [f32; 2]) -> f32 {
    let [a, b] = [at[(axis + 1) % 3], at[(axis + 2) % 3]];
    let off = [at[axis] - level, a - a.clamp(low[0], high[0]), b - b.clamp(low[1], high[1])];
    dot(off, off)
}

/// The squared distance to a triangle.
pub(super) fn square_to_triangle(at: Point, [a, b, c]: &[Point; 3]) -> f32 {
    let edges = [(*a, *b), (*b, *c), (*c, *a)];
    let normal = cross(sub(*b, *a), sub(*c, *a));
    let size = dot(normal, normal);
    // Above the triangle where the point is on the inner side of the three planes through an edge
    // and along the normal.
    let above =
        edges.iter().all(|(from, to)| dot(cross(normal, sub(*to, *from)), sub(at, *from)) >= 0.0);
    if above && size > 0.0 {
        let height = dot(normal, sub(at, *a));
        return height * height / size;
    }
    let to_edges = edges.iter().map(|(from, to)| square_to_line(at, *from, *to));
    to_edges.fold(f32::INFINITY, f32::min)
}

/// The squared distance to a straight line from one point to another.
fn square_to_line(at: Point, from: Point, to: Point) -> f32 {
    let (line, place) = (sub(to, from), sub(at, from));
    let square = dot(line, line);
    let part = if square > 0.0 { (dot(line, place) / square).clamp(0.0, 1.0) } else { 0.0 };
    let off = sub(place, scale(line, part));
    dot(off, off)
}

pub(super) fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn cross(a: Point, b: Point) -> Point {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(super) fn add(a: Point, b: Point) -> Point {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(super) fn sub(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(super) fn scale(a: Point, factor: f32) -> Point {
    a.map(|v| factor * v)
}

fn length(a: Point) -> f32 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::random::Rng;

    fn close(surface: &Surface, at: Point, want: f32) {
        let got = surface.distance(at);
        assert!((got - want).abs() < 1e-5, "{at:?}: {got}, not {want}");
    }

    #[test]
    fn round_solids_have_their_distances() {
        close(&Surface::sphere(), [0.0, 0.0, 0.0], 1.0);
        close(&Surface::sphere(), [1.0, 2.0, 2.0], 2.0);
        close(&Surface::torus(0.25), [0.0, 0.0, 0.0], 0.5);
        close(&Surface::torus(0.25), [0.0, 0.75, 0.0], 0.25);
        close(&Surface::torus(0.25), [0.75, 0.0, 1.0], 0.75);
        close(&Surface::capsule(0.4), [0.0, 0.0, 2.0], 1.0);
        close(&Surface::capsule(0.4), [0.1, 0.0, 0.3], 0.3);
    }

    #[test]
    fn turned_solids_have_their_distances() {
        // Radius and half height 0.6 and 0.8.
        let cylinder = Surface::cylinder(4.0 / 3.0);
        close(&cylinder, [0.0, 0.0, 0.0], 0.6);
        close(&cylinder, [0.0, 0.1, 0.7], 0.1);
        close(&cylinder, [0.9, 0.0, 1.2], 0.5);
        // The base's radius 1 and its height 0.
        let cone = Surface::cone(1.0);
        close(&cone, [0.0, 0.0, 1.5], 0.5);
        close(&cone, [0.0, 0.0, 0.25], 0.25);
        close(&cone, [1.0, 1.0, 1.0], (2.0f32).sqrt() * 0.5 * (2.0f32).sqrt());
        close(&cone, [0.0, 2.0, -1.0], 2.0f32.sqrt());
    }

    #[test]
    fn flat_solids_have_their_distances() {
        let half = (1.0f32 / 3.0).sqrt();
        close(&Surface::cube(), [0.0, 0.0, 0.0], half);
        close(&Surface::cube(), [0.1, -0.4, 0.2], half - 0.4);
        close(&Surface::cube(), [half + 3.0, 0.0, -half - 4.0], 5.0);
        close(&Surface::tetrahedron(), [0.0, 0.0, 0.0], 1.0 / 3.0);
        close(&Surface::tetrahedron(), [2.0 * half, 2.0 * half, 2.0 * half], 1.0);
        close(&Surface::octahedron(), [0.0, 0.0, 0.0], half);
        close(&Surface::octahedron(), [0.0, -3.0, 0.0], 2.0);
        close(&Surface::octahedron(), [1.0, 1.0, 1.0], 2.0 * half);
        // The triangle's circle of radius 0.8, so that its sides are 0.4 from the axis.
        let prism = Surface::prism(0.75);
        close(&prism, [0.0, 0.0, 0.0], 0.4);
        close(&prism, [0.0, 0.0, 0.5], 0.1);
        close(&prism, [-1.4, 0.0, 0.3], 1.0);
        close(&prism, [1.8, 0.0, 0.0], 1.0);
    }

    #[test]
    fn a_cross_is_hollow_where_its_beams_meet() {
        let thick = 0.25;
        let Surface::Beams { half, length } = Surface::cross(thick) else { unreachable!() };
        assert!((length * length + 2.0 * half * half - 1.0).abs() < 1e-6);
        let cross = Surface::cross(thick);
        // The middle is inside all three beams: nearest are the edges where two of them meet.
        close(&cross, [0.0, 0.0, 0.0], half * 2.0f32.sqrt());
        close(&cross, [0.5, 0.0, 0.1], half - 0.1);
        close(&cross, [0.0, 0.0, -length - 0.3], 0.3);
        close(&cross, [-half - 0.2, half + 0.3, 0.0], 0.2);
    }

    /// Points of the surface have distance 0, and no other surface is nearer than the sphere allows.
    #[test]
    fn all_are_bounded_by_the_unit_sphere_and_touch_it() {
        let all = [
            Surface::sphere(),
            Surface::cube(),
            Surface::cylinder(0.8),
            Surface::cone(1.3),
            Surface::torus(0.3),
            Surface::tetrahedron(),
            Surface::octahedron(),
            Surface::capsule(0.5),
            Surface::cross(0.3),
            Surface::prism(1.0),
        ];
        for (number, surface) in all.iter().enumerate() {
            let mut rng = Rng::new(number as u64, 0);
            let mut least = f32::INFINITY;
            for _ in 0..20_000 {
                let at = [(); 3].map(|()| rng.between(-1.0, 1.0));
                if length(at) > 0.1 {
                    // From outside, the surface is no nearer than the sphere.
                    let at = scale(at, 2.0 / length(at));
                    let distance = surface.distance(at);
                    assert!(distance >= 1.0 - 1e-5, "solid {number}: {distance}");
                    least = least.min(distance);
                }
            }
            assert!(least < 1.03, "solid {number}: {least}");
        }
    }
}
