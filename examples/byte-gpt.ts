/**
 * @file A GPT over bytes that learns a tongue twister and says it. The model is byte-gpt/model.ts, which is made for any size.
 * `node scripts/example.mjs byte-gpt` runs it from a checkout.
 */
import { valueAndGrad } from '@blt-ts/autograd';
import { Adam } from '@blt-ts/blt/optim';
import { scope, tensor } from '@blt-ts/tensor';
import { logits, loss, newParams, rowsOf } from './byte-gpt/model.ts';

export const TEXT = 'Peter Piper picked a peck of pickled peppers. A peck of pickled peppers Peter Piper picked. ';
const SIZES = { width: 32, layers: 2, heads: 2, hidden: 128, vocab: 256, length: 32 };
const [ROWS, STEPS] = [8, 160];

const bytes = Int32Array.from(new TextEncoder().encode(TEXT.repeat(2)));
/** Rows that begin at evenly spaced places of the text, so that every piece of it is read at some step. */
function batch(step: number) {
  const starts = Array.from({ length: ROWS }, (_, row) => Math.floor((row / ROWS) * TEXT.length + step) % TEXT.length);
  const of = (shift: number) =>
    Int32Array.from(starts.flatMap((at) => [...bytes.subarray(at + shift, at + shift + SIZES.length)]));
  return { rows: rowsOf(of(0), SIZES.length), targets: tensor(of(1)) };
}

const params = newParams(SIZES);
const adam = new Adam(params);
for (let step = 0; step <= STEPS; step++) {
  scope(() => {
    const { rows, targets } = batch(step);
    const { value, grads } = valueAndGrad((p: typeof params) => loss(p, rows, targets, SIZES.heads))(params);
    adam.step(grads, 8e-3 * (1 - step / (STEPS + 1)));
    if (step % 40 === 0) console.log(`step ${step}: ${value.item().toFixed(2)} nats a byte`);
  });
}

/** The logits of one row of bytes, row after row. */
export const predict = (ids: Int32Array) =>
  scope(() => logits(params, rowsOf(ids, ids.length), SIZES.heads).readSync() as Float32Array);

/** `count` bytes that go on from a text, each the likeliest. The model sees the last row of them. */
export function goOn(start: string, count: number): string {
  const text = [...new TextEncoder().encode(start)];
  for (let i = 0; i < count; i++) {
    const row = predict(Int32Array.from(text.slice(-SIZES.length))).slice(-SIZES.vocab);
    text.push(row.indexOf(Math.max(...row)));
  }
  return new TextDecoder().decode(Uint8Array.from(text));
}
console.log(goOn('Peter Piper', 60));
