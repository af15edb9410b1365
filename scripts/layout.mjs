// The layout of the sources in figures: `node scripts/layout.mjs [--root CHECKOUT] [--folders]` prints a Markdown table with a row a
// package. --root measures another checkout, so that a move of walls can be seen before and after; --folders adds each folder with the
// folders it imports from. Generated files are left out.
//   folders  that hold source files           floors   files on the longest chain of imports
//   arrows   between folders, one a pair      circles  groups of files that import each other
import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import ts from 'typescript';
import { circlesOf, importsIn, packages } from './circles.mjs';
import { root } from './workspace.mjs';

export const MOST_FILE_LINES = 300;
export const MOST_FUNCTION_LINES = 60;

/** Functions, methods and closures of more than MOST_FUNCTION_LINES lines, in words. */
export function longFunctions(path, text) {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found = [];
  const visit = (node) => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body) {
      const [first, last] = [node.getStart(), node.end].map((at) => tree.getLineAndCharacterOfPosition(at).line);
      const lines = last - first + 1;
      if (lines > MOST_FUNCTION_LINES) found.push(`${node.name?.getText() ?? 'a closure'} has ${lines} lines`);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

/** The files on the longest chain of imports. Arrows inside a circle are not followed twice. */
export function floorsOf(arrows) {
  const height = new Map();
  const heightOf = (file) => {
    if (height.has(file)) return height.get(file);
    height.set(file, 0);
    const below = (arrows.get(file) ?? []).filter((next) => next !== file).map(heightOf);
    height.set(file, 1 + below.reduce((most, floor) => Math.max(most, floor), 0));
    return height.get(file);
  };
  return [...arrows.keys()].reduce((most, file) => Math.max(most, heightOf(file)), 0);
}

/** The files in the source folder of one package. */
export function layoutOf(folder) {
  const all = importsIn(folder);
  const files = [...all.keys()].filter((file) => !file.endsWith('.generated.ts'));
  const roomOf = (file) => relative(folder, dirname(file)).split(sep).join('/') || '.';
  const texts = files.map((file) => ({ file, text: readFileSync(file, 'utf8') }));
  const lengths = texts.map(({ text }) => text.split('\n').length - 1);
  const rooms = new Map();
  for (const file of files) {
    const room = rooms.get(roomOf(file)) ?? rooms.set(roomOf(file), { files: 0, from: new Set() }).get(roomOf(file));
    room.files++;
    for (const next of all.get(file)) if (roomOf(next) !== roomOf(file)) room.from.add(roomOf(next));
  }
  return {
    files: files.length,
    lines: lengths.reduce((sum, n) => sum + n, 0),
    folders: rooms.size,
    floors: floorsOf(all),
    arrows: [...rooms.values()].reduce((sum, room) => sum + room.from.size, 0),
    circles: circlesOf(all).length,
    longFiles: lengths.filter((n) => n > MOST_FILE_LINES).length,
    longFunctions: texts.flatMap(({ file, text }) => longFunctions(file, text)).length,
    rooms,
  };
}

function print(checkout, withFolders) {
  const figures = packages().map((name) => ({ name, ...layoutOf(join(checkout, 'packages', name, 'src')) }));
  const headings = ['files', 'lines', 'folders', 'floors', 'arrows', 'circles', 'longFiles', 'longFunctions'];
  console.log(`| package | ${headings.slice(0, 6).join(' | ')} | files over 300 lines | functions over 60 lines |`);
  console.log(`|---|${headings.map(() => '---:|').join('')}`);
  for (const row of figures) console.log(`| ${row.name} | ${headings.map((key) => row[key]).join(' | ')} |`);
  if (!withFolders) return;
  console.log('\n| folder | files | imports from |\n|---|---:|---|');
  for (const { name, rooms } of figures) {
    for (const [room, { files, from }] of [...rooms].sort()) {
      console.log(`| ${name}/${room === '.' ? '' : room} | ${files} | ${[...from].sort().join(', ')} |`);
    }
  }
}

if (argv[1] && import.meta.url === pathToFileURL(argv[1]).href) {
  const { values } = parseArgs({
    options: { root: { type: 'string', default: root }, folders: { type: 'boolean', default: false } },
  });
  print(resolve(values.root), values.folders);
}
