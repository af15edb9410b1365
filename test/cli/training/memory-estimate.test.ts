import { planRun, type RunOptions } from '@blt-ts/blt';
import { referenceBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseBytes } from '../../../packages/cli/src/stored/open-data.ts';
import { checkMemory, type EstimatedRun, memoryFor } from '../../../packages/cli/src/training/memory-estimate.ts';
import { runs } from '../../support/runs.ts';

/** A model that takes next to nothing itself. */
const TOY: RunOptions = {
  ...{ localWidth: 16, localHeads: 2, decoderLayers: 1, globalWidth: 16, globalHeads: 2, globalLayers: 1 },
  ...{ hashVocab: 64, entropyWidth: 16, entropyHeads: 2, entropyLayers: 1, rowBytes: 64, batchRows: 2, steps: 6 },
};

interface Shape {
  readonly options: RunOptions;
  readonly bytes: number;
  readonly memory: boolean;
  readonly threads?: number;
  readonly onDisk?: boolean;
}

/** A run on so many bytes, of which a tenth is held out. */
function runOf({ options, bytes, memory, threads = 2, onDisk = false }: Shape): EstimatedRun {
  const heldOutBytes = Math.floor(bytes / 10);
  const trainBytes = bytes - heldOutBytes;
  const part = (all: number) => (all > 2 ** 20 ? 2 ** 20 : null);
  return {
    plan: planRun(options, trainBytes),
    sample: { trainBytes: part(trainBytes), heldOutBytes: part(heldOutBytes) },
    data: { trainBytes, heldOutBytes, bytesInMemory: onDisk ? 0 : bytes },
    backend: { ...referenceBackend, threads } as EstimatedRun['backend'],
    memory,
  };
}

// Peaks of resident memory (VmHWM) of `blt train --steps 6 --entropy-steps 6` with Node 24 on x64, see docs/large-corpora.md.
test.each<[what: string, shape: Shape, megabytes: number]>([
  ['a toy, one thread', { options: TOY, bytes: 100_000, memory: false, threads: 1 }, 179],
  ['a toy', { options: TOY, bytes: 100_000, memory: false }, 189],
  ['a toy, four threads', { options: TOY, bytes: 100_000, memory: false, threads: 4 }, 213],
  ['a toy with a memory', { options: TOY, bytes: 100_000, memory: true }, 271],
  ['nano', { options: { size: 'nano', steps: 6 }, bytes: 100_000, memory: false }, 585],
  ['nano with a memory', { options: { size: 'nano', steps: 6 }, bytes: 100_000, memory: true }, 665],
])('the estimate is within 15%% of what was measured: %s', (_, shape, megabytes) => {
  const ratio = memoryFor(runOf(shape)) / 1e6 / megabytes;
  expect(ratio).toBeGreaterThan(0.85);
  expect(ratio).toBeLessThan(1.15);
});

/** The refusal of a run; null: it is none. */
function refusal(most: number, run: EstimatedRun): string | null {
  try {
    checkMemory(most, run);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

test('a refusal names the parts, and the least memory with which the run begins', () => {
  const shapes = fc.record({ bytes: fc.integer({ min: 20_000, max: 400_000_000 }), memory: fc.boolean() });
  fc.assert(
    fc.property(shapes, ({ bytes, memory }) => {
      /** Whether a run begins: data of more than an eighth of the memory stay on disk. */
      const told = (most: number) => refusal(most, runOf({ options: TOY, bytes, memory, onDisk: bytes > most / 8 }));
      const least = parseBytes(/give --max-memory (\d+MB)/.exec(told(50e6)!)![1], '--max-memory');
      expect(told(least)).toBe(null);
      expect(told(least - 2e6)).not.toBe(null);
    }),
    { numRuns: runs(20) },
  );
  expect(refusal(100e6, runOf({ options: TOY, bytes: 100_000, memory: true }))).toMatch(
    /^this run takes about \d+ MB of memory, more than --max-memory 100 MB: Node and its threads 166 MB, the model .*, the memory beside the model [\d.]+ MB \(--memory off leaves [\d.]+ MB for compressors\); give --max-memory \d+MB, or less work: --steps, /,
  );
});
