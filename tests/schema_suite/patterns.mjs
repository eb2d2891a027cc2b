// Writes patterns.jsonl: random patterns, and what the regular expressions of JavaScript say about texts.
//
//   node tests/schema_suite/patterns.mjs > tests/schema_suite/patterns.jsonl

let seed = 16;
const random = (n) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
};
const one = (items) => items[random(items.length)];

const ATOMS = ["a", "b", "é", "😀", ".", "\\d", "\\w", "\\W", "\\s", "[ab]", "[^a]", "[a-c_]", "[^]", "\\p{L}", "\\P{Lu}", "\\u{1F600}", "\\x61"];
const ASSERTIONS = ["^", "$", "\\b", "\\B"];
const QUANTIFIERS = ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{1,}"];

// A pattern and the number of its groups, counted from the left.
function part(depth, state) {
  const kind = random(depth > 0 ? 12 : 5);
  if (kind < 4) return one(ATOMS) + (random(3) === 0 ? one(QUANTIFIERS) : "");
  if (kind === 4) return state.groups > 0 && random(2) ? `\\${1 + random(state.groups)}` : one(ASSERTIONS);
  if (kind < 7) return Array.from({ length: 1 + random(3) }, () => part(depth - 1, state)).join("");
  if (kind === 7) return `(?:${part(depth - 1, state)}|${part(depth - 1, state)})` + (random(2) ? one(QUANTIFIERS) : "");
  if (kind < 10) {
    state.groups += 1;
    return `(${part(depth - 1, state)}${random(3) ? "" : `|${part(depth - 1, state)}`})` + (random(2) ? one(QUANTIFIERS) : "");
  }
  return `(${one(["?=", "?!", "?<=", "?<!"])}${part(depth - 1, state)})`;
}

const text = () => Array.from({ length: random(7) }, () => one(["a", "b", "c", "a", "b", "é", "😀", "1", "_", " ", "\n", "A"])).join("");

const fixed = [
  ["(z)((a+)?(b+)?(c))*\\4$", ["zaacbbbcac", "zaacbbbcacbbb", "zbbcb"]],
  ["(?=(a+))a*b\\1", ["baaabac", "aab", "aaba"]],
  ["(.*?)a(?!(a+)b\\2c)\\2(.*)", ["baaabaac", "a", "b"]],
  ["^(?:(?<year>\\d{4})|x)-\\k<year>$", ["2026-2026", "2026-2025", "x-"]],
  ["(?<=(\\d+)(\\d+))$\\1\\2", ["1053", ""]],
  ["(?<=\\1(a))b", ["aab", "ab"]],
  ["(?<=^|,)b(?=,|$)", ["a,b", "ab", "b,a"]],
  ["^(?:a?){3}a{3}$(?!x)", ["aaa", "aa", "aaaaaa", "aaaaaaa"]],
  ["(?:a*)*(?=b)", ["b", "aab", "aa"]],
  ["^(?!.*(.).*\\1)[a-c]+$", ["abc", "aba", ""]],
];

// With the flag u the input is a list of characters, but V8 also begins between the two halves of a pair.
const isWithinCharacter = (pattern, text) => {
  const match = new RegExp(pattern, "u").exec(text);
  return match !== null && /[\ud800-\udbff]$/.test(text.slice(0, match.index));
};

const write = (pattern, texts) => {
  const outcomes = texts.map((text) => [text, new RegExp(pattern, "u").test(text)]);
  console.log(JSON.stringify([pattern, outcomes]));
};
fixed.forEach(([pattern, texts]) => write(pattern, texts));
let left = 500;
while (left > 0) {
  const pattern = Array.from({ length: 1 + random(3) }, () => part(3, (globalThis.state ??= { groups: 0 }))).join("");
  globalThis.state = undefined;
  if (pattern.length > 60) continue;
  try {
    new RegExp(pattern, "u");
  } catch {
    continue;
  }
  const texts = [...new Set(Array.from({ length: 8 }, text))].filter((text) => !isWithinCharacter(pattern, text));
  const outcomes = texts.map((text) => new RegExp(pattern, "u").test(text));
  // Those that tell nothing are mostly left out.
  if (new Set(outcomes).size === 1 && random(10)) continue;
  write(pattern, texts);
  left -= 1;
}
