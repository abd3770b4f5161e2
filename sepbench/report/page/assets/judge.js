"use strict";
// Ratings: blind, in an order drawn again, with a hidden reference and an anchor (after ITU-R
// BS.1534), and ABX. They stay in this browser until they are exported.

const STORE = `sepbench ratings: ${run.title} ${run.place}`; // Runs of one title are not one run.
const FORMAT = "sepbench ratings 1";
let kept = { listener: "", ratings: [], abx: [] };
let abx = null;

function randomBelow(count) {
  // Without the remainder of 2^32, which would favour low numbers.
  const limit = 2 ** 32 - (2 ** 32 % count);
  const drawn = new Uint32Array(1);
  do crypto.getRandomValues(drawn);
  while (drawn[0] >= limit);
  return drawn[0] % count;
}

function shuffled(values) {
  const order = [...values];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = randomBelow(last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

function keep() {
  try {
    localStorage.setItem(STORE, JSON.stringify(kept));
  } catch {
    byId("kept").textContent = "This browser keeps nothing here: export before you close the page.";
    return;
  }
  const count = kept.ratings.length + kept.abx.length;
  byId("kept").textContent = count ? `Kept here: excerpts rated: ${kept.ratings.length}, ABX trials: ${kept.abx.length}.` : "";
}

const newListener = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function recall() {
  try {
    const known = JSON.parse(localStorage.getItem(STORE));
    if (Array.isArray(known?.ratings) && Array.isArray(known?.abx)) kept = known;
  } catch {
    // Nothing kept, or not ours.
  }
  kept.listener ||= newListener();
  keep();
}

// Hide names: the hidden reference, every method and the anchor become letters.
function beginBlind() {
  const rated = clip.sources.filter((one) => ["reference", "method", "anchor"].includes(one.kind));
  const keys = shuffled(rated.map((one) => one.key));
  // The hidden reference has the same sound as the open one, so its name must differ.
  disguise = Object.fromEntries(
    keys.map((key, place) => [`${key}/hidden`, place < 26 ? String.fromCharCode(65 + place) : `A${place}`]),
  );
  byId("revealed").textContent = "";
  byId("blind").setAttribute("aria-pressed", "true");
  byId("ratings").hidden = false;
  byId("clip").disabled = true;
  const rows = Object.entries(disguise).map(([key, letter]) => {
    const row = make("div", undefined, { class: "slider" });
    const slider = make("input", undefined, { type: "range", min: 0, max: 100, value: 50, id: `rate-${letter}`, "data-key": key });
    const number = make("output", "50", { for: `rate-${letter}` });
    const play = make("button", "Hear", { type: "button", "aria-label": `Hear ${letter}` });
    slider.addEventListener("input", () => {
      number.textContent = slider.value;
      slider.dataset.moved = "yes";
    });
    play.addEventListener("click", () => {
      select(key);
      player.play();
    });
    row.append(make("label", letter, { for: `rate-${letter}` }), play, slider, number);
    return row;
  });
  byId("sliders").replaceChildren(...rows);
  drawSources();
  select(audible()[0][0]);
}

function endBlind() {
  disguise = null;
  if (byId("clip")) byId("clip").disabled = false;
  byId("blind")?.setAttribute("aria-pressed", "false");
  if (byId("ratings")) byId("ratings").hidden = true;
  if (byId("revealed")) byId("revealed").textContent = "";
}

const sourceOf = (key) => clip.sources.find((one) => one.key === soundOf(key));

function keepRatings(event) {
  event.preventDefault();
  const sliders = [...byId("sliders").querySelectorAll("input")];
  const untouched = sliders.filter((slider) => !slider.dataset.moved);
  if (untouched.length) {
    byId("revealed").textContent = `Not rated yet: ${untouched.map((one) => disguise[one.dataset.key]).join(", ")}.`;
    return;
  }
  const ratings = sliders.map((slider) => ({
    letter: disguise[slider.dataset.key],
    source: sourceOf(slider.dataset.key).name,
    kind: sourceOf(slider.dataset.key).kind,
    made: sourceOf(slider.dataset.key).made,
    rating: Number(slider.value),
  }));
  kept.ratings.push({
    track: clip.track,
    subset: clip.subset,
    stem: clip.stem,
    start: startOf(clip),
    seconds: clip.seconds,
    equally_loud: player.matched,
    when: new Date().toISOString(),
    ratings,
  });
  keep();
  const heard = abxNames();
  endBlind();
  const list = make("ul");
  for (const one of [...ratings].sort((a, b) => b.rating - a.rating))
    list.append(make("li", `${one.letter} was ${one.source}: ${one.rating}`));
  byId("revealed").replaceChildren(make("p", "Kept. The names:"), list, heard);
  drawSources();
  select(clip.sources[0].key);
}

const exported = () => JSON.stringify(
  { format: FORMAT, run: run.title, dataset: run.dataset, version: run.version, ...kept }, null, 1) + "\n";

// Offer what can be heard above; in a blind rating these are letters.
function prepareAbx() {
  const offered = audible();
  for (const [id, place] of [["abx-a", 1], ["abx-b", 2]]) {
    byId(id).replaceChildren(...offered.map(([key, name]) => make("option", name, { value: key })));
    byId(id).value = (offered[place] ?? offered[0])[0];
  }
  byId("abx").hidden = true;
  abx = null;
}

function beginAbx() {
  abx = { a: byId("abx-a").value, b: byId("abx-b").value, right: 0, trials: 0 };
  abx.x = randomBelow(2) ? "a" : "b";
  byId("abx").hidden = false;
  byId("abx-result").textContent = "";
}

const abxNames = () => abx?.trials
  ? `ABX of ${sourceOf(abx.a).name} and ${sourceOf(abx.b).name}: ${abx.right} of ${abx.trials} right.`
  : "";

// How likely so many right answers, or more, are by guessing.
function chance(right, trials) {
  let [sum, ways] = [0, 1];
  for (let count = trials; count >= right; count -= 1) {
    sum += ways;
    ways = (ways * count) / (trials - count + 1);
  }
  return sum / 2 ** trials;
}

function answerAbx(answer) {
  abx.trials += 1;
  const right = answer === abx.x;
  abx.right += right;
  kept.abx.push({
    track: clip.track,
    subset: clip.subset,
    stem: clip.stem,
    a: sourceOf(abx.a).name,
    b: sourceOf(abx.b).name,
    when: new Date().toISOString(),
    right,
  });
  keep();
  abx.x = randomBelow(2) ? "a" : "b";
  byId("abx-result").textContent =
    `${right ? "Right" : "Wrong"}. ${abx.right} of ${abx.trials} right; guessing does as well in ` +
    `${(100 * chance(abx.right, abx.trials)).toFixed(1)} % of cases. X is drawn again.`;
}

function hearAbx(which) {
  const key = which === "x" ? abx[abx.x] : abx[which];
  // Nothing above may give X away: no choice, no picture.
  unseen = true;
  player.select(soundOf(key));
  for (const radio of document.querySelectorAll("#sources input")) radio.checked = false;
  drawWave();
  drawSpectrogram();
  player.play();
}

// What needs an excerpt is shown when there is one.
function allowJudging(ready) {
  byId("judge-first").hidden = ready;
  byId("blind").hidden = byId("comparing").hidden = !ready;
}

function beginJudging() {
  recall();
  allowJudging(false);
  byId("blind").addEventListener("click", () => {
    if (!disguise) return beginBlind();
    endBlind();
    drawSources();
    return select(clip.sources[0].key);
  });
  byId("ratings").addEventListener("submit", keepRatings);
  byId("export").addEventListener("click", () => save("ratings.json", "application/json", exported()));
  byId("forget").addEventListener("click", () => {
    if (!confirm("Forget all ratings of this run in this browser?")) return;
    // Who rates next may be someone else, whose ratings must not count as this listener's.
    Object.assign(kept, { listener: newListener(), ratings: [], abx: [] });
    keep();
  });
  byId("abx-start").addEventListener("click", beginAbx);
  for (const button of document.querySelectorAll("[data-abx]"))
    button.addEventListener("click", () => hearAbx(button.dataset.abx));
  for (const button of document.querySelectorAll("[data-answer]"))
    button.addEventListener("click", () => answerAbx(button.dataset.answer));
}
