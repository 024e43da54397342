// Files in: dropped, chosen or of a folder, each sent to be read, one after the other.

import { askForKey, find, lineOf, post } from "./service.js";

const MAX_PAPERS = 5000;
const MAX_LISTED = 300;
const SHOW_MS = 700; // all that was read is shown no more often than this

export class Intake {
  // `onChange` is called when there are other papers than before.
  constructor(onChange) {
    this.onChange = onChange;
    this.clear();
    const zone = find("drop");
    for (const name of ["dragover", "dragenter"]) zone.addEventListener(name, (event) => this.over(event, true));
    zone.addEventListener("dragleave", (event) => this.over(event, zone.contains(event.relatedTarget)));
    zone.addEventListener("drop", (event) => this.dropped(event));
    for (const [button, field] of [["pick", "files"], ["pick-folder", "folder"]]) {
      find(button).addEventListener("click", () => find(field).click());
      find(field).addEventListener("change", (event) => this.chosen(event.target));
    }
    find("again").addEventListener("click", () => this.read());
    find("read-list").addEventListener("click", (event) => this.removed(event));
    // a file dropped beside the zone must not replace the page
    for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
    find("pick-folder").hidden = !("webkitdirectory" in find("folder"));
  }

  clear() {
    Object.assign(this, { papers: [], skipped: [], queue: [], keys: new Set(), n: 0, done: 0, shown: 0 });
    this.stopping?.abort();
    this.stopping = null;
  }

  // Papers that are there already: the examples, and those of a page that was loaded again.
  take(papers, skipped = []) {
    for (const paper of papers) this.add(paper);
    this.skipped.push(...skipped);
    this.show();
  }

  over(event, isOver) {
    event.preventDefault();
    find("drop").classList.toggle("over", isOver);
  }

  async dropped(event) {
    event.preventDefault();
    event.stopPropagation();
    find("drop").classList.remove("over");
    const items = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    const files = [...event.dataTransfer.files].map((file) => ({ file, name: file.name }));
    const found = items.some((item) => item?.isDirectory) ? await filesBelow(items) : files;
    this.send(found);
  }

  chosen(field) {
    this.send([...field.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
    field.value = "";
  }

  send(files) {
    const seen = files.filter(({ name }) => !name.split("/").some((part) => part.startsWith(".")));
    this.queue.push(...seen);
    if (!this.stopping) this.read();
  }

  // Reads the queue. What cannot be sent stays in it, to be tried again.
  async read() {
    const mine = (this.stopping = new AbortController());
    find("again").hidden = true;
    find("intake-error").hidden = true;
    try {
      for (; this.queue.length; this.queue.shift()) {
        this.tell();
        await this.readOne(this.queue[0], mine.signal);
        if (this.stopping !== mine) return;
        this.done += 1;
        if (performance.now() - this.shown > SHOW_MS) this.show();
      }
      this.done = 0;
    } catch (error) {
      if (this.stopping !== mine) return;
      askForKey(error);
      find("intake-error").textContent = `${lineOf(error)} ${this.queue.length} ${this.queue.length > 1 ? "files are" : "file is"} not read yet.`;
      find("intake-error").hidden = find("again").hidden = false;
    }
    if (this.stopping === mine) this.stopping = null;
    this.show();
  }

  async readOne({ file, name }, signal) {
    const path = `v1/papers?name=${encodeURIComponent(name.slice(-900))}`;
    const refuse = (reason) => this.skipped.push({ file: name, record: null, kind: "not read", reason });
    if (!file.size) return refuse("the file is empty");
    try {
      const response = await post(path, file, { signal, type: "application/octet-stream" });
      const found = await response.json();
      for (const paper of found.papers) this.add({ ...paper, file: name });
      for (const each of found.skipped) this.skipped.push({ file: name, ...each });
    } catch (error) {
      if (![400, 413, 415, 422].includes(error.status)) throw error;
      refuse(error.message);
    }
  }

  add(paper) {
    const key = `${paper.title}\0${paper.text}`;
    const place = { file: paper.file, record: paper.record };
    if (this.keys.has(key)) this.skipped.push({ ...place, kind: "twice", reason: "the same paper is there already" });
    else if (this.papers.length >= MAX_PAPERS) {
      this.skipped.push({ ...place, kind: "too many", reason: `the page takes at most ${MAX_PAPERS} papers` });
    } else {
      this.keys.add(key);
      this.papers.push({ ...paper, key: (this.n += 1), cells: new Map(paper.cells ?? []) });
    }
  }

  removed(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const next = button.parentElement.nextElementSibling ?? button.parentElement.previousElementSibling;
    const paper = this.papers.find((each) => each.key === Number(button.dataset.key));
    this.papers = this.papers.filter((each) => each !== paper);
    this.keys.delete(`${paper.title}\0${paper.text}`);
    button.parentElement.remove();
    this.show();
    (next?.querySelector("button") ?? find("pick")).focus();
  }

  show() {
    this.shown = performance.now();
    const listed = this.papers.slice(0, MAX_LISTED);
    list("read-list", listed.map((paper) => line(nameOf(paper), aboutOf(paper), paper.key)), this.papers.length);
    list("skipped-list", this.skipped.slice(0, MAX_LISTED).map((each) => line(placeOf(each), each.reason)), this.skipped.length);
    find("read-count").textContent = count(this.papers.length, "paper");
    find("skipped-count").textContent = `${this.skipped.length} skipped`;
    find("read").hidden = !this.papers.length;
    find("skipped").hidden = !this.skipped.length;
    find("forget").hidden = !this.papers.length && !this.skipped.length;
    this.onChange();
    this.tell();
  }

  tell() {
    const isReading = this.stopping && this.queue.length;
    const found = `${count(this.papers.length, "paper")}${this.skipped.length ? `, ${this.skipped.length} skipped` : ""}`;
    const file = isReading ? this.queue[0].name : "";
    const told = isReading ? `Reading file ${this.done + 1} of ${this.done + this.queue.length}: ${file}` : `${found}.`;
    find("intake-status").textContent = this.papers.length || this.skipped.length || isReading ? told : "";
    find("intake-status").classList.toggle("unseen", !isReading); // the lists say it to who sees them
    find("drop").setAttribute("aria-busy", String(Boolean(isReading)));
  }
}

export const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
export const placeOf = ({ file, record }) => (record > 1 ? `${file}, record ${record}` : file) || "";
export const nameOf = (paper) => paper.title || placeOf(paper) || `Paper ${paper.key}`;

// As "Arden, Torvik et al. 2019".
export function aboutOf({ authors = [], year }) {
  const names = authors.slice(0, 2).map((name) => name.split(" ").at(-1));
  return [names.join(", ") + (authors.length > 2 ? " et al." : ""), year ?? ""].filter(Boolean).join(" ");
}

function list(id, lines, n) {
  const more = n > lines.length ? [line(`and ${n - lines.length} more`, "")] : [];
  find(id).replaceChildren(...lines, ...more);
}

function line(name, about, key) {
  const item = document.createElement("li");
  const small = document.createElement("small");
  small.textContent = about;
  item.append(name, " ", small);
  if (key === undefined) return item;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "bare";
  button.dataset.key = key;
  button.textContent = "Remove";
  button.setAttribute("aria-label", `Remove ${name}`);
  item.append(" ", button);
  return item;
}

async function filesBelow(entries, found = []) {
  for (const entry of entries) {
    if (entry?.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push({ file, name: entry.fullPath.replace(/^\//, "") });
    } else if (entry?.isDirectory) {
      const reader = entry.createReader();
      for (;;) {
        const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!part.length) break;
        await filesBelow(part, found);
      }
    }
  }
  return found;
}
