// Beyond this many softnesses outside the rim (in d² - r²) the logistic falloff is 0 in float32.
const LOGISTIC_REACH = 17;

/**
 * The falloffs by name (`renderers/primitives/falloff.py`). Coverage is 0 beyond the distance `reach`, 1 inside `core`,
 * and invisible from `fades` on; `cover` turns `count` distances into coverage.
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
