shapes.circle = (x, y, radius) => ({
  centre: [x, y],
  thickness: radius,
  box(margin) {
    const reach = radius + margin;
    return [x - reach, y - reach, x + reach, y + reach];
  },
  distances(out, left, top, step, across, down) {
    for (let j = 0, k = 0; j < down; j++) {
      const dy = top + j * step - y;
      for (let i = 0; i < across; i++, k++) {
        const dx = left + i * step - x;
        out[k] = Math.sqrt(dx * dx + dy * dy) - radius;
      }
    }
  },
  outline: (distance) => ellipsePath(x, y, radius + distance, radius + distance),
  words: (pixels) => [["x", pixels(x)], ["y", pixels(y)], ["radius", pixels(radius)]],
});
