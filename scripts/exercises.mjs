// The exercises: `npm run exercises` shows the next unsolved one, `npm run exercises -- tanh` the one of that name, with `--hint` its hints and
// with `--solution` a solution. The reader's files are copies in exercises/mine, which git leaves alone. In a fresh clone it installs first.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepareSources, root } from './workspace.mjs';

const folder = join(root, 'exercises');
const names = readdirSync(join(folder, 'holes'))
  .map((file) => file.slice(0, -'.ts'.length))
  .sort();
const flags = process.argv.slice(2).filter((arg) => arg.startsWith('--'));
const [asked] = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const wanted = asked && names.find((name) => [name, name.slice(3), String(Number(name.slice(0, 2)))].includes(asked));
const strange = flags.find((flag) => flag !== '--hint' && flag !== '--solution');
if (strange || (asked && !wanted)) {
  const what = strange ? `there is no flag ${strange}` : `there is no exercise ${asked}`;
  console.error(
    `${what}; usage: npm run exercises -- [NAME] [--hint] [--solution], with NAME one of ${names.join(', ')}`,
  );
  process.exit(2);
}
await prepareSources();
const { build } = await import('esbuild');

/** The reader's file of an exercise, which begins as a copy of the hole. */
function ownFile(name) {
  const file = join(folder, 'mine', `${name}.ts`);
  mkdirSync(join(folder, 'mine'), { recursive: true });
  if (!existsSync(file)) copyFileSync(join(folder, 'holes', `${name}.ts`), file);
  return file;
}

/** Runs the laws of an exercise on the reader's file. */
async function gradeOwn(name) {
  ownFile(name);
  const outfile = join(root, 'node_modules/.exercises', `${name}-${process.pid}.mjs`);
  const contents = [
    `export { exercise } from './exercises/laws/${name}.ts';`,
    `export * as work from './exercises/mine/${name}.ts';`,
    `export { grade } from './exercises/grade.ts';`,
  ].join('\n');
  const common = { absWorkingDir: root, bundle: true, format: 'esm', platform: 'node', target: 'node20' };
  try {
    await build({
      ...common,
      stdin: { contents, resolveDir: root },
      outfile,
      external: ['esbuild', 'assemblyscript/asc'],
      conditions: ['@blt-ts/source'],
      logLevel: 'silent',
    });
  } catch ({ errors = [] }) {
    const lines = errors.map(({ text, location }) => `${location ? `line ${location.line}: ` : ''}${text}`);
    return { state: 'wrong', text: `reason  ${lines.join('\n        ')}`, hints: [] };
  }
  const { exercise, work, grade } = await import(pathToFileURL(outfile).href);
  rmSync(outfile);
  return { ...grade(exercise, work), hints: exercise.hints };
}

function show(name, { state, text, hints }) {
  const path = `exercises/mine/${name}.ts`;
  console.log(`\nexercise ${Number(name.slice(0, 2))} of ${names.length}\n`);
  console.log(readFileSync(ownFile(name), 'utf8'));
  if (state === 'solved') console.log('It is solved: every law holds.');
  else if (state === 'unsolved') console.log(`${text} Write your code in ${path}, in the place of hole(...).`);
  else console.log(`${path} is not right yet.\n${text}`);
  if (flags.includes('--hint')) hints.forEach((hint, i) => void console.log(`hint ${i + 1}  ${hint}`));
  if (flags.includes('--solution')) console.log(`\n${readFileSync(join(folder, 'solutions', `${name}.ts`), 'utf8')}`);
  if (state !== 'solved') console.log('Then run this again. --hint shows hints, --solution a solution.');
}

let solved = 0;
for (const name of wanted ? [wanted] : names) {
  const verdict = await gradeOwn(name);
  if (wanted || verdict.state !== 'solved') {
    show(name, verdict);
    process.exitCode = verdict.state === 'solved' ? 0 : 1;
    break;
  }
  console.log(`${name}  solved`);
  solved++;
}
if (!wanted && solved === names.length) console.log('\nAll exercises are solved.');
