import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Session } from '@blt-ts/blt';
import { createReferenceBackend } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { findModel, loadModel, newestRun } from '../../../packages/cli/src/run/find-model.ts';
import { RunFolder } from '../../../packages/cli/src/run/folder.ts';
import { freeRunName } from '../../../packages/cli/src/run/free-name.ts';
import type { RunRecord } from '../../../packages/cli/src/run/record.ts';
import { type Fault, failingFs } from '../../support/failing-fs.ts';
import { runRecord } from '../../support/run-record.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { advance, corpus, tinyPlan } from '../../support/tiny-run.ts';

const backend = createReferenceBackend();
const plan = tinyPlan({ patchingMode: 'static', steps: 4, hashSizes: [] });
const record = (startedAt?: string): RunRecord => runRecord(plan, startedAt);

/** The contents that two saves of one session would write. */
async function twoSteps() {
  const session = new Session(plan, corpus, backend);
  while (session.modelStep < 1) await advance(session, 1);
  const first = [session.modelStep, session.checkpoint(), session.lazyState()] as const;
  const second = new Session(plan, corpus, backend);
  second.restore(await session.state());
  while (second.modelStep < 2) await advance(second, 1);
  return { first, second: [second.modelStep, second.checkpoint(), second.lazyState()] as const };
}

// The whole of a save; atomic-folder.test.ts goes through every fault.
describe.each<Fault>(['short write', 'EIO', 'half, then ENOSPC'])(
  'a save that meets %s at any file system call',
  (fault) => {
    test('leaves the previous or the new checkpoint, whole, and a best step that loads', async () => {
      const { first, second } = await twoSteps();
      const seen = new Set<number>();
      let told = 0;
      for (let at = 0, finished = false; !finished; at++) {
        const path = temporaryFolder();
        await new RunFolder(path).save(...first, { best: true });
        const fs = failingFs(at, fault);
        const error = await new RunFolder(path, fs).save(...second, { best: true }).then(
          () => null,
          (e: Error) => e,
        );
        finished = fs.calls <= at;
        if (error) told++;
        // A failed disk is answered in a sentence; a dead process says nothing.
        if (error && /ENOSPC|EIO/.test(fault)) expect(error.message).not.toContain('injected');
        const warnings: string[] = [];
        const latest = await new RunFolder(path).latestState((message) => warnings.push(message));
        expect(warnings).toEqual([]);
        expect([first[0], second[0]]).toContain(latest!.state.json.loop!.step);
        seen.add(latest!.state.json.loop!.step);
        const resumed = new Session(plan, corpus, backend);
        resumed.restore(latest!.state);
        expect(resumed.modelStep).toBe(latest!.state.json.loop!.step);
        await loadModel(path, backend);
        expect(readdirSync(path).filter((name) => name.startsWith('.'))).toEqual([]);
      }
      expect(seen.size).toBe(2);
      expect(told).toBeGreaterThan(20);
    });
  },
);

describe('a run folder', () => {
  test('is made once: a second run of that name is refused, and nothing of the attempt is left', async () => {
    const path = join(temporaryFolder(), 'runs', 'a');
    const { folder, lock } = await RunFolder.create(path, record());
    expect(await folder.record()).toEqual(record());
    await expect(RunFolder.create(path, record())).rejects.toThrow(/is being trained by process/);
    writeFileSync(join(path, 'metrics.jsonl'), '{"step":1,"bytes":1}\n');
    await expect(RunFolder.create(path, record())).rejects.toThrow(
      `${path} already holds a run; go on with it: blt train --resume ${path}, or name another: --run NAME`,
    );
    await lock.release();
    await expect(RunFolder.create(path, record())).rejects.toMatchObject({ exitCode: 2 });
    expect(readdirSync(path)).toEqual(['config.json', 'metrics.jsonl']);
    expect(freeRunName(join(path, '..'), 'nano')).toBe('nano-1');
    mkdirSync(join(path, '..', 'nano-1'));
    expect(freeRunName(join(path, '..'), 'nano')).toBe('nano-2');
  });

  test('whose run never began, for want of memory perhaps, can be taken by another run; one with a step cannot', async () => {
    const { first } = await twoSteps();
    const path = join(temporaryFolder(), 'a');
    await (await RunFolder.create(path, record())).lock.release();
    writeFileSync(join(path, 'metrics.jsonl'), '');
    const later = record('2026-01-02T00:00:00.000Z');
    const { folder, lock } = await RunFolder.create(path, later);
    expect(await folder.record()).toEqual(later);
    await lock.release();
    await folder.save(...first);
    await expect(RunFolder.create(path, record())).rejects.toThrow('already holds a run');
    const step = join(path, `step-00000${first[0]}`);
    await expect(new RunFolder(step).record()).rejects.toThrow(
      `${step} is a model, not a run; give the run it belongs to: `,
    );
  });

  test('that cannot be made is answered in a sentence', async () => {
    const folder = temporaryFolder({ file: '' });
    await expect(RunFolder.create(join(folder, 'file', 'run'), record())).rejects.toThrow(
      /^cannot make the run's folder .*run: a part of the path is a file, not a folder$/,
    );
    for (let at = 0, finished = false; !finished; at++) {
      const path = join(folder, `run-${at}`);
      const fs = failingFs(at, 'half, then ENOSPC');
      const made = await RunFolder.create(path, record(), fs).catch((e: Error) => e);
      finished = fs.calls <= at;
      if (made instanceof Error) {
        expect(made.message).toMatch(/^cannot make the run's folder .*: no space left on the device$/);
        expect(readdirSync(path).filter((name) => name !== 'config.json')).toEqual([]);
      } else await made.lock.release();
      if (existsSync(join(path, 'config.json'))) expect(await new RunFolder(path).record()).toEqual(record());
      else expect(finished).toBe(false);
    }
  });

  test('keeps the best step and the newest; the best is what is loaded', async () => {
    const { first, second } = await twoSteps();
    const path = temporaryFolder();
    const folder = new RunFolder(path);
    expect(await folder.bestName()).toBe(null);
    await folder.save(...first, { best: true });
    await folder.save(...second);
    await folder.save(second[0] + 1, second[1], second[2]);
    const [best, newest] = [`step-00000${first[0]}`, `step-00000${second[0] + 1}`];
    expect(readdirSync(path).sort()).toEqual(['best', 'latest', best, newest].sort());
    expect(await folder.bestName()).toBe(best);
    expect(await findModel(path)).toBe(join(path, best));
    expect((await folder.latestState(() => {}))!.name).toBe(newest);
    writeFileSync(join(path, 'best'), '../../elsewhere\n');
    expect(await folder.bestName()).toBe(null);
    expect(await findModel(path)).toBe(join(path, newest));
    writeFileSync(join(path, 'best'), 'step-999999\n');
    expect(await folder.bestName()).toBe(null);
  });

  test('goes on from the step before one whose bits have changed, and says why', async () => {
    const { first, second } = await twoSteps();
    const path = temporaryFolder();
    await new RunFolder(path).save(...first, { best: true });
    await new RunFolder(path).save(...second);
    const newest = join(path, `step-00000${second[0]}`);
    const file = join(newest, 'training_state.safetensors');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(file, bytes);
    const warnings: string[] = [];
    expect((await new RunFolder(path).latestState((w) => warnings.push(w)))!.name).toBe(`step-00000${first[0]}`);
    expect(warnings).toEqual([`${newest} is not usable: training_state.safetensors does not match its SHA-256`]);
  });

  test('without a sound step is not begun anew over what is there: an error says what is wrong', async () => {
    const { first } = await twoSteps();
    const path = temporaryFolder();
    expect(await new RunFolder(path).latestState(() => {})).toBe(null);
    await new RunFolder(path).save(...first);
    const step = `step-00000${first[0]}`;
    rmSync(join(path, step, 'training_state.json'));
    await expect(new RunFolder(path).latestState(() => {})).rejects.toThrow(
      `no checkpoint in ${path} can be gone on from: ${join(path, step)} is not usable: training_state.json is missing; restore the files, or to begin anew delete ${step}`,
    );
    expect(readdirSync(path)).toContain(step);
  });

  test('without a sound step is opened at the newest, to say what is wrong with it', async () => {
    const path = temporaryFolder({ 'step-1/a': '', 'step-2/a': '', 'step-10/a': '' });
    expect(await findModel(path)).toBe(join(path, 'step-10'));
  });

  test('whose best cannot be read loses no step for that', async () => {
    const { first, second } = await twoSteps();
    const path = temporaryFolder();
    await new RunFolder(path).save(...first, { best: true });
    const fs = failingFs(Number.POSITIVE_INFINITY, 'EIO');
    const readFile = async (file: string, ...rest: unknown[]) => {
      if (file.endsWith('best')) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      return (fs.readFile as (...args: unknown[]) => Promise<unknown>)(file, ...rest);
    };
    await expect(new RunFolder(path, { ...fs, readFile } as typeof fs).save(...second)).rejects.toThrow(
      /^cannot read .*best: the device reported a read or write error$/,
    );
    expect(readdirSync(path)).toContain(`step-00000${first[0]}`);
  });
});

describe('the newest run', () => {
  test('is the one begun last that has a model; others are passed over', async () => {
    const root = temporaryFolder({ 'runs/none/notes.txt': '', 'runs/broken/config.json': '{' });
    const runs = join(root, 'runs');
    const { first } = await twoSteps();
    for (const [name, startedAt] of [
      ['old', '2026-01-01T00:00:00.000Z'],
      ['mid', '2026-02-01T00:00:00.000Z'],
      ['new', '2026-03-01T00:00:00.000Z'],
      ['other', '2026-02-02T00:00:00.000Z'],
      ['empty', '2026-04-01T00:00:00.000Z'],
    ]) {
      const { folder, lock } = await RunFolder.create(join(runs, name), record(startedAt));
      if (name !== 'empty') await folder.save(...first);
      await lock.release();
    }
    expect(await newestRun(runs)).toBe(join(runs, 'new'));
    await expect(newestRun(join(root, 'nowhere'))).rejects.toThrow(/there is no trained model under .*nowhere\//);
  });

  test('a path without a model says what is missing', async () => {
    const folder = temporaryFolder({ file: '' });
    await expect(findModel(join(folder, 'file'))).rejects.toThrow(/it is a file; give the folder that holds it/);
    await expect(findModel(folder)).rejects.toThrow(/it holds no model\.safetensors and no step-NNNNNN folder/);
    await expect(findModel(join(folder, 'none'))).rejects.toThrow(/there is no such folder/);
  });

  test('a step whose files lie is named with the file', async () => {
    const { first } = await twoSteps();
    const path = temporaryFolder();
    await new RunFolder(path).save(...first);
    const step = join(path, `step-00000${first[0]}`);
    // A manifest that promises nothing: what is missing is found when it is read.
    writeFileSync(join(step, 'manifest.json'), '{"format":1,"files":{}}');
    rmSync(join(step, 'training_state.json'));
    await expect(new RunFolder(path).latestState(() => {})).rejects.toThrow(
      /^cannot go on from .*training_state\.json: there is no such file$/,
    );
    await expect(new RunFolder(path).record()).rejects.toThrow(/is no run: there is no config\.json in it/);
  });
});
