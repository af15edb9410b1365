// Draws the figures of docs/figures/ from the code itself: `node scripts/figures.mjs`. The boundaries of patches and the intervals of
// attention are computed by packages/blt, and the path of a call is checked against the files it names. test/docs.test.ts holds the
// files in docs/figures/ to what this draws.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

/** The path of a call: each hop is a symbol, the file where it is defined, and what it adds. Change it here when the code moves. */
export const HOPS = [
  { symbol: 'linear', file: 'packages/autograd/src/ops/matmul.ts', adds: 'x Wᵀ as a matrix product' },
  { symbol: 'matmul', file: 'packages/autograd/src/ops/matmul.ts', adds: 'leading axes become rows' },
  { symbol: 'applyAll', file: 'packages/autograd/src/tape.ts', adds: 'runs the kernel, records it on open tapes' },
  { symbol: 'run', file: 'packages/tensor/src/run.ts', adds: 'checks shapes, allocates the result, counts FLOPs' },
  { symbol: 'run', file: 'packages/tensor/src/wasm/backend.ts', adds: 'picks WebAssembly or the definition' },
  {
    symbol: 'matmul',
    file: 'packages/tensor/src/wasm/bindings/matmul.ts',
    adds: 'writes addresses, sizes and strides',
  },
  { symbol: 'call', file: 'packages/tensor/src/wasm/runtime.ts', adds: 'wakes the threads if that pays' },
  {
    symbol: 'matmul',
    file: 'packages/tensor/src/wasm/assembly/matmul/kernel.ts',
    adds: 'hands pieces of C to the threads',
  },
  {
    symbol: 'gemm',
    file: 'packages/tensor/src/wasm/assembly/matmul/gemm.ts',
    adds: 'packs blocks of A and B for the caches',
  },
  {
    symbol: 'tile6x16',
    file: 'packages/tensor/src/wasm/assembly/matmul/tile-6x16.ts',
    adds: 'keeps 6 x 16 sums in registers',
  },
  { symbol: 'madd', file: 'packages/tensor/src/wasm/assembly/core/simd.ts', adds: 'a · b + c on four floats' },
];

/** How a definition of a symbol looks, as a function, a constant or a method. */
const defines = (text, symbol) =>
  new RegExp(`(?:function|const|class) ${symbol}\\b|^\\s+${symbol}(?:<[^>]*>)?\\(`, 'm').test(text);

// Light colours for areas and dark ones for lines, told apart in brightness too.
const AREAS = ['#cfe3f7', '#fde3b5', '#d5ecd0', '#f3d3e2', '#e1d8f2', '#d9d9d9'];
const LINES = ['#2f6fb0', '#b07407', '#3d8a3a', '#ab3d74', '#6a4fb0', '#555555'];
const INK = '#1f2933';
const MUTED = '#5b6670';
const SANS = "system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif";
const MONO = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace";

const escaped = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
const n = (x) => String(Math.round(x * 100) / 100);
const text = (x, y, s, { size = 13, anchor = 'start', fill = INK, mono = false, weight = 400 } = {}) =>
  `<text x="${n(x)}" y="${n(y)}" font-size="${size}" text-anchor="${anchor}" fill="${fill}"` +
  `${mono ? ` font-family="${MONO}"` : ''}${weight === 400 ? '' : ` font-weight="${weight}"`}>${escaped(s)}</text>`;
const rect = (x, y, w, h, fill, stroke = 'none', radius = 0) =>
  `<rect x="${n(x)}" y="${n(y)}" width="${n(w)}" height="${n(h)}" rx="${radius}" fill="${fill}" stroke="${stroke}"/>`;
const line = (x1, y1, x2, y2, stroke, extra = '') =>
  `<line x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}" stroke="${stroke}"${extra}/>`;

/** A whole picture: white with round corners, so that it reads on a dark page too. */
const picture = (width, height, title, parts) =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="${SANS}">`,
    `<title>${escaped(title)}</title>`,
    rect(0, 0, width, height, '#ffffff', 'none', 10),
    ...parts,
    '</svg>',
    '',
  ].join('\n');

const shown = (id, offset) => (id < offset ? ['BOE', 'BOS', 'EOS', 'BPE'][id] : String.fromCharCode(id - offset));
const glyph = (s) => (s === ' ' ? '␣' : s);

/** Text cut at spaces, as the model reads it. */
function row(blt, string, options = {}) {
  const ids = blt.encode(string, options);
  return { ids, patchLengths: blt.modelPatchLengths(ids, null, { mode: 'space' }) };
}

/** Figure 1: bytes, patches, and the decoder's shift by one byte. */
export function bytesAndPatches(blt) {
  const cut = row(blt, 'Call me Ishmael.');
  const k = 2;
  const layout = blt.buildLayout([cut], { window: null, documents: true, k });
  const { ids, patches, patchStarts, patchOfByte, decoderCross } = layout;
  const cell = 36;
  const left = 124;
  const width = left + ids.length * cell + 24;
  const at = (i) => left + i * cell;
  const parts = [];
  const label = (y, first, second) => {
    parts.push(text(18, y, first, { weight: 600 }));
    if (second) parts.push(text(18, y + 16, second, { size: 11, fill: MUTED }));
  };
  const [yIndex, yBytes, yPatches, yDecoder, yNext] = [66, 76, 166, 266, 322];
  parts.push(text(18, 32, 'Bytes, patches, and the decoder’s shift by one byte', { size: 16, weight: 600 }));
  label(yBytes + 16, 'byte i', 'encoder');
  label(yPatches + 16, 'patch j', 'global model');
  label(yDecoder + 16, 'byte i', 'decoder');
  label(yNext + 16, 'byte i + 1', 'predicted');

  const band = (x1, x2, y1, x3, x4, y2, fill) =>
    `<path d="M${n(x1)} ${y1}H${n(x2)}C${n(x2)} ${(y1 + y2) / 2} ${n(x4)} ${(y1 + y2) / 2} ${n(x4)} ${y2}H${n(x3)}` +
    `C${n(x3)} ${(y1 + y2) / 2} ${n(x1)} ${(y1 + y2) / 2} ${n(x1)} ${y1}Z" fill="${fill}" fill-opacity="0.55"/>`;
  for (let j = 0; j < patches; j++) {
    const [from, to] = [at(patchStarts[j]) + 2, at(patchStarts[j + 1]) - 2];
    parts.push(band(from, to, yBytes + 28, from, to, yPatches, AREAS[j]));
    const readers = [...ids.keys()].filter((i) => decoderCross.lo[i] === j * k);
    if (readers.length === 0) continue;
    parts.push(band(from, to, yPatches + 28, at(readers[0]) + 2, at(readers.at(-1) + 1) - 2, yDecoder, AREAS[j]));
  }
  for (let j = 0; j < patches; j++) {
    const [from, to] = [at(patchStarts[j]) + 2, at(patchStarts[j + 1]) - 2];
    parts.push(rect(from, yPatches, to - from, 28, AREAS[j], LINES[j], 5));
    const name = to - from > 60 ? `patch ${j}` : j;
    parts.push(text((from + to) / 2, yPatches + 19, name, { anchor: 'middle', weight: 600, fill: LINES[j] }));
  }
  for (let i = 0; i < ids.length; i++) {
    const read = decoderCross.lo[i] / k;
    const own = patchOfByte[i];
    const s = glyph(shown(ids[i], blt.BYTE_OFFSET));
    const size = s.length > 1 ? 11 : 15;
    const middle = at(i) + cell / 2;
    parts.push(text(middle, yIndex, i, { size: 10, anchor: 'middle', fill: MUTED }));
    parts.push(rect(at(i) + 2, yBytes, cell - 4, 28, AREAS[own], LINES[own], 4));
    parts.push(text(middle, yBytes + 19, s, { size, anchor: 'middle', mono: true }));
    parts.push(rect(at(i) + 2, yDecoder, cell - 4, 28, AREAS[read], LINES[read], 4));
    parts.push(text(middle, yDecoder + 19, s, { size, anchor: 'middle', mono: true }));
    const next = i + 1 < ids.length ? glyph(shown(ids[i + 1], blt.BYTE_OFFSET)) : '?';
    const nextPatch = i + 1 < ids.length ? patchOfByte[i + 1] : patches;
    parts.push(line(middle, yDecoder + 31, middle, yNext - 4, MUTED, ' marker-end="url(#arrow)"'));
    parts.push(rect(at(i) + 2, yNext, cell - 4, 28, '#ffffff', LINES[nextPatch], 4));
    parts.push(text(middle, yNext + 19, next, { size: 15, anchor: 'middle', mono: true, fill: LINES[nextPatch] }));
  }
  const y = yNext + 62;
  parts.unshift(
    `<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0L8 4L0 8Z" fill="${MUTED}"/></marker></defs>`,
  );
  const caption = [
    'A byte’s state joins the patch of its own colour. The decoder at byte i reads patch(i + 1) − 1, the newest',
    'patch that ended before the byte it predicts. So the last byte of a patch is the first to read it, because',
    'by then every byte of that patch is known and no byte of the next.',
  ];
  caption.forEach((words, i) => {
    parts.push(text(18, y + 20 * i, words));
  });
  return picture(
    width,
    y + 60,
    'Bytes are cut into patches; byte i of the decoder reads the patch before that of byte i+1',
    parts,
  );
}

/** One band matrix: a filled cell where a query (row) sees a key (column). */
function matrix(
  x,
  y,
  width,
  { title, keys, queries, keyName, queryName, interval, rule, area, ink, keyLines = [], queryLines = [] },
) {
  const cell = width / keys;
  const height = cell * queries;
  const parts = [
    text(x, y - 30, title, { size: 14, weight: 600 }),
    text(x, y - 9, `${keyName} →`, { size: 11, fill: MUTED }),
  ];
  parts.push(
    `<text transform="translate(${n(x - 9)} ${n(y)}) rotate(-90)" text-anchor="end" font-size="11" fill="${MUTED}">← ${escaped(queryName)}</text>`,
    rect(x, y, width, height, '#f6f7f8'),
  );
  for (let i = 0; i < queries; i++) {
    const [lo, hi] = [interval.lo[i], interval.hi[i]];
    if (hi > lo) parts.push(rect(x + lo * cell, y + i * cell, (hi - lo) * cell, cell, area));
  }
  const grid = [];
  for (let i = 0; i <= queries; i++) grid.push(`M${n(x)} ${n(y + i * cell)}H${n(x + width)}`);
  for (let j = 0; j <= keys; j++) grid.push(`M${n(x + j * cell)} ${n(y)}V${n(y + height)}`);
  parts.push(`<path d="${grid.join('')}" stroke="#ffffff" stroke-width="1.2" fill="none"/>`);
  for (const [lines, vertical] of [
    [keyLines, true],
    [queryLines, false],
  ]) {
    for (const i of lines) {
      const dash = ' stroke-width="1.3" stroke-dasharray="4 3"';
      parts.push(
        vertical
          ? line(x + i * cell, y, x + i * cell, y + height, ink, dash)
          : line(x, y + i * cell, x + width, y + i * cell, ink, dash),
      );
    }
  }
  parts.push(rect(x, y, width, height, 'none', '#b8c0c8'));
  rule.forEach((r, i) => {
    parts.push(text(x, y + height + 20 + 17 * i, r, { size: 12 }));
  });
  return { parts, bottom: y + height + 20 + 17 * rule.length };
}

/** Figure 2: the four interval attentions as band matrices. */
export function intervals(blt) {
  const first = row(blt, 'to be or', { bos: true, eos: true });
  const second = blt.encode('not to', { bos: true });
  const ids = Int32Array.from([...first.ids, ...second]);
  const patchLengths = blt.modelPatchLengths(ids, null, { mode: 'space' });
  const k = 2;
  const window = 6;
  const layout = blt.buildLayout([{ ids, patchLengths }], { window, documents: true, k });
  const { bytes: B, patches: P } = layout;
  const cut = first.ids.length;
  const patchCut = layout.patchOfByte[cut];
  const width = 300;
  const [x1, x2] = [48, 48 + width + 72];
  const y1 = 122;
  const common = { k };
  const a = matrix(x1, y1, width, {
    ...common,
    title: 'local self-attention',
    keys: B,
    queries: B,
    keyName: 'byte',
    queryName: 'byte i',
    interval: layout.local,
    rule: [`itself and the ${window - 1} bytes before it (window ${window}),`, 'in its own document'],
    area: '#8db9e4',
    ink: LINES[0],
    keyLines: [cut],
    queryLines: [cut],
  });
  const b = matrix(x2, y1, width, {
    ...common,
    title: 'global self-attention',
    keys: P,
    queries: P,
    keyName: 'patch',
    queryName: 'patch j',
    interval: layout.global,
    rule: ['itself and all patches before it,', 'in its own document'],
    area: '#f4c775',
    ink: LINES[1],
    keyLines: [patchCut],
    queryLines: [patchCut],
  });
  const y2 = Math.max(a.bottom, b.bottom) + 72;
  const c = matrix(x1, y2, width, {
    ...common,
    title: 'encoder cross-attention',
    keys: B,
    queries: P * k,
    keyName: 'byte',
    queryName: `${k} rows a patch`,
    interval: layout.encoderCross,
    rule: [`each of the k = ${k} rows of a patch sees`, 'the bytes of that patch'],
    area: '#9fcf96',
    ink: LINES[2],
  });
  const d = matrix(x2, y2, width, {
    ...common,
    title: 'decoder cross-attention',
    keys: P * k,
    queries: B,
    keyName: `${k} rows a patch`,
    queryName: 'byte i',
    interval: layout.decoderCross,
    rule: [`the k = ${k} rows of patch(i + 1) − 1,`, 'the newest patch that has ended'],
    area: '#dfa3c2',
    ink: LINES[3],
  });
  const height = Math.ceil(Math.max(c.bottom, d.bottom)) + 8;
  const drawn = [...ids].map((id) => glyph(shown(id, blt.BYTE_OFFSET))).join(' ');
  const parts = [
    text(18, 32, 'Four attentions, four pairs of arrays lo and hi', { size: 16, weight: 600 }),
    text(18, 54, `Row i is filled from lo[i] to hi[i] − 1. Text: ${drawn}`, { size: 12, fill: MUTED }),
    ...[a, b, c, d].flatMap((m) => m.parts),
  ];
  return picture(
    x2 + width + 28,
    height,
    'The four attention patterns as band matrices: which keys each query sees',
    parts,
  );
}

/** Figure 3: the path of a call from linear() to the SIMD multiply. */
export function pathOfACall() {
  for (const { file, symbol } of HOPS) {
    const path = join(root, file);
    if (!existsSync(path)) throw new Error(`figures: ${file} is gone; mend HOPS in scripts/figures.mjs`);
    if (!defines(readFileSync(path, 'utf8'), symbol)) {
      throw new Error(`figures: ${file} defines no ${symbol}; mend HOPS in scripts/figures.mjs`);
    }
  }
  const [boxHeight, gap] = [46, 14];
  const [x, width, top] = [148, 600, 56];
  const floors = [
    ['packages/autograd/', 'autograd', 'gradients', 0],
    ['packages/tensor/src/wasm/assembly/', 'WebAssembly', 'AssemblyScript', 2],
    ['packages/tensor/', 'tensor', 'TypeScript', 1],
  ];
  const floorOf = (file) => floors.find(([prefix]) => file.startsWith(prefix));
  const parts = [text(18, 32, 'From linear() to the SIMD multiply', { size: 16, weight: 600 })];
  const places = HOPS.map((hop, i) => ({ ...hop, y: top + i * (boxHeight + gap), floor: floorOf(hop.file) }));
  for (const floor of floors) {
    const mine = places.filter((hop) => hop.floor === floor);
    if (mine.length === 0) continue;
    const [, name, note, colour] = floor;
    const [from, to] = [mine[0].y - 6, mine.at(-1).y + boxHeight + 6];
    parts.push(rect(18, from, x + width - 4, to - from, AREAS[colour], 'none', 8));
    parts.push(text(30, from + 25, name, { weight: 600, fill: LINES[colour] }));
    parts.push(text(30, from + 42, note, { size: 11, fill: MUTED }));
  }
  places.forEach(({ symbol, file, adds, y, floor }, i) => {
    parts.push(rect(x, y, width, boxHeight, '#ffffff', LINES[floor[3]], 6));
    parts.push(text(x + 14, y + 28, symbol, { size: 14, mono: true, weight: 600 }));
    parts.push(text(x + 188, y + 19, adds, { size: 13 }));
    parts.push(
      text(x + 188, y + 37, file.replace('packages/', '').replace('/src', ''), { size: 11, mono: true, fill: MUTED }),
    );
    if (i + 1 < places.length) {
      const [from, to] = [y + boxHeight, y + boxHeight + gap];
      parts.push(line(x + 40, from, x + 40, to - 1, MUTED, ' stroke-width="1.5" marker-end="url(#down)"'));
    }
  });
  parts.unshift(
    `<defs><marker id="down" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0L8 4L0 8Z" fill="${MUTED}"/></marker></defs>`,
  );
  const height = top + HOPS.length * (boxHeight + gap) + 8;
  return picture(x + width + 32, height, 'The path of a call, from linear() to a multiply-add on four floats', parts);
}

const arrowHead = (id, colour) =>
  `<marker id="${id}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8Z" fill="${colour}"/></marker>`;

/** Figure 4: RoPE turns a pair by its position, and only the distance of two positions is left between them. */
export function ropeRotation() {
  const unit = 62;
  const [cy, radius] = [196, 118];
  const parts = [
    text(18, 32, 'RoPE turns each pair by an angle that grows with its position', { size: 16, weight: 600 }),
  ];
  parts.unshift(
    `<defs>${LINES.slice(0, 4)
      .map((c, i) => arrowHead(`turn${i}`, c))
      .join('')}</defs>`,
  );
  const arrow = (cx, angle, length, colour) =>
    line(
      cx,
      cy,
      cx + length * Math.cos(angle),
      cy - length * Math.sin(angle),
      LINES[colour],
      ` stroke-width="2.6" marker-end="url(#turn${colour})"`,
    );
  const arc = (cx, r, from, to, colour) =>
    `<path d="M${n(cx + r * Math.cos(from))} ${n(cy - r * Math.sin(from))}A${r} ${r} 0 ${to - from > Math.PI ? 1 : 0} 0 ${n(cx + r * Math.cos(to))} ${n(cy - r * Math.sin(to))}" fill="none" stroke="${LINES[colour]}" stroke-width="1.6" stroke-dasharray="4 3"/>`;
  const label = (cx, angle, length, words, colour) => {
    const [x, y] = [cx + length * Math.cos(angle), cy - length * Math.sin(angle)];
    const anchor = Math.cos(angle) < -0.3 ? 'end' : Math.cos(angle) > 0.3 ? 'start' : 'middle';
    parts.push(text(x, y + 4, words, { size: 12, anchor, fill: LINES[colour], weight: 600 }));
  };
  const circle = (cx) => {
    parts.push(`<circle cx="${cx}" cy="${cy}" r="${radius}" fill="#f6f7f8" stroke="#d5dade"/>`);
    parts.push(
      line(cx - radius - 8, cy, cx + radius + 8, cy, '#d5dade'),
      line(cx, cy - radius - 8, cx, cy + radius + 8, '#d5dade'),
    );
  };
  // The pair (1, 2) of the worked example, turned by acos(0.6).
  const [from, by, length] = [Math.atan2(2, 1), Math.acos(0.6), Math.sqrt(5)];
  const c1 = 152;
  circle(c1);
  parts.push(
    arc(c1, 42, from, from + by, 3),
    arrow(c1, from, (length * unit * radius) / 139, 0),
    arrow(c1, from + by, (length * unit * radius) / 139, 1),
  );
  label(c1, from, radius + 12, '(1, 2)', 0);
  label(c1, from + by, radius + 12, '(−1, 2)', 1);
  parts.push(text(c1, cy + radius + 34, 'cos = 0.6 and sin = 0.8:', { anchor: 'middle' }));
  parts.push(text(c1, cy + radius + 52, 'the length stays', { anchor: 'middle' }));
  // q and k at two pairs of places, the same distance apart. The angles are those of pair 0 at half a radian a position.
  [
    [3, 1],
    [5, 3],
  ].forEach(([m, k], i) => {
    const c = 440 + 290 * i;
    circle(c);
    parts.push(arc(c, 56, k / 2, m / 2, 3), arrow(c, m / 2, radius - 2, 0), arrow(c, k / 2, radius - 2, 2));
    label(c, m / 2, radius + 12, `q at ${m}`, 0);
    label(c, k / 2, radius + 12, `k at ${k}`, 2);
    label(c, (m + k) / 4, 62, `${m} − ${k}`, 3);
    parts.push(text(c, cy + radius + 34, `positions ${m} and ${k}:`, { anchor: 'middle' }));
    parts.push(
      text(c, cy + radius + 52, i === 0 ? 'q · k depends on the angle between' : 'the same angle, the same q · k', {
        anchor: 'middle',
      }),
    );
  });
  return picture(
    882,
    cy + radius + 70,
    'RoPE turns a pair by its position; the angle between query and key depends on their distance alone',
    parts,
  );
}

/** Figure 5: the pattern of an attention read by rows and by columns. Both are intervals. */
export function transposedInterval(blt) {
  const documents = [blt.encode('to be', { bos: false, eos: true }), blt.encode('or not', { bos: false, eos: false })];
  const ids = Int32Array.from(documents.flatMap((document) => [...document]));
  const { local } = blt.byteLayout([ids], { window: 4, documents: true });
  const size = ids.length;
  const [i0, j0] = [4, 7];
  const seen = (j) => [...ids.keys()].filter((i) => local.lo[i] <= j && j < local.hi[i]);
  const [width, y, x1] = [330, 118, 52];
  const x2 = x1 + width + 92;
  const cell = width / size;
  const one = (x, title, rule) =>
    matrix(x, y, width, {
      title,
      keys: size,
      queries: size,
      keyName: 'key j',
      queryName: 'query i',
      interval: local,
      rule,
      area: '#cfe3f7',
      ink: LINES[0],
    });
  const a = one(x1, 'forward: a row', [
    `query ${i0} sees the keys lo = ${local.lo[i0]} to hi − 1 = ${local.hi[i0] - 1},`,
    'and gathers their values',
  ]);
  const queries = seen(j0);
  const b = one(x2, 'backward: a column', [
    `key ${j0} is seen by the queries ${queries[0]} to ${queries.at(-1)},`,
    'and gathers their gradients',
  ]);
  const mark = (x, i, j, w, h, colour) => rect(x + j * cell, y + i * cell, w * cell, h * cell, colour, '#ffffff', 2);
  const parts = [
    text(18, 32, 'The same pattern read by rows and by columns: intervals both ways', { size: 16, weight: 600 }),
    text(
      18,
      54,
      `Local attention over bytes, window 4, two documents of ${documents.map(({ length }) => length).join(' and ')} ids.`,
      { size: 12, fill: MUTED },
    ),
    ...a.parts,
    mark(x1, i0, local.lo[i0], local.hi[i0] - local.lo[i0], 1, LINES[0]),
    ...b.parts,
    mark(x2, queries[0], j0, 1, queries.length, LINES[1]),
  ];
  for (let i = 0; i < size; i++) {
    parts.push(
      text(x1 + width + 8, y + (i + 0.68) * cell, `${local.lo[i]}..${local.hi[i] - 1}`, {
        size: 11,
        mono: true,
        fill: i === i0 ? LINES[0] : MUTED,
        weight: i === i0 ? 600 : 400,
      }),
    );
  }
  return picture(
    x2 + width + 30,
    Math.ceil(Math.max(a.bottom, b.bottom)) + 8,
    'Interval attention: the keys that a query sees are an interval, and so are the queries that see a key',
    parts,
  );
}

/** Figure 6: which pieces of a product lie where while the innermost loop runs. The sizes are read from the sources. */
export function blocking() {
  const source = (file) => readFileSync(join(root, 'packages/tensor/src/wasm/assembly/matmul', file), 'utf8');
  const size = (name) => {
    const found = new RegExp(`const ${name} = (\\d+);`).exec(source('gemm.ts'));
    if (!found) throw new Error(`figures: gemm.ts has no constant ${name}; mend the figure of its blocks`);
    return Number(found[1]);
  };
  const [KC, MC, NC] = ['KC', 'MC', 'NC'].map(size);
  const wide = (name) => Number(new RegExp(`${name}\\(\\)[^?]*\\? (\\d+)`).exec(source('pack.ts'))[1]);
  const [rows, columns] = [wide('panelRows'), wide('panelColumns')];
  const kB = (floats) => `${Math.round((floats * 4) / 1024)} KB`;
  const [k, m, c, gap] = [190, 220, 270, 44];
  const [xA, xC] = [40, 40 + k + gap];
  const [yB, yC] = [84, 84 + k + gap];
  const grey = '#f6f7f8';
  const edge = '#b8c0c8';
  const parts = [
    text(18, 32, 'Blocks of a product, and where they lie while the innermost loop runs', { size: 16, weight: 600 }),
    text(xC, yB - 12, 'B   K × N', { weight: 600 }),
    text(xA, yC - 12, 'A   M × K', { weight: 600 }),
    text(xC, yC - 12, 'C   M × N', { weight: 600 }),
    rect(xC, yB, c, k, grey, edge),
    rect(xA, yC, k, m, grey, edge),
    rect(xC, yC, c, m, grey, edge),
  ];
  const [kAt, kSize, nAt, nSize, mAt, mSize] = [50, 96, 40, 160, 56, 110];
  const [panelAt, panelSize, rowsAt, rowsSize] = [88, 32, 34, 16];
  parts.push(rect(xC + nAt, yB + kAt, nSize, kSize, AREAS[0], LINES[0]));
  parts.push(rect(xC + nAt + panelAt, yB + kAt, panelSize, kSize, LINES[0]));
  parts.push(rect(xA + kAt, yC + mAt, kSize, mSize, AREAS[1], LINES[1]));
  parts.push(rect(xA + kAt, yC + mAt + rowsAt, kSize, rowsSize, LINES[1]));
  parts.push(rect(xC + nAt, yC + mAt, nSize, mSize, AREAS[2], LINES[2]));
  parts.push(rect(xC + nAt + panelAt, yC + mAt + rowsAt, panelSize, rowsSize, LINES[2]));
  const x = xC + c + 36;
  const legend = [
    [LINES[2], `tile of C: ${rows} × ${columns} sums`, 'in registers, until the block’s k have run'],
    [
      LINES[0],
      `panel of B: ${columns} columns, ${KC} k, ${kB(columns * KC)}`,
      'in the first-level cache, for all rows of A',
    ],
    [LINES[1], `panel of A: ${rows} rows, ${KC} k, ${kB(rows * KC)}`, 'streams past, from the second level'],
    [AREAS[1], `block of A: ${MC} rows, ${KC} k, ${kB(MC * KC)}`, 'packed, in the second-level cache'],
    [AREAS[0], `block of B: ${NC} columns, ${KC} k, ${kB(NC * KC)}`, 'packed, read once for each block of A'],
    [AREAS[2], 'block of C', 'read and written once for each block of k'],
  ];
  legend.forEach(([colour, name, where], i) => {
    const y = yB + 8 + i * 62;
    parts.push(rect(x, y, 20, 20, colour, edge, 3));
    parts.push(text(x + 30, y + 8, name, { weight: 600 }), text(x + 30, y + 26, where, { size: 12, fill: MUTED }));
  });
  return picture(
    x + 330,
    yC + m + 28,
    'Blocks of a matrix product: registers hold a tile of C, caches hold a panel of B and a block of A',
    parts,
  );
}

/** Places of docs/tour.md: each byte with the entropy of its prediction, and the threshold. */
function predictions() {
  const page = readFileSync(join(root, 'docs', 'tour.md'), 'utf8');
  const bars = [...page.matchAll(/^after (\S+) +(\d\.\d\d) +=+(?: +above (\d\.\d\d))?$/gm)];
  const threshold = Number(bars.find(([, , , above]) => above)?.[3]);
  if (bars.length === 0 || !threshold)
    throw new Error('figures: docs/tour.md has no entropies; mend the figure of cuts');
  // The entropy after one byte is that of the next, and the last is of the full stop.
  const bytes = [...bars.slice(1).map(([, byte]) => byte), '.'];
  return { threshold, places: bytes.map((byte, i) => ({ byte, entropy: Number(bars[i][2]) })) };
}

/** Figure of the README: where the next byte is hard to predict, a patch begins. Its numbers are those of docs/tour.md. */
export function cuts() {
  const { threshold, places } = predictions();
  const cell = 40;
  const [left, top, low, high] = [112, 60, 2, 3];
  const width = left + places.length * cell + 24;
  const [tall, yBytes] = [120, 206];
  const y = (entropy) => top + ((high - entropy) / (high - low)) * tall;
  const middle = (i) => left + i * cell + cell / 2;
  const parts = [
    text(18, 32, 'A patch begins where the next byte is hard to predict', { size: 16, weight: 600 }),
    ...[2, 2.5, 3].map((h) => line(left, y(h), width - 24, y(h), '#e3e7ea')),
    ...[2, 2.5, 3].map((h) => text(left - 10, y(h) + 4, h.toFixed(1), { size: 11, anchor: 'end', fill: MUTED })),
    text(18, top + 52, 'entropy', { weight: 600 }),
    text(18, top + 68, 'in nats', { size: 11, fill: MUTED }),
    text(18, yBytes + 20, 'bytes', { weight: 600 }),
    text(18, yBytes + 74, 'patches', { weight: 600 }),
  ];
  const starts = [...places.keys()].filter((i) => i === 0 || places[i].entropy > threshold);
  starts.forEach((from, j) => {
    const to = starts[j + 1] ?? places.length;
    const [x1, x2] = [left + from * cell + 2, left + to * cell - 2];
    const [area, ink] = [AREAS[j % AREAS.length], LINES[j % LINES.length]];
    for (let i = from; i < to; i++) {
      parts.push(rect(middle(i) - cell / 2 + 2, yBytes, cell - 4, 30, area, ink, 4));
      parts.push(
        text(middle(i), yBytes + 20, glyph(places[i].byte.replace('_', ' ')), {
          size: 16,
          anchor: 'middle',
          mono: true,
        }),
      );
      const cut = i === from;
      parts.push(line(middle(i), y(low), middle(i), y(places[i].entropy), ink, ` stroke-width="${cut ? 3 : 1.5}"`));
      parts.push(
        `<circle cx="${n(middle(i))}" cy="${n(y(places[i].entropy))}" r="${cut ? 6 : 4}" fill="${cut ? ink : area}" stroke="${ink}"/>`,
      );
    }
    parts.push(
      `<path d="M${n(x1)} ${yBytes + 36}V${yBytes + 44}H${n(x2)}V${yBytes + 36}" fill="none" stroke="${ink}"/>`,
    );
    const letters = places.slice(from, to).map(({ byte }) => glyph(byte.replace('_', ' ')));
    parts.push(
      text((x1 + x2) / 2, yBytes + 74, letters.join(''), {
        size: 15,
        anchor: 'middle',
        mono: true,
        weight: 600,
        fill: ink,
      }),
    );
  });
  parts.push(line(left, y(threshold), width - 24, y(threshold), INK, ' stroke-dasharray="5 4"'));
  parts.push(
    text(middle(places.length - 2), y(threshold) - 7, `threshold ${threshold.toFixed(2)}`, {
      size: 11,
      anchor: 'end',
      fill: MUTED,
    }),
  );
  return picture(
    width,
    yBytes + 96,
    'A text of 16 bytes, how unsure a small model is of each, and the patches that begin where it is unsure',
    parts,
  );
}

/** File name -> picture. @param blt what packages/blt exports */
export function drawAll(blt) {
  return {
    'blocking.svg': blocking(),
    'bytes-and-patches.svg': bytesAndPatches(blt),
    'cuts.svg': cuts(),
    'intervals.svg': intervals(blt),
    'path-of-a-call.svg': pathOfACall(),
    'rope.svg': ropeRotation(),
    'transposed-interval.svg': transposedInterval(blt),
  };
}

/** packages/blt as it stands in the sources. */
async function sources() {
  const outfile = join(root, 'node_modules', '.figures', 'blt.mjs');
  const alias = Object.fromEntries(
    ['tensor', 'autograd'].map((p) => [`@blt-ts/${p}`, join(root, `packages/${p}/src/index.ts`)]),
  );
  mkdirSync(dirname(outfile), { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: ['packages/blt/src/index.ts'],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    external: ['gpu.js', 'webgpu'],
    alias,
    logLevel: 'warning',
  });
  return import(pathToFileURL(outfile).href);
}

if (process.argv[1] === import.meta.filename) {
  mkdirSync(join(root, 'docs', 'figures'), { recursive: true });
  for (const [name, svg] of Object.entries(drawAll(await sources()))) {
    writeFileSync(join(root, 'docs', 'figures', name), svg);
    console.log(`docs/figures/${name}`);
  }
}
