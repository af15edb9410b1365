import { planRun, type RunOptions } from '@blt-ts/blt';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printableMessage } from '../../packages/cli/src/errors.ts';
import { DEFAULT_CARE, parseRecord, type RunRecord, recordText } from '../../packages/cli/src/run-record.ts';
import { parseState } from '../../packages/cli/src/training-state.ts';
import { runs } from '../support/runs.ts';

const record = (options: RunOptions = {}): RunRecord => ({
  format: 1,
  version: '0.1.0',
  command: 'blt train',
  startedAt: '2026-01-01T00:00:00.000Z',
  data: ['a.txt'],
  heldOut: null,
  heldOutFraction: 0.1,
  textField: null,
  dataHash: 'ab'.repeat(32),
  care: DEFAULT_CARE,
  plan: planRun(options, 100_000),
});

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

test('a share of the learning rate for some tensors is from 0 to 1', () => {
  const groups = (lrScale: number) => changed((r) => (r.plan.model.loop.groups = [{ prefix: 'model.x', lrScale }]));
  for (const share of [0, 0.25, 1])
    expect(parseRecord(groups(share), 'x').plan.model.loop.groups![0].lrScale).toBe(share);
  for (const share of [-0.1, 1.5]) expect(() => parseRecord(groups(share), 'x')).toThrow(/groups\.0\.lrScale: /);
});

test('a record of a run made before runs had a care section is read', () => {
  const { care: _, ...older } = record();
  expect(parseRecord(recordText(older as RunRecord), 'config.json').care).toEqual({
    minutes: null,
    saveEvery: 0,
    sampleEvery: 0,
    keepLast: 1,
    tensorboard: false,
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
  expect(() => parseState(JSON.stringify(state), new Uint8Array(), 'runs/a/step-000001')).toThrow(
    /^runs\/a\/step-000001\/training_state\.json cannot be used: phase: /,
  );
  expect(() =>
    parseState(JSON.stringify({ ...state, phase: 'model' }), new Uint8Array(3), 'runs/a/step-000001'),
  ).toThrow(/^runs\/a\/step-000001\/training_state\.safetensors: .*3 bytes/);
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
