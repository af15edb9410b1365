/** The calls of the chapters about the whole model, on the model that comes with the page. */
import { readFileSync } from 'node:fs';
import {
  checkpointFromSafetensors,
  configFromHuggingFace,
  configToHuggingFace,
  encode,
  generate,
  hashNgrams,
  nextByteLogits,
  traceCheckpoint,
} from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { bandsPicture } from '../../../../packages/cli/src/play/page/bands-picture.ts';
import { bytesOfPatches, viewOfByte } from '../../../../packages/cli/src/play/page/byte-view.ts';
import { squares } from '../../../../packages/cli/src/play/page/heat-picture.ts';
import { labelsOf, letters } from '../../../../packages/cli/src/play/page/picture.ts';
import { summary } from '../../../../packages/cli/src/play/page/surprise-summary.ts';
import { LessonTrainer } from '../../../../packages/cli/src/play/worker/lesson-trainer.ts';
import { Lessons } from '../../../../packages/cli/src/play/worker/lessons.ts';
import { checkpointFiles } from '../../../../packages/cli/src/play/worker/model-file.ts';
import { PatchStepper } from '../../../../packages/cli/src/play/worker/patch-stepper.ts';
import { readPassage } from '../../../../packages/cli/src/play/worker/reading.ts';

const asset = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../../../packages/cli/src/play/assets/${name}`, import.meta.url)));
const entropyModel = asset('entropy-model.safetensors');
const files = checkpointFiles(asset('moby-dick.safetensors'), entropyModel);
const config = configFromHuggingFace(JSON.parse(files.config));
const checkpoint = checkpointFromSafetensors(files.weights, config, createWasmBackend({ threads: 1 }));
const bytes = new TextEncoder().encode('Call me Ishmael. Some years ago, never mind how long precisely');

test('the built-in model is a checkpoint that has read the book', () => {
  expect(config.patching.mode).toBe('entropy');
  const { surprise } = readPassage(checkpoint, bytes);
  const mean = surprise.reduce((a, b) => a + b, 0) / bytes.length;
  // docs/play.md has the figure on held-out chapters; this is the first sentence of the part it was trained on.
  expect(mean).toBeLessThan(2.6);
  expect(() => checkpointFiles(entropyModel, entropyModel)).toThrow('no packed model');
});

describe('a reading', () => {
  const reading = readPassage(checkpoint, bytes);
  const { layout } = reading;

  test('has the loss and the cuts that the library gives for the same ids', () => {
    const ids = encode(bytes, { bos: true, eos: false });
    const { loss, patchLengths } = traceCheckpoint(checkpoint, [ids]);
    const mean = reading.surprise.reduce((a, b) => a + b, 0) / bytes.length;
    expect(mean * Math.LN2).toBeCloseTo(loss!, 4);
    const lengths = [...layout.patchStarts.keys()]
      .slice(1)
      .map((j) => layout.patchStarts[j] - layout.patchStarts[j - 1]);
    expect(lengths.slice(0, -1)).toEqual([...patchLengths[0]].slice(0, lengths.length - 1));
  });

  test('a byte sees its window, its patch, the patches before, and the newest patch that has ended', () => {
    const I = 8; // the I of Ishmael
    const view = viewOfByte(reading, I);
    expect(view.local).toEqual({ from: 0, to: I + 1, bos: true });
    expect(view.patchBytes.from).toBeLessThanOrEqual(I);
    expect(view.patchBytes.to).toBeGreaterThan(I);
    expect(view.pooled).toEqual(view.patchBytes);
    expect(view.global).toEqual({ from: 0, to: view.patch + 1 });
    for (let i = 0; i < bytes.length - 1; i++) {
      const { decoder } = viewOfByte(reading, i);
      // Byte i predicts byte i + 1, and reads the patch before that of byte i + 1.
      const next = viewOfByte(reading, i + 1).patch;
      expect([decoder.from, decoder.to]).toEqual([next - 1, next]);
      expect(decoder.bytes).toEqual(bytesOfPatches(reading, next - 1, next));
      expect(decoder.bytes.to).toBeLessThanOrEqual(i + 1);
    }
  });

  test('far into a text the window is full, and BOS is out of it', () => {
    const long = readPassage(checkpoint, new TextEncoder().encode('the sea and the ship '.repeat(10)));
    expect(viewOfByte(long, 200).local).toEqual({ from: 201 - config.window!, to: 201, bos: false });
  });

  test('its rows of the hash tables are those of the n-grams that end there', () => {
    const I = 8;
    const { ngrams } = viewOfByte(reading, I);
    expect(ngrams.map(({ size }) => size)).toEqual(config.hash.groupSizes);
    // The n-gram "e I" alone, as a text of its own, gives the same row of the table of three bytes.
    const alone = hashNgrams(encode('e I', { bos: false, eos: false }), { ...config.hash, groupSizes: [3] });
    const table = config.hash.groupSizes.indexOf(3);
    expect(ngrams[table]).toEqual({ size: 3, span: { from: 6, to: 9, bos: false }, table, row: alone[2] });
    expect(viewOfByte(reading, 0).ngrams[0].span).toEqual({ from: 0, to: 1, bos: true });
  });

  test('its bands are drawn where the intervals lie', () => {
    const I = 8;
    const { local, pooled, global, decoder } = viewOfByte(reading, I);
    const svg = bandsPicture(reading).row(0, bytes.length, I);
    const drawn = [...svg.matchAll(/class="band(\d)" x="(\d+)" y="\d+" width="(\d+)"/g)].map(([, band, x, width]) => {
      const from = (Number(x) - 1) / 14;
      return [Number(band), from, from + (Number(width) + 2) / 14];
    });
    const of = (band: number) => drawn.filter(([b]) => b === band).map(([, from, to]) => ({ from, to }));
    expect(of(1)).toEqual([{ from: local.from, to: local.to }]);
    expect(of(2)).toEqual([{ from: pooled.from, to: pooled.to }]);
    // BOS is a patch, but no byte of the text.
    expect(of(3)).toHaveLength(global.to - 1);
    expect(of(3).at(-1)).toEqual(of(2)[0]);
    expect(of(4)).toEqual([{ from: decoder.bytes.from, to: decoder.bytes.to }]);
  });

  test('the summary parts first bytes of patches from others', () => {
    expect(
      summary({
        ...reading,
        bytes: bytes.slice(0, 3),
        surprise: Float32Array.of(4, 1, 1),
        layout: { ...layout, patchStarts: Int32Array.of(0, 1, 4) },
      }),
    ).toBe('2.00 bits per byte. The first byte of a patch costs 4.00 bits on average, every other byte 1.00.');
  });
});

test('the later of two choices of a model is kept, also if the earlier one is read more slowly', async () => {
  const weights = new Blob([files.weights]);
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const slow = { text: () => gate.then(() => files.config) } as unknown as Blob;
  if (config.patching.mode !== 'entropy') throw new Error('the model that comes with the page has no threshold');
  const other = configToHuggingFace({ ...config, patching: { ...config.patching, threshold: 4.25 } });
  const lessons = new Lessons();
  const earlier = lessons.use({ config: slow, weights });
  await lessons.use({ config: new Blob([JSON.stringify(other)]), weights });
  open();
  await earlier;
  expect(lessons.begin(bytes).threshold).toBe(4.25);
});

test('stepping through a text takes the bytes that generate takes, and a global step where a patch ends', () => {
  const prompt = new TextEncoder().encode('The white wh');
  const stepper = new PatchStepper(checkpoint, prompt);
  let step = stepper.begin();
  const made: number[] = [];
  for (let i = 0; i < 12; i++) {
    const [best] = step.candidates;
    const logits = nextByteLogits(checkpoint, encode(step.text, { bos: true, eos: false }));
    expect(logits.every((logit) => logit <= logits[best.id] + 1e-3)).toBe(true);
    expect(step.startsPatch).toBe(step.entropy! > step.threshold!);
    expect(step.globalSteps).toBe(step.patchLengths.length);
    made.push(best.id - 4);
    step = stepper.next(best.id - 4);
  }
  stepper.release();
  expect(made).toEqual([...generate(checkpoint, prompt, { maxBytes: 12, temperature: 0 })]);
});

describe('one training step', () => {
  const before = readPassage(checkpoint, bytes);
  const trainer = new LessonTrainer(checkpoint);
  const step = trainer.step(bytes, 0.001);

  test('starts from the losses of the model, lowers them, and leaves the model as it was', () => {
    for (let i = 0; i < bytes.length; i++) expect(step.before[i]).toBeCloseTo(before.surprise[i], 3);
    const sum = (bits: Float32Array) => bits.reduce((a, b) => a + b, 0);
    expect(sum(step.after)).toBeLessThan(sum(step.before));
    expect(readPassage(checkpoint, bytes).surprise).toEqual(before.surprise);
  });

  test('has the gradient norms of the library, part by part', () => {
    const ids = encode(bytes, { bos: true, eos: false });
    const squares = new Map<string, number>();
    for (const [name, { data }] of traceCheckpoint(checkpoint, [ids], { grads: true }).tensors) {
      if (!name.startsWith('grads.')) continue;
      const of = /hash_tok/.test(name)
        ? 'hash tables'
        : /global/.test(name)
          ? 'global transformer'
          : /local_encoder/.test(name)
            ? 'encoder'
            : 'decoder';
      squares.set(of, (squares.get(of) ?? 0) + [...(data as Float32Array)].reduce((sum, g) => sum + g * g, 0));
    }
    expect(step.parts.map(({ part }) => part)).toEqual(['decoder', 'global transformer', 'encoder', 'hash tables']);
    for (const { part, gradientNorm } of step.parts) {
      expect(gradientNorm / Math.sqrt(squares.get(part)!)).toBeCloseTo(1, 3);
    }
  });

  test('touches the hash rows of the bytes read, each once, and moves weights by about the learning rate', () => {
    const read = new Set(before.hashIds!.subarray(0, bytes.length * config.hash.groupSizes.length));
    expect([...step.rows]).toEqual([...read].sort((a, b) => a - b));
    expect(step.rowNorms).toHaveLength(step.rows.length);
    for (const { part, update } of step.parts) {
      // AdamW's first update is the sign of the gradient times the rate; in tables most weights have no gradient.
      if (part !== 'hash tables') expect(update / 0.001).toBeGreaterThan(0.3);
      expect(update / 0.001).toBeLessThan(1.1);
    }
  });

  test('a second step goes on from the first, and costs less still', () => {
    const second = trainer.step(bytes, 0.001);
    expect(second.step).toBe(2);
    for (let i = 0; i < bytes.length; i++) expect(second.before[i]).toBeCloseTo(step.after[i], 3);
    trainer.dispose();
  });
});

test('a line is drawn in few elements: letters that no neighbour changes are one, squares of one shade are one', () => {
  const text = new TextEncoder().encode('ab <\u0634\u{1f433}');
  expect(letters(labelsOf(text), 0, text.length, 13)).toBe(
    '<text x="63" y="13">\u0634</text><text x="91" y="13">\u{1f433}</text>' +
      '<text x="7 21 49" y="13">ab&lt;</text><text class="escape" x="35" y="13">\u2423</text>',
  );
  expect(squares([0, 0.5, 1, 0.5, 0.01, 2], { step: 2, width: 1, height: 3, y: 4 })).toBe(
    '<path class="heat" fill-opacity="0.5" d="M2 4h1v3h-1zM6 4h1v3h-1z"/>' +
      '<path class="heat" fill-opacity="1" d="M4 4h1v3h-1zM10 4h1v3h-1z"/>',
  );
});
