/** @file The model card: what it says of a run, and that what it quotes stays text. */
import { planRun } from '@blt-ts/blt';
import { expect, test } from 'vitest';
import { modelCard, type Trained } from '../../../packages/cli/src/report/model-card.ts';
import type { RunDetails } from '../../../packages/cli/src/run/summary.ts';

const plan = planRun({ size: 'nano', steps: 900, seed: 3 }, 100_000);

/** A run with two evaluated steps, the second the best. */
function trained(changes: { step?: number; data?: string[]; command?: string } = {}): Trained {
  const { step = 900, data = ['letters.txt'], command = 'blt train --data letters.txt' } = changes;
  const run = {
    name: 'nano-1',
    steps: 900,
    full: { step: 900, heldOutBitsPerByte: 2.1034, standardError: 0.0121, bytes: 119_275 },
    metrics: [
      { step: 450, bytes: 3_000_000, heldOutBitsPerByte: 2.4, seconds: 60 },
      { step: 900, bytes: 6_000_000, heldOutBitsPerByte: 2.2, seconds: 125 },
    ],
    record: { plan, data, command, dataHash: 'ab12', version: '0.1.0' },
  };
  return { run: run as unknown as RunDetails, step, bytes: { train: 90_000, heldOut: 10_000 } };
}

test('figures are those of the step: the full evaluation of the best one, a quick one of another', () => {
  const best = modelCard('nano-1, step 900', plan.config, trained());
  expect(best).toContain('| bits per byte, held-out | 2.103 ± 0.012 on 119275 bytes, the model alone |');
  expect(best).toContain('| steps | 900 of 900 |\n| training bytes seen | 6.00 MB |\n| training time | 2m 05s |');
  expect(best).toContain(
    'Trained on `letters.txt`. 90000 bytes were trained on, 10000 were held out. SHA-256 of the data: `ab12`.',
  );
  expect(best).toContain('`blt train --data letters.txt` (blt 0.1.0, seed 3)');
  const earlier = modelCard('nano-1, step 450', plan.config, trained({ step: 450 }));
  expect(earlier).toContain(
    '| bits per byte, held-out | 2.400, a quick evaluation on a sample |\n| steps | 450 of 900 |',
  );
  const between = modelCard('nano-1, step 600', plan.config, trained({ step: 600 }));
  expect(between).not.toContain('bits per byte');
});

test('it begins with the keys that the Hugging Face hub reads, and says how transformers differs', () => {
  const card = modelCard('m', plan.config, null);
  expect(card).toMatch(
    /^---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags: \[blt, byte-latent-transformer\]\n---\n# m\n/,
  );
  expect(card).toContain('- It has no local window: the same up to 512 bytes a row, and one document a row.');
  expect(card).toContain('Not known: the folder that was exported is no step of a run.');
});

test('the book is named where no data were given', () => {
  expect(modelCard('m', plan.config, trained({ data: [] }))).toContain('Trained on Moby Dick (public domain).');
});

test('names and commands cannot end their span, their line or the page', () => {
  const nasty = 'a`b``c|d\n# e\u001b[31m<script>';
  const card = modelCard(nasty, plan.config, trained({ data: [nasty], command: nasty }));
  expect(card).toContain('# a\\`b\\`\\`c|d\\\\n\\# e\\\\x1b\\[31m\\<script\\>\n');
  expect(card).toContain('Trained on ``` a`b``c|d\\n# e\\x1b[31m<script> ```.');
  expect(card).not.toContain('\u001b');
});
