"use strict";

// Whatever a user pastes or the service returns is text: it enters the page by textContent alone.

const MAX_PAPERS = 12;
const find = (id) => document.getElementById(id);
const papers = find("papers");
let running = null;
let serial = 0;

// ---------------------------------------------------------------- offsets

// The service counts code points, strings here count UTF-16 units: 🧬 is one of those and two of these.
// Units of the code-point offsets given, which must not fall.
function unitOffsets(text, offsets) {
  const units = [];
  let point = 0;
  let unit = 0;
  for (const offset of offsets) {
    while (point < offset) {
      unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
      point += 1;
    }
    units.push(unit);
  }
  return units;
}

// ---------------------------------------------------------------- papers

function addPaper(paper) {
  const box = find("paper-template").content.firstElementChild.cloneNode(true);
  serial += 1;
  for (const part of box.querySelectorAll("[data-id]")) part.id = `${part.dataset.id}-${serial}`;
  for (const label of box.querySelectorAll("[data-for]")) label.htmlFor = `${label.dataset.for}-${serial}`;
  fieldOf(box, "context").setAttribute("aria-describedby", `context-error-${serial}`);
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
  fieldOf(next, "context").focus();
}

function number() {
  const boxes = [...papers.children];
  boxes.forEach((box, i) => {
    box.querySelector("legend").textContent = boxes.length > 1 ? `Paper ${i + 1}` : "Paper";
    const remove = box.querySelector(".remove");
    remove.hidden = boxes.length === 1;
    remove.setAttribute("aria-label", `Remove paper ${i + 1}`);
  });
  find("add").disabled = boxes.length >= MAX_PAPERS;
}

const fieldOf = (box, name) => box.querySelector(`[data-id="${name}"]`);

// ---------------------------------------------------------------- examples

async function loadSamples() {
  const response = await fetch("samples.json");
  if (!response.ok) return;
  const samples = await response.json();
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
    find("question").value = sample.question;
    papers.replaceChildren();
    sample.papers.forEach(addPaper);
    clearErrors();
  });
}

// ---------------------------------------------------------------- asking

// A string with half of a surrogate pair is no text that can be sent: the half becomes U+FFFD.
const wellFormed = (text) => (text.toWellFormed ? text.toWellFormed() : text);

function request() {
  return {
    question: wellFormed(find("question").value.trim()),
    papers: [...papers.children].map((box) => ({
      title: wellFormed(fieldOf(box, "title").value.trim()) || null,
      context: wellFormed(fieldOf(box, "context").value),
    })),
  };
}

async function ask(event) {
  event?.preventDefault();
  clearErrors();
  const asked = request();
  if (!check(asked)) return;
  running?.abort();
  const mine = (running = new AbortController());
  find("status").classList.remove("unseen");
  find("status").textContent = "Reading…";
  find("form").setAttribute("aria-busy", "true");
  try {
    const began = performance.now();
    const body = await send(asked, mine.signal);
    if (running === mine) show(asked, body, performance.now() - began);
  } catch (error) {
    if (running === mine) fail(error);
  } finally {
    if (running === mine) {
      running = null;
      find("form").removeAttribute("aria-busy");
    }
  }
}

function check(asked) {
  const wrong = [];
  if (!asked.question) wrong.push([find("question"), find("question-error"), "Write a question."]);
  asked.papers.forEach((paper, i) => {
    const box = papers.children[i];
    if (!paper.context.trim()) {
      wrong.push([fieldOf(box, "context"), fieldOf(box, "context-error"), "Paste the text to answer from."]);
    }
  });
  for (const [field, note, message] of wrong) markWrong(field, note, message);
  wrong[0]?.[0].focus();
  return wrong.length === 0;
}

function markWrong(field, note, message) {
  field.setAttribute("aria-invalid", "true");
  note.textContent = message;
  note.hidden = false;
}

function clearErrors() {
  for (const field of document.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  for (const note of document.querySelectorAll(".field-error")) note.hidden = true;
  find("error").hidden = true;
}

async function send(asked, signal) {
  const headers = { "Content-Type": "application/json" };
  if (find("key").value) headers["X-API-Key"] = find("key").value;
  const response = await fetch("v1/answers", { method: "POST", headers, body: JSON.stringify(asked), signal });
  const body = await response.json();
  if (!response.ok) throw Object.assign(new Error(body.error.message), { status: response.status, detail: body.error });
  return body;
}

function fail(error) {
  find("status").textContent = "";
  find("results").hidden = true;
  if (error.status === 401) {
    find("key-row").hidden = false;
    find("key").focus();
  }
  const id = error.detail ? ` (request ${error.detail.request_id})` : "";
  const message = error.detail ? error.message : "The service cannot be reached. Is it still running?";
  find("error").textContent = message + id;
  find("error").hidden = false;
}

// ---------------------------------------------------------------- answers

const percent = (prob) => {
  if (prob > 0 && prob < 0.01) return "under 1 %";
  return prob < 1 && prob > 0.99 ? "over 99 %" : `${Math.round(100 * prob)} %`;
};

function show(asked, body, elapsedMs) {
  const cards = body.answers.map((answer, i) => card(asked.papers[answer.index], answer, body.threshold, i));
  find("cards").replaceChildren(...cards);
  find("results-heading").textContent = cards.length > 1 ? `Answers of ${cards.length} papers` : "Answer";
  find("summary").textContent =
    `“${asked.question}” Answered in ${Math.round(elapsedMs)} ms, ` +
    `${Math.round(body.timing.total_ms)} of them in the service. ` +
    (cards.length > 1 ? "The most probable answer comes first." : "");
  const fitted = body.calibration.n_examples;
  find("calibration").textContent = fitted
    ? `Fitted on ${fitted} examples, of which ${percent(body.calibration.answerable_share)} could be answered. ` +
      "On texts of another kind the probabilities can be off."
    : "This model was not calibrated: take the numbers as scores, not as probabilities.";
  find("status").classList.add("unseen"); // the page shows it all; a screen reader is told the gist
  find("status").textContent = spoken(body.answers);
  find("results").hidden = false;
  find("results").focus();
  find("results").scrollIntoView({ block: "start" });
  cards.forEach(scrollToAnswer);
}

function scrollToAnswer(box) {
  const text = box.querySelector(".text");
  const sentence = text.querySelector(".sentence");
  if (!sentence) return;
  text.scrollTop += sentence.getBoundingClientRect().top - text.getBoundingClientRect().top - 24;
}

function spoken(answers) {
  const given = answers.filter((answer) => !answer.abstained);
  if (!given.length) return answers.length > 1 ? "None of the papers says." : "This paper does not say.";
  return answers.length > 1
    ? `${given.length} of ${answers.length} papers answer. First: ${given[0].text}`
    : `Answer: ${given[0].text}`;
}

function card(paper, answer, threshold, i) {
  const box = find("card-template").content.firstElementChild.cloneNode(true);
  const name = paper.title || `Paper ${answer.index + 1}`;
  box.classList.toggle("is-silent", answer.abstained);
  box.querySelector("h3").textContent = name;
  box.querySelector("h3").id = `card-${i}`;
  box.setAttribute("aria-labelledby", `card-${i}`);
  box.querySelector(".verdict").textContent = answer.abstained ? "This paper does not say." : answer.text;
  addProbs(box.querySelector(".probs"), answer, threshold);
  const text = box.querySelector(".text");
  text.setAttribute("aria-label", `Text of ${name}`);
  mark(text, paper.context, answer);
  addOthers(box.querySelector(".others"), answer);
  return box;
}

function addProbs(list, answer, threshold) {
  list.append(...prob("Answers the question", answer.answerable, threshold));
  if (!answer.abstained) list.append(...prob("Answer is right", answer.score, null));
}

function prob(name, value, threshold) {
  const term = document.createElement("dt");
  const number = document.createElement("dd");
  term.textContent = name;
  number.textContent = threshold === null ? percent(value) : `${percent(value)}, needs ${percent(threshold)}`;
  const bar = document.createElement("dd");
  bar.className = "bar";
  bar.setAttribute("aria-hidden", "true");
  const svg = shape("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none" });
  svg.append(shape("rect", { class: "fill", width: 100 * value, height: 10 }));
  if (threshold !== null) {
    svg.append(shape("rect", { class: "limit", x: Math.min(99.4, 100 * threshold), y: -4, width: 0.6, height: 18 }));
  }
  bar.append(svg);
  return [term, number, bar];
}

function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

// The text with the answer marked in its sentence.
function mark(box, text, answer) {
  if (answer.abstained) {
    box.append(text);
    return;
  }
  const around = answer.sentence;
  const [a, b, c, d] = unitOffsets(text, [around.start, answer.start, answer.end, around.end]);
  const sentence = document.createElement("span");
  sentence.className = "sentence";
  const span = document.createElement("mark");
  span.textContent = text.slice(b, c);
  sentence.append(text.slice(a, b), span, text.slice(c, d));
  box.append(text.slice(0, a), sentence, text.slice(d));
}

function addOthers(details, answer) {
  const others = answer.abstained ? answer.candidates : answer.candidates.slice(1);
  details.hidden = others.length === 0;
  details.querySelector("summary").textContent = answer.abstained ? "Closest passages" : "Other candidates";
  const list = details.querySelector("ol");
  if (!answer.abstained) list.start = 2;
  for (const span of others) {
    const item = document.createElement("li");
    const share = document.createElement("span");
    share.className = "share";
    share.textContent = ` ${percent(span.score)}`;
    item.append(span.text, share);
    list.append(item);
  }
}

// ---------------------------------------------------------------- start

find("form").addEventListener("submit", ask);
find("form").addEventListener("input", (event) => {
  const note = find(event.target.getAttribute("aria-describedby"));
  if (!note) return;
  event.target.removeAttribute("aria-invalid");
  note.hidden = true;
});
find("add").addEventListener("click", () => fieldOf(addPaper(), "title").focus());
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask(event);
});
addPaper();
loadSamples();
