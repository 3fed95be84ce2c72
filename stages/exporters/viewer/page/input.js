// Pointers and keys.

const pointers = new Map();
let travelled = 0;  // CSS pixels that the pointers have moved since they were pressed

const spread = () => {
  const [a, b = a] = pointers.values();
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, size: Math.hypot(a.x - b.x, a.y - b.y) };
};

stage.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  if (!pointers.size) travelled = 0;
  stage.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
});
stage.addEventListener("pointermove", (event) => {
  if (!pointers.has(event.pointerId)) return event.pointerType === "mouse" ? selectAt(event.clientX, event.clientY) : undefined;
  const before = spread();
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  const after = spread();
  travelled += Math.hypot(after.x - before.x, after.y - before.y) + Math.abs(after.size - before.size);
  if (travelled < 4) return;
  stage.classList.add("held");
  panBy(after.x - before.x, after.y - before.y);
  if (before.size > 0 && after.size > 0) {
    const box = stage.getBoundingClientRect();
    zoomBy(after.size / before.size, after.x - box.left, after.y - box.top);
  }
});
for (const name of ["pointerup", "pointercancel"]) {
  stage.addEventListener(name, (event) => {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    stage.classList.remove("held");
    if (name === "pointerup" && travelled < 4) selectAt(event.clientX, event.clientY);
  });
}
stage.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") deselect(); });
stage.addEventListener("dblclick", (event) => {
  const box = stage.getBoundingClientRect();
  zoomBy(event.shiftKey ? 0.5 : 2, event.clientX - box.left, event.clientY - box.top);
});
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  const lines = event.deltaMode === 1 ? 16 : 1;  // Firefox counts a mouse wheel in lines
  zoomBy(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });

function showWhole() {
  Object.assign(view, { x: about.width / 2, y: about.height / 2, zoom: 1 });
  viewMoved();
}
element("in").addEventListener("click", () => zoomBy(1.5));
element("out").addEventListener("click", () => zoomBy(1 / 1.5));
element("fit").addEventListener("click", showWhole);

const toggleHelp = () => (element("help").open ? element("help").close() : element("help").showModal());
element("ask").addEventListener("click", toggleHelp);

const keyed = {
  " ": togglePlaying, w: () => setCompare("wipe"), s: () => setCompare("side"), o: () => setOutlines(!showOutlines),
  "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), "0": showWhole, ",": () => selectNext(-1), ".": () => selectNext(1), Escape: deselect,
};
const panned = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") return toggleHelp();
  if (element("help").open || (event.key === " " && event.target.closest("button"))) return;
  const pan = event.shiftKey && panned[event.key];
  const action = pan ? () => panBy(...pan) : growthKeys[event.key] ?? keyed[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
// A clicked button, unlike one reached by keyboard, releases the focus, so that the space bar plays.
document.addEventListener("click", (event) => { if (event.detail > 0) event.target.closest("button")?.blur(); });

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  changed();
}
let themeChosen = false;
element("theme").addEventListener("click", () => { themeChosen = true; setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => { if (!themeChosen) setTheme(event.matches ? "dark" : "light"); });
