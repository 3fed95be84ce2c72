shapes.stroke = (x0, y0, x1, y1, width) => ({
  centre: [(x0 + x1) / 2, (y0 + y1) / 2],
  box(margin) {
    const reach = width / 2 + margin;
    return [Math.min(x0, x1) - reach, Math.min(y0, y1) - reach, Math.max(x0, x1) + reach, Math.max(y0, y1) + reach];
  },
  distances(out, left, top, step, across, down) {
    const dx = x1 - x0, dy = y1 - y0, square = dx * dx + dy * dy, share = square > 0 ? 1 / square : 0, half = width / 2;
    for (let j = 0, k = 0; j < down; j++) {
      const wy = top + j * step - y0;
      for (let i = 0; i < across; i++, k++) {
        const wx = left + i * step - x0;
        const t = Math.min(Math.max((wx * dx + wy * dy) * share, 0), 1);
        const ex = wx - t * dx, ey = wy - t * dy;
        out[k] = Math.sqrt(ex * ex + ey * ey) - half;
      }
    }
  },
  outline(distance) {
    const reach = width / 2 + distance;
    return x0 === x1 && y0 === y1 ? ellipsePath(x0, y0, reach, reach) : roundedPath([[x0, y0], [x1, y1]], reach);
  },
  words: (pixels) => [["from", `${pixels(x0)}, ${pixels(y0)}`], ["to", `${pixels(x1)}, ${pixels(y1)}`], ["width", pixels(width)]],
});
