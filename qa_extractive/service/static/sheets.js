// The table to take along: as CSV, made here, and as a workbook, made by the service.

import { certaintyWords } from "./grid.js";
import { post, wellFormed } from "./service.js";
import { csvOf, saveBlob } from "./tables.js";

const PAPER_COLUMNS = ["title", "authors", "year", "doi", "file", "record"];
const CELL_COLUMNS = ["quote", "status", "how_sure", "verdict", "verdict_score", "score", "answerable", "sentence", "section", "page", "start", "end"];

const probOf = (value) => (value === null || value === undefined ? "" : value.toFixed(4));

// A line for each paper in the order shown, those that are hidden left out, and a group of columns a question.
export function evidenceCsv(grid) {
  const heads = grid.questions.flatMap((_, i) => ["question", ...CELL_COLUMNS].map((name) => `q${i + 1}_${name}`));
  const lines = shownOf(grid).map((paper) => [
    ...[paper.title, (paper.authors ?? []).join("; "), paper.year, paper.doi, paper.file, paper.record],
    ...grid.questions.flatMap((question) => [question, ...cellsOf(paper.cells.get(question))]),
  ]);
  return csvOf([[...PAPER_COLUMNS, ...heads], ...lines]);
}

function shownOf(grid) {
  const papers = new Map(grid.rows.map((row) => [row.line, row.paper]));
  return [...grid.table.tBodies[0].rows].filter((line) => !line.hidden).map((line) => papers.get(line));
}

function cellsOf(cell) {
  if (!cell) return CELL_COLUMNS.map(() => "");
  const probs = [cell.verdict, probOf(cell.verdict_score), probOf(cell.score), probOf(cell.answerable)];
  const place = [cell.sentence?.text, cell.section, cell.page, cell.start, cell.end];
  return [cell.text, cell.status, certaintyWords(cell), ...probs, ...place];
}

export const saveCsv = (grid) => saveBlob(new Blob([evidenceCsv(grid)], { type: "text/csv;charset=utf-8" }), "evidence.csv");

// All papers, whether a filter hides them or not.
export async function saveBook(grid, skipped, together) {
  const papers = grid.rows.map((row) => row.paper);
  const places = new Map(papers.map((paper, i) => [paper, i]));
  const body = {
    asked: grid.questions,
    rows: papers.map((paper) => rowOf(paper, grid.questions)),
    skipped: skipped.map(({ file, record, kind, reason }) => ({ file: file ?? "", record, kind, reason })),
    together: together.map((each) => togetherOf(each, places)),
  };
  const response = await post("v1/evidence/xlsx", wellFormed(JSON.stringify(body)));
  saveBlob(await response.blob(), "evidence.xlsx");
}

function rowOf(paper, questions) {
  const { title, authors = [], year = null, doi = null, file = "", record = 1 } = paper;
  const cells = questions.map((question) => sentOf(paper.cells.get(question)));
  return { title, authors, year, doi, file: file || "", record, cells };
}

function sentOf(cell) {
  if (!cell) return { status: "failed", error: "not read yet" };
  if (cell.status === "failed") return { status: "failed", error: cell.error };
  const { status, text, start, end, sentence, section, page, score, answerable, verdict, verdict_score } = cell;
  const place = { start, end, sentence: sentence?.text ?? null, section, page };
  return { status, quote: text, ...place, score, answerable, verdict, verdict_score };
}

function togetherOf({ question, tally, values, limits }, places) {
  const listed = values.map(({ paper, quote, number, unit, interval }) => ({ row: places.get(paper), quote, number, unit, interval }));
  const { yes, no, mixed, not_reported, yes_share } = tally ?? {};
  return { question, tally: tally && { yes, no, mixed, not_reported, yes_share }, values: listed, limits };
}
