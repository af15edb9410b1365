// Writes docs/ops.md: the operations and their names elsewhere, from scripts/ops-names.json. `node scripts/ops-page.mjs`
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './workspace.mjs';

/** Chapters of [ours, PyTorch, JAX, jax-js, tfjs]; '' where a library has none. */
export const chapters = JSON.parse(readFileSync(join(root, 'scripts/ops-names.json'), 'utf8'));

const HEADER = `# Operations, and their names elsewhere

\`node scripts/ops-page.mjs\` writes this page from [ops-names.json](../scripts/ops-names.json), and
[ops-page.test.ts](../test/ops-page.test.ts) checks that each name in the first column is exported. \`@blt-ts/autograd\` exports
all of them as functions. \`import '@blt-ts/autograd/methods'\` makes most of them methods of tensors too. A dash says that a
library has no function for it.

PyTorch's names are under \`torch\`, those of JAX under \`jax.numpy\` or \`jax\`, those of jax-js 0.1.25 under \`numpy\` or the
package, those of tfjs 4.22 under \`tf\`. A name in the same row does the same thing, but its arguments may differ.

Where defaults differ, ours are mostly those of PyTorch. \`variance\` and \`std\` divide by n - 1, and in JAX and tfjs by n.
\`gelu\` is exact, and JAX's takes the approximation by tanh. But \`crossEntropy\` gives one loss for each row, where PyTorch's
gives the mean of them.
`;

export function opsPage() {
  const cell = (name) => (name === '' ? '-' : `\`${name}\``);
  const tables = chapters.map(
    ([title, rows]) =>
      `\n## ${title}\n\n| here | PyTorch | JAX | jax-js | tfjs |\n|---|---|---|---|---|\n${rows.map((row) => `| ${row.map(cell).join(' | ')} |\n`).join('')}`,
  );
  return HEADER + tables.join('');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) writeFileSync(join(root, 'docs/ops.md'), opsPage());
