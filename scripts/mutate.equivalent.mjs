// Mutants that compute the same function: no test can notice them. Each with the reason.
const rowSparse = 'packages/autograd/src/row-sparse.ts';
const sortedEntries = 'const order = Uint32Array.from(entryIds.keys()).sort((x, y) => entryIds[x] - entryIds[y] || ';
const allRows = '? this.parts[0].rows : concat(this.parts.map((p) => p.rows));';

const rules = 'packages/autograd/src/rules.ts';
const reduce = 'packages/autograd/src/ops/reduce.ts';
const elementwise = 'packages/autograd/src/ops/elementwise.ts';
const swapped = (before) => ({
  file: elementwise,
  before,
  after: before.replace('pair(a, b)', 'pair(b, a)'),
  why: 'the order of the operands does not matter',
});

const either = (file, before, after, why) => ({ file, before, after, why });

export const equivalents = [
  ...[
    "swiGlu:         { reads: BOTH, rematerializable: true, vjp: (g, { ins: [a, b] }) => applyAll('swiGluBackward', [a, b, g], {}) },",
    "rmsNorm:         { reads: BOTH, rematerializable: true, vjp: (g, { ins: [x, w], attrs }) => applyAll('rmsNormBackward', [x, w, g], attrs) },",
  ].map((before) =>
    either(rules, before, before.replace('true', 'false'), 'decides what is kept in memory, not what comes out'),
  ),
  either(
    'packages/cli/src/files/write-model-folder.ts',
    'const bytes = (tensor.bytes / (elementBytes[tensor.dtype] ?? width)) * width;',
    'const bytes = (tensor.bytes / (elementBytes[tensor.dtype])) * width;',
    'a tensor of a type without a width is refused when it is written',
  ),
  either(
    'packages/tensor/src/reference/elementwise.ts',
    'return;',
    ';',
    'operands of one shape are computed once more, the general way, with the same results',
  ),
  either(
    'packages/cli/src/files/checkpoint-files.ts',
    'const n = readSync(descriptor, into, done, Math.min(into.length - done, 2 ** 30), position + done);',
    'const n = readSync(descriptor, into, done, Math.min(into.length - done, 1 ** 30), position + done);',
    'the same bytes, one at a time',
  ),
  either(
    'packages/cli/src/run/lock.ts',
    'for (let attempt = 0; ; attempt++) {',
    'for (let attempt = 1; ; attempt++) {',
    'a free lock is waited for as a stale one is: slower, no less safe',
  ),
  ...[
    "if ((await readFile(this.path, 'utf8').catch(() => '')) === this.text) await rm(this.path, { force: true });",
    'await rm(own, { force: true }).catch(() => {});',
  ].map((before) =>
    either('packages/cli/src/run/lock.ts', before, before.replace('true', 'false'), 'the file is there, or no matter'),
  ),
  either(
    'packages/cli/src/files/atomic-folder.ts',
    'await fs.rm(temporary, { recursive: true, force: true }).catch(() => {});',
    'await fs.rm(temporary, { recursive: true, force: false }).catch(() => {});',
    'that there is nothing to delete is passed over either way',
  ),
  either(
    rules,
    'for (let e = begin; e < end; e++) {',
    'for (let e = begin; e <= end; e++) {',
    'a typed array drops what is written behind its end',
  ),
  either(
    'packages/tensor/src/safetensors/header.ts',
    "const fault = begin < at ? 'overlaps the tensor before it, which ends' : 'leaves a hole: the data before it ends';",
    "const fault = begin <= at ? 'overlaps the tensor before it, which ends' : 'leaves a hole: the data before it ends';",
    'only asked where begin and at differ',
  ),
  either(
    'packages/cli/src/run/metrics-file.ts',
    'rmSync(temporary, { force: true });',
    'rmSync(temporary, { force: false });',
    'the file is there: it was written just before',
  ),
  either(
    'packages/cli/src/files/atomic-folder.ts',
    'await fs.rm(trash, { recursive: true, force: true });',
    'await fs.rm(trash, { recursive: true, force: false });',
    'the folder is there: it was renamed to that just before',
  ),
  either(
    'packages/cli/src/files/checkpoint-files.ts',
    'await rm(folder, { recursive: true, force: true });',
    ';',
    'rename takes the place of an empty folder by itself, but not on Windows',
  ),
  ...[
    'scaled(b, g, a, needs[0]), scaled(g, a, b, needs[1])',
    'scaled(g, b, a, needs[0]), scaled(a, g, b, needs[1])',
  ].map((swap) => {
    const rule = (products) => `mul:     { reads: BOTH,    vjp: (g, { ins: [a, b], needs }) => [${products}] },`;
    const before = rule('scaled(g, b, a, needs[0]), scaled(g, a, b, needs[1])');
    return either(rules, before, rule(swap), 'the order of factors does not matter');
  }),
  either(
    reduce,
    'return affine(sum(square(sub(x, y))), 1 / x.size);',
    'return affine(sum(square(sub(y, x))), 1 / x.size);',
    'a square does not tell signs',
  ),
  swapped("return apply('add', pair(a, b), {});"),
  swapped("return apply('mul', pair(a, b), {});"),
  ...['maximum', 'minimum', 'equal'].map((op) =>
    swapped(`export const ${op} = (a: Operand, b: Operand): Tensor => apply('${op}', pair(a, b), {});`),
  ),
  {
    file: rowSparse,
    before: `${sortedEntries}x - y);`,
    after: `${sortedEntries}x + y);`,
    why: 'sorting is stable: the second key only says so',
  },
  {
    file: rowSparse,
    before: `const rows = this.parts.length === 1 ${allRows}`,
    after: `const rows = this.parts.length === 0 ${allRows}`,
    why: 'one part concatenated is a copy of it',
  },
  {
    file: rowSparse,
    before: 'const total = this.parts.reduce((n, p) => n + p.ids.length, 0);',
    after: 'const total = this.parts.reduce((n, p) => n + p.ids.length, 1);',
    why: 'a capacity: only the entries that are filled are used',
  },
  {
    file: rowSparse,
    before: 'entries[count] = offset + Math.floor(e / part.groups);',
    after: 'entries[count] = offset + ((t) => t)(e / part.groups);',
    why: 'an Int32Array drops the fraction itself',
  },
];
