// Start.

function showFacts() {
  const count = about.keys[last][1];
  const facts = [[capitalised(about.shapes), grouped(count)]];
  if (about.primitives.length > 1) for (const [name, , own] of about.primitives) facts.push([`${capitalised(name)}s`, grouped(own)]);
  facts.push(["Canvas", `${about.width} × ${about.height} px`]);
  if (steps[last]) facts.push(["Steps", grouped(steps[last])]);
  if (about.psnr !== null) facts.push(["PSNR", `${about.psnr.toFixed(1)} dB`]);
  element("title").textContent = about.title;
  element("sign").textContent = capitalised(about.shapes);
  element("facts").replaceChildren(...facts.flatMap(([name, value]) => [described("dt", name), described("dd", value)]));
  canvas.setAttribute("aria-label", `${about.title}, painted with ${grouped(count)} soft ${about.shapes}`);
  element("growth").hidden = last === 0;
  element("loss").hidden = about.history.length < 2;
  element("wipe").hidden = element("side").hidden = !about.original;
}

async function start() {
  showFacts();
  layOut();
  new ResizeObserver(() => { layOut(); deselect(); changed(); }).observe(stage);
  new ResizeObserver(() => { drawCurve(); askFrame(); }).observe(curve);
  if (about.original) {
    const picture = new Image();
    picture.src = about.original;
    picture.decode().then(() => { original = picture; });
  }
  const text = atob(element("rows").textContent);
  const packed = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  keys = await ask({ packed: packed.buffer, about }, [packed.buffer]);
  changedAt = -Infinity;
  await paintMissing();
}
start().catch((error) => fail(error.message));
