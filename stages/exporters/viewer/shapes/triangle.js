shapes.triangle = (x0, y0, x1, y1, x2, y2) => {
  // Ordered so that the inside lies on the same side of all edges.
  const turn = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
  const corners = turn < 0 ? [[x0, y0], [x2, y2], [x1, y1]] : [[x0, y0], [x1, y1], [x2, y2]];
  /** An edge as its first corner, its length, and the unit vector along it. */
  const [p, q, r] = corners.map(([x, y], k) => {
    const dx = corners[(k + 1) % 3][0] - x, dy = corners[(k + 1) % 3][1] - y, length = Math.hypot(dx, dy), share = length > 0 ? 1 / length : 0;
    return { x, y, length, ux: dx * share, uy: dy * share };
  });
  /** Signed distance of a point to the line of an edge; negative inside. */
  const beside = (edge, x, y) => (x - edge.x) * edge.uy - (y - edge.y) * edge.ux;
  /** Squared distance of a point to an edge, given its distance to the line. */
  const square = (edge, x, y, across) => {
    if (edge.length === 0) return (x - edge.x) ** 2 + (y - edge.y) ** 2;
    const along = (x - edge.x) * edge.ux + (y - edge.y) * edge.uy;
    const past = Math.max(along - edge.length, 0) + Math.min(along, 0);
    return across * across + past * past;
  };
  return {
    centre: [(x0 + x1 + x2) / 3, (y0 + y1 + y2) / 3],
    box: (margin) => [
      Math.min(x0, x1, x2) - margin, Math.min(y0, y1, y2) - margin, Math.max(x0, x1, x2) + margin, Math.max(y0, y1, y2) + margin,
    ],
    distances(out, left, top, step, across, down) {
      for (let j = 0, k = 0; j < down; j++) {
        const y = top + j * step;
        for (let i = 0; i < across; i++, k++) {
          const x = left + i * step, a = beside(p, x, y), b = beside(q, x, y), c = beside(r, x, y), farthest = Math.max(a, b, c);
          out[k] = farthest < 0 ? farthest : Math.sqrt(Math.min(square(p, x, y, a), square(q, x, y, b), square(r, x, y, c)));
        }
      }
    },
    outline: (distance) => roundedPath(corners, distance),
    words: (pixels) => [[x0, y0], [x1, y1], [x2, y2]].map(([x, y], k) => [`corner ${k + 1}`, `${pixels(x)}, ${pixels(y)}`]),
  };
};
