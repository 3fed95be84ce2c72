// The selected shape and its numbers.

// Least opacity of a shape that can be selected.
const VISIBLE = 0.02;

/** The topmost row whose shape contains a point of the scene, or null. */
function rowAt(x, y) {
  const key = keys[Math.round(position)], distance = [0];
  for (let row = key.kinds.length - 1; row >= 0; row--) {
    if (key.opacity[row] < VISIBLE) continue;
    shapeOf(key, row, about).distances(distance, x, y, 1, 1, 1);
    if (distance[0] <= 0) return row;
  }
  return null;
}

function selectAt(clientX, clientY) {
  if (!keys || playing) return;
  const box = stage.getBoundingClientRect();
  const x = (clientX - box.left) * ratio, y = (clientY - box.top) * ratio;
  const pane = paneAt(x, y), spot = placed(pane);
  const isOutside = x < spot.left || y < spot.top || x >= spot.left + spot.width || y >= spot.top + spot.height;
  const row = isOutside ? null : rowAt((x - spot.x) / spot.scale, (y - spot.y) / spot.scale);
  if (row === null) deselect();
  else select(row, pane, clientX - box.left, clientY - box.top);
}

/** Outlines a shape and shows its numbers beside a point of the stage, CSS pixels. */
function select(row, pane, besideX, besideY) {
  const tip = element("tip");
  if (selected !== row || tip.hidden) {
    const key = keys[Math.round(position)], shape = shapeOf(key, row, about);
    tip.replaceChildren(...numbersOf(key, row, shape));
    outline(shape, key.softness[row], placed(pane));
  }
  selected = row;
  tip.hidden = false;
  const fits = (at, size, room) => (at + 18 + size + 8 <= room ? at + 18 : Math.max(at - 18 - size, 8));
  tip.style.transform = `translate(${fits(besideX, tip.offsetWidth, stage.clientWidth)}px, ${fits(besideY, tip.offsetHeight, stage.clientHeight)}px)`;
}

/** The contents of the tip: a heading and a list. */
function numbersOf(key, row, shape) {
  const pixels = (length) => length.toFixed(key === keys[last] ? 2 : 1);
  const hex = "#" + ["red", "green", "blue"].map((name) => Math.round(clamp(key[name][row], 0, 1) * 255).toString(16).padStart(2, "0")).join("");
  const isMix = about.primitives.length > 1, name = about.primitives[key.kinds[row]][0];
  const lines = [...shape.words(pixels), [about.edge === "logistic" ? "softness, px²" : "softness", pixels(key.softness[row])],
    ["opacity", Math.min(key.opacity[row], 1).toFixed(2)], ["colour", hex]];
  if (isMix) lines.unshift(["kind", name]);
  const swatch = document.createElement("i"), list = document.createElement("dl");
  swatch.className = "swatch";
  swatch.style.background = hex;
  for (const [what, value] of lines) list.append(described("dt", what), described("dd", value));
  list.lastChild.prepend(swatch);
  return [described("p", `${capitalised(isMix ? "shape" : name)} ${grouped(row + 1)} of ${grouped(key.kinds.length)}`), list];
}

/** Draws the rim of a shape, and a dotted line where it has faded out. */
function outline(shape, softness, spot) {
  const rings = element("rings"), scale = spot.scale / ratio;
  const fades = falloffs[about.edge].fades(softness, shape.thickness);
  for (const [ring, distance] of [[".under", 0], [".over", 0], [".rim", fades]]) {
    rings.querySelector(ring).setAttribute("d", shape.outline(distance));
  }
  rings.setAttribute("transform", `translate(${spot.x / ratio} ${spot.y / ratio}) scale(${scale})`);
  rings.setAttribute("visibility", "visible");
}

function described(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function deselect() {
  if (selected === null) return;
  selected = null;
  element("tip").hidden = true;
  element("rings").setAttribute("visibility", "hidden");
}

/** Selects the next or previous shape in painting order. */
function selectNext(by) {
  const count = keys ? keys[Math.round(goal)].kinds.length : 0;
  if (playing || position !== goal || !count) return;
  const row = selected === null ? (by > 0 ? 0 : count - 1) : (selected + by + count) % count;
  const [x, y] = shapeOf(keys[position], row, about).centre, spot = placed(panes[0]);
  select(row, panes[0], (spot.x + x * spot.scale) / ratio, (spot.y + y * spot.scale) / ratio);
  element("news").textContent = [...element("tip").querySelectorAll("p, dt, dd")].map((part) => part.textContent).join(" ");
}
