// Drawing the worker's pictures on the canvas.

function draw() {
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const pane of panes) {
    const spot = placed(pane);
    if (pane.shows === "original") clipped(spot, spot.left, drawOriginal);
    else clipped(spot, spot.left, drawShapes);
    if (compare === "wipe") clipped(spot, dividerAt(spot), drawOriginal);
  }
}

/** Draws the visible part of the painting right of `left`. */
function clipped(spot, left, drawing) {
  context.save();
  context.beginPath();
  context.rect(left, spot.top, spot.left + spot.width - left, spot.height);
  context.clip();
  drawing(spot);
  context.restore();
}

const dividerAt = (spot) => Math.round(spot.left + spot.width * divide);

function drawOriginal(spot) {
  if (!original) return;
  context.clearRect(spot.left, spot.top, spot.width, spot.height);  // else shapes show through transparent parts
  context.drawImage(original, spot.x, spot.y, about.width * spot.scale, about.height * spot.scale);
}

function drawShapes(spot) {
  const wanted = wantedPicture();
  if (exact && exact.name === wanted.name) {
    context.drawImage(exact.picture, spot.left, spot.top);
    if (position === goal) canvas.dataset.drawn = "exact";
    return;
  }
  const preview = previewPicture();
  if (preview) context.drawImage(preview, spot.x, spot.y, about.width * spot.scale, about.height * spot.scale);
  if (exact && exact.key === position) {
    // Until the view is at rest, its last exact picture is drawn over it, moved and scaled.
    const { x, y, width, height } = exact.part;
    const place = [spot.x + x * spot.scale, spot.y + y * spot.scale, width * spot.scale, height * spot.scale];
    if (about.transparent) context.clearRect(...place);
    context.drawImage(exact.picture, ...place);
  }
}

/** The picture in motion: a blend of the two nearest key frames; null before any is painted. */
function previewPicture() {
  const below = Math.floor(position), first = nearestPainted(below);
  if (position === below || !keyPictures[below + 1]) return keyPictures[first] ?? null;
  const { width, height } = keyPictures[first];
  if (blend.canvas.width !== width || blend.canvas.height !== height) Object.assign(blend.canvas, { width, height });
  // Blended at their own size: without a GPU, scaling takes five times as long as blending.
  const share = position - below;
  blend.clearRect(0, 0, width, height);
  // Transparent pictures are added: one composited over the other would be more opaque than both.
  blend.globalAlpha = about.transparent ? 1 - share : 1;
  blend.drawImage(keyPictures[first], 0, 0);
  blend.globalAlpha = share;
  blend.globalCompositeOperation = about.transparent ? "lighter" : "source-over";
  blend.drawImage(keyPictures[below + 1], 0, 0, width, height);
  blend.globalCompositeOperation = "source-over";
  return blend.canvas;
}

/** The painted key frame nearest to this one, or -1. */
function nearestPainted(key) {
  for (let away = 0; away <= last; away++) {
    if (keyPictures[key - away]) return key - away;
    if (keyPictures[key + away]) return key + away;
  }
  return -1;
}

/** The request for an exact picture of the view at rest; `name` identifies the picture. */
function wantedPicture() {
  const spot = placed(panes[0]);
  const wanted = { key: Math.round(position), width: spot.width, height: spot.height, scale: spot.scale, x: spot.x - spot.left, y: spot.y - spot.top };
  if (showOutlines) {
    wanted.line = 1.1 * ratio;
    wanted.veil = document.documentElement.dataset.theme === "dark" ? "rgb(23 22 20 / .82)" : "rgb(238 235 229 / .78)";
  }
  const part = { x: -wanted.x / spot.scale, y: -wanted.y / spot.scale, width: spot.width / spot.scale, height: spot.height / spot.scale };
  return { question: wanted, name: position === wanted.key ? JSON.stringify(wanted) : "", part };
}

/** Has the worker paint missing pictures: the view at rest first, then key frames, the nearest first. */
let isPainting = false;
async function paintMissing() {
  if (isPainting || !keys) return;
  isPainting = true;
  for (;;) {
    const wanted = wantedPicture();
    if (atRest() && exact?.name !== wanted.name) {
      const picture = await ask(wanted.question);
      exact?.picture.close();
      exact = { picture, name: wanted.name, key: wanted.question.key, part: wanted.part };
      askFrame();
      continue;
    }
    let next = -1;
    for (let key = 0; key <= last; key++) {
      if (!keyPictures[key] && (next < 0 || Math.abs(key - position) < Math.abs(next - position))) next = key;
    }
    if (next < 0) break;
    const scale = Math.min(fitting(panes[0]), Math.sqrt(KEY_PICTURE_PIXELS / (about.width * about.height)));
    const width = Math.max(1, Math.round(about.width * scale)), height = Math.max(1, Math.round(about.height * scale));
    keyPictures[next] = await ask({ key: next, width, height, scale: width / about.width, x: 0, y: 0 });
    if (!atRest()) askFrame();
  }
  isPainting = false;
}

const atRest = () => position === goal && !playing && performance.now() - changedAt >= REST;

/** Call after any visible change: requests a frame, and an exact picture once the view is at rest. */
function changed() {
  changedAt = performance.now();
  canvas.dataset.drawn = "moving";
  clearTimeout(restTimer);
  restTimer = setTimeout(() => (atRest() ? paintMissing() : changed()), REST + 10);
  askFrame();
}

function askFrame() {
  if (frameAsked) return;
  frameAsked = true;
  requestAnimationFrame((time) => {
    frameAsked = false;
    advance(time);
    draw();
    showTime();
    showPlaces();
  });
}
