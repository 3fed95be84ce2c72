shapes.ellipse = (x, y, size, stretch, shear) => {
  const e = Math.hypot(stretch, shear), a = Math.exp(size + e), b = Math.exp(size - e), angle = Math.atan2(shear, stretch) / 2;
  const cosine = Math.cos(angle), sine = Math.sin(angle);
  // The inverse of the matrix that maps the unit circle to the ellipse, times the minor semi-axis.
  const flat = b / a;
  const xx = flat * cosine * cosine + sine * sine, xy = (flat - 1) * cosine * sine, yy = flat * sine * sine + cosine * cosine;
  return {
    centre: [x, y],
    box(margin) {
      const grown = 1 + margin / b;
      const across = grown * Math.hypot(a * cosine, b * sine), down = grown * Math.hypot(a * sine, b * cosine);
      return [x - across, y - down, x + across, y + down];
    },
    distances(out, left, top, step, across, down) {
      for (let j = 0, k = 0; j < down; j++) {
        const dy = top + j * step - y;
        for (let i = 0; i < across; i++, k++) {
          const dx = left + i * step - x, u = xx * dx + xy * dy, v = xy * dx + yy * dy;
          out[k] = Math.sqrt(u * u + v * v) - b;
        }
      }
    },
    outline: (distance) => ellipsePath(x, y, a + (distance * a) / b, b + distance, angle),
    words: (pixels) => [
      ["x", pixels(x)], ["y", pixels(y)], ["semi-axes", `${pixels(a)}, ${pixels(b)}`], ["angle", `${((angle * 180) / Math.PI).toFixed(1)}°`],
    ],
  };
};
