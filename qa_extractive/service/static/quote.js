// A cell, opened: the paper's text with the quote marked in it.

import { percent, shape, unitOffsets, VERDICTS } from "./answers.js";
import { certaintyWords, whereOf } from "./grid.js";
import { aboutOf, nameOf, placeOf } from "./intake.js";
import { find } from "./service.js";

export function openQuote(paper, question) {
  const cell = paper.cells.get(question);
  find("quote-title").textContent = nameOf(paper);
  find("quote-about").textContent = [aboutOf(paper), paper.doi, placeOf(paper)].filter(Boolean).join(" · ");
  find("quote-question").textContent = question;
  find("quote-says").textContent = sayingOf(cell);
  find("quote-says").className = `said ${cell.status}`;
  find("quote-facts").replaceChildren(...factsOf(cell).map(fact));
  const marked = show(find("quote-text"), paper.text, cell);
  find("quote").showModal();
  find("quote-text").scrollTop = 0;
  marked?.scrollIntoView({ block: "center" });
}

function sayingOf(cell) {
  if (cell.status === "not_reported") return "This paper does not say.";
  if (cell.status === "unsure") return `Not sure. Closest: “${cell.text}”`;
  const verdict = VERDICTS[cell.verdict];
  return (verdict ? `${verdict}: ` : "") + `“${cell.text}”`;
}

function factsOf(cell) {
  const isAnswered = cell.status === "answered";
  return [
    ["How sure", certaintyWords(cell), null],
    ["Section", cell.status === "not_reported" ? null : cell.section, null],
    ["Page", cell.status === "not_reported" ? null : cell.page, null],
    ["The paper answers", percent(cell.answerable), cell.answerable],
    ["The quote is right", isAnswered ? percent(cell.score) : null, cell.score],
    ["The verdict is right", isAnswered && cell.verdict ? percent(cell.verdict_score) : null, cell.verdict_score],
  ].filter(([, value]) => value !== null && value !== undefined);
}

function fact([name, value, share]) {
  const term = document.createElement("dt");
  const said = document.createElement("dd");
  term.textContent = name;
  said.textContent = String(value);
  if (share !== null) {
    const bar = shape("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "mini", "aria-hidden": "true" });
    bar.append(shape("rect", { class: "ground", width: 100, height: 10 }), shape("rect", { class: "fill", width: 100 * share, height: 10 }));
    said.append(bar);
  }
  const box = document.createElement("div");
  box.append(term, said);
  return box;
}

// The text with the quote in its sentence; what is marked, if something is.
function show(box, text, cell) {
  box.setAttribute("aria-label", "Text of the paper");
  if (cell.status === "not_reported" || cell.start === null) {
    box.textContent = text;
    return null;
  }
  const around = cell.sentence ?? cell;
  const [a, b, c, d] = unitOffsets(text, [around.start, cell.start, cell.end, around.end]);
  const mark = document.createElement("mark");
  const sentence = document.createElement("span");
  mark.textContent = text.slice(b, c);
  if (cell.status === "unsure") mark.className = "closest";
  else sentence.className = "sentence";
  sentence.append(text.slice(a, b), mark, text.slice(c, d));
  box.replaceChildren(text.slice(0, a), sentence, text.slice(d));
  return mark;
}

find("quote-close").addEventListener("click", () => find("quote").close());
find("quote").addEventListener("click", (event) => {
  if (event.target === find("quote")) find("quote").close();
});
