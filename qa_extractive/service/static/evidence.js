// Many papers: what is asked of which, the streams of answers, and what is kept of them.

import { Grid } from "./grid.js";
import { count, Intake } from "./intake.js";
import { openQuote } from "./quote.js";
import { askForKey, failure, find, JSON_LINES, lineOf, post, valuesOf, wellFormed } from "./service.js";
import { saveBook, saveCsv } from "./sheets.js";
import { showTogether, togetherOf } from "./together.js";

const STORE = "evidence-table";
const MOST_KEPT = 2_000_000; // characters that a tab's storage surely holds
const MAX_QUESTIONS = 50;
const CALL_ANSWERS = 200;
const CALL_CHARACTERS = 1_000_000;
const TELL_MS = 4000;
const tallies = new Map();
const limits = new Map();
const intake = new Intake(changed);
const grid = new Grid(find("table"), openQuote, (shown, all) => {
  find("shown-count").textContent = shown === all ? count(all, "paper") : `${shown} of ${count(all, "paper")}`;
});
let running = null;
let told = 0;
let left = 0; // papers that some answer is missing of
let samples = null;

// ---------------------------------------------------------------- what is asked

const typed = () => [...new Set(wellFormed(find("questions").value).split(/\r?\n/).map((line) => line.trim()).filter(Boolean))];
const isThere = (paper, question) => ["answered", "unsure", "not_reported"].includes(paper.cells.get(question)?.status);
const missingOf = (paper, questions) => questions.filter((question) => !isThere(paper, question));

// The next papers from a place on that the same questions are missing of, as many as one call takes.
function nextGroup(papers, questions, from) {
  const group = [];
  let asked = null;
  let size = 0;
  for (const paper of papers.slice(from, from + CALL_ANSWERS)) {
    const missing = missingOf(paper, questions);
    if (!missing.length || paper.isRefused) continue;
    asked ??= missing;
    const isFull = group.length && ((group.length + 1) * asked.length > CALL_ANSWERS || size + paper.text.length > CALL_CHARACTERS);
    if (isFull || missing.join("\n") !== asked.join("\n")) break;
    group.push(paper);
    size += paper.text.length;
  }
  return [group, asked];
}

// ---------------------------------------------------------------- asking

async function start() {
  const questions = typed();
  clearErrors();
  if (!questions.length) return wrong("questions", "Write at least one question, one a line.");
  if (questions.length > MAX_QUESTIONS) return wrong("questions", `${questions.length} questions are more than ${MAX_QUESTIONS}: leave some out.`);
  if (!intake.papers.length) return tellError("There is no paper yet: drop files above, or try the examples.");
  const mine = (running = new AbortController());
  const papers = intake.papers;
  for (const paper of papers) paper.isRefused = false;
  lay(papers, questions);
  begin();
  try {
    for (let from = 0; from < papers.length; ) {
      if (papers[from].isRefused || !missingOf(papers[from], questions).length) from += 1;
      else await ask(...nextGroup(papers, questions, from), mine.signal);
    }
    await countVotes(papers, questions, mine.signal);
  } catch (error) {
    if (running === mine) fail(error);
  }
  if (running === mine) settle();
}

async function ask(group, questions, signal) {
  const sent = group.map(({ title, text, passages, pages }) => ({
    title: wellFormed(title || "") || null,
    text: wellFormed(text),
    passages: passages ?? [],
    pages: pages ?? [],
  }));
  const onBusy = (seconds) => say(`The service is busy: trying again in ${seconds} s.`);
  try {
    const body = JSON.stringify({ questions, papers: sent, top_k: 1 });
    const response = await post("v1/evidence", body, { signal, onBusy, accept: JSON_LINES });
    for await (const value of valuesOf(response)) take(value, group, questions);
  } catch (error) {
    refusePaper(error, group, questions);
  }
}

// A paper that cannot be asked must not hold up the others; all else is thrown.
function refusePaper(error, group, questions) {
  const found = error.status === 422 && /^papers\[(\d+)\]/.exec(error.detail.fields?.[0]?.path ?? "");
  const paper = found && group[Number(found[1])];
  if (!paper) throw error;
  for (const question of questions) paper.cells.set(question, { status: "failed", error: error.detail.fields[0].message });
  paper.isRefused = true;
  grid.fill(paper);
}

// A line of the stream: a paper's answers, what all of them say together, or what went wrong.
function take(line, group, questions) {
  if (line.error) throw failure(line.error, 500);
  if (line.together) return line.together.forEach((each, i) => takeTogether(each, group, questions[i]));
  const paper = group[line.index];
  line.answers.forEach((answer, i) => paper.cells.set(questions[i], cellOf(answer)));
  grid.fill(paper);
  if (!missingOf(paper, grid.questions).length) left -= 1;
  progress();
}

function takeTogether(found, group, question) {
  limits.set(question, found.limits);
  for (const { paper, ...value } of found.values) (group[paper].cells.get(question).values ??= []).push(value);
  if (found.tally && group.length === intake.papers.length) tallies.set(question, found.tally);
}

// What the page keeps of an answer; a few hundred characters.
function cellOf(answer) {
  const best = answer.status === "not_reported" ? null : answer.candidates[0];
  const { status, score, answerable, verdict, verdict_score, vote, vote_probs, section, page, sentence } = answer;
  const span = { text: best?.text ?? "", start: best?.start ?? null, end: best?.end ?? null };
  return { status, ...span, sentence, score, answerable, verdict, verdict_score, vote, vote_probs, section, page };
}

// Votes that came in several calls are counted together by the service.
async function countVotes(papers, questions, signal) {
  for (const question of questions) {
    const cells = papers.map((paper) => paper.cells.get(question)).filter((cell) => cell?.vote_probs);
    if (!cells.length || tallies.get(question)?.n_papers === cells.length) continue;
    const body = JSON.stringify({ votes: cells.map((cell) => ({ vote: cell.vote, ...cell.vote_probs })) });
    tallies.set(question, await (await post("v1/evidence/tally", body, { signal })).json());
  }
}

// ---------------------------------------------------------------- what is shown

function lay(papers, questions) {
  find("table-area").hidden = false;
  document.body.classList.add("has-table");
  fillOrders(questions);
  grid.show(papers, questions);
}

function fillOrders(questions) {
  const options = [["", "as they came"], ["*", "surest answer first"], ...questions.map((text) => [text, `surest to “${text}”`])];
  const chosen = find("order").value;
  find("order").replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  find("order").value = options.some(([value]) => value === chosen) ? chosen : "";
  grid.order = find("order").value;
}

function begin() {
  find("halt").hidden = false;
  find("start").hidden = true;
  find("table-progress").hidden = false;
  find("together").hidden = true;
  find("table").setAttribute("aria-busy", "true");
  told = 0;
  left = countLeft();
  progress();
}

const countLeft = () => grid.rows.filter(({ paper }) => missingOf(paper, grid.questions).length).length;

function progress() {
  const all = grid.rows.length;
  find("table-progress").max = all;
  find("table-progress").value = all - left;
  find("table-count").textContent = `${all - left} of ${all}`;
  if (performance.now() - told < TELL_MS) return; // a screen reader is not told of each
  told = performance.now();
  say(`Reading: ${all - left} of ${count(all, "paper")} done.`);
}

function settle() {
  const focused = document.activeElement === find("halt");
  running = null;
  find("halt").hidden = true;
  find("start").hidden = false;
  find("table-progress").hidden = true;
  find("table-count").textContent = "";
  find("table").removeAttribute("aria-busy");
  if (focused) find("start").focus();
  grid.rearrange();
  conclude();
  keep();
}

// Says how it stands, and what the papers say together so far.
function conclude() {
  const { questions, rows } = grid;
  left = countLeft();
  const n = rows.reduce((sum, { paper }) => sum + questions.filter((q) => paper.cells.get(q)?.status === "answered").length, 0);
  const all = rows.length * questions.length;
  say(`${n} of ${all} cells hold an answer.${left ? ` ${count(left, "paper")} still to be read.` : ""}`);
  find("start").textContent = left && left < rows.length ? `Go on with ${count(left, "paper")}` : "Start";
  const found = togetherNow();
  find("together").hidden = !found.some((each) => each.tally || each.values.length);
  showTogether(find("together-parts"), found, openQuote);
}

const togetherNow = () => togetherOf(grid.rows.map((row) => row.paper), grid.questions, tallies, limits);
const say = (text) => (find("table-status").textContent = text);

function halt() {
  running?.abort();
  if (running) settle();
}

function fail(error) {
  askForKey(error);
  left = countLeft();
  tellError(`${lineOf(error)}${left && left < grid.rows.length ? ` What was read is kept: go on with the other ${count(left, "paper")}.` : ""}`);
}

function tellError(text) {
  find("table-error").textContent = text;
  find("table-error").hidden = false;
}

function wrong(id, text) {
  find(id).setAttribute("aria-invalid", "true");
  find(`${id}-error`).textContent = text;
  find(`${id}-error`).hidden = false;
  find(id).focus();
}

function clearErrors() {
  find("questions").removeAttribute("aria-invalid");
  for (const id of ["questions-error", "table-error"]) find(id).hidden = true;
}

// There are other papers than before: the votes no longer hold, what was answered does.
function changed() {
  tallies.clear();
  if (running || find("table-area").hidden) return;
  if (!intake.papers.length) find("table-area").hidden = true;
  document.body.classList.toggle("has-table", !find("table-area").hidden);
  lay(intake.papers, grid.questions);
  conclude();
}

// ---------------------------------------------------------------- the examples, and what a reload keeps

async function tryExamples() {
  halt();
  samples ??= (await (await fetch("samples.json")).json()).table;
  intake.clear();
  find("questions").value = samples.questions.join("\n");
  intake.take(samples.papers);
  await start();
}

function forget() {
  halt();
  intake.clear();
  intake.show();
  clearErrors();
  find("table-area").hidden = true;
  find("start").textContent = "Start";
  document.body.classList.remove("has-table");
  say("");
  keep();
  find("pick").focus();
}

const size = () => intake.papers.reduce((sum, paper) => sum + paper.text.length + 600 * paper.cells.size, 0);

function keep() {
  try {
    const papers = intake.papers.map((paper) => ({ ...paper, cells: [...paper.cells] }));
    const held = { papers: size() < MOST_KEPT ? papers : [], skipped: intake.skipped, questions: find("questions").value };
    sessionStorage.setItem(STORE, JSON.stringify({ ...held, limits: [...limits], tallies: [...tallies], shown: grid.questions }));
  } catch {
    // there is no room for it, or nothing may be kept at all
  }
}

function restore() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORE));
    if (!kept) return;
    find("questions").value = kept.questions;
    intake.take(kept.papers, kept.skipped);
    for (const each of kept.limits) limits.set(...each);
    for (const each of kept.tallies) tallies.set(...each);
    if (!intake.papers.some((paper) => paper.cells.size)) return;
    lay(intake.papers, kept.shown);
    conclude();
  } catch {
    intake.clear(); // what was kept cannot be read: begin anew
  }
}

async function book(event) {
  const button = event.currentTarget;
  clearErrors();
  button.disabled = true;
  try {
    await saveBook(grid, intake.skipped, togetherNow());
    say("The workbook was saved.");
  } catch (error) {
    askForKey(error);
    tellError(lineOf(error));
  }
  button.disabled = false;
}

find("ask-many").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) start();
});
find("questions").addEventListener("input", () => {
  clearErrors();
  find("start").textContent = "Start";
});
find("questions").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  event.stopPropagation(); // the other form is not meant
  if (!running) start();
});
find("halt").addEventListener("click", halt);
find("try").addEventListener("click", tryExamples);
find("forget").addEventListener("click", forget);
for (const id of ["filter", "kind"]) find(id).addEventListener("input", () => grid.filter(find("filter").value, find("kind").value));
find("order").addEventListener("input", () => grid.sort(find("order").value));
find("table-xlsx").addEventListener("click", book);
find("table-csv").addEventListener("click", () => saveCsv(grid));
window.addEventListener("pagehide", keep);
window.addEventListener("beforeunload", (event) => {
  if (size() >= MOST_KEPT) event.preventDefault(); // too much to be kept
});
restore();
