// The table: a row for each paper, made once, and a cell for each question, filled when its answer comes.

import { percent, VERDICTS } from "./answers.js";
import { aboutOf, nameOf, placeOf } from "./intake.js";

const SURE = 0.8;
const LIKELY = 0.5;
const RANKS = ["sure", "likely", "doubtful", "unsure", "not_reported", "failed", "waiting"];
const WORDS = { unsure: "not sure", not_reported: "not reported", failed: "failed", waiting: "waiting" };
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// How certain a cell is: "sure", "likely" or "doubtful" of an answer, else its status.
export function certaintyOf(cell) {
  if (!cell) return "waiting";
  if (cell.status !== "answered") return cell.status;
  return cell.score >= SURE ? "sure" : cell.score >= LIKELY ? "likely" : "doubtful";
}

export const certaintyWords = (cell) => WORDS[certaintyOf(cell)] ?? certaintyOf(cell);

// As "Results, p. 4".
export const whereOf = (cell) => [cell.section, cell.page && `p. ${cell.page}`].filter(Boolean).join(", ");

// As "sure, 93 %": that the quote is right; or that there is none; or that the paper answers at all.
function chanceOf(cell, certainty) {
  if (certainty === "not_reported") return percent(1 - cell.answerable);
  return certainty === "unsure" ? `answers: ${percent(cell.answerable)}` : `${certainty}, ${percent(cell.score)}`;
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export class Grid {
  // `open(paper, question)` is called for a cell that is chosen; `tell(shown, all)` when rows are hidden or shown.
  constructor(table, open, tell) {
    Object.assign(this, { table, open, tell, rows: [], questions: [], words: [], kind: "", order: "", current: null });
    table.addEventListener("click", (event) => this.choose(event.target.closest("td button")));
    table.addEventListener("keydown", (event) => this.move(event));
  }

  show(papers, questions) {
    this.questions = questions;
    this.current = null;
    const names = ["Paper", ...questions];
    const heads = names.map((text) => element("th", { scope: "col", textContent: text, role: "columnheader" }));
    this.table.tHead.replaceChildren(element("tr", { role: "row" }, ...heads));
    this.rows = papers.map((paper, place) => this.rowOf(paper, place));
    this.table.tBodies[0].replaceChildren(...this.rows.map((row) => row.line));
    for (const row of this.rows) this.fillRow(row);
    this.byPaper = new Map(this.rows.map((row) => [row.paper, row]));
    this.rearrange();
  }

  rowOf(paper, place) {
    const head = element("th", { scope: "row", role: "rowheader" }, element("span", { textContent: nameOf(paper) }));
    for (const text of [aboutOf(paper), placeOf(paper)]) if (text) head.append(element("small", { textContent: text }));
    const cells = this.questions.map((question) => {
      const cell = element("td", { role: "gridcell" });
      cell.dataset.question = question;
      return cell;
    });
    return { paper, place, cells, text: "", line: element("tr", { role: "row" }, head, ...cells) };
  }

  fill(paper) {
    const row = this.byPaper.get(paper);
    if (!row) return;
    this.fillRow(row);
    row.line.hidden = !this.fits(row);
  }

  fillRow(row) {
    const { paper } = row;
    const said = [nameOf(paper), aboutOf(paper), placeOf(paper)];
    row.cells.forEach((box, i) => {
      const cell = paper.cells.get(this.questions[i]);
      said.push(fillCell(box, cell));
      if (!this.current?.isConnected) this.focusable(box.querySelector("button")); // the first, or the one anew
    });
    row.text = said.join(" ").toLowerCase();
  }

  filter(words, kind) {
    Object.assign(this, { words: words.toLowerCase().split(/\s+/).filter(Boolean), kind });
    this.refresh();
  }

  sort(order) {
    this.order = order;
    this.rearrange();
  }

  // Rows in their order, and those hidden that do not fit.
  rearrange() {
    const ranks = new Map(this.rows.map((row) => [row, this.rank(row)]));
    const sorted = [...this.rows].sort((a, b) => ranks.get(a) - ranks.get(b) || a.place - b.place);
    this.table.tBodies[0].append(...sorted.map((row) => row.line));
    this.refresh();
  }

  // The position of a row's least rank, and within it by probability; `order` is a question, or "" for none.
  rank({ paper }) {
    if (!this.order) return 0;
    const cells = this.order === "*" ? this.questions.map((q) => paper.cells.get(q)) : [paper.cells.get(this.order)];
    return Math.min(...cells.map((cell) => RANKS.indexOf(certaintyOf(cell)) + (1 - (cell?.score ?? 0))));
  }

  refresh() {
    let shown = 0;
    for (const row of this.rows) {
      row.line.hidden = !this.fits(row);
      shown += row.line.hidden ? 0 : 1;
    }
    if (this.current?.closest("tr")?.hidden) this.focusable(this.table.querySelector("tbody tr:not([hidden]) td button"));
    this.tell(shown, this.rows.length);
  }

  fits({ paper, text }) {
    const isAnswered = (question) => paper.cells.get(question)?.status === "answered";
    if (this.kind === "any" && !this.questions.some(isAnswered)) return false;
    if (this.kind === "all" && !this.questions.every(isAnswered)) return false;
    return this.words.every((word) => text.includes(word));
  }

  choose(button) {
    if (!button) return;
    this.focusable(button);
    const box = button.closest("td");
    const row = this.rows.find((each) => each.line === box.parentElement);
    this.open(row.paper, box.dataset.question);
  }

  // One cell is in the order of Tab; the arrows lead to the others.
  focusable(button) {
    if (this.current) this.current.tabIndex = -1;
    this.current = button;
    if (button) button.tabIndex = 0;
  }

  move(event) {
    const box = event.target.closest("td");
    const step = STEPS[event.key];
    if (!box || (!step && event.key !== "Home" && event.key !== "End")) return;
    event.preventDefault();
    const next = step ? beside(box, step) : event.key === "Home" ? first(box) : box.parentElement.lastElementChild;
    const button = next?.querySelector("button");
    if (!button) return;
    this.focusable(button);
    button.focus();
  }
}

const first = (box) => box.parentElement.querySelector("td");

function beside(box, [down, right]) {
  if (right) return box[right > 0 ? "nextElementSibling" : "previousElementSibling"];
  const name = down > 0 ? "nextElementSibling" : "previousElementSibling";
  let line = box.parentElement[name];
  while (line?.hidden) line = line[name];
  return line?.children[[...box.parentElement.children].indexOf(box)];
}

// Shows what a paper says; the words that a filter looks at.
function fillCell(box, cell) {
  const certainty = certaintyOf(cell);
  box.className = certainty;
  if (!cell) {
    box.replaceChildren(element("span", { className: "pending", textContent: "…", ariaLabel: "waiting" }));
    return "";
  }
  if (cell.status === "failed") {
    box.textContent = `failed: ${cell.error}`;
    return box.textContent;
  }
  const button = element("button", { type: "button", tabIndex: -1 });
  const verdict = cell.status === "answered" && VERDICTS[cell.verdict];
  if (verdict) button.append(element("strong", { textContent: `${verdict} (${percent(cell.verdict_score)})` }), " ");
  const says = certainty === "not_reported" ? "not reported" : certainty === "unsure" ? `not sure; closest: ${cell.text}` : cell.text;
  const told = chanceOf(cell, certainty);
  const where = certainty === "not_reported" ? "" : whereOf(cell);
  button.append(element("span", { className: "says", textContent: says }));
  button.append(element("small", { textContent: [told, where].filter(Boolean).join(" · ") }));
  box.replaceChildren(button);
  return `${verdict || ""} ${says} ${told} ${where}`;
}
