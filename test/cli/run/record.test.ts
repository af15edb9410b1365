import { planRun, type RunOptions, transformerConfig } from '@blt-ts/blt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRecord, type RunRecord, recordText } from '../../../packages/cli/src/run/record.ts';
import { printableMessage } from '../../../packages/cli/src/terminal/errors.ts';
import { runRecord } from '../../support/run-record.ts';
import { runs } from '../../support/runs.ts';
import { stateOf } from '../../support/state-files.ts';

const record = (options: RunOptions = {}): RunRecord => runRecord(planRun(options, 100_000));

/** Something made before, that a run starts from. */
const origin = {
  source: 'somewhere',
  sha256: 'cd'.repeat(32),
  config: transformerConfig({ hiddenSize: 32, numHiddenLayers: 2, numAttentionHeads: 4 }),
};

test('every plan that can be made is read back as it was, "never" and "no limit" included', () => {
  const options = fc.record(
    {
      size: fc.constantFrom('nano', 'tiny', 'small', 'base'),
      patchingMode: fc.constantFrom('entropy', 'space', 'static', 'byte'),
      gradClip: fc.constantFrom(0, 1),
      patience: fc.constantFrom(0, 3),
      evalEvery: fc.constantFrom(0, 5),
      ema: fc.constantFrom(0, 0.99),
      maxPatchLength: fc.constantFrom(undefined, 8),
      thresholdAdd: fc.constantFrom(undefined, 0.1),
      spike: fc.constantFrom(null, { action: 'rewind' as const, factor: 2 }),
      hashSizes: fc.constantFrom([], [3, 4]),
      behaviour: fc.constantFrom('facebook', 'huggingface'),
      initGlobal: fc.constantFrom(undefined, { ...origin, lrScale: 0 }, origin),
      entropyModel: fc.constantFrom(undefined, origin),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<RunOptions>;
  fc.assert(
    fc.property(options, (chosen) => {
      const written = record(chosen);
      expect(parseRecord(recordText(written), 'config.json')).toEqual(
        JSON.parse(JSON.stringify(written, keep), revive),
      );
    }),
    { numRuns: runs(100) },
  );
});
const keep = (_: string, value: unknown) => (value === Number.POSITIVE_INFINITY ? '∞' : value);
const revive = (_: string, value: unknown) => (value === '∞' ? Number.POSITIVE_INFINITY : value);

describe('limits', () => {
  const at = (path: string, value: unknown) =>
    changed((r) => {
      const keys = path.split('.');
      const last = keys.pop()!;
      keys.reduce((o, key) => o[key], r)[last] = value;
    });
  const long = (n: number) => 'x'.repeat(n);
  const loop = 'plan.model.loop';
  const bounds: [path: string, taken: unknown[], refused: unknown[]][] = [
    ['format', [1], [0, 2]],
    ['version', [long(100)], [long(101), 1]],
    ['startedAt', [long(100)], [long(101)]],
    ['dataHash', [long(128)], [long(129)]],
    ['heldOutFraction', [0, 0.999], [-0.1, 1]],
    ['heldOutHash', [long(128), null, undefined], [long(129), 1]],
    ['split', ['end', 'documents', 'tails', undefined], ['auto', 'start', null]],
    ['dedupe', [true, false, undefined], ['yes', null]],
    ['data', [[]], ['a', [1]]],
    ['care.minutes', [0.01, null], [0, -1]],
    ['care.saveEvery', [0, 1], [-1, 0.5]],
    ['care.sampleEvery', [0, 1], [-1, 0.5]],
    ['care.keepLast', [1], [0, 1.5]],
    ['plan.seed', [0], [-1]],
    ['plan.hashInit', [0], [-0.1]],
    ['plan.targetPatchBytes', [1, null], [0.9]],
    ['plan.evalEvery', [0], [-1]],
    ['plan.evalBytes', [1], [0]],
    ['plan.patience', [1, 'infinity'], [0, 'never']],
    ['plan.model.patchesPerRow', [1, 2 ** 30], [0, 2 ** 30 + 1]],
    ['plan.model.maxRowBytes', [1, 2 ** 30, null], [0, 2 ** 30 + 1]],
    ['plan.entropyModel.rowBytes', [1, 2 ** 30], [0, 2 ** 30 + 1]],
    [`${loop}.steps`, [1], [0, 2 ** 53]],
    [`${loop}.batchRows`, [1, 2 ** 20], [0, 2 ** 20 + 1]],
    [`${loop}.accumulation`, [1, 2 ** 20], [0, 2 ** 20 + 1]],
    [`${loop}.lr`, [1e-9], [0, -1]],
    [`${loop}.warmupSteps`, [0], [-1]],
    [`${loop}.minRatio`, [0, 1], [-0.1, 1.1]],
    [`${loop}.gradClip`, [0.1, 'infinity'], [0, 'none']],
    [`${loop}.adamw.beta1`, [0], [1, -0.1]],
    [`${loop}.adamw.eps`, [1e-12], [0]],
    [`${loop}.adamw.weightDecay`, [0], [-0.1]],
    [`${loop}.dropout.residual`, [0], [1, -0.1]],
    [`${loop}.ema`, [0, 0.99, null], [1]],
    [
      `${loop}.spike`,
      [null, { action: 'skip', factor: 1.1 }],
      [
        { action: 'skip', factor: 1 },
        { action: 'no', factor: 2 },
      ],
    ],
    [
      `${loop}.groups`,
      [[], Array(100).fill({ prefix: long(1000), lrScale: 1 })],
      [Array(101).fill({ prefix: '', lrScale: 1 }), [{ prefix: long(1001), lrScale: 1 }]],
    ],
    ['plan.config.vocabSize', [260], [0, 65_537]],
    ['plan.config.window', [1, null], [0]],
    ['plan.config.crossAttnK', [], [0, 1025]],
    ['plan.config.hash.vocab', [], [0, 2 ** 26 + 1]],
    ['plan.config.hash.functions', [], [0, 12]],
    ['plan.config.hash.groupSizes', [[]], [[0], [65], Array(65).fill(3)]],
    ['plan.config.encoder.hiddenSize', [], [0, 65_537]],
    ['plan.config.encoder.numHiddenLayers', [1, 1024], [0, 1025]],
    ['plan.config.encoder.numAttentionHeads', [], [0, 65_537]],
    ['plan.config.encoder.numKeyValueHeads', [], [0, 65_537]],
    ['plan.config.encoder.intermediateSize', [1, 2 ** 20], [0, 2 ** 20 + 1]],
    ['plan.config.encoder.maxPositionEmbeddings', [2 ** 26], [0, 2 ** 26 + 1]],
    ['plan.config.encoder.rmsNormEps', [1e-12], [0]],
    ['plan.config.encoder.ropeTheta', [0.5], [0]],
    [
      'plan.config.patching',
      [
        { mode: 'static', patchSize: 1 },
        { mode: 'byte', maxPatchLength: null },
      ],
      [
        { mode: 'static', patchSize: 0 },
        { mode: 'byte', maxPatchLength: 0 },
      ],
    ],
  ];
  test.each(bounds)('%s', (path, taken, refused) => {
    for (const value of taken) expect(() => parseRecord(at(path, value), 'x')).not.toThrow();
    for (const value of refused) expect(() => parseRecord(at(path, value), 'x')).toThrow(`x cannot be used: ${path}`);
  });
});

test('a multiple of the learning rate for some tensors is from 0 to 100', () => {
  const groups = (lrScale: number) => changed((r) => (r.plan.model.loop.groups = [{ prefix: 'model.x', lrScale }]));
  for (const share of [0, 0.25, 1, 2])
    expect(parseRecord(groups(share), 'x').plan.model.loop.groups![0].lrScale).toBe(share);
  for (const share of [-0.1, 100.5]) expect(() => parseRecord(groups(share), 'x')).toThrow(/groups\.0\.lrScale: /);
});

test('a record of a run made before runs had a care section is read', () => {
  const { care: _, ...older } = record();
  expect(parseRecord(recordText(older as RunRecord), 'config.json').care).toEqual({
    minutes: null,
    saveEvery: 0,
    sampleEvery: 0,
    keepLast: 1,
    tensorboard: false,
    memory: true,
  });
});

const changed = (change: (json: ReturnType<typeof JSON.parse>) => void): string => {
  const json = JSON.parse(recordText(record()));
  change(json);
  return JSON.stringify(json);
};

test.each<[string, string, RegExp]>([
  ['no JSON', '{', /^config\.json is not JSON: /],
  ['no object', 'null', /^config\.json cannot be used: .*expected object/],
  ['another format', changed((r) => (r.format = 2)), /format: .*expected 1/],
  ['a plan without steps', changed((r) => delete r.plan.model.loop.steps), /plan\.model\.loop\.steps: .*expected/],
  ['a key nobody knows', changed((r) => (r.plan.model.speed = 'warp')), /plan\.model: .*speed/],
  ['a width of text', changed((r) => (r.plan.config.encoder.hiddenSize = '64')), /encoder\.hiddenSize: .*number/],
  ['a billion layers', changed((r) => (r.plan.config.global.numHiddenLayers = 1e9)), /numHiddenLayers: .*1024/],
  ['heads that do not divide', changed((r) => (r.plan.config.encoder.numAttentionHeads = 5)), /5/],
  ['a rate that shrinks weights below nothing', changed((r) => (r.plan.model.loop.lr = 100)), /below 1/],
])('%s is refused in one sentence', (_, text, says) => {
  const refusal = (() => {
    try {
      parseRecord(text, 'config.json');
    } catch (error) {
      return error as Error;
    }
    throw new Error('it was read');
  })();
  expect(['UserError', 'ConfigError']).toContain(refusal.name);
  expect(refusal.message).toMatch(says);
  expect(refusal.message.split('\n')).toHaveLength(1);
});

test('a training state with a wrong value names file and value', () => {
  const state = { phase: 'lunch', threshold: null, best: null, stale: 0, evaluatedAt: -1, loop: null };
  expect(() => stateOf(JSON.stringify(state), new Uint8Array())).toThrow(
    /^\/.*\/training_state\.json cannot be used: phase: /,
  );
  expect(() => stateOf(JSON.stringify({ ...state, phase: 'model' }), new Uint8Array(3))).toThrow(
    /^\/.*\/training_state\.safetensors: .*3 bytes/,
  );
});

test('names from hostile files reach a terminal without their control characters', () => {
  const key = '\x1b[2J\x9b\x07';
  const text = changed((r) => (r.plan.model[key] = 1));
  const refusal = (() => {
    try {
      parseRecord(text, 'config.json');
    } catch (error) {
      return printableMessage((error as Error).message);
    }
    throw new Error('it was read');
  })();
  expect(refusal).toContain('\\x1b[2J\\x9b\\x07');
});
