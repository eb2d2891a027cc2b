/* The page: asks for stats.json each second and shows what it says. It makes no words of its own where the command line has some. */

const INTERVAL_MS = 1000;
const TIMEOUT_MS = 8000;
const PAUSE_MAX_MS = 15000;

const element = (id) => document.getElementById(id);

/** Only what changes is touched, so that a selection and the focus stay. */
function put(id, text) {
  const found = element(id);
  if (found.textContent !== text) found.textContent = text;
}

function tone(id, value) {
  if (element(id).dataset.tone !== value) element(id).dataset.tone = value;
}

const show = (id, isShown) => { element(id).hidden = !isShown; };

const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** `2026-11-22 16:00:00 UTC`, as the log has it but for the fraction. */
const utc = (seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;

const ago = (now, at) => (at === null ? "none yet" : `${duration(Math.max(0, now - at))} ago`);

function bytes(number) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (number >= 1024 && power < units.length - 1) {
    number /= 1024;
    power += 1;
  }
  return `${number.toLocaleString("en", { maximumSignificantDigits: 3 })} ${units[power]}`;
}

function time(seconds) {
  const made = document.createElement("time");
  made.dateTime = new Date(seconds * 1000).toISOString();
  made.textContent = utc(seconds);
  return made;
}

function text(name, content, className) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...[content].flat());
  return made;
}

/** The elements of a list, made again only if the list has changed. */
const shown = new Map();
function list(id, items, make) {
  const key = JSON.stringify(items);
  if (shown.get(id) === key) return;
  shown.set(id, key);
  element(id).replaceChildren(...items.map(make));
}

const row = (...cells) => text("tr", cells);

const plots = {
  rate: new Plot("plot-rate", "Events per second", ["in", "out"], linear, rate),
  lag: new Plot("plot-lag", "Lag", ["pending events"], linear, count),
  latency: new Plot("plot-latency", "Latency", ["p50", "p99"], logarithmic, latency),
};

function showWords(stream) {
  const { words } = stream;
  const sides = { stream: words.stream ?? { text: "not configured", tone: "faint" }, spool: words.spool, destination: words.destination };
  for (const [name, said] of Object.entries(sides)) {
    const [word, next] = said.text.split(", ");
    put(`word-${name}`, word);
    put(`next-${name}`, next ?? "");
    tone(`side-${name}`, said.tone);
  }
  put("sink", words.sink.text);
  if (document.body.dataset.tone !== words.sink.tone) document.body.dataset.tone = words.sink.tone;
  put("line", stream.line);
  const why = stream.health.why ?? stream.readiness.why;
  show("why", why !== null);
  put("why", why ?? "");
  const name = stream.name ?? stream.stream ?? stream.table;
  put("stream", name);
  document.title = `${words.sink.text} · ${name} · cxsink`;
  // Without the seconds until the next try, which would chatter.
  say([`The sink is ${words.sink.text}`, ...Object.entries(sides).map(([side, said]) => `${side} ${said.text.split(",")[0]}`)].join(", "));
}

/** For screen readers: what has changed, and nothing at the beginning. */
let lastSaid = null;
function say(words) {
  if (lastSaid !== null && lastSaid !== words) put("said", words);
  lastSaid = words;
}

function showPath(stream, now) {
  const { stats, history } = stream;
  put("last-event", ago(now, stream.last_event_at));
  put("reconnects", count(stats.reconnects));
  const expires = stream.token_expires_at;
  put("token", expires === null ? "unknown" : expires > now ? `in ${duration(Math.round(expires - now))}` : "now");
  put("pending", count(stats.pending));
  put("oldest", stats.pending ? duration(stream.oldest_pending_s) : "none");
  put("space", `${bytes(stats.pending_bytes)} of ${bytes(stream.spool_bytes_max)}`);
  const percent = Math.min(100, Math.round((100 * stats.pending_bytes) / stream.spool_bytes_max));
  element("meter").setAttribute("aria-valuenow", percent);
  element("meter").firstChild.style.width = `${percent}%`;
  put("table", stream.table);
  put("last-commit", ago(now, stream.last_commit_at));
  put("stored", count(stream.stored));
  put("rate-in", rate(history.received_per_s_now));
  put("rate-out", rate(history.finished_per_s_now));
}

function showPlots({ history }) {
  plots.rate.draw([history.received_per_s, history.finished_per_s], history.points_max);
  plots.lag.draw([history.pending], history.points_max);
  plots.latency.draw([history.p50_ms, history.p99_ms], history.points_max);
}

function showAccounting({ counters, is_balanced }) {
  const counter = ({ key, name, words, count: number }) => {
    const head = text("th", [name, ...(words && number ? [text("small", words)] : [])]);
    head.scope = "row";
    const made = row(head, text("td", count(number)));
    made.id = `count-${key}`;
    made.className = number ? "" : "none";
    return made;
  };
  const of = (...sides) => counters.filter(({ side }) => sides.includes(side));
  const sum = (entries) => count(entries.reduce((total, entry) => total + entry.count, 0));
  list("accepted", of("accepted"), counter);
  list("done", of("done", "waiting"), counter);
  list("other", of("other"), counter);
  put("accepted-sum", sum(of("accepted")));
  put("done-sum", sum(of("done", "waiting")));
  put("balance", is_balanced ? "Every event is accounted for." : "A batch is in progress.");
  put("equals", is_balanced ? "=" : "≈");
}

function showTrouble({ stats, rejections, errors, latest_errors, gaps, latest_gaps }) {
  put("dead-count", count(stats.dead_lettered));
  tone("dead-count", stats.dead_lettered ? "warning" : "faint");
  const others = rejections.ungrouped ? [{ stage: "", reason: "other reasons", count: rejections.ungrouped }] : [];
  const letters = [...rejections.groups, ...others];
  show("dead-none", !stats.dead_lettered);
  show("dead-box", letters.length > 0);
  list("dead", letters, ({ stage, reason, count: number, last_at, last_offset }) => row(
    text("td", stage), text("td", reason, "text"), text("td", count(number), "number"), text("td", last_at === undefined ? "" : time(last_at)),
    text("td", last_offset === undefined ? "" : text("code", `cxsink dead-letters show ${last_offset}`)),
  ));
  const total = Object.values(errors).reduce((sum, number) => sum + number, 0);
  put("errors-count", count(total));
  tone("errors-count", total ? "warning" : "faint");
  show("errors-none", !total);
  list("errors", latest_errors, ({ kind, message, hint, count: number, last_at }) => text("li", [
    text("p", message), ...(hint ? [text("p", hint, "hint")] : []),
    text("small", [`${kind} · ${counted(number, "time")} · last `, time(last_at)]),
  ]));
  put("gaps-count", count(gaps));
  tone("gaps-count", gaps ? "warning" : "faint");
  show("gaps-box", latest_gaps.length > 0);
  list("gaps", latest_gaps, ({ from, to, cause }) => row(
    text("td", time(from)), text("td", to === null ? "open" : time(to)), text("td", cause, "text"),
  ));
}

function showProcess(answer, stream) {
  const { configuration } = answer;
  put("version", answer.version);
  put("started", utc(answer.started_at));
  put("uptime", duration(Math.max(1, Math.round(answer.now - answer.started_at))));
  const loops = Object.entries(stream.health.loops);
  const hanging = loops.filter(([, overdue]) => overdue > 0).map(([name]) => name);
  put("loops", hanging.length ? `overdue: ${hanging.join(", ")}` : `${loops.length} that move`);
  put("config-file", configuration.file ?? "none");
  put("config-env", configuration.env_file ?? "the environment");
  const names = { "env-file": "env_file_variables", environment: "environment_variables", set: "set_keys", changed: "changed_keys" };
  for (const [id, member] of Object.entries(names)) put(`names-${id}`, configuration[member].join(", ") || "none");
}

/** Of several streams the page shows one at a time. */
let query = location.search;
function showStreams({ names, streams: [shown] }) {
  const link = ({ name, state, ready }) => {
    const made = text("a", `${name} · ${state}`);
    made.href = `?stream=${name}`;
    made.dataset.tone = ready ? "good" : "bad";
    if (name === shown.name) made.setAttribute("aria-current", "page");
    return text("li", made);
  };
  show("streams", names !== undefined);
  list("streams-list", (names ?? []).map((named) => ({ ...named, isShown: named.name === shown.name })), link);
}

/** One whose sink could not be opened has no numbers. */
function showNotOpened({ name, readiness }) {
  show("main", false);
  put("sink", readiness.state);
  document.body.dataset.tone = "bad";
  put("line", "");
  show("why", true);
  put("why", readiness.why);
  put("stream", name);
  document.title = `${readiness.state} · ${name} · cxsink`;
}

function showAnswer(answer) {
  const [stream] = answer.streams;
  if (answer.names && (!query || !stream)) {
    // The first one, as one who follows its link would see it.
    query = `?stream=${answer.names[0].name}`;
    return;
  }
  showStreams(answer);
  if (!stream.words) {
    showNotOpened(stream);
    return;
  }
  show("main", true);
  showWords(stream);
  showPath(stream, answer.now);
  showPlots(stream);
  showAccounting(stream);
  showTrouble(stream);
  showProcess(answer, stream);
  const seen = time(answer.now);
  seen.dataset.now = answer.now.toFixed(3);
  element("seen").replaceChildren("as of ", seen);
}

let failures = 0;
let answeredAt = null;
let nextAt = 0;
let timer = null;
let isAsking = false;

/** Says so once, and leaves the last numbers. */
function showGone(problem) {
  show("gone", true);
  document.body.dataset.stale = "";
  put("gone-what", problem);
  put("gone-since", answeredAt === null ? "" : `The numbers are those of ${utc(answeredAt)}.`);
  put("sink", "no answer");
  show("why", false);
  document.body.dataset.tone = "bad";
  document.title = "no answer · cxsink";
  put("said", problem);
  lastSaid = problem;
}

function showBack() {
  show("gone", false);
  delete document.body.dataset.stale;
}

function why(status) {
  if (status === 401) return "The token is not accepted any more: load this page again.";
  if (status === 503) return "The process does not give its numbers in time: see healthz.";
  return `The answer has the status ${status}.`;
}

/** The numbers, or why there are none. */
async function fetchAnswer() {
  try {
    const answer = await fetch(`stats.json${query}`, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    return answer.ok ? { content: await answer.json() } : { problem: why(answer.status) };
  } catch {
    return { problem: "The process does not answer: it has ended, or cannot be reached." };
  }
}

async function ask() {
  isAsking = true;
  const { content, problem } = await fetchAnswer();
  failures = content ? 0 : failures + 1;
  const pause = failures ? Math.min(PAUSE_MAX_MS, INTERVAL_MS * 2 ** (failures - 1)) : INTERVAL_MS;
  nextAt = performance.now() + pause;
  isAsking = false;
  timer = document.hidden ? null : setTimeout(ask, pause);
  if (!content) {
    showGone(problem);
    return;
  }
  answeredAt = content.now;
  showBack();
  showAnswer(content);
}

setInterval(() => {
  if (failures) put("gone-next", `Next try in ${Math.max(0, Math.round((nextAt - performance.now()) / 1000))} s.`);
}, INTERVAL_MS);

/* A page that nobody sees asks for nothing. */
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && timer === null && !isAsking) ask();
  if (document.hidden) {
    clearTimeout(timer);
    timer = null;
  }
});

ask();
