"use strict";
// The table of scores. Names come from songs and methods of other people, so text is only ever set
// as text, never as markup.

const run = JSON.parse(document.getElementById("data").textContent);
const state = { protocol: run.protocol, metric: "", stem: "", filter: "", oracles: true, sort: null };
const byId = (id) => document.getElementById(id);

function make(tag, text, attributes = {}) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function fill(select, values, chosen) {
  select.replaceChildren(...values.map((value) => make("option", value, { value })));
  if (values.includes(chosen)) select.value = chosen;
  return select.value;
}

const decimals = (value, digits = 2) =>
  value === null || value === undefined ? "" : value.toFixed(digits).replace("-", "−");

const threeDigits = (value) =>
  value === null ? "" : value < 99.95 ? value.toPrecision(3) : String(Number(value.toPrecision(3)));

// The direction of good scores: metrics of one protocol may differ in it.
const direction = () => run.protocols[state.protocol].metrics[state.metric];

// A number that is greater the better a score is: some scores are good if low, some if near 0.
function goodness(value) {
  const higher = direction().higher_is_better;
  return higher === null ? -Math.abs(value) : higher ? value : -value;
}

// A score as the table counts it: errors of opposite sign do not make up for each other.
const sizeOf = (value) => (direction().higher_is_better === null && value !== null ? Math.abs(value) : value);

const figuresOf = (stem) => run.figures[state.protocol]?.[state.metric]?.[stem] ?? {};
const scoresOf = (stem) => run.scores[state.protocol]?.[state.metric]?.[stem] ?? {};
// Whether a score is of fewer tracks than those of others, and so not ranked with them.
const isIncomplete = (stem, label) =>
  Boolean(run.incomplete[state.protocol]?.[state.metric]?.[stem]?.includes(label));
const stemsHere = () => run.stems.filter((stem) => Object.keys(figuresOf(stem)).length);

function shownMethods() {
  const wanted = state.filter.trim().toLowerCase();
  return Object.keys(run.methods).filter(
    (label) =>
      (state.oracles || !run.methods[label].oracle) &&
      label.toLowerCase().includes(wanted) &&
      stemsHere().some((stem) => label in figuresOf(stem)),
  );
}

function marked(label) {
  const facts = run.methods[label];
  return label + (facts.oracle ? " *" : "") + (facts.trained_on_this ? " †" : "");
}

// A name with places at which a narrow column may break it.
const broken = (name) =>
  name.split(/(?<=[[,+=>/])/u).flatMap((part, place) => (place ? [make("wbr"), part] : [part]));

// The columns: what each shows of a method, and by what it sorts.
function columns() {
  const stems = stemsHere().map((stem) => ({
    id: stem,
    name: stem,
    value: (label) => figuresOf(stem)[label]?.[0] ?? null,
    range: (label) => {
      const [, low, high] = figuresOf(stem)[label] ?? [];
      return low === null || low === undefined ? "" : `${decimals(low, 1)} to ${decimals(high, 1)}`;
    },
    digits: 2,
  }));
  const tracks = (label) =>
    Math.max(0, ...stemsHere().map((stem) => figuresOf(stem)[label]?.[3] ?? 0));
  return [
    { id: "method", name: "method", value: (label) => label.toLowerCase() },
    ...stems,
    { id: "tracks", name: "tracks", value: tracks, digits: 0 },
    { id: "speed", name: "× real time", value: (label) => run.methods[label].speed, text: threeDigits },
    { id: "memory", name: "memory, MB", value: (label) => run.methods[label].memory, digits: 0 },
  ];
}

function sorted(labels, all) {
  const column = all.find((one) => one.id === state.sort.column) ?? all[1] ?? all[0];
  const factor = state.sort.descending ? -1 : 1;
  return [...labels].sort((one, other) => {
    const [a, b] = [column.value(one), column.value(other)];
    if (a === null || b === null) return (a === null) - (b === null);
    const [first, second] = [one, other].map((label) => Boolean(column.range) && isIncomplete(column.id, label));
    if (first !== second) return first - second;
    return (a < b ? -1 : a > b ? 1 : 0) * factor || (one < other ? -1 : 1);
  });
}

// Whether a score is the best of its stem or ties with it, by its interval; neither if a stem has one
// method alone.
function standing(stem, label) {
  const figures = figuresOf(stem);
  const rivals = Object.keys(run.methods).filter(
    (one) => !run.methods[one].oracle && figures[one]?.[0] != null && !isIncomplete(stem, one),
  );
  if (rivals.length < 2 || !rivals.includes(label)) return "";
  const best = rivals.reduce((one, other) => (goodness(figures[other][0]) > goodness(figures[one][0]) ? other : one));
  if (label === best) return "best";
  return run.ties[state.protocol]?.[state.metric]?.[stem]?.includes(label) ? "tie" : "";
}

function drawTable() {
  const all = columns();
  const labels = sorted(shownMethods(), all);
  const head = make("tr");
  for (const column of all) {
    const order = state.sort.descending ? "descending" : "ascending";
    const cell = make("th", undefined, {
      scope: "col",
      "aria-sort": state.sort.column === column.id ? order : "none",
    });
    const button = make("button", column.name, { type: "button", "data-column": column.id });
    button.addEventListener("click", () => {
      const same = state.sort.column === column.id;
      const first = column.range ? direction().higher_is_better === true : column.id !== "method";
      state.sort = { column: column.id, descending: same ? !state.sort.descending : first };
      draw();
      byId("table").querySelector(`[data-column="${CSS.escape(column.id)}"]`).focus();
    });
    cell.append(button);
    head.append(cell);
  }
  const rows = labels.map((label) => {
    const row = make("tr", undefined, run.methods[label].oracle ? { class: "oracle" } : {});
    const name = make("th", undefined, { scope: "row" });
    name.append(make("span"));
    name.firstChild.append(...broken(marked(label)));
    const more = make("button", "details", { type: "button", "aria-label": `Details of ${label}` });
    more.addEventListener("click", () => showDetails(label));
    name.append(more);
    row.append(name);
    for (const column of all.slice(1)) {
      const value = column.value(label);
      const text = column.text ? column.text(value) : decimals(value, column.digits);
      const cell = make("td", column.range && isIncomplete(column.id, label) ? `${text}‡` : text);
      if (column.range?.(label)) cell.append(make("span", column.range(label), { class: "range" }));
      if (column.range) cell.className = standing(column.id, label);
      row.append(cell);
    }
    return row;
  });
  if (!rows.length) {
    rows.push(make("tr"));
    rows[0].append(make("th", "No method: change the filter, or show oracles.", { colspan: all.length }));
  }
  byId("table").tHead.replaceChildren(head);
  byId("table").tBodies[0].replaceChildren(...rows);
}

function showDetails(label) {
  const facts = run.methods[label];
  const list = make("dl");
  const known = {
    "trained on": facts.trained_on.join(", ") || "nothing",
    "tracks that failed": String(facts.failed),
    ...facts.provenance,
  };
  for (const [name, value] of Object.entries(known)) list.append(make("dt", name), make("dd", value));
  byId("details-heading").textContent = label;
  byId("details-body").replaceChildren(list);
  byId("details").showModal();
}

function describe() {
  const rules = run.protocols[state.protocol];
  byId("caption").textContent = `${state.metric}${rules.unit ? ` in ${rules.unit}` : ""}: ${rules.caption}; ${direction().better}.`;
  const figures = stemsHere().flatMap((stem) => Object.values(figuresOf(stem)));
  const parts = [];
  if (figures.some((figure) => figure[1] !== null))
    parts.push(
      `Small: 95 % interval over tracks. Bold: best${rules.is_pooled ? "" : "; italic: not significantly different, by track"}.`,
    );
  else parts.push("Bold: best. One track has no interval: another song would give other scores.");
  if (stemsHere().some((stem) => Object.keys(figuresOf(stem)).some((label) => isIncomplete(stem, label))))
    parts.push("‡ not all tracks: not ranked with the others.");
  if (Object.values(run.methods).some((one) => one.oracle)) parts.push("* oracle: made from the true stems.");
  if (Object.values(run.methods).some((one) => one.trained_on_this)) parts.push("† trained on songs of this very set.");
  byId("marks").textContent = parts.join(" ");
  for (const node of document.querySelectorAll(".chosen"))
    node.textContent = `${state.stem}, ${state.metric}, protocol ${state.protocol}`;
}

function draw() {
  state.metric = fill(byId("metric"), Object.keys(run.protocols[state.protocol].metrics), state.metric);
  state.stem = fill(byId("stem"), stemsHere(), state.stem);
  // The best first, unless another order was asked for.
  state.sort ??= { column: state.stem, descending: direction().higher_is_better === true };
  describe();
  drawTable();
  drawCharts();
}

function save(name, type, text) {
  const link = make("a", "", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  return text;
}

// A cell that begins like a formula would run in a spreadsheet.
function csvCell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  const inert = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}

const csv = (rows) => rows.map((row) => row.map(csvCell).join(",")).join("\n") + "\n";

function tableCsv() {
  const all = columns();
  const labels = sorted(shownMethods(), all);
  const head = all.flatMap((column) =>
    column.range ? [column.name, `${column.name} low`, `${column.name} high`] : [column.name]);
  const rows = labels.map((label) =>
    all.flatMap((column) => {
      if (column.id === "method") return [label];
      if (!column.range) return [column.value(label)];
      return (figuresOf(column.id)[label] ?? [null, null, null]).slice(0, 3);
    }));
  return csv([head, ...rows]);
}

function scoresCsv() {
  const rows = [];
  for (const [protocol, metrics] of Object.entries(run.scores))
    for (const [metric, stems] of Object.entries(metrics))
      for (const [stem, labels] of Object.entries(stems))
        for (const [label, values] of Object.entries(labels))
          values.forEach((value, index) => {
            if (value !== null) rows.push([run.tracks[index], label, stem, metric, protocol, value]);
          });
  return csv([["track", "label", "stem", "metric", "protocol", "value"], ...rows]);
}

// Failures of a method for one reason, with the first of their tracks.
function failures() {
  const known = {};
  for (const one of run.failures) {
    const key = JSON.stringify([one.label, one.error]);
    known[key] = { ...one, more: key in known ? known[key].more + 1 : 0, track: known[key]?.track ?? one.track };
  }
  return Object.values(known);
}

function begin() {
  byId("title").textContent = run.title;
  const rest = run.start > 0 ? ` (each from ${run.start} s on)` : "";
  const part = run.duration === null ? rest : ` (${run.duration} s of each, from ${run.start} s)`;
  const count = `${run.tracks.length} track${run.tracks.length === 1 ? "" : "s"}`;
  byId("about").textContent =
    `${Object.keys(run.methods).length} methods on ${count} of ${run.dataset}, subset ${run.subset}${part}.`;
  byId("made").textContent = run.command ? `Made by: ${run.command}` : "";
  if (run.failures.length) {
    const list = make("ul");
    for (const { label, track, error, more } of failures())
      list.append(make("li", `${label} on ${track}${more ? ` and ${more} more` : ""}: ${error}`));
    byId("failures").append(make("h3", "Failures", { class: "error" }), list);
  }
  fill(byId("protocol"), Object.keys(run.protocols), state.protocol);
  state.protocol = byId("protocol").value;
  for (const name of ["protocol", "metric", "stem"])
    byId(name).addEventListener("change", (event) => {
      state[name] = event.target.value;
      state.sort = null;
      draw();
    });
  byId("filter").addEventListener("input", (event) => {
    state.filter = event.target.value;
    draw();
  });
  byId("oracles").addEventListener("change", (event) => {
    state.oracles = event.target.checked;
    draw();
  });
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("download-table").addEventListener("click", () => save("table.csv", "text/csv", tableCsv()));
  byId("download-scores").addEventListener("click", () => save("scores.csv", "text/csv", scoresCsv()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCharts);
  draw();
}

document.addEventListener("DOMContentLoaded", begin);
