// The static page: a form, a worker that answers, and the text with its quote marked.
import type { Answer, Question } from "../src/types.js";
import { WorkerReader } from "../src/worker_reader.js";

const SAID: Record<Answer["status"], string> = {
  answered: "Answer",
  unsure: "Not sure; the closest passage",
  not_reported: "The text does not say",
};

function part<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const value = (id: string): string => part<HTMLInputElement>(id).value;
const percent = (share: number): string => `${Math.round(100 * share)} %`;
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

async function start(): Promise<void> {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const progress = part<HTMLProgressElement>("progress");
  const reader = await WorkerReader.load(worker, new URL("./model", import.meta.url), {
    wasm: new URL("./ort.wasm", import.meta.url),
    onProgress: ({ loaded, total }) => {
      progress.value = loaded / total;
      part("loaded").textContent = `${megabytes(loaded)} of ${megabytes(total)} MB`;
    },
  });
  part("loading").hidden = true;
  part<HTMLFormElement>("form").addEventListener("submit", (event) => {
    event.preventDefault();
    void ask(reader);
  });
  part<HTMLButtonElement>("ask").disabled = false;
  document.body.dataset.ready = "true";
}

async function ask(reader: WorkerReader): Promise<void> {
  const button = part<HTMLButtonElement>("ask");
  const question: Question = { question: value("question"), context: value("context"), title: value("title") || null };
  button.disabled = true;
  part("status").textContent = "Reading …";
  part("result").hidden = true;
  try {
    show(question.context, await reader.answer(question));
    part("status").textContent = "";
  } catch (error) {
    part("status").textContent = (error as Error).message;
  } finally {
    button.disabled = false;
  }
}

function show(context: string, answer: Answer): void {
  const best = answer.status === "not_reported" ? null : answer.candidates[0];
  const verdict = answer.verdict === null ? "" : ` (${answer.verdict}, ${percent(answer.verdictScore ?? 0)})`;
  part("said").textContent = SAID[answer.status] + verdict;
  part("quote").textContent = best === null ? "" : best.text;
  part("figures").textContent = `The text answers the question with a probability of ${percent(answer.answerable)}.`;
  const text = part("text");
  text.replaceChildren(context);
  if (best !== null) {
    const mark = document.createElement("mark");
    mark.textContent = best.text;
    text.replaceChildren(context.slice(0, best.start), mark, context.slice(best.end));
  }
  part("result").hidden = false;
}

start().catch((error: unknown) => {
  part("loading").hidden = true;
  part("status").textContent = (error as Error).message;
});
