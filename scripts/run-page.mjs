// Runs the TypeScript programs of a page on the built packages: `node scripts/run-page.mjs PAGE.md`. A program is a fenced block that is
// marked `ts` and nothing else. A block marked `ts from FILE` is quoted from that file and does not run. What a program prints stands
// behind each console.log as a comment, and test/derivations.test.ts holds the two together.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './workspace.mjs';

const fences = (markdown) =>
  [...markdown.matchAll(/^```(\S*)(.*)\n([\s\S]*?)^```$/gm)].map(([, language, rest, text]) => ({
    language,
    rest: rest.trim(),
    text,
  }));

/** Texts of the programs of a page, in its order. */
export function programs(markdown) {
  return fences(markdown)
    .filter(({ language, rest }) => language === 'ts' && rest === '')
    .map(({ text }) => text);
}

/** Pieces of source that a page quotes: the file, from the root of the repository, and the text. */
export function quotes(markdown) {
  return fences(markdown)
    .filter(({ rest }) => rest.startsWith('from '))
    .map(({ rest, text }) => ({ file: rest.slice('from '.length), text }));
}

/** The lines that a program says it prints: the comment behind each console.log, a line each. */
export function promised(program) {
  return [...program.matchAll(/console\.log\(.*\);(?: \/\/ (.*))?$/gm)].map(([, comment]) => comment ?? '');
}

if (process.argv[1] === import.meta.filename) {
  const pages = process.argv.slice(2);
  const refuse = (message) => {
    console.error(message);
    process.exit(2);
  };
  if (pages.length === 0) refuse('usage: node scripts/run-page.mjs PAGE.md ...');
  for (const page of pages) if (!existsSync(page)) refuse(`there is no file ${page}`);
  if (!existsSync(join(root, 'packages', 'blt', 'dist', 'index.js'))) {
    refuse('the packages are not built yet: npm run build');
  }
  const { transform } = await import('esbuild');
  // The packages that a program imports are looked for in the node_modules above it.
  const parent = join(root, 'node_modules', '.pages');
  mkdirSync(parent, { recursive: true });
  for (const page of pages) {
    const folder = mkdtempSync(join(parent, 'page-'));
    try {
      for (const [i, program] of programs(readFileSync(page, 'utf8')).entries()) {
        const { code } = await transform(program, { loader: 'ts', format: 'esm' });
        const file = join(folder, `program-${i + 1}.mjs`);
        writeFileSync(file, code);
        console.log(`\n> ${page}, program ${i + 1}`);
        await import(pathToFileURL(file).href);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
