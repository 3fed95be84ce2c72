/**
 * The primitives by name: one function each that takes its shape columns (scene pixels) and returns
 *
 *   centre                  [x, y]
 *   box(margin)             [left, top, right, bottom] of the points within this signed distance
 *   distances(out, x, y, step, across, down)
 *                           fills `out` with the signed distances to the rim, negative inside, of the points
 *                           (x + i step, y + j step), row by row: the formula of `Primitive.distance`
 *   outline(distance)       SVG path data of the curve at this distance, 0 or more
 *   words(pixels)           its numbers for display, as pairs of name and text; `pixels` formats a length
 *   thickness               half the extent across the thinnest direction; needed for the logistic falloff only
 *
 * A new primitive adds `shapes/<its name>.js` with such a function.
 */
const shapes = {};

/** The shape of a row of a key frame. */
function shapeOf(key, row, about) {
  const [name, columns] = about.primitives[key.kinds[row]];
  return shapes[name](...columns.map((_, k) => key.shape[k][row]));
}

/** Path data of an ellipse whose semi-axis `a` points at `angle` (radians). */
function ellipsePath(x, y, a, b, angle = 0) {
  const [dx, dy] = [a * Math.cos(angle), a * Math.sin(angle)];
  const arc = `A${a} ${b} ${(angle * 180) / Math.PI} 0 1`;
  return `M${x - dx} ${y - dy}${arc} ${x + dx} ${y + dy}${arc} ${x - dx} ${y - dy}Z`;
}

/** Path data of the points within `radius` of a convex polygon, or of a line for two corners. */
function roundedPath(corners, radius) {
  const parts = corners.map(([x0, y0], k) => {
    const [x1, y1] = corners[(k + 1) % corners.length];
    const length = Math.hypot(x1 - x0, y1 - y0) || 1;
    const nx = ((y1 - y0) / length) * radius, ny = ((x0 - x1) / length) * radius;
    return [`${x0 + nx} ${y0 + ny}`, `${x1 + nx} ${y1 + ny}`];
  });
  const arc = radius > 0 ? `A${radius} ${radius} 0 0 1 ` : "L";
  return `M${parts.map(([from, to]) => `${from}L${to}`).join(arc)}${arc}${parts[0][0]}Z`;
}
