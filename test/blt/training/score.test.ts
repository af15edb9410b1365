import {
  encode,
  evaluateBlt,
  evaluationRows,
  learnMemory,
  MemoryMixture,
  nextByteLogits,
  patchLengths,
  rowLimits,
  type ScoredText,
  scoreEntropies,
  scoreTexts,
  totalBits,
} from '@blt-ts/blt';
import { createReferenceBackend, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { loadGolden } from '../../support/golden-model.ts';

const backend = createReferenceBackend();
const golden = loadGolden('tiny_A_1b_like', backend);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const score = async (text: string, options = {}): Promise<ScoredText> =>
  (await scoreTexts(golden, [bytes(text)], options))[0];

/** -log2 softmax(logits)[id], in float64. */
function bitsOf(logits: Float32Array, id: number): number {
  const max = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((total, z) => total + Math.exp(z - max), 0);
  return (Math.log(sum) + max - logits[id]) / Math.LN2;
}

describe('scoreTexts', () => {
  test('the bits of a byte are -log2 of the probability that the model gives it after the bytes before', async () => {
    const text = 'Byte, é!\n';
    const { bits } = await score(text);
    const ids = encode(text);
    expect(bits).toHaveLength(bytes(text).length);
    for (const [i, bit] of bits.entries()) {
      expect(bit).toBeCloseTo(bitsOf(nextByteLogits(golden, ids.slice(0, i + 1)), ids[i + 1]), 4);
    }
  });

  test('entropies and patches are those that the model reads the bytes with', async () => {
    const text = 'one two three four';
    const { entropies, patchLengths: lengths } = await score(text);
    const ids = encode(text);
    const [own] = scoreEntropies(golden.patcher!, [ids], golden.config.patcher!, {
      window: null,
      documents: false,
      backend,
    });
    expect([...entropies!]).toEqual([...own.subarray(0, text.length)]);
    const [first, ...rest] = patchLengths(ids, own, golden.config.patching, { includeNextToken: false });
    expect(first).toBe(1);
    expect([...lengths]).toEqual(rest);
  });

  test('a text longer than a row costs what its evaluation says', async () => {
    const text = 'The whale, the whale! Up helm, up helm! '.repeat(5);
    const { bits } = await score(text, { rowBytes: 40 });
    const ids = encode(text);
    const [own] = scoreEntropies(golden.patcher!, [ids], golden.config.patcher!, {
      window: null,
      documents: false,
      backend,
    });
    const lengths = patchLengths(ids, own, golden.config.patching, { includeNextToken: false });
    const rows = evaluationRows([{ ids, patchLengths: lengths }], {
      patchesPerRow: Math.round(40 / (ids.length / lengths.length)),
      limits: rowLimits(golden.config, 80),
    });
    expect(rows.length).toBeGreaterThan(3);
    const { nats } = await evaluateBlt(golden.params, rows, golden.config);
    expect(totalBits({ bits })).toBeCloseTo(nats / Math.LN2, 2);
  });

  test('neighbours change nothing, and an empty text has no bits', async () => {
    const [a, none, b] = await scoreTexts(golden, [bytes('first text'), bytes(''), bytes('second, longer text')]);
    expect([...none.bits, ...none.patchLengths]).toEqual([]);
    const alone = [await score('first text'), await score('second, longer text')];
    for (const [i, scored] of [a, b].entries()) {
      expect([...scored.patchLengths]).toEqual([...alone[i].patchLengths]);
      for (const [at, bit] of scored.bits.entries()) expect(bit).toBeCloseTo(alone[i].bits[at], 4);
    }
  });

  test('bytes before a text are read and not counted', async () => {
    const { bits, patchLengths: lengths, entropies } = await score('GET /index.html', { before: bytes('\nlog: ') });
    const whole = await score('\nlog: GET /index.html');
    expect(bits).toHaveLength(15);
    for (const [i, bit] of bits.entries()) expect(bit).toBeCloseTo(whole.bits[6 + i], 4);
    expect([...entropies!]).toEqual([...whole.entropies!.subarray(6)]);
    expect(lengths.reduce((a, b) => a + b, 0)).toBe(15);
  });

  test('a memory is mixed in, reads the texts in their order, and nothing that stands before them', async () => {
    const learned = () => new MemoryMixture(learnMemory([bytes('one whale, two whales\n')]));
    const texts = ['two whales\n', 'two whales\n', 'one\n'].map(bytes);
    const scored = await scoreTexts(golden, texts, { before: bytes('\n'), memory: learned(), batchBytes: 16 });
    const memory = learned();
    for (const [t, text] of texts.entries()) {
      const ids = encode(Uint8Array.from([10, ...text]));
      for (const i of text.keys()) {
        const logits = nextByteLogits(golden, ids.slice(0, i + 2));
        expect(scored[t].bits[i]).toBeCloseTo(memory.score(logits, logits.length, ids[i + 2]) / Math.LN2, 4);
      }
    }
    // What was read once costs less.
    expect(totalBits(scored[1])).toBeLessThan(totalBits(scored[0]));
  });

  test.each([1, 0.5, 10_000])('rows of %d bytes are refused', async (rowBytes) => {
    await expect(score('text', { rowBytes })).rejects.toThrow(
      /rowBytes must be 2 to \d+, what the model takes at once/,
    );
  });

  test('a weight that is no number is said, not counted', async () => {
    const { weight } = golden.params.lm_head;
    const nothing = tensor(new Float32Array(weight.shape[0] * weight.shape[1]).fill(Number.NaN), weight.shape, {
      backend,
    });
    const broken = { ...golden, params: { ...golden.params, lm_head: { weight: nothing } } };
    await expect(scoreTexts(broken, [bytes('text')])).rejects.toThrow('the weights are broken');
  });
});
