/** @file Embeddings, their gradients, and segments; see assembly/rows.ts. */
import { sizeOf } from '../../shape.ts';
import { type Native, put } from './call.ts';

const gatherRows: Native<'gatherRows'> = (m, [y], [table, ids]) => {
  const [n, C] = y.shape;
  put(m, [y, table, ids], [n, C]);
  m.call('gatherRows', n * C * 0.1);
  return true;
};

const scatterAddRows: Native<'scatterAddRows'> = (m, [y], [x, ids]) => {
  const [n, C] = x.shape;
  put(m, [y, x, ids], [n, y.shape[0], C]);
  m.call('scatterAddRows', (n + y.shape[0]) * C * 0.2);
  return true;
};

const embeddingBag: Native<'embeddingBag'> = (m, [y], [table, ids]) => {
  const [n, G] = ids.shape;
  const C = y.shape[1];
  put(m, [y, table, ids], [n, C, G]);
  m.call('embeddingBag', n * C * G * 0.3);
  return true;
};

const segmentGatherSum: Native<'segmentGatherSum'> = (m, [y], [x, entries, starts]) => {
  const [U, C] = y.shape;
  put(m, [y, x, entries, starts], [U, C]);
  m.call('segmentGatherSum', entries.shape[0] * C * 0.2);
  return true;
};

const segmentMax: Native<'segmentMax'> = (m, [y], [x, starts]) => {
  const [P, C] = y.shape;
  put(m, [y, x, starts], [P, C]);
  m.call('segmentMax', sizeOf(x.shape) * 0.4);
  return true;
};

const segmentMaxBackward: Native<'segmentMaxBackward'> = (m, [dx], [x, y, g, starts]) => {
  const [P, C] = y.shape;
  put(m, [dx, x, y, g, starts], [x.shape[0], P, C]);
  m.call('segmentMaxBackward', sizeOf(x.shape) * 0.4);
  return true;
};

const writeRows: Native<'writeRows'> = (m, _, [table, ids, x]) => {
  const [n, C] = x.shape;
  put(m, [table, ids, x], [n, C]);
  // On one thread: rows may be named twice, and the last one counts.
  m.call('writeRows', 0);
  return true;
};

export const rows = {
  gatherRows,
  scatterAddRows,
  embeddingBag,
  segmentGatherSum,
  segmentMax,
  segmentMaxBackward,
  writeRows,
};
