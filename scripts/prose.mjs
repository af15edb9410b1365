// How the documentation reads, in numbers: `node scripts/prose.mjs [FILE.md ...]` prints for each file the number of sentences, the
// median, the 90th percentile and the longest in words, how many have more than 40, colons and semicolons per 100 words, and the
// longest cell of a table in characters. Sentences are those of the prose: tables, code and headings are left out. Without files: all pages
// but the laboratory, whose entries are notes. `--all` has the laboratory too. Exit code 1 if a file misses the bounds below.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './workspace.mjs';

export const MEDIAN_WORDS = 17;
export const MARKS_PER_100 = 1.5;
export const CELL_CHARACTERS = 200;

/** The paragraphs and list items of a Markdown text, without tables, code, headings, pictures and link targets. */
export function paragraphs(markdown) {
  const text = markdown
    .replace(/^(```|~~~)[\s\S]*?^\1.*$/gm, '\n\n')
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/^\s*\|.*$/gm, '\n\n')
    .replace(/^#+ .*$/gm, '\n\n')
    .replace(/!\[[^\]]*\]\([^)]*\)/g, '')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    // A piece of code is one word, whatever stands in it.
    .replace(/`[^`]*`/g, 'code')
    .replace(/https?:\S+/g, 'address')
    // Each item of a list begins anew.
    .replace(/^\s*(?:[-*+]|\d+\.) +/gm, '\n\n')
    .replace(/[*_]{1,2}(?=\S)|(?<=\S)[*_]{1,2}/g, '');
  return text
    .split(/\n\s*\n/)
    .map((p) => p.replace(/\s+/g, ' ').trim())
    .filter((p) => /[a-z]/i.test(p));
}

/** Sentences end with . ! or ? before a space and a capital, a digit or a bracket. */
export function sentences(markdown) {
  return paragraphs(markdown).flatMap((p) => p.split(/(?<=[.!?][)"']?) +(?=["'(]?[A-Z0-9]|code)/));
}

const words = (sentence) => sentence.split(' ').filter((w) => /[\p{L}\p{N}]/u.test(w)).length;

/** Characters of the longest cell of a table, as it is shown: without the targets of links. */
function longestCell(markdown) {
  const rows = markdown.match(/^\|.*\|$/gm) ?? [];
  const cells = rows.flatMap((row) => row.replace(/\]\([^)]*\)/g, ']').split(/(?<!\\)\|/));
  return cells.reduce((most, cell) => Math.max(most, cell.trim().length), 0);
}

/** Figures of one text. */
export function measure(markdown) {
  const lengths = sentences(markdown)
    .map(words)
    .filter((n) => n > 0)
    .sort((a, b) => a - b);
  const total = lengths.reduce((sum, n) => sum + n, 0);
  // Marks between clauses, not those of a time or a ratio such as 1:2.
  const marks =
    paragraphs(markdown)
      .join('\n')
      .match(/[:;](?=\s|$)/g)?.length ?? 0;
  const at = (q) => lengths[Math.min(lengths.length - 1, Math.floor(q * lengths.length))] ?? 0;
  return {
    sentences: lengths.length,
    words: total,
    median: at(0.5),
    p90: at(0.9),
    longest: lengths.at(-1) ?? 0,
    over40: lengths.filter((n) => n > 40).length,
    marks: total === 0 ? 0 : (100 * marks) / total,
    cell: longestCell(markdown),
  };
}

export const meets = (m) => m.median <= MEDIAN_WORDS && m.marks < MARKS_PER_100 && m.cell <= CELL_CHARACTERS;

/** Markdown files under a folder, without installed packages and what a reader of the exercises writes. */
function markdownIn(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ['node_modules', 'dist', 'mine'].includes(entry.name) ? [] : markdownIn(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** All pages: docs/, the READMEs, the changelog, and how to contribute. With `laboratory` the journal too. */
export function proseFiles(laboratory = true) {
  return ['docs', 'exercises', 'packages']
    .flatMap(markdownIn)
    .concat('README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md')
    .filter((path) => laboratory || !path.startsWith(join('docs', 'laboratory')))
    .map((path) => join(root, path))
    .sort();
}

if (process.argv[1] === import.meta.filename) {
  const args = process.argv.slice(2);
  const files = args.filter((a) => !a.startsWith('--'));
  const chosen = files.length > 0 ? files : proseFiles(args.includes('--all'));
  const head = ['file', 'sentences', 'words', 'median', 'p90', 'longest', '> 40', ': ; per 100', 'cell', ''];
  const rows = chosen.map((file) => {
    const m = measure(readFileSync(file, 'utf8'));
    const ok = meets(m);
    if (!ok) process.exitCode = 1;
    const cells = [
      m.sentences,
      m.words,
      m.median,
      m.p90,
      m.longest,
      m.over40,
      m.marks.toFixed(1),
      m.cell,
      ok ? '' : 'too much',
    ];
    return [relative(root, file), ...cells.map(String)];
  });
  const widths = head.map((_, i) => [head, ...rows].reduce((most, r) => Math.max(most, r[i].length), 0));
  for (const row of [head, ...rows]) {
    console.log(
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    );
  }
}
