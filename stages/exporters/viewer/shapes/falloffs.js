// Beyond this many softnesses outside the rim (in d² - r²) the logistic falloff is 0 to the eye and to float32.
const LOGISTIC_REACH = 17;

/**
 * How coverage falls off, by name (`renderers/primitives/falloff.py`). `reach` and `core` are the distances from which
 * on outwards it is 0, and inwards 1; at `fades` it is next to nothing for the eye; `cover` turns `count` distances into coverage.
 */
const falloffs = {
  linear: {
    reach: (softness) => softness,
    fades: (softness) => softness,
    core: (softness) => -softness,
    cover(values, count, softness) {
      const slope = -0.5 / softness;
      for (let k = 0; k < count; k++) values[k] = Math.min(Math.max(0.5 + slope * values[k], 0), 1);
    },
  },
  logistic: {
    reach: (softness, size) => Math.sqrt(size * size + LOGISTIC_REACH * softness) - size,
    fades: (softness, size) => Math.sqrt(size * size + 4 * softness) - size,
    core: (softness, size) => Math.sqrt(Math.max(size * size - LOGISTIC_REACH * softness, 0)) - size,
    cover(values, count, softness, size) {
      for (let k = 0; k < count; k++) values[k] = 1 / (1 + Math.exp((values[k] * (values[k] + 2 * size)) / softness));
    },
  },
};
