// Writes docs/options.md from the rows of packages/cli/src/config/options.ts: `node scripts/options-page.mjs`. test/docs.test.ts holds
// the page to what this writes.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

const SECTIONS = [
  [undefined, 'Above all sections', 'the run itself'],
  ['data', '[data]', 'what is read, and which part of it is held out'],
  ['train', '[train]', 'how the model is trained'],
  ['patcher', '[patcher]', 'how bytes are cut into patches'],
  ['entropy_model', '[entropy_model]', 'the small model whose entropies decide where patches begin'],
  ['model', '[model]', 'the sizes of the latent transformer'],
];

const number = (value) => String(Number.isInteger(value) ? value : Number(value.toFixed(4)));

/** The values that a row takes, in words. */
function values({ kind, choices, min, above, max, below, most }) {
  if (choices) return choices.map((word) => `\`${word}\``).join(', ');
  if (kind === 'boolean') return '`true`, `false`';
  if (kind === 'text') return 'text';
  if (kind === 'texts') return 'text, or a list of texts';
  const low = above !== undefined ? `above ${number(above)}` : min !== undefined ? `from ${number(min)}` : '';
  const high = below !== undefined ? `below ${number(below)}` : max !== undefined ? `to ${number(max)}` : '';
  const bounds = [low, high]
    .filter((text) => text !== '')
    .join(low.startsWith('from') && below === undefined ? ' ' : ', ');
  if (kind === 'wholes') return `list of at most ${most} whole numbers ${bounds}`;
  return `${kind === 'whole' ? 'whole number' : 'number'} ${bounds}`;
}

const cell = (text) => text.replaceAll('|', '\\|');

function tableRow(row, flag) {
  const { key, kind, library, resume, doc } = row;
  const otherwise = row.default === '' ? (kind === 'boolean' ? 'off' : 'none') : row.default;
  const cells = [
    `\`${key}\``,
    `\`--${flag}\``,
    doc,
    values(row),
    otherwise,
    library ? `\`${library}\`` : '',
    resume ? 'yes' : '',
  ];
  return `| ${cells.map(cell).join(' | ')} |`;
}

/** The page, of the rows of options.ts and the flag of each. */
export function optionsPage(rows, flagOf) {
  const sections = SECTIONS.map(([name, title, what]) => {
    const lines = rows.filter(({ section }) => section === name).map((row) => tableRow(row, flagOf(row)));
    return `## ${title}\n\n${what[0].toUpperCase()}${what.slice(1)}.\n
| key | flag | meaning | values | without it | in \`RunOptions\` | with \`--resume\` |
|---|---|---|---|---|---|---|
${lines.join('\n')}`;
  });
  return `# Options of \`blt train\`

<!-- Written by scripts/options-page.mjs. Change packages/cli/src/config/options.ts instead. -->

Every option has a key in the config file (\`blt train --config run.toml\`) and a flag. Flags win over the file. An option that is in
neither follows from \`--size\`, from the data, or from the default in the column "without it". The library takes the same value
under the name in the column "in \`RunOptions\`". A run that goes on (\`--resume\`) takes only what leaves the steps before it as they are.

${sections.join('\n\n')}
`;
}

/** The page as the code is now. */
export async function currentPage() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['packages/cli/src/config/options.ts'],
    bundle: true,
    format: 'esm',
    platform: 'node',
    write: false,
    logLevel: 'warning',
  });
  const { OPTIONS, flagOf } = await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
  );
  return optionsPage(OPTIONS, flagOf);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(join(root, 'docs/options.md'), await currentPage());
}
