/** @file The laws that guard the figures of the study, for every family. */
import { crossEntropy } from '@blt-ts/autograd';
import { decodeBytes, encode, initParameters } from '@blt-ts/blt';
import { createReferenceBackend, Random, scope, tensor, totalFlops, withLedger } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Arm, type StudyRow, scoredBytes } from '../../../packages/cli/src/study/arm.ts';
import { Tokenizer } from '../../../packages/cli/src/study/bpe.ts';
import { trainBpe } from '../../../packages/cli/src/study/bpe-training.ts';
import { chunkEnds, excerptOf, type StudyDocument } from '../../../packages/cli/src/study/chunks.ts';
import { patchArm, pooledPatches } from '../../../packages/cli/src/study/patch-arm.ts';
import { type PatchConfig, runConfig, type TokenConfig } from '../../../packages/cli/src/study/run-config.ts';
import { scoreItems } from '../../../packages/cli/src/study/scoring.ts';
import { tokenArm } from '../../../packages/cli/src/study/token-arm.ts';
import { RECIPE } from '../../support/study-recipe.ts';

/** The definition: its bits at a position do not depend on how many positions there are. */
const backend = createReferenceBackend();
const base = { ...RECIPE, corpus: 'x', row_bytes: 32, flops: 1e6, lr: 1e-3 };
const tokens = (given: object) =>
  runConfig.parse({ kind: 'token', width: 16, layers: 2, vocab: 300, ...base, ...given }) as TokenConfig;
const patches = (given: object) =>
  runConfig.parse({
    kind: 'patch',
    patching: 'space',
    local_width: 16,
    decoder_layers: 2,
    global_width: 24,
    global_layers: 2,
    hash_vocab: 32,
    ...base,
    ...given,
  }) as PatchConfig;

const utf8 = (text: string) => new TextEncoder().encode(text);
const SAMPLE =
  'The people of the United States, and the Congress of the United States. Their union is the work of 1787; it holds.';
const tokenizer = new Tokenizer(trainBpe([utf8(SAMPLE.repeat(3))], 40));

/** An entropy that depends on the past alone: of a text's bytes, every value that is divisible by five is a surprise. */
const entropies = ({ bytes, complete }: StudyDocument) =>
  Float32Array.from(encode(bytes, { bos: true, eos: complete }), (id) => (id % 5 === 0 ? 3 : 1));
const cutting = (given: object) => ({
  patching: given as never,
  entropies: () => null,
  meanEntropy: 0,
  flopsPerByte: 0,
});
const bytesAlone = new Tokenizer([]);

const arms: Record<string, Arm> = {
  token: tokenArm(tokens({}), tokenizer, backend) as Arm,
  'token with n-grams': tokenArm(tokens({ ngrams: [2, 3], ngram_rows: 32 }), tokenizer, backend) as Arm,
  byte: tokenArm(tokens({ vocab: 260 }), bytesAlone, backend) as Arm,
  'byte with a window': tokenArm(tokens({ vocab: 260, window: 8 }), bytesAlone, backend) as Arm,
  static: patchArm(patches({ patching: 'static' }), cutting({ mode: 'static', patchSize: 4 }), backend) as Arm,
  'MegaByte-like': patchArm(
    patches({ patching: 'static', cross_attention: 'none', hash_sizes: [] }),
    cutting({ mode: 'static', patchSize: 4 }),
    backend,
  ) as Arm,
  space: patchArm(patches({}), cutting({ mode: 'space' }), backend) as Arm,
  'SpaceByte-like': patchArm(
    patches({ cross_attention: 'none', hash_sizes: [] }),
    cutting({ mode: 'space' }),
    backend,
  ) as Arm,
  'mean of the bytes': patchArm(
    patches({ cross_attention: 'none', pooling: 'mean' }),
    cutting({ mode: 'space' }),
    backend,
  ) as Arm,
  'last byte': patchArm(
    patches({ cross_attention: 'none', pooling: 'last' }),
    cutting({ mode: 'space' }),
    backend,
  ) as Arm,
  entropy: patchArm(
    patches({ patching: 'entropy' }),
    { patching: { mode: 'entropy', threshold: 2 }, entropies, meanEntropy: 1.4, flopsPerByte: 0 },
    backend,
  ) as Arm,
};

const text = fc.string({ unit: fc.constantFrom(...'aeth nis,.2\n', 'é', '世'), minLength: 1, maxLength: 90 });
const document = (bytes: Uint8Array): StudyDocument => ({ name: 'x', bytes, complete: true });
const rowsOf = (arm: Arm, bytes: Uint8Array, context: boolean): StudyRow[] =>
  arm.rows(document(bytes), chunkEnds(bytes, 16), context);
const params = (arm: Arm) => initParameters<object>(arm.parameters, new Random(1), { backend });
const logitsOf = (arm: Arm, weights: object, rows: readonly StudyRow[]) =>
  scope(() => {
    const out = arm.logits(weights, arm.batch(rows));
    return { values: out.readSync().slice() as Float32Array, classes: out.shape[1] };
  });

describe.each(Object.entries(arms))('%s', (_, arm) => {
  const weights = params(arm);

  test('every byte is a target exactly once, with or without context, and its rows have the sizes that a batch needs', () => {
    fc.assert(
      fc.property(text, fc.boolean(), (given, context) => {
        const bytes = utf8(given);
        const rows = rowsOf(arm, bytes, context);
        expect(rows.reduce((sum, row) => sum + scoredBytes(row, arm.byteLengths), 0)).toBe(bytes.length);
        for (const { ids, targets } of rows) {
          expect(ids.length).toBe(targets.length);
          expect(ids.subarray(1)).toEqual(targets.subarray(0, -1));
        }
      }),
      { numRuns: 40 },
    );
  });

  test('no logits before a target move when bytes from it on change', () => {
    fc.assert(
      fc.property(text, fc.nat(), fc.constantFrom(...utf8('a e.2')), (given, where, to) => {
        const bytes = utf8(given);
        const changed = bytes.slice();
        changed[where % bytes.length] = to;
        const [one, other] = [rowsOf(arm, bytes, false), rowsOf(arm, changed, false)];
        for (let r = 0; r < Math.min(one.length, other.length); r++) {
          const [a, b] = [one[r], other[r]];
          if (a.ids[0] !== b.ids[0]) break;
          // The logits at position i may know the ids up to i.
          const same = a.ids.findIndex((id, i) => id !== b.ids[i]);
          const shared = same < 0 ? Math.min(a.ids.length, b.ids.length) : same;
          const [x, y] = [logitsOf(arm, weights, [a]), logitsOf(arm, weights, [b])];
          expect(y.values.slice(0, shared * y.classes)).toEqual(x.values.slice(0, shared * x.classes));
        }
      }),
      { numRuns: 25 },
    );
  });

  test('the words of an answer cost together what each costs when nothing behind it has been read', async () => {
    const model = { arm, params: weights, backend };
    const words = [' the', ' Congress', ' of', ' 1787;'].map(utf8);
    const prompt = utf8('The people');
    const [together] = await scoreItems(
      model,
      [{ prompt, answer: Uint8Array.from(words.flatMap((w) => [...w])) }],
      false,
    );
    let [nats, before] = [0, prompt];
    for (const answer of words) {
      const [one] = await scoreItems(model, [{ prompt: before, answer }], false);
      nats += one.nats;
      before = Uint8Array.from([...before, ...answer]);
    }
    expect(nats).toBeCloseTo(together.nats, 5);
  });

  test('the formula is the ledger', () => {
    const rows = rowsOf(arm, utf8(SAMPLE), true);
    const batch = arm.batch(rows);
    const { ledger } = withLedger(() => scope(() => void arm.logits(weights, batch).readSync()));
    expect(arm.flops(batch).model).toBe(totalFlops(ledger, ['matmul', 'intervalAttention']));
  });

  test('a model that knows nothing costs log2 of its classes for each target', () => {
    const rows = rowsOf(arm, utf8(SAMPLE), false);
    const targets = Int32Array.from(rows.flatMap((row) => [...row.targets]));
    const classes = arm.byteLengths.length;
    const nats = scope(() => {
      const zeros = tensor(new Float32Array(targets.length * classes), [targets.length, classes], { backend });
      const losses = crossEntropy(zeros, tensor(targets, undefined, { backend })).readSync() as Float32Array;
      return losses.reduce((sum, x) => sum + x, 0);
    });
    const bytes = rows.reduce((sum, row) => sum + scoredBytes(row, arm.byteLengths), 0);
    expect(nats / Math.LN2 / bytes).toBeCloseTo((targets.length * Math.log2(classes)) / SAMPLE.length, 5);
  });
});

test('every family reads and predicts the same bytes in each row', () => {
  const bytes = utf8(`${SAMPLE} ${SAMPLE}`);
  const spans = (arm: Arm) => rowsOf(arm, bytes, true).map((row) => scoredBytes(row, arm.byteLengths));
  const contexts = (arm: Arm) =>
    rowsOf(arm, bytes, true).map((row) => scoredBytes({ ...row, scoredFrom: 0 }, arm.byteLengths));
  for (const arm of Object.values(arms)) {
    expect(spans(arm)).toEqual(spans(arms.byte));
    expect(contexts(arm)).toEqual(contexts(arms.byte));
  }
});

test('a token transformer without merges reads the bytes that a byte model reads', () => {
  const [row] = arms.byte.rows(document(utf8('the')), [3], false);
  expect(decodeBytes(row.targets)).toEqual(utf8('the'));
  expect([...row.ids]).toEqual([...encode('the')]);
});

test('chunks end before a space, and an excerpt too', () => {
  const bytes = utf8('one two three four');
  expect(chunkEnds(bytes, 9)).toEqual([7, 13, 18]);
  expect(chunkEnds(utf8('éééé'), 3)).toEqual([2, 4, 6, 8]);
  expect(excerptOf(document(bytes), 10).bytes).toEqual(utf8('one two'));
  expect(excerptOf(document(bytes), 10).complete).toBe(false);
  expect(excerptOf(document(bytes), 18).complete).toBe(true);
});

test('a target weighs as the entropy of its prediction says: (H / mean H)^power', () => {
  const cut = { patching: { mode: 'entropy', threshold: 2 }, entropies, meanEntropy: 1.5, flopsPerByte: 0 } as const;
  const weightsOf = (entropy_loss: number) =>
    patchArm(patches({ patching: 'entropy', entropy_loss }), cut, backend).rows(document(utf8('the')), [3], false)[0];
  // Ids: the beginning is 1, t h e are 120 108 105; those that 5 divides predict with an entropy of 3, the others with 1.
  const { ids, targets, weights } = weightsOf(0.5);
  expect([...ids]).toEqual([1, 120, 108, 105]);
  expect(weights).toHaveLength(targets.length);
  [1, 3, 1, 3].forEach((h, i) => void expect(weights![i]).toBeCloseTo((h / 1.5) ** 0.5, 6));
  expect(weightsOf(-1).weights![1]).toBeCloseTo(0.5, 6);
  expect(weightsOf(0).weights).toBeUndefined();
});

test('a patch without cross-attention is the maximum, the mean or the last of its bytes', () => {
  const starts = Int32Array.from([0, 1, 3, 6]);
  const bytes = tensor(Float32Array.from([5, -1, 2, 8, 4, 0, 1, 3, 9, 9, 2, 6]), [6, 2], { backend });
  const batch = { patchStarts: tensor(starts, undefined, { backend }), layout: { patchStarts: starts } };
  const pooled = (how: PatchConfig['pooling']) => pooledPatches(bytes, batch as never, how).tolist();
  expect(pooled(undefined)).toEqual([
    [5, -1],
    [4, 8],
    [9, 9],
  ]);
  expect(pooled('mean')).toEqual([
    [5, -1],
    [3, 4],
    [4, 6],
  ]);
  expect(pooled('last')).toEqual([
    [5, -1],
    [4, 0],
    [2, 6],
  ]);
});
