/** @file A run at a glance: how many steps it has, and whether it is at its end. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Session } from '@blt-ts/blt';
import { createReferenceBackend } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { writeReport } from '../../../packages/cli/src/report/training-report.ts';
import { newestRun } from '../../../packages/cli/src/run/find-model.ts';
import { RunFolder } from '../../../packages/cli/src/run/folder.ts';
import { listRuns, runDetails } from '../../../packages/cli/src/run/summary.ts';
import { runRecord } from '../../support/run-record.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { advance, corpus, tinyPlan } from '../../support/tiny-run.ts';

const backend = createReferenceBackend();
const plan = tinyPlan({ patchingMode: 'static', steps: 9, hashSizes: [] });
const record = runRecord(plan);

/** A run that was trained to a step of nine, of which its time has left `steps`. @returns its folder */
async function run(root: string, name: string, steps: number): Promise<string> {
  const path = join(root, name);
  mkdirSync(root, { recursive: true });
  const { folder, lock } = await RunFolder.create(path, record);
  const session = new Session(plan, corpus, backend);
  while (session.modelStep < 1) await advance(session, 1);
  session.endAt(steps);
  while (session.modelStep < 2) await advance(session, 1);
  await folder.save(2, session.checkpoint(), session.lazyState(), { plan });
  writeFileSync(join(path, 'metrics.jsonl'), '{"step":1,"bytes":9}\n{"step":2,"bytes":18}\n');
  const facts = {
    trainBytes: 9,
    heldOut: [],
    heldOutBytes: 40,
    measured: '10 B of 40 B',
    data: 'a',
    backend: 'wasm',
    seconds: 1,
    full: null,
  };
  const checkpoint = session.checkpoint();
  await writeReport({ ...{ folder: path, record, session, checkpoint }, ...facts, compressors: [], samples: [] });
  await lock.release();
  return path;
}

test('a run is found whatever its folder is called', async () => {
  const root = join(temporaryFolder(), 'runs');
  const names = ['größer', 'my run', '2 (copy)', '.hidden'];
  for (const name of names) await run(root, name, 2);
  const found = await listRuns(root);
  expect(found.map(({ name, state }) => [name, state]).sort()).toEqual(
    names
      .slice(0, 3)
      .map((name) => [name, 'finished'])
      .sort(),
  );
  rmSync(join(root, '2 (copy)'), { recursive: true });
  rmSync(join(root, 'größer'), { recursive: true });
  expect(await newestRun(root)).toBe(join(root, 'my run'));
});

test('a run that has done the steps that its time left it is finished', async () => {
  const root = temporaryFolder();
  const fitted = await run(root, 'fitted', 2);
  expect(await runDetails(fitted)).toMatchObject({ state: 'finished', step: 2, steps: 2 });
  const report = readFileSync(join(fitted, 'report.html'), 'utf8');
  expect(report).toContain('<p class="muted">finished</p>');
  expect(report).toContain('<th scope="row">Held-out bytes</th><td>40 (40 B)</td>');
  const stopped = await run(root, 'stopped', 9);
  expect(await runDetails(stopped)).toMatchObject({ state: 'stopped', step: 2, steps: 9 });
  expect(readFileSync(join(stopped, 'report.html'), 'utf8')).toContain('stopped early at step 2');
});
