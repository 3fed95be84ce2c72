// Drawing: what the worker has painted, on the canvas.

function draw() {
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const pane of panes) {
    const spot = placed(pane);
    if (pane.shows === "original") clipped(spot, spot.left, drawOriginal);
    else clipped(spot, spot.left, drawShapes);
    if (compare === "wipe") clipped(spot, dividerAt(spot), drawOriginal);
  }
}

/** Draws what is seen of the painting from `left` on. */
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
  context.clearRect(spot.left, spot.top, spot.width, spot.height);  // shapes show through what is transparent
  context.drawImage(original, spot.x, spot.y, about.width * spot.scale, about.height * spot.scale);
}

function drawShapes(spot) {
  const wanted = wantedPicture();
  if (exact && exact.name === wanted.name) {
    context.drawImage(exact.picture, spot.left, spot.top);
    if (position === goal) canvas.dataset.drawn = "exact";
    return;
  }
  const passing = passingPicture();
  if (passing) context.drawImage(passing, spot.x, spot.y, about.width * spot.scale, about.height * spot.scale);
  if (exact && exact.key === position) {
    // Until the view rests, the picture of the last one lies over it, moved and scaled.
    const { x, y, width, height } = exact.part;
    const place = [spot.x + x * spot.scale, spot.y + y * spot.scale, width * spot.scale, height * spot.scale];
    if (about.transparent) context.clearRect(...place);
    context.drawImage(exact.picture, ...place);
  }
}

/** What is seen at the position while things move: two key frames, one over the other; null before there is any. */
function passingPicture() {
  const below = Math.floor(position), first = nearestKept(below);
  if (position === below || !kept[below + 1]) return kept[first] ?? null;
  const { width, height } = kept[first];
  if (blend.canvas.width !== width || blend.canvas.height !== height) Object.assign(blend.canvas, { width, height });
  // At the size they have: without a GPU, to scale pictures takes five times as long as to lay them over each other.
  const share = position - below;
  blend.clearRect(0, 0, width, height);
  // Of transparent pictures the sum of both shares: one laid over the other would be more opaque than either.
  blend.globalAlpha = about.transparent ? 1 - share : 1;
  blend.drawImage(kept[first], 0, 0);
  blend.globalAlpha = share;
  blend.globalCompositeOperation = about.transparent ? "lighter" : "source-over";
  blend.drawImage(kept[below + 1], 0, 0, width, height);
  blend.globalCompositeOperation = "source-over";
  return blend.canvas;
}

/** The key frame next to this one of which there is a picture, or -1. */
function nearestKept(key) {
  for (let away = 0; away <= last; away++) {
    if (kept[key - away]) return key - away;
    if (kept[key + away]) return key + away;
  }
  return -1;
}

/** What the worker is asked for so that the view at rest is exact; `name` tells one such picture from another. */
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

/** Has the worker paint what is missing: the view at rest first, then key frames, the nearest ones first. */
let tending = false;
async function tend() {
  if (tending || !keys) return;
  tending = true;
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
      if (!kept[key] && (next < 0 || Math.abs(key - position) < Math.abs(next - position))) next = key;
    }
    if (next < 0) break;
    const scale = Math.min(fitting(panes[0]), Math.sqrt(KEPT_PIXELS / (about.width * about.height)));
    const width = Math.max(1, Math.round(about.width * scale)), height = Math.max(1, Math.round(about.height * scale));
    kept[next] = await ask({ key: next, width, height, scale: width / about.width, x: 0, y: 0 });
    if (!atRest()) askFrame();
  }
  tending = false;
}

const atRest = () => position === goal && !playing && performance.now() - movedAt >= REST;

/** To be called whenever what is seen changes: draws soon, and exactly when the movement ends. */
function moved() {
  movedAt = performance.now();
  canvas.dataset.drawn = "moving";
  clearTimeout(restTimer);
  restTimer = setTimeout(() => (atRest() ? tend() : moved()), REST + 10);
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
