/** @file A corpus of many languages, one file each, in the order of their names: its held-out part is to be like its training part. */
import { planRun, Session } from '@blt-ts/blt';
import { createWasmBackend, Random } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { corpusIds } from '../../../packages/cli/src/data/corpus.ts';
import { type Document, totalBytes } from '../../../packages/cli/src/data/document.ts';
import { type SplitChoice, splitCorpus } from '../../../packages/cli/src/data/split.ts';

/** A language of 40 words over its own few letters: the later the name, the more letters, and the longer the words. */
function language(index: number): Document {
  const random = new Random(index);
  const below = (n: number) => Math.floor(n * random.uniform());
  const letters = Array.from({ length: 4 + index }, (_, i) => String.fromCharCode(97 + ((7 * index + i) % 60)));
  const pick = <T>(list: readonly T[]): T => list[below(list.length)];
  const words = Array.from({ length: 40 }, () =>
    Array.from({ length: 2 + (index % 5) + below(4) }, () => pick(letters)).join(''),
  );
  const text = Array.from({ length: 1000 }, () => pick(words)).join(' ');
  return { name: `${String(index).padStart(2, '0')}.txt`, bytes: new TextEncoder().encode(`${text}\n`) };
}

const languages = Array.from({ length: 30 }, (_, i) => language(i));

/** Mean bytes per patch of the held-out part, with the threshold that gives `target` on the training part. */
async function heldOutPatchBytes(how: SplitChoice, target: number): Promise<number> {
  const split = splitCorpus(languages, how);
  const plan = planRun(
    {
      ...{
        localWidth: 16,
        localHeads: 2,
        encoderLayers: 1,
        decoderLayers: 1,
        globalWidth: 16,
        globalHeads: 2,
        globalLayers: 1,
      },
      ...{ hashVocab: 16, hashSizes: [3], entropyWidth: 16, entropyHeads: 2, entropyLayers: 1, entropySteps: 40 },
      ...{ rowBytes: 64, batchRows: 1, steps: 1, patchSize: target },
    },
    totalBytes(split.train),
  );
  const session = new Session(plan, corpusIds(split), createWasmBackend({ threads: 1, deterministic: true }));
  for (;;) {
    const event = await session.next();
    if (event.kind !== 'patched') continue;
    expect(Math.abs(event.meanPatchBytes / target - 1)).toBeLessThan(0.01);
    return session.heldOutPatchBytes();
  }
}

test('the threshold of the training part cuts the held-out part into patches within 10% of the size asked for', async () => {
  const target = 4.5;
  expect(Math.abs((await heldOutPatchBytes('auto', target)) / target - 1)).toBeLessThan(0.1);
  // The last languages are not the others: this is what the end of the data gave.
  expect(Math.abs((await heldOutPatchBytes('end', target)) / target - 1)).toBeGreaterThan(0.1);
});
