/** @file The warning about patches of another length than planned names both lengths and the remedy. */
import { planRun, type RunPlan } from '@blt-ts/blt';
import { expect, test } from 'vitest';
import { foreignPatches } from '../../../packages/cli/src/training/foreign-patches.ts';

/** Rows of 512 bytes, patches of 4.5, and a threshold that is not found on the text. */
const given = planRun({ size: 'nano', threshold: 2 }, 100_000);
const going: RunPlan = { ...given, modelOrigin: { source: 'runs/old', sha256: '' } };

test('patches more than twice as short or as long as planned are told, with both lengths and what to do', () => {
  expect(foreignPatches(going, 1.01)).toBe(
    'patches of this text have 1.01 bytes on average, and the run is planned for 4.49. The global model takes more steps for the same text. --patcher retrain trains an entropy model for this text, and finds a threshold',
  );
  expect(foreignPatches(given, 12)).toMatch(
    /have 12\.00 .* planned for 4\.49\. The global model sees less of the text\. --patch-size in the place of --threshold/,
  );
  expect(foreignPatches(going, 2.3)).toBeNull();
  expect(foreignPatches(going, 8.9)).toBeNull();
});

test('a threshold that was found on the text, and cuts without one, are left alone', () => {
  expect(foreignPatches(planRun({ size: 'nano' }, 100_000), 1)).toBeNull();
  expect(foreignPatches(planRun({ size: 'nano', patchingMode: 'space' }, 100_000), 40)).toBeNull();
});
