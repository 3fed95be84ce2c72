// Layout: panes, zoom and pan.

function layOut() {
  const wide = stage.clientWidth, high = stage.clientHeight;
  ratio = Math.min(devicePixelRatio || 1, Math.sqrt(SCREEN_PIXELS / Math.max(wide * high, 1)));
  const width = Math.max(1, Math.round(wide * ratio)), height = Math.max(1, Math.round(high * ratio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const whole = { shows: "shapes", x: 0, y: 0, width, height };
  panes = [whole];
  if (compare === "side") {
    const halfWidth = Math.floor(width / 2), halfHeight = Math.floor(height / 2);
    const beside = { ...whole, width: halfWidth }, above = { ...whole, height: halfHeight };
    // One above the other only if that shows much more, as on a phone held upright.
    panes = 1.2 * fitting(beside) >= fitting(above)
      ? [beside, { ...beside, shows: "original", x: width - halfWidth }]
      : [above, { ...above, shows: "original", y: height - halfHeight }];
  }
  keepInView();
}

/** Device pixels per scene pixel at which the painting fits a pane and is a whole number of them wide. */
function fitting(pane) {
  const space = Math.round(Math.min(Math.min(pane.width, pane.height) * 0.06, 36 * ratio));
  const scale = Math.min((pane.width - 2 * space) / about.width, (pane.height - 2 * space) / about.height);
  return Math.max(Math.floor(about.width * scale), 1) / about.width;
}

/** The painting in a pane: its scale, its corner, and its visible rectangle; device pixels. */
function placed(pane) {
  const scale = fitting(pane) * view.zoom;
  const x = Math.round(pane.x + pane.width / 2 - view.x * scale), y = Math.round(pane.y + pane.height / 2 - view.y * scale);
  const left = Math.max(x, pane.x), top = Math.max(y, pane.y);
  const right = Math.min(Math.round(x + about.width * scale), pane.x + pane.width);
  const bottom = Math.min(Math.round(y + about.height * scale), pane.y + pane.height);
  return { scale, x, y, left, top, width: Math.max(right - left, 1), height: Math.max(bottom - top, 1) };
}

/** Limits the view so that a painting larger than its pane fills it, and a smaller one is centred. */
function keepInView() {
  view.zoom = clamp(view.zoom, 1, ZOOM_MOST);
  const pane = panes[0], scale = fitting(pane) * view.zoom;
  for (const [axis, size, room] of [["x", about.width, pane.width], ["y", about.height, pane.height]]) {
    const half = room / 2 / scale;
    view[axis] = 2 * half >= size ? size / 2 : clamp(view[axis], half, size - half);
  }
}

const paneAt = (x, y) => panes.find((pane) => x >= pane.x && x < pane.x + pane.width && y >= pane.y && y < pane.y + pane.height) ?? panes[0];

/** Zooms about a point of the stage, CSS pixels. */
function zoomBy(factor, x = stage.clientWidth / panes.length / 2, y = stage.clientHeight / 2) {
  const pane = paneAt(x * ratio, y * ratio), spot = placed(pane);
  const sceneX = (x * ratio - spot.x) / spot.scale, sceneY = (y * ratio - spot.y) / spot.scale;
  view.zoom = clamp(view.zoom * factor, 1, ZOOM_MOST);
  const scale = fitting(pane) * view.zoom;
  view.x = sceneX + (pane.x + pane.width / 2 - x * ratio) / scale;
  view.y = sceneY + (pane.y + pane.height / 2 - y * ratio) / scale;
  viewMoved();
}

/** Moves the painting by CSS pixels. */
function panBy(x, y) {
  const { scale } = placed(panes[0]);
  view.x -= (x * ratio) / scale;
  view.y -= (y * ratio) / scale;
  viewMoved();
}

function viewMoved() {
  keepInView();
  deselect();
  changed();
}
