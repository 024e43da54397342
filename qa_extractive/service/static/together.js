// What the papers say together: votes as small bars with their intervals, values side by side.

import { shape } from "./answers.js";
import { aboutOf, count, nameOf } from "./intake.js";

const VOTES = { yes: "Yes", no: "No", mixed: "Mixed", not_reported: "Not reported" };
const MAX_VALUES = 100;

// What each question came to, of what the page holds: {question, tally, values, limits}; a value has its paper.
export function togetherOf(papers, questions, tallies, limits) {
  return questions.map((question) => ({
    question,
    tally: tallies.get(question) ?? null,
    values: tallies.has(question) ? [] : papers.flatMap((paper) => valuesOf(paper, question)),
    limits: limits.get(question) ?? "",
  }));
}

function valuesOf(paper, question) {
  const cell = paper.cells.get(question);
  if (cell?.status !== "answered") return [];
  const listed = cell.values?.length ? cell.values : [{ quote: cell.text, number: null, unit: null, interval: null }];
  return listed.map((value) => ({ ...value, paper }));
}

export function showTogether(box, found, open) {
  box.replaceChildren(...found.filter((each) => each.tally || each.values.length).map((each) => partOf(each, open)));
}

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function partOf(found, open) {
  const part = element("article", "", element("h4", found.question));
  part.append(found.tally ? votesOf(found.tally) : listOf(found, open), element("p", found.limits));
  part.lastChild.className = "hint";
  return part;
}

function votesOf(tally) {
  const n = tally.n_papers;
  const rows = Object.entries(VOTES).map(([vote, name]) => {
    const { n: shown, low, high } = tally[vote];
    const head = element("th", name);
    head.scope = "row";
    const said = element("td", `${shown} of ${n}`);
    const range = element("td", low === high ? `truly ${low}` : `truly ${low} to ${high}`);
    range.className = "hint";
    return element("tr", "", head, element("td", "", barOf(vote, shown / n, low / n, high / n)), said, range);
  });
  const caption = element("caption", `Votes of ${count(n, "paper")}; the line on a bar is the 95 % interval for the true number.`);
  const table = element("table", "", caption, element("tbody", "", ...rows));
  table.className = "votes";
  return table;
}

function barOf(vote, share, low, high) {
  const bar = shape("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: `vote ${vote}`, "aria-hidden": "true" });
  bar.append(shape("rect", { class: "ground", width: 100, height: 10 }));
  bar.append(shape("rect", { class: "fill", width: 100 * share, height: 10 }));
  bar.append(shape("rect", { class: "range", x: 100 * low, y: 4, width: Math.max(0.6, 100 * (high - low)), height: 2 }));
  return bar;
}

function listOf(found, open) {
  const hasIntervals = found.values.some((value) => value.interval);
  const names = ["Paper", "Value", ...(hasIntervals ? ["Interval"] : []), "Quote"];
  const heads = names.map((name) => Object.assign(element("th", name), { scope: "col" }));
  const rows = found.values.slice(0, MAX_VALUES).map((value) => {
    const name = element("button", aboutOf(value.paper) || nameOf(value.paper));
    name.type = "button";
    name.className = "bare";
    name.title = nameOf(value.paper);
    name.addEventListener("click", () => open(value.paper, found.question));
    const number = [value.number, value.unit].filter(Boolean).join(" ") || "–";
    const interval = hasIntervals ? [element("td", value.interval ?? "–")] : [];
    return element("tr", "", element("td", "", name), element("td", number), ...interval, element("td", value.quote));
  });
  const more = found.values.length - rows.length;
  if (more > 0) rows.push(element("tr", "", element("td", `and ${more} more, in the XLSX file`)));
  const table = element("table", "", element("thead", "", element("tr", "", ...heads)), element("tbody", "", ...rows));
  table.className = "values";
  const box = element("div", "", table);
  box.className = "scroll";
  return box;
}
