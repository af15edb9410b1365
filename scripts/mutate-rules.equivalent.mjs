// Mutants that compute the same function: no test can notice them. Each with the reason.
const rowSparse = 'packages/autograd/src/row-sparse.ts';
const sortedEntries = 'const order = Uint32Array.from(entryIds.keys()).sort((x, y) => entryIds[x] - entryIds[y] || ';
const allRows = '? this.parts[0].rows : concat(this.parts.map((p) => p.rows));';

export const equivalents = [
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
