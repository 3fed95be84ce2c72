// Comparison with the original, and outlines.

function setCompare(mode) {
  compare = original && mode !== compare ? mode : "off";
  element("wipe").setAttribute("aria-pressed", compare === "wipe");
  element("side").setAttribute("aria-pressed", compare === "side");
  layOut();
  deselect();
  changed();
}

function setDivide(share) {
  divide = clamp(share, 0, 1);
  askFrame();
}

function setOutlines(on) {
  showOutlines = on;
  element("outlines").setAttribute("aria-pressed", on);
  changed();
}

/** Positions frames, signs and the wipe's handle on the painting. */
function showPlaces() {
  const [frames, signs] = [stage.querySelectorAll(".frame"), stage.querySelectorAll(".sign")];
  const divider = element("divider");
  const move = (item, x, y) => { item.style.transform = `translate(${x / ratio}px, ${y / ratio}px)`; };
  const spots = panes.map(placed);
  element("fit").textContent = `${view.zoom < 10 ? +view.zoom.toFixed(1) : Math.round(view.zoom)}×`;
  element("out").disabled = view.zoom <= 1;
  element("in").disabled = view.zoom >= ZOOM_MOST;
  frames.forEach((frame, index) => {
    frame.hidden = index >= spots.length;
    if (frame.hidden) return;
    const { left, top, width, height } = spots[index];
    frame.classList.toggle("bare", about.transparent);
    move(frame, left, top);
    Object.assign(frame.style, { width: `${width / ratio}px`, height: `${height / ratio}px` });
  });
  signs.forEach((sign) => { sign.hidden = compare === "off"; });
  divider.hidden = compare !== "wipe";
  if (compare === "off") return;
  const [spot, other = spot] = spots, inset = 8 * ratio;
  move(signs[0], spot.left + inset, spot.top + inset);
  move(signs[1], compare === "wipe" ? spot.left + spot.width - inset - signs[1].offsetWidth * ratio : other.left + inset, other.top + inset);
  if (compare === "wipe") {
    move(divider, dividerAt(spot), spot.top);
    divider.style.height = `${spot.height / ratio}px`;
    divider.setAttribute("aria-valuenow", Math.round(divide * 100));
    divider.setAttribute("aria-valuetext", `${Math.round(divide * 100)} % ${about.shapes}`);
  }
}

const divider = element("divider");
divider.addEventListener("pointerdown", (event) => { event.stopPropagation(); deselect(); divider.setPointerCapture(event.pointerId); });
divider.addEventListener("pointermove", (event) => {
  event.stopPropagation();
  if (!divider.hasPointerCapture(event.pointerId)) return;
  const spot = placed(panes[0]);
  setDivide(((event.clientX - stage.getBoundingClientRect().left) * ratio - spot.left) / spot.width);
});
divider.addEventListener("dblclick", (event) => event.stopPropagation());
divider.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 }[event.key];
  if (by === undefined || event.shiftKey) return;
  event.preventDefault();
  event.stopPropagation();
  setDivide(divide + by);
});
element("wipe").addEventListener("click", () => setCompare("wipe"));
element("side").addEventListener("click", () => setCompare("side"));
element("outlines").addEventListener("click", () => setOutlines(!showOutlines));
