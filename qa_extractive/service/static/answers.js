// What the page shows of an answer. Whatever a user pastes or the service returns is text: it enters the
// page by textContent alone.

export const ANSWERED = "answered";
export const UNSURE = "unsure";
const RANKS = { answered: 0, unsure: 1, not_reported: 2 };
const SAYS = { answered: "", unsure: "Not sure. Closest: ", not_reported: "This paper does not say." };
export const VERDICTS = { yes: "Yes", no: "No", mixed: "Mixed" };

// ---------------------------------------------------------------- offsets

// The service counts code points, strings here count UTF-16 units: 🧬 is one of those and two of these.
// Units of the code-point offsets given, which must not fall.
export function unitOffsets(text, offsets) {
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

// ---------------------------------------------------------------- results

// A result is {index, paper: {title, context}, answer}, as the service answered.
export const nameOf = (result) => result.paper.title || `Paper ${result.index + 1}`;
export const bestOf = (answer) => answer.candidates[0] ?? null;

// Answers first, then what is not sure, each by its probability.
export function before(a, b) {
  const ranks = RANKS[a.answer.status] - RANKS[b.answer.status];
  return (ranks || b.answer.score - a.answer.score || a.index - b.index) < 0;
}

export const percent = (prob) => {
  if (prob > 0 && prob < 0.01) return "under 1 %";
  return prob < 1 && prob > 0.99 ? "over 99 %" : `${Math.round(100 * prob)} %`;
};

// What a screen reader is told at the end.
export function spoken(results) {
  const given = results.filter((result) => result.answer.status === ANSWERED);
  const unsure = results.filter((result) => result.answer.status === UNSURE);
  if (results.length === 1) return `${given.length ? "Answer: " : ""}${outcome(results[0].answer)}`;
  if (!given.length && !unsure.length) return "None of the papers says.";
  const close = unsure.length ? ` Not sure of ${unsure.length}.` : "";
  if (!given.length) return `No paper surely answers.${close}`;
  return `${given.length} of ${results.length} papers answer.${close} First: ${outcome(given[0].answer)}`;
}

// What the answer says, in a line: "Yes (82 %): ..." where a yes/no question was asked.
export function outcome(answer) {
  const verdict = verdictOf(answer);
  return (verdict ? `${verdict} (${percent(answer.verdict_score)}): ` : "") + SAYS[answer.status] + words(answer);
}

// The verdict in words; none without a quote, to other questions, and of models that give none.
export function verdictOf(answer) {
  return answer.status === ANSWERED ? VERDICTS[answer.verdict] ?? "" : "";
}

function words(answer) {
  if (answer.status === ANSWERED) return answer.text;
  return answer.status === UNSURE ? `“${bestOf(answer).text}”` : "";
}

// ---------------------------------------------------------------- cards

export function cardOf(result, threshold) {
  const { answer, paper, index } = result;
  const box = document.getElementById("card-template").content.firstElementChild.cloneNode(true);
  const name = nameOf(result);
  box.classList.add(`is-${answer.status.replace("_", "-")}`);
  box.querySelector("h3").textContent = name;
  box.querySelector("h3").id = `card-${index}`;
  box.setAttribute("aria-labelledby", `card-${index}`);
  addVerdict(box.querySelector(".chip"), answer);
  box.querySelector(".says").textContent = verdictOf(answer) ? " " : SAYS[answer.status]; // parts them when copied
  box.querySelector(".words").textContent = words(answer);
  box.querySelector(".copy").setAttribute("aria-label", `Copy the answer of ${name}`);
  addProbs(box.querySelector(".probs"), answer, threshold);
  const text = box.querySelector(".text");
  text.setAttribute("aria-label", `Text of ${name}`);
  mark(text, paper.context, answer);
  addOthers(box.querySelector(".others"), answer);
  return box;
}

export function scrollToAnswer(box) {
  const text = box.querySelector(".text");
  const marked = text.querySelector(".sentence, mark");
  if (!marked) return;
  text.scrollTop += marked.getBoundingClientRect().top - text.getBoundingClientRect().top - 24;
}

function addVerdict(chip, answer) {
  const verdict = verdictOf(answer);
  chip.hidden = !verdict;
  if (!verdict) return;
  chip.classList.add(`says-${answer.verdict}`);
  chip.textContent = `${verdict} ${percent(answer.verdict_score)}`;
}

function addProbs(list, answer, threshold) {
  list.append(...prob("Answers the question", answer.answerable, threshold));
  if (answer.status === ANSWERED) list.append(...prob("Answer is right", answer.score, null));
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

export function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

// The text with the answer marked in its sentence, or with the closest words marked more softly.
function mark(box, text, answer) {
  const best = bestOf(answer);
  if (!text.trim()) box.append("No text was given.");
  else if (answer.status === ANSWERED) markIn(box, text, answer, answer.sentence);
  else if (answer.status === UNSURE) markIn(box, text, best, best);
  else box.append(text);
}

function markIn(box, text, span, around) {
  const [a, b, c, d] = unitOffsets(text, [around.start, span.start, span.end, around.end]);
  const marked = document.createElement("mark");
  marked.textContent = text.slice(b, c);
  if (around === span) {
    marked.className = "closest";
    box.append(text.slice(0, b), marked, text.slice(c));
    return;
  }
  const sentence = document.createElement("span");
  sentence.className = "sentence";
  sentence.append(text.slice(a, b), marked, text.slice(c, d));
  box.append(text.slice(0, a), sentence, text.slice(d));
}

function addOthers(details, answer) {
  const isShown = answer.status === ANSWERED || answer.status === UNSURE;
  const others = isShown ? answer.candidates.slice(1) : answer.candidates;
  details.hidden = others.length === 0;
  details.querySelector("summary").textContent = isShown ? "Other candidates" : "Closest passages";
  const list = details.querySelector("ol");
  if (isShown) list.start = 2;
  for (const span of others) {
    const item = document.createElement("li");
    const share = document.createElement("span");
    share.className = "share";
    share.textContent = ` ${percent(span.score)}`;
    item.append(span.text, share);
    list.append(item);
  }
}
