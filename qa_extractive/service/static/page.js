// The form, and its papers asked in small groups.

import { before, cardOf, percent, scrollToAnswer, spoken } from "./answers.js";
import { askForKey, find, lineOf, post, wellFormed } from "./service.js";
import { citation, copy, csv, download, pasteable } from "./tables.js";
import "./evidence.js";

const MAX_PAPERS = 100;
const GROUP_PAPERS = 4;
const GROUP_CHARACTERS = 20_000;
const STORE = "ask-a-paper";
const papers = find("papers");
let running = null;
let shown = null; // {question, results, threshold, calibration, elapsedMs, isWhole}
let serial = 0;

// ---------------------------------------------------------------- papers

function addPaper(paper) {
  const box = find("paper-template").content.firstElementChild.cloneNode(true);
  serial += 1;
  for (const part of box.querySelectorAll("[data-id]")) part.id = `${part.dataset.id}-${serial}`;
  for (const label of box.querySelectorAll("[data-for]")) label.htmlFor = `${label.dataset.for}-${serial}`;
  fieldOf(box, "title").value = paper?.title ?? "";
  fieldOf(box, "context").value = paper?.context ?? "";
  box.querySelector(".remove").addEventListener("click", () => removePaper(box));
  papers.append(box);
  number();
  return box;
}

function removePaper(box) {
  const next = box.nextElementSibling ?? box.previousElementSibling;
  box.remove();
  number();
  save();
  fieldOf(next, "context").focus();
}

function number() {
  const boxes = [...papers.children];
  boxes.forEach((box, i) => {
    find("one").classList.toggle("single", boxes.length === 1);
    box.querySelector("legend").textContent = boxes.length > 1 ? `Paper ${i + 1}` : "Paper";
    const remove = box.querySelector(".remove");
    remove.hidden = boxes.length === 1;
    remove.setAttribute("aria-label", `Remove paper ${i + 1}`);
  });
  const isFull = boxes.length >= MAX_PAPERS;
  find("add").disabled = isFull;
  find("room").textContent = isFull
    ? `${MAX_PAPERS} papers are the most that this page takes; POST /v1/answers takes more.`
    : `${boxes.length} of at most ${MAX_PAPERS} papers. Ctrl + Enter asks, too.`;
}

const fieldOf = (box, name) => box.querySelector(`[data-id="${name}"]`);

function fill(question, given) {
  find("question").value = question;
  papers.replaceChildren();
  for (const paper of given.slice(0, MAX_PAPERS)) addPaper(paper);
  if (!given.length) addPaper();
}

// ---------------------------------------------------------------- examples

// The samples to choose from; a page that was not used before shows the first one, answered.
async function loadSamples(isNew) {
  const response = await fetch("samples.json");
  if (!response.ok) return;
  const samples = (await response.json()).texts;
  const select = find("sample");
  samples.forEach((sample, i) => {
    const option = document.createElement("option");
    option.value = String(i);
    option.textContent = sample.name;
    select.append(option);
  });
  select.addEventListener("change", () => {
    if (select.value === "") return;
    const sample = samples[Number(select.value)];
    fill(sample.question, sample.papers);
    clearErrors();
    save();
  });
  const isTyped = find("question").value || typed().some((paper) => paper.title || paper.context);
  if (!isNew || isTyped) return;
  select.value = "0";
  fill(samples[0].question, samples[0].papers);
  await ask(null, true);
}

// ---------------------------------------------------------------- what a reload keeps

// In this tab only, and only until it is closed; the key is never kept.
function save() {
  const form = { question: find("question").value, papers: typed() };
  for (const kept of [{ ...form, shown }, form]) {
    try {
      sessionStorage.setItem(STORE, JSON.stringify(kept));
      return;
    } catch {
      // there is not room for the answers too, or nothing may be kept at all
    }
  }
}

// Whether there was nothing to restore.
function restore() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORE));
    fill(kept?.question ?? "", kept?.papers ?? []);
    if (!kept?.shown?.results.length) return !kept;
    shown = kept.shown;
    for (const result of shown.results) place(result);
    conclude();
    return false;
  } catch {
    reset(); // what was kept cannot be read: begin anew
    return true;
  }
}

function reset() {
  shown = null;
  find("cards").replaceChildren();
  find("results").hidden = true;
  find("status").textContent = "";
  fill("", []);
}

function forget() {
  running?.abort();
  running = null;
  settle();
  reset();
  find("sample").value = "";
  clearErrors();
  save(); // a page that was cleared stays so
  find("question").focus();
}

// ---------------------------------------------------------------- asking

function typed() {
  return [...papers.children].map((box) => ({
    title: wellFormed(fieldOf(box, "title").value.trim()) || null,
    context: wellFormed(fieldOf(box, "context").value),
  }));
}

// `isShown`: nobody asked, the page shows an example.
async function ask(event, isShown = false) {
  event?.preventDefault();
  clearErrors();
  const question = wellFormed(find("question").value.trim());
  if (!question) return markWrong(find("question"), find("question-error"), "Write a question.");
  running?.abort();
  const mine = (running = new AbortController());
  const asked = typed();
  begin(question, asked.length, isShown);
  try {
    const began = performance.now();
    for (const group of groups(asked)) {
      const body = await send(question, group, mine.signal);
      if (running !== mine) return;
      take(body, group, asked.length, performance.now() - began);
    }
    shown.isWhole = true;
  } catch (error) {
    if (running === mine && !isShown) fail(error);
  } finally {
    if (running === mine) {
      running = null;
      settle();
      conclude();
      save();
    }
  }
}

// Groups of [index, paper]: two papers first, so that an answer shows soon.
function groups(asked) {
  const made = [[]];
  let size = 0;
  asked.forEach((paper, i) => {
    const isFull = made.at(-1).length >= (made.length === 1 ? 2 : GROUP_PAPERS);
    if (isFull || (size && size + paper.context.length > GROUP_CHARACTERS)) {
      made.push([]);
      size = 0;
    }
    made.at(-1).push([i, paper]);
    size += paper.context.length;
  });
  return made;
}

async function send(question, group, signal) {
  const onBusy = (seconds) => (find("status").textContent = `The service is busy: trying again in ${seconds} s.`);
  const response = await post("v1/answers", JSON.stringify({ question, papers: group.map(([, paper]) => paper) }), { signal, onBusy });
  return response.json();
}

function begin(question, n, isExample) {
  shown = { question, results: [], threshold: 0, calibration: null, elapsedMs: 0, isWhole: false, isExample };
  find("cards").replaceChildren();
  find("results").hidden = true;
  find("form").setAttribute("aria-busy", "true");
  find("stop").hidden = false;
  find("progress-row").hidden = false;
  find("progress").max = n;
  if (n > 1) find("progress").value = 0;
  else find("progress").removeAttribute("value"); // one paper: nothing to count
  find("status").classList.remove("unseen");
  find("status").textContent = n > 1 ? `Reading ${n} papers…` : "Reading…";
  tick(performance.now());
}

let clock = 0;

function tick(began) {
  clearInterval(clock);
  find("clock").textContent = "";
  clock = setInterval(() => {
    find("clock").textContent = `${Math.round((performance.now() - began) / 1000)} s`;
  }, 1000);
}

function take(body, group, n, elapsedMs) {
  Object.assign(shown, { threshold: body.threshold, calibration: body.calibration, elapsedMs });
  for (const answer of body.answers) {
    const [index, paper] = group[answer.index];
    const result = { index, paper, answer };
    shown.results.push(result);
    place(result);
  }
  if (n > 1) find("progress").value = shown.results.length;
  if (shown.results.length < n) find("status").textContent = `Answered ${shown.results.length} of ${n} papers…`;
  reveal();
}

function settle() {
  clearInterval(clock);
  find("form").removeAttribute("aria-busy");
  find("stop").hidden = true;
  find("progress-row").hidden = true;
}

function stop() {
  running?.abort();
  running = null;
  settle();
  conclude();
  if (!shown.results.length) find("status").textContent = "Stopped.";
  save();
}

function markWrong(field, note, message) {
  field.setAttribute("aria-invalid", "true");
  note.textContent = message;
  note.hidden = false;
  field.focus();
}

function clearErrors() {
  for (const field of document.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  for (const note of document.querySelectorAll(".field-error")) note.hidden = true;
  find("error").hidden = true;
}

function fail(error) {
  find("status").textContent = "";
  askForKey(error);
  find("error").textContent = lineOf(error);
  find("error").hidden = false;
}

// ---------------------------------------------------------------- answers

// Put a card among those that are there, in order, without touching them.
function place(result) {
  const card = cardOf(result, shown.threshold);
  card.result = result;
  const after = [...find("cards").children].find((each) => before(result, each.result));
  find("cards").insertBefore(card, after ?? null);
  card.querySelector(".copy").addEventListener("click", (event) => copied(event.target, citation(result)));
  if (!find("results").hidden) scrollToAnswer(card);
}

const ranked = () => [...find("cards").children].map((card) => card.result);

function reveal() {
  if (!find("results").hidden) return;
  find("results-heading").textContent = find("progress").max > 1 ? "Answers" : "Answer";
  find("summary").textContent = `“${shown.question}”`;
  find("results").hidden = false;
  if (shown.isExample) return;
  find("results").focus();
  const { top } = find("results").getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) find("results").scrollIntoView({ block: "start" });
  [...find("cards").children].forEach(scrollToAnswer);
}

function conclude() {
  const n = shown.results.length;
  if (!n) return;
  find("results").hidden = false;
  find("results-heading").textContent = n > 1 ? `Answers of ${n} papers` : "Answer";
  const duration = shown.elapsedMs < 1000 ? `${Math.round(shown.elapsedMs)} ms` : `${(shown.elapsedMs / 1000).toFixed(1)} s`;
  find("summary").textContent =
    `“${shown.question}” Answered in ${duration}. ` +
    (n > 1 ? "The most probable answer comes first. " : "") +
    (shown.isWhole ? "" : "Not all papers were answered.");
  const fitted = shown.calibration.n_examples;
  find("calibration").textContent = fitted
    ? `Fitted on ${fitted} examples, of which ${percent(shown.calibration.answerable_share)} could be answered. ` +
      "On texts of another kind the probabilities can be off."
    : "This model was not calibrated: take the numbers as scores, not as probabilities.";
  find("status").classList.add("unseen"); // the page shows it all; a screen reader is told the gist
  find("status").textContent = shown.isExample ? "" : spoken(ranked());
  [...find("cards").children].forEach(scrollToAnswer);
}

async function copied(button, text) {
  const label = button.dataset.label ?? (button.dataset.label = button.textContent);
  const done = await copy(text);
  button.textContent = done ? "Copied" : "Cannot copy";
  find("status").textContent = done ? "Copied." : "The browser does not let the page copy.";
  setTimeout(() => (button.textContent = label), 2000);
}

// ---------------------------------------------------------------- start

let saving = 0;

find("form").addEventListener("submit", ask);
find("form").addEventListener("input", (event) => {
  clearTimeout(saving);
  saving = setTimeout(save, 300);
  if (event.target !== find("question")) return;
  event.target.removeAttribute("aria-invalid");
  find("question-error").hidden = true;
});
window.addEventListener("pagehide", save);
find("add").addEventListener("click", () => fieldOf(addPaper(), "title").focus());
find("stop").addEventListener("click", stop);
find("clear").addEventListener("click", forget);
find("copy-all").addEventListener("click", (event) => copied(event.target, pasteable(shown.question, ranked())));
find("csv").addEventListener("click", () => download(csv(shown.question, ranked()), "answers.csv"));
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask(event);
});
loadSamples(restore()).finally(() => (document.body.dataset.ready = "yes"));
