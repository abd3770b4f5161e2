"use strict";
// The part of the page to listen with: loads the sounds of an excerpt, shows and plays them.

const arrivals = {};
let player = null;
let clip = null;
let loaded = {}; // What came with each source, by its key: sound, spectrogram, spectrogram of the error.
let disguise = null; // In blind mode: letters by key, in the order that was drawn.
let unseen = false; // What is heard was chosen in ABX: a picture of X would tell which it is.

// Each sound is a script next to the page that calls this; a page from disk cannot read files.
function sepbenchSource(key, payload) {
  arrivals[key]?.(payload);
}

function fetchSource(key) {
  return new Promise((resolve, reject) => {
    const script = make("script", undefined, { src: `audio/${key}.js` });
    arrivals[key] = resolve;
    script.onload = () => script.remove();
    script.onerror = () => reject(new Error(`audio/${key}.js is missing; copy the whole folder of the page`));
    document.head.append(script);
  });
}

function bytes(text) {
  const binary = atob(text);
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0)).buffer;
}

// As in the table: with the subset where songs of two subsets have one name.
function songName(one) {
  const whole = `${one.subset}/${one.track}`;
  return run.tracks.includes(whole) ? whole : one.track;
}

// In seconds of the song, of which the run may have scored a part.
const startOf = (one) => Number((run.start + one.start).toFixed(3));

const clipName = (one) => `${songName(one)}: ${one.stem}, from ${startOf(one)} s`;

async function openClip(index) {
  const next = run.listen[index];
  player?.stop();
  byId("player").hidden = true;
  allowJudging(false);
  byId("why").textContent = `${next.seconds} s of ${songName(next)}, from ${startOf(next)} s: ${next.why}.`;
  byId("loading").textContent = "Loading …";
  clip = next;
  endBlind();
  if (player?.context.sampleRate !== next.rate) {
    player?.context.close();
    player = new Player(next.rate);
  }
  try {
    const payloads = await Promise.all(next.sources.map((source) => fetchSource(source.key)));
    const buffers = await Promise.all(
      payloads.map((payload) => player.context.decodeAudioData(bytes(payload.audio))),
    );
    if (clip !== next) return; // Another one was chosen meanwhile.
    loaded = Object.fromEntries(next.sources.map((source, place) => [source.key, payloads[place]]));
    const keyed = (values) => Object.fromEntries(next.sources.map((source, place) => [source.key, values[place]]));
    player.load(keyed(buffers), keyed(next.sources.map((source) => source.gain)));
    player.matched = byId("matched").checked;
    await player.setLoop(byId("looped").checked ? [0, player.duration] : null);
  } catch (problem) {
    byId("loading").textContent = problem.message;
    return;
  }
  byId("loading").textContent = "";
  byId("player").hidden = false;
  allowJudging(true);
  byId("seek").max = player.duration;
  drawSources();
  select(next.sources[0].key);
  showRegion();
}

// The audible sources, with their visible names.
function audible() {
  if (!disguise) {
    const score = (one) => {
      const figure = figuresOf(clip.stem)[one.name]?.[0] ?? null;
      return figure === null ? -Infinity : goodness(figure);
    };
    const fixed = clip.sources.filter((one) => ["mixture", "reference"].includes(one.kind));
    const methods = clip.sources.filter((one) => ["method", "oracle"].includes(one.kind));
    methods.sort((one, other) => score(other) - score(one));
    return [...fixed, ...methods].map((one) => [one.key, one.name]);
  }
  const open = clip.sources.filter((one) => one.kind === "reference");
  return [...open.map((one) => [one.key, one.name]), ...Object.entries(disguise).sort((a, b) => (a[1] < b[1] ? -1 : 1))];
}

function drawSources() {
  const fieldset = byId("sources");
  fieldset.replaceChildren(make("legend", "Hear"));
  audible().forEach(([key, name], place) => {
    const label = make("label", undefined, { class: "source" });
    const radio = make("input", undefined, { type: "radio", name: "source", value: key });
    radio.addEventListener("change", () => select(key));
    label.append(radio, make("span", place < 10 ? `${place}  ${name}` : name));
    fieldset.append(label);
  });
  prepareAbx(); // It offers the same sources by the same names.
}

// The key of a source's sound; the hidden reference shares that of the open one.
const soundOf = (key) => key.split("/")[0];

function select(key) {
  unseen = false;
  player.select(soundOf(key));
  for (const radio of document.querySelectorAll("#sources input")) radio.checked = radio.value === key;
  drawWave();
  drawSpectrogram();
}

function drawWave() {
  const canvas = byId("wave");
  const pen = canvas.getContext("2d");
  const buffer = player.buffers[player.heard];
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, place) => buffer.getChannelData(place));
  const level = player.levels[player.heard];
  const middle = canvas.height / 2;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (disguise || unseen) return; // A picture would give away what is heard.
  pen.fillStyle = colour("--accent");
  for (let x = 0; x < canvas.width; x += 1) {
    const first = Math.floor((x * buffer.length) / canvas.width);
    const last = Math.floor(((x + 1) * buffer.length) / canvas.width);
    let [low, high] = [0, 0];
    for (const samples of channels)
      for (let place = first; place < last; place += 1) {
        if (samples[place] < low) low = samples[place];
        if (samples[place] > high) high = samples[place];
      }
    pen.fillRect(x, middle - high * level * middle, 1, Math.max(1, (high - low) * level * middle));
  }
}

function drawSpectrogram() {
  const image = byId("spectrogram");
  byId("views").hidden = Boolean(disguise) || unseen;
  byId("unseen").hidden = !byId("views").hidden;
  if (disguise || unseen) {
    image.removeAttribute("src");
    image.alt = "";
    return;
  }
  const view = byId("view").value;
  const source = clip.sources.find((one) => one.key === player.heard);
  const data = loaded[player.heard][view];
  if (data) image.src = `data:image/png;base64,${data}`;
  else image.removeAttribute("src");
  const error = view === "error";
  image.alt = data
    ? `Spectrogram of ${error ? "the error of " : ""}${source.name}`
    : `${source.name} has no error: only estimates differ from the reference`;
}

function showRegion() {
  const region = byId("region");
  const whole = !player.loop || player.loop[1] - player.loop[0] > player.duration - 0.01;
  region.hidden = whole;
  if (whole) return;
  const [start, end] = player.loop;
  region.style.left = `${(100 * start) / player.duration}%`;
  region.style.width = `${(100 * (end - start)) / player.duration}%`;
}

async function loopTo(start, end) {
  const low = Math.max(0, Math.min(start, end));
  const high = Math.min(player.duration, Math.max(start, end));
  if (high - low < 0.1) return;
  byId("looped").checked = true;
  await player.setLoop([low, high]);
  showRegion();
}

function moveCursor() {
  if (player && Object.keys(player.buffers).length) {
    const position = player.position();
    byId("cursor").style.left = `${(100 * position) / player.duration}%`;
    byId("time").textContent = `${position.toFixed(1)} s of ${player.duration.toFixed(1)} s`;
    if (document.activeElement !== byId("seek")) byId("seek").value = position;
    byId("play").textContent = player.playing ? "Pause" : "Play";
    byId("play").setAttribute("aria-pressed", String(player.playing));
  }
  requestAnimationFrame(moveCursor);
}

const toggle = () => (player.playing ? player.stop() : player.play());
const loopFrom = () => loopTo(player.position(), player.loop?.[1] > player.position() ? player.loop[1] : player.duration);
const loopUntil = () => loopTo(player.loop && player.loop[0] < player.position() ? player.loop[0] : 0, player.position());

function pressed(event) {
  const typing = event.target.closest("select, textarea, dialog, input:not([type=radio]):not([type=checkbox])");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || byId("player").hidden) return;
  if (event.key === " " && event.target.closest("button, summary, input[type=checkbox]")) return;
  const actions = {
    " ": toggle,
    ArrowLeft: () => player.seek(player.position() - 1),
    ArrowRight: () => player.seek(player.position() + 1),
    "[": loopFrom,
    "]": loopUntil,
    l: () => byId("looped").click(),
    m: () => byId("matched").click(),
  };
  const arrow = event.key.startsWith("Arrow");
  if (arrow && event.target.closest("input, [role=region]")) return; // They move the choice there.
  if (/^[0-9]$/.test(event.key)) actions[event.key] = () => audible()[event.key] && select(audible()[event.key][0]);
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

function listenOnStage() {
  const stage = byId("stage");
  const secondsAt = (event) => {
    const box = stage.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * player.duration;
  };
  let from = null;
  stage.addEventListener("pointerdown", (event) => {
    from = secondsAt(event);
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointerup", (event) => {
    const to = secondsAt(event);
    if (from !== null && Math.abs(to - from) > 0.2) loopTo(from, to);
    else player.seek(to);
    from = null;
  });
}

function beginListening() {
  if (!byId("listen")) return;
  byId("clip").replaceChildren(
    make("option", "choose an excerpt", { value: "" }),
    ...run.listen.map((one, index) => make("option", clipName(one), { value: index })),
  );
  byId("clip").addEventListener("change", (event) => event.target.value !== "" && openClip(Number(event.target.value)));
  byId("play").addEventListener("click", toggle);
  byId("seek").addEventListener("input", (event) => player.seek(Number(event.target.value)));
  byId("matched").addEventListener("change", (event) => {
    player?.setMatched(event.target.checked);
    if (player && clip) drawWave();
  });
  byId("looped").addEventListener("change", async (event) => {
    await player?.setLoop(event.target.checked ? [0, player.duration] : null);
    if (player) showRegion();
  });
  byId("view").addEventListener("change", drawSpectrogram);
  byId("loop-start").addEventListener("click", loopFrom);
  byId("loop-end").addEventListener("click", loopUntil);
  byId("loop-all").addEventListener("click", () => loopTo(0, player.duration));
  document.addEventListener("keydown", pressed);
  listenOnStage();
  beginJudging();
  requestAnimationFrame(moveCursor);
}

document.addEventListener("DOMContentLoaded", beginListening);
