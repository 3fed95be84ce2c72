shapes.triangle = (x0, y0, x1, y1, x2, y2) => {
  // Turned so that the inside lies to the left of every edge, or nowhere if there is none.
  const turn = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
  const corners = turn < 0 ? [[x0, y0], [x2, y2], [x1, y1]] : [[x0, y0], [x1, y1], [x2, y2]];
  const edges = corners.map(([ax, ay], k) => {
    const [bx, by] = corners[(k + 1) % 3], ex = bx - ax, ey = by - ay, square = ex * ex + ey * ey;
    return { ax, ay, ex, ey, share: square > 0 ? 1 / square : 0 };
  });
  const [p, q, r] = edges;
  /** The square of the distance to an edge. */
  const apart = ({ ax, ay, ex, ey, share }, x, y) => {
    const wx = x - ax, wy = y - ay, t = Math.min(Math.max((wx * ex + wy * ey) * share, 0), 1);
    const dx = wx - t * ex, dy = wy - t * ey;
    return dx * dx + dy * dy;
  };
  const isLeft = ({ ax, ay, ex, ey }, x, y) => ex * (y - ay) - ey * (x - ax) > 0;
  return {
    centre: [(x0 + x1 + x2) / 3, (y0 + y1 + y2) / 3],
    box: (margin) => [
      Math.min(x0, x1, x2) - margin, Math.min(y0, y1, y2) - margin, Math.max(x0, x1, x2) + margin, Math.max(y0, y1, y2) + margin,
    ],
    distances(out, left, top, step, across, down) {
      for (let j = 0, k = 0; j < down; j++) {
        const y = top + j * step;
        for (let i = 0; i < across; i++, k++) {
          const x = left + i * step;
          const nearest = Math.sqrt(Math.min(apart(p, x, y), apart(q, x, y), apart(r, x, y)));
          out[k] = isLeft(p, x, y) && isLeft(q, x, y) && isLeft(r, x, y) ? -nearest : nearest;
        }
      }
    },
    outline: (distance) => roundedPath(corners, distance),
    words: (pixels) => [[x0, y0], [x1, y1], [x2, y2]].map(([x, y], k) => [`corner ${k + 1}`, `${pixels(x)}, ${pixels(y)}`]),
  };
};
