"use strict";
// The pictures, by plotly. It reads a few tags in texts, so names are escaped for it. To read plotly
// and to draw takes longer than all else on the page, so both wait until a picture is near the screen.

const pageIsShown = new Promise((resolve) => addEventListener("load", () => setTimeout(resolve, 50)));
const drawings = {}; // For the name of each picture the function that draws it.
const near = new Set();

const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
      watcher.unobserve(target);
      near.add(target.id);
      pageIsShown.then(() => render(target.id));
    }
  },
  { rootMargin: "300px 0px" },
);

function render(id) {
  if (typeof Plotly !== "object") document.head.append(make("script", byId("plotly").textContent)); // Its hash is in the policy.
  drawings[id]?.();
}

const escaped = (text) =>
  String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const PAPER = 700; // Pixels of a chart that fit the width of a sheet.
const onPaper = () => document.documentElement.classList.contains("print");
// On a narrow screen long names would leave no room for what they name.
const mostLetters = () => (innerWidth < 640 ? 16 : 34);
const short = (text, most = mostLetters()) => ([...text].length > most ? [...text].slice(0, most - 1).join("") + "…" : text);

// Variants of a method differ in their options, at the end of a name: it is cut in the middle.
function shortMethod(text, most = mostLetters()) {
  const letters = [...text];
  if (letters.length <= most) return text;
  const end = Math.floor((most - 1) / 2);
  return [...letters.slice(0, most - 1 - end), "…", ...letters.slice(-end)].join("");
}

// Print and a screen that turns change the width alone: a chart keeps the height that it is given.
function show(id, traces, more) {
  byId(id).style.height = `${more.height}px`;
  const width = onPaper() ? PAPER : undefined;
  drawings[id] = () => Plotly.react(byId(id), traces, layout({ ...more, width }), options);
  if (near.has(id)) render(id);
  else watcher.observe(byId(id));
}

function layout(more) {
  const line = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line") };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("--ink"), family: "system-ui, sans-serif", size: 13 },
    margin: { l: 10, r: 20, t: 10, b: 50 },
    showlegend: false,
    hoverlabel: { align: "left" },
    ...more,
    xaxis: { automargin: true, ...line, ...more.xaxis },
    yaxis: { automargin: true, ...line, ...more.yaxis },
  };
}

const options = { displayModeBar: false, responsive: true };

function cost(label) {
  const facts = run.methods[label];
  const speed = facts.speed === null ? "" : `<br>${threeDigits(facts.speed)} × real time`;
  return `${speed}${facts.memory === null ? "" : `<br>${decimals(facts.memory, 0)} MB`}`;
}

function figureText(label) {
  const [value, low, high, tracks] = figuresOf(state.stem)[label];
  const rules = run.protocols[state.protocol];
  const range = low === null ? "" : ` [${decimals(low)}, ${decimals(high)}]`;
  return `${rules.statistic} of ${tracks}: ${decimals(value)} ${rules.unit}${range}`;
}

// Methods of the chosen stem from the worst to the best, as plotly draws from below; those that are
// not ranked are the lowest.
function ranked() {
  const figures = figuresOf(state.stem);
  const isRanked = (label) => !isIncomplete(state.stem, label);
  return shownMethods()
    .filter((label) => figures[label]?.[0] != null)
    .sort((one, other) => isRanked(one) - isRanked(other) || goodness(figures[one][0]) - goodness(figures[other][0]));
}

function ticks(labels) {
  return { tickvals: labels.map((_, index) => index), ticktext: labels.map((label) => escaped(shortMethod(marked(label)))) };
}

const FEWEST = 5; // Scores of a box; fewer are points alone.

function drawBoxplot(labels) {
  byId("boxplot").parentElement.hidden = !labels.length;
  if (!labels.length) return delete drawings.boxplot;
  const scores = scoresOf(state.stem);
  const figures = figuresOf(state.stem);
  const rules = run.protocols[state.protocol];
  const traces = labels.filter((label) => scores[label]).map((label) => {
    const index = labels.indexOf(label);
    const places = scores[label].map((value, place) => [value, place]).filter(([value]) => value !== null);
    const oracle = run.methods[label].oracle;
    return {
      type: "box",
      orientation: "h",
      x: places.map(([value]) => sizeOf(value)),
      y: places.map(() => index),
      boxpoints: "all",
      jitter: 0.5,
      pointpos: 0,
      boxmean: rules.statistic === "mean",
      fillcolor: places.length < FEWEST ? "rgba(0,0,0,0)" : oracle ? "rgba(128,128,128,.35)" : "rgba(86,180,233,.45)",
      line: { color: places.length < FEWEST ? "rgba(0,0,0,0)" : colour("--ink"), width: 1.2 },
      marker: { color: oracle ? "#888888" : colour("--accent"), size: places.length < FEWEST ? 9 : 4, opacity: 0.75 },
      text: places.map(([, place]) => escaped(run.tracks[place])),
      hovertemplate:
        `<b>${escaped(marked(label))}</b><br>%{text}<br>%{x:.2f} ${rules.unit}<br>` +
        `${figureText(label)}${cost(label)}<extra></extra>`,
      hoveron: "points",
    };
  });
  const ranges = labels.filter((label) => figures[label][1] !== null);
  traces.push({
    type: "scatter",
    mode: "markers",
    x: ranges.map((label) => figures[label][0]),
    y: ranges.map((label) => labels.indexOf(label) - 0.4),
    error_x: {
      type: "data",
      symmetric: false,
      array: ranges.map((label) => figures[label][2] - figures[label][0]),
      arrayminus: ranges.map((label) => figures[label][0] - figures[label][1]),
      color: "#d55e00",
      thickness: 2.5,
      width: 0,
    },
    marker: { color: "#d55e00", size: 7 },
    text: ranges.map((label) => `<b>${escaped(marked(label))}</b><br>${figureText(label)}`),
    hovertemplate: "%{text}<extra></extra>",
  });
  show("boxplot", traces, {
    height: 90 + 38 * labels.length,
    xaxis: { title: { text: `${escaped(state.metric)} in ${rules.unit}` } },
    yaxis: { ...ticks(labels), range: [-0.7, labels.length - 0.3] },
  });
  const boxed = labels.some((label) => figures[label][3] >= FEWEST);
  byId("boxplot-caption").textContent =
    "Each point is a track" +
    (boxed ? "; a box is the middle half of them, with their median" : "") +
    (ranges.length ? `; below, the ${rules.statistic} with its 95 % interval.` : ".");
}

function drawHeatmap(labels) {
  const scores = scoresOf(state.stem);
  const having = labels.filter((label) => scores[label]);
  const mean = (place) => {
    const values = having.map((label) => sizeOf(scores[label][place])).filter((value) => value !== null);
    return values.length ? values.reduce((one, other) => one + other, 0) / values.length : -Infinity;
  };
  const order = run.tracks.map((_, place) => place).filter((place) => mean(place) > -Infinity);
  order.sort((one, other) => goodness(mean(other)) - goodness(mean(one)));
  const rules = run.protocols[state.protocol];
  byId("heatmap").parentElement.hidden = !having.length || order.length < 2;
  if (byId("heatmap").parentElement.hidden) return delete drawings.heatmap;
  const names = order.map((place) => escaped(short(run.tracks[place], 24)));
  const roomy = (onPaper() ? PAPER : byId("heatmap").clientWidth) > 16 * order.length;
  show(
    "heatmap",
    [
      {
        type: "heatmap",
        x: order.map((_, index) => index),
        y: having.map((_, index) => index),
        z: having.map((label) => order.map((place) => sizeOf(scores[label][place]))),
        text: having.map((label) =>
          order.map((place) => `<b>${escaped(marked(label))}</b><br>${escaped(run.tracks[place])}${cost(label)}`)),
        hovertemplate: `%{text}<br>%{z:.2f} ${rules.unit}<extra></extra>`,
        colorscale: "Viridis",
        colorbar: { title: { text: rules.unit }, thickness: 14 },
        hoverongaps: false,
        xgap: 1,
        ygap: 1,
      },
    ],
    {
      height: (roomy ? 190 : 80) + 22 * having.length,
      xaxis: {
        tickvals: names.map((_, index) => index),
        ticktext: names,
        tickangle: -60,
        showgrid: false,
        showticklabels: roomy,
      },
      yaxis: { ...ticks(having), showgrid: false },
    },
  );
}

function drawCost(labels) {
  const timed = labels.filter((label) => run.methods[label].speed !== null);
  const rules = run.protocols[state.protocol];
  byId("cost").parentElement.hidden = !timed.length;
  if (!timed.length) return delete drawings.cost;
  const figures = figuresOf(state.stem);
  // Only methods that no other beats in both are named, for names would cover each other.
  const beaten = (label) =>
    timed.some(
      (other) =>
        other !== label &&
        !isIncomplete(state.stem, other) &&
        run.methods[other].oracle === run.methods[label].oracle &&
        run.methods[other].speed >= run.methods[label].speed &&
        goodness(figures[other][0]) >= goodness(figures[label][0]),
    );
  byId("cost-caption").textContent =
    "Quality against speed; the larger the circle, the more memory. Labels: methods that no other method beats in both." +
    (timed.some((label) => run.methods[label].trained_on_this) ? " Hollow: methods trained on songs of this set." : "");
  const largest = Math.max(1, ...timed.map((label) => run.methods[label].memory ?? 0));
  show(
    "cost",
    [
      {
        type: "scatter",
        mode: "markers+text",
        x: timed.map((label) => run.methods[label].speed),
        y: timed.map((label) => figures[label][0]),
        text: timed.map((label) => (beaten(label) ? "" : escaped(shortMethod(marked(label), 22)))),
        textposition: "top center",
        cliponaxis: false,
        marker: {
          size: timed.map((label) => 9 + 32 * Math.sqrt((run.methods[label].memory ?? 0) / largest)),
          color: timed.map((label) => (run.methods[label].oracle ? "#888888" : colour("--accent"))),
          symbol: timed.map((label) => (run.methods[label].trained_on_this ? "circle-open" : "circle")),
          opacity: 0.7,
          line: { width: 1.5, color: colour("--ink") },
        },
        customdata: timed.map((label) => {
          const trained = run.methods[label].trained_on.map((name) => escaped(name)).join(", ");
          return `<b>${escaped(marked(label))}</b><br>${figureText(label)}${cost(label)}<br>trained on: ${trained || "nothing"}`;
        }),
        hovertemplate: "%{customdata}<extra></extra>",
      },
    ],
    {
      height: 440,
      margin: { l: 10, r: 30, t: 30, b: 50 },
      xaxis: { type: "log", title: { text: "times real time" } },
      yaxis: { title: { text: `${escaped(state.stem)} ${escaped(state.metric)} in ${rules.unit}` } },
    },
  );
}

// On paper: dark on light, and as wide as a sheet.
function printing(begins) {
  for (const node of document.querySelectorAll(".chart")) near.add(node.id);
  document.documentElement.classList.toggle("print", begins);
  drawCharts();
  if (begins) return;
  for (const id of Object.keys(drawings)) Plotly.Plots.resize(byId(id)); // Back to the window's width.
}

addEventListener("beforeprint", () => printing(true));
addEventListener("afterprint", () => printing(false));

function drawCharts() {
  const labels = ranked();
  drawBoxplot(labels);
  drawHeatmap(labels);
  drawCost(labels);
  const said = { boxplot: "Boxplot by method", heatmap: "Heat map of methods by tracks", cost: "Quality against speed" };
  for (const [id, text] of Object.entries(said)) {
    byId(id).setAttribute("role", "img");
    byId(id).setAttribute("aria-label", `${text}: ${state.stem}, ${state.metric}. The table above has the numbers.`);
  }
}
