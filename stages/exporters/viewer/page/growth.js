// Playing the growth, slider and keys.

/** Moves the position towards its goal, and requests frames until it is reached. */
function advance(time) {
  const passed = clamp(time - previousTime, 0, 100);
  previousTime = time;
  if (playing) {
    position = goal = Math.min(goal + (passed / 1000 / PLAY_SECONDS) * last, last);
    if (goal === last) setPlaying(false);
    changed();
  } else if (position !== goal) {
    position += (goal - position) * (1 - Math.exp(-passed / GLIDE));
    if (reducedMotion.matches || Math.abs(goal - position) < 0.01) position = goal;
    changed();
  }
}

function seek(place) {
  setPlaying(false);
  goal = clamp(place, 0, last);
  if (position !== goal) previousTime = performance.now();
  deselect();
  changed();
}

const settle = () => seek(Math.round(goal));
const step = (by) => seek(by > 0 ? Math.floor(goal + 1e-6) + by : Math.ceil(goal - 1e-6) + by);

function setPlaying(now) {
  if (playing === now || last === 0) return;
  playing = now;
  const button = element("play"), name = now ? "Pause" : "Play the growth";
  button.dataset.playing = now;
  button.setAttribute("aria-label", name);
  button.title = `${name} (space)`;
}

function togglePlaying() {
  if (playing) return settle();
  if (goal >= last) position = goal = 0;
  deselect();
  setPlaying(true);
  previousTime = performance.now();
  changed();
}

/** The optimiser step at a position of the slider. */
function stepAt(place) {
  const below = Math.min(Math.floor(place), last);
  return steps[below] + (place - below) * ((steps[below + 1] ?? steps[below]) - steps[below]);
}

/** The position of the slider at an optimiser step. */
function positionAt(wanted) {
  let below = 0;
  while (below < last - 1 && steps[below + 1] <= wanted) below++;
  const length = steps[below + 1] - steps[below];
  return below + (length > 0 ? clamp((wanted - steps[below]) / length, 0, 1) : 0);
}

/** The PSNR at a step, interpolated between rows of the history; null before the first. */
function psnrAt(wanted) {
  const rows = about.history;
  if (!rows.length || wanted < rows[0][0]) return null;
  let above = rows.findIndex(([at]) => at >= wanted);
  if (above < 0) above = rows.length - 1;
  const [step1, value1] = rows[above], [step0, value0] = rows[Math.max(above - 1, 0)];
  return step1 > step0 ? value0 + ((value1 - value0) * (wanted - step0)) / (step1 - step0) : value1;
}

let shownText = "";
function showTime() {
  const now = stepAt(position), psnr = psnrAt(now);
  const share = last ? position / last : 1;
  if (document.activeElement !== slider || !sliderHeld) slider.value = position;
  slider.style.setProperty("--share", `calc(${share} * (100% - 20px) + 10px)`);
  const count = about.keys[Math.round(position)][1];
  const text = `step ${grouped(now)} · ${grouped(count)} ${about.shapes}${psnr === null ? "" : ` · ${psnr.toFixed(1)} dB`}`;
  if (text !== shownText) {
    shownText = text;
    element("readout").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    showCursor(now, psnr);
  }
}

const growthKeys = { ArrowRight: () => step(1), ArrowUp: () => step(1), ArrowLeft: () => step(-1), ArrowDown: () => step(-1), PageUp: () => step(5), PageDown: () => step(-5), Home: () => seek(0), End: () => seek(last) };
let sliderHeld = false;
slider.max = last;
slider.value = last;
slider.addEventListener("pointerdown", () => { sliderHeld = true; });
for (const name of ["pointerup", "pointercancel"]) slider.addEventListener(name, () => { sliderHeld = false; });
slider.addEventListener("input", () => seek(slider.valueAsNumber));
slider.addEventListener("change", () => { sliderHeld = false; settle(); });
element("play").addEventListener("click", togglePlaying);
