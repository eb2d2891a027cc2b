"use strict";

/* Plots of the last 15 minutes: SVG for the lines, HTML for the labels, which a stretched SVG would distort. */

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100;

/** A number with its digits grouped, as everywhere in cxsink. */
const count = (number) => number.toLocaleString("en", { maximumFractionDigits: 0 });

/** A rate: with a digit after the point where that says something. */
const rate = (number) => number.toLocaleString("en", { maximumFractionDigits: number < 10 ? 1 : 0 });

/** A latency in milliseconds: in seconds from one on. */
function latency(ms) {
  const [number, unit] = ms < 1000 ? [ms, "ms"] : [ms / 1000, "s"];
  return `${number.toLocaleString("en", { maximumSignificantDigits: 3 })} ${unit}`;
}

/** A duration in seconds, for people. */
function duration(seconds) {
  if (seconds < 1) return `${(seconds * 1000).toLocaleString("en", { maximumSignificantDigits: 3 })} ms`;
  if (seconds < 60) return `${seconds.toLocaleString("en", { maximumSignificantDigits: 3 })} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** From 0 to a round number, with lines at half of it. */
function linear(values) {
  const most = Math.max(1, ...values);
  const power = 10 ** Math.floor(Math.log10(most));
  const top = [1, 2, 4, 6, 8, 10].map((factor) => factor * power).find((round) => round >= most);
  return { at: (value) => value / top, ticks: [0, top / 2, top] };
}

/** Whole powers of ten: a latency has one of 2 ms and one of an outage. */
function logarithmic(values) {
  const seen = values.filter((value) => value > 0);
  const lowest = seen.length ? Math.floor(Math.log10(Math.min(...seen))) : 0;
  const highest = Math.max(lowest + 1, seen.length ? Math.ceil(Math.log10(Math.max(...seen))) : 1);
  const step = Math.ceil((highest - lowest) / 5);
  const ticks = [];
  for (let power = lowest; power <= highest; power += step) ticks.push(10 ** power);
  return { at: (value) => Math.max(0, Math.log10(value) - lowest) / (highest - lowest), ticks };
}

function child(parent, name, className, namespace) {
  const element = namespace ? document.createElementNS(namespace, name) : document.createElement(name);
  if (className) element.setAttribute("class", className);
  parent.append(element);
  return element;
}

class Plot {
  /** `names`: of the lines, the first one with an area below it. */
  constructor(id, title, names, scale, unit) {
    Object.assign(this, { title, names, scale, unit });
    const chart = child(document.getElementById(id), "div", "chart");
    this.ticks = child(chart, "div");
    this.ticks.setAttribute("aria-hidden", "true");
    this.svg = child(chart, "svg", "", SVG);
    this.svg.setAttribute("role", "img");
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.grid = child(this.svg, "path", "grid", SVG);
    this.under = child(this.svg, "path", "under", SVG);
    this.lines = ["one", "two"].slice(0, names.length).map((name) => child(this.svg, "path", name, SVG)).reverse();
    child(chart, "span", "when").textContent = "15 min ago";
    child(chart, "span", "when now").textContent = "now";
  }

  /** `rows`: the values of each line, the oldest first; null where there is none. `points`: the width of the plot. */
  draw(rows, points) {
    const known = rows.flat().filter((value) => value !== null);
    const { at, ticks } = this.scale(known);
    const y = (value) => HEIGHT - at(value) * HEIGHT;
    this.svg.setAttribute("viewBox", `0 0 ${points - 1} ${HEIGHT}`);
    this.grid.setAttribute("d", ticks.map((tick) => `M0 ${y(tick)}H${points - 1}`).join(""));
    const paths = rows.map((values) => Plot.path(values, points - values.length, y));
    this.lines.toReversed().forEach((line, index) => line.setAttribute("d", paths[index].line));
    this.under.setAttribute("d", paths[0].area);
    const labels = ticks.map((tick) => `${this.unit(tick)}@${at(tick)}`).join();
    if (this.labels !== labels) {
      this.labels = labels;
      this.ticks.replaceChildren(...ticks.map((tick) => this.tick(tick, at(tick))));
    }
    this.svg.setAttribute("aria-label", this.words(rows));
  }

  tick(value, height) {
    const label = document.createElement("span");
    label.className = "tick";
    label.style.bottom = `${height * 100}%`;
    label.textContent = this.unit(value);
    return label;
  }

  /** Lines are broken where there is no value; a lone value is a dot. */
  static path(values, first, y) {
    let line = "";
    let area = "";
    let from = null;
    values.forEach((value, index) => {
      const x = first + index;
      if (value === null) {
        if (from !== null) area += `V${HEIGHT}H${from}Z`;
        from = null;
        return;
      }
      const place = `${x} ${y(value).toFixed(2)}`;
      line += from === null ? `M${place}h0` : `L${place}`;
      area += from === null ? `M${x} ${HEIGHT}L${place}` : `L${place}`;
      from ??= x;
    });
    if (from !== null) area += `V${HEIGHT}H${from}Z`;
    return { line, area };
  }

  words(rows) {
    const said = rows.map((values, index) => {
      const known = values.filter((value) => value !== null);
      if (!known.length) return `${this.names[index]}: no values yet`;
      return `${this.names[index]}: now ${this.unit(known.at(-1))}, highest ${this.unit(Math.max(...known))}`;
    });
    return `${this.title}, the last 15 minutes. ${said.join("; ")}.`;
  }
}
