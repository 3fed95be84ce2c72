// The loss curve.

const curve = element("curve");
const plot = { left: 26, right: 8, top: 8, bottom: 20 };
let curveX = null, curveY = null;

function svg(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawCurve() {
  const rows = about.history, wide = curve.clientWidth, high = curve.clientHeight;
  if (rows.length < 2 || !wide) return;
  const values = rows.map(([, value]) => value), low = Math.min(...values), top = Math.max(...values);
  const every = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20].find((size) => (top - low) / size <= 4) ?? 50;
  const floor = Math.floor(low / every) * every, ceiling = Math.max(Math.ceil(top / every) * every, floor + every);
  const end = Math.max(rows.at(-1)[0], steps[last], 1);
  curveX = (at) => plot.left + (at / end) * (wide - plot.left - plot.right);
  curveY = (value) => high - plot.bottom - ((value - floor) / (ceiling - floor)) * (high - plot.top - plot.bottom);
  const parts = [];
  for (let value = floor; value <= ceiling + every / 2; value += every) {
    parts.push(svg("path", { class: "grid", d: `M${plot.left} ${Math.round(curveY(value)) + 0.5}H${wide - plot.right}` }));
    parts.push(svg("text", { x: plot.left - 6, y: curveY(value) + 4, "text-anchor": "end" }, value.toFixed(every < 1 ? 1 : 0)));
  }
  parts.push(svg("text", { x: plot.left, y: high - 4 }, "0"));
  parts.push(svg("text", { x: wide - plot.right, y: high - 4, "text-anchor": "end" }, grouped(end)));
  const line = "M" + rows.map(([at, value]) => `${curveX(at).toFixed(1)} ${curveY(value).toFixed(1)}`).join("L");
  parts.push(svg("path", { class: "line", d: line }), svg("path", { class: "past", id: "past" }));
  parts.push(svg("path", { class: "cursor", id: "cursor" }), svg("circle", { class: "dot", id: "dot", r: 5 }));
  curve.replaceChildren(...parts);
  curve.setAttribute("aria-label", `PSNR over steps: from ${values[0].toFixed(1)} dB to ${values.at(-1).toFixed(1)} dB at step ${grouped(end)}`);
  shownText = "";
}

function showCursor(now, psnr) {
  if (!curveX) return;
  const x = curveX(now), high = curve.clientHeight;
  element("cursor").setAttribute("d", `M${x} ${plot.top}V${high - plot.bottom}`);
  element("dot").setAttribute("visibility", psnr === null ? "hidden" : "visible");
  if (psnr === null) return element("past").setAttribute("d", "");
  const past = about.history.filter(([at]) => at < now).concat([[now, psnr]]);
  element("past").setAttribute("d", "M" + past.map(([at, value]) => `${curveX(at).toFixed(1)} ${curveY(value).toFixed(1)}`).join("L"));
  element("dot").setAttribute("cx", x);
  element("dot").setAttribute("cy", curveY(psnr));
}

function seekOnCurve(event) {
  const box = curve.getBoundingClientRect();
  const share = (event.clientX - box.left - plot.left) / (box.width - plot.left - plot.right);
  seek(positionAt(clamp(share, 0, 1) * Math.max(about.history.at(-1)[0], steps[last], 1)));
}
if (last > 0) {
  curve.classList.add("seeks");
  curve.addEventListener("pointerdown", (event) => { curve.setPointerCapture(event.pointerId); seekOnCurve(event); });
  curve.addEventListener("pointermove", (event) => { if (curve.hasPointerCapture(event.pointerId)) seekOnCurve(event); });
  for (const name of ["pointerup", "pointercancel"]) curve.addEventListener(name, settle);
}
