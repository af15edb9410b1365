import { NonFiniteError, Session, type SessionEvent } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { firstDifference } from '../../support/bits.ts';
import { advance, corpus, reborn, tinyPlan } from '../../support/tiny-run.ts';

const backend = createWasmBackend();

/** A session in the model phase after `steps` updates. */
async function started(options: Parameters<typeof tinyPlan>[0] = {}): Promise<Session> {
  const session = new Session(
    tinyPlan({ patchingMode: 'space', steps: 40, evalEvery: 0, ...options }),
    corpus,
    backend,
  );
  await advance(session, 4);
  return session;
}

/** Multiplies one parameter of a session's saved state: what a bad step may leave. */
async function damaged(session: Session, name: string, change: (x: Float32Array) => void): Promise<Session> {
  const state = await session.state();
  const arrays = new Map([...state.arrays].map(([key, values]) => [key, values.slice()] as const));
  change(arrays.get(`loop.p.${name}`) as Float32Array);
  const next = new Session(session.plan, corpus, backend);
  next.restore({ ...state, arrays });
  return next;
}

/** Logits so far apart that the gradient cannot be held in 32 bits, from parameters that are finite. */
function overflowing(x: Float32Array): void {
  for (let i = 0; i < x.length; i++) x[i] = i % 3 === 0 ? 3e38 : -1e38;
}

const failure = async (session: Session): Promise<string> => {
  const error = await advance(session, 100).catch((e) => e as Error);
  if (!(error instanceof NonFiniteError)) throw new Error('it did not stop');
  return error.message;
};

describe('the first value that is not a number', () => {
  test('in a parameter is named with the parameter', async () => {
    const session = await damaged(await started(), 'lm_head.weight', (x) => x.fill(Number.NaN, 5, 6));
    expect(await failure(session)).toMatch(
      /^step \d+: the loss is NaN, because parameter lm_head\.weight holds NaN at 5; lower the learning rate/,
    );
  });

  test('made by a kernel from finite values is named with the kernel, and the parameters it read', async () => {
    const session = await damaged(await started(), 'lm_head.weight', overflowing);
    expect(await failure(session)).toMatch(
      /^step \d+: the (loss|gradient norm) is \S+; first, \w+ made -?(NaN|Infinity) .* of its output .*; lower/,
    );
  });

  test('stops the run before the update: weights and moments are as they were, the step is not counted', async () => {
    const session = await damaged(await started(), 'lm_head.weight', overflowing);
    const before = await session.state();
    await failure(session);
    const after = await session.state();
    expect(after.json.loop!.step).toBe(before.json.loop!.step);
    // Tables are left out: their rows are brought up to date when they are read, which changes when but not what.
    const dense = [...before.arrays].filter(([name]) => name.startsWith('loop.') && !/embed|rates|lastStep/.test(name));
    expect(dense.length).toBeGreaterThan(20);
    for (const [name, values] of dense) expect(firstDifference(after.arrays.get(name)!, values)).toBe(null);
  });

  test('is found by detectAnomaly at the kernel, in the step it happens', async () => {
    const session = await damaged(await started(), 'lm_head.weight', overflowing);
    session.detectAnomaly();
    expect(await failure(session)).toMatch(/^step 4: \w+ made -?(NaN|Infinity)/);
  });

  test('detectAnomaly changes no bit of a healthy run', async () => {
    const [plain, checked] = [await started(), await started()];
    checked.detectAnomaly();
    expect(await advance(checked, 3)).toEqual(await advance(plain, 3));
  });
});

describe('a loss that spikes', () => {
  const skipped = (events: string[]) =>
    events.map((e) => JSON.parse(e) as SessionEvent).filter((e) => e.kind === 'step' && e.report.skipped);

  test('is left out with skip: no update, the step is done on the next batch, all steps are done', async () => {
    const session = await started({ lr: 1e-5, spike: { action: 'skip', factor: 1.001 } });
    const events = await advance(session, 1000);
    expect(skipped(events).length).toBeGreaterThan(0);
    expect(session.modelStep).toBe(40);
    const steps = events.map((e) => JSON.parse(e)).filter((e) => e.kind === 'step' && !e.report.skipped);
    expect(steps.map((e) => e.report.step)).toEqual(Array.from({ length: 37 }, (_, i) => i + 4));
  });

  test('counts across a restart: what is restored is saved again as it was', async () => {
    let session = await started({ lr: 1e-5, spike: { action: 'skip', factor: 1.001 } });
    let counted = 0;
    while (session.phase !== 'done') {
      await advance(session, 1);
      if (session.phase !== 'model') break;
      const before = await session.state();
      session = await reborn(session, backend);
      expect((await session.state()).json).toEqual(before.json);
      counted = Math.max(counted, before.json.loop!.skipped);
    }
    expect(counted).toBeGreaterThan(0);
  });

  test('is not looked for unless asked', async () => {
    expect(skipped(await advance(await started(), 1000))).toEqual([]);
  });

  test('that never ends stops the run after ten batches', async () => {
    const session = await damaged(await started({ spike: { action: 'skip', factor: 2 } }), 'lm_head.weight', (x) =>
      x.fill(Number.NaN),
    );
    let counted = 0;
    const stopped = await (async () => {
      for (;;) counted += skipped(await advance(session, 1)).length;
    })().catch((error: Error) => error.message);
    expect(stopped).toMatch(/the loss is NaN, because parameter lm_head\.weight/);
    expect(counted).toBe(10);
  });

  test('rewind takes the weights back, but not the data: training goes on with what comes next', async () => {
    const session = await started();
    const saved = await session.state();
    const there = await reborn(session, backend);
    await advance(session, 6);
    session.rewind(saved);
    expect(session.modelStep).toBe(there.modelStep);
    const [a, b] = [await session.state(), await there.state()];
    for (const [name, values] of b.arrays) expect(firstDifference(a.arrays.get(name)!, values)).toBe(null);
    expect(a.json.loop!.cursor).not.toEqual(b.json.loop!.cursor);
    await advance(session, 1000);
    expect(session.phase).toBe('done');
  });

  test('cannot rewind into another phase', async () => {
    const early = new Session(tinyPlan({ patchingMode: 'entropy' }), corpus, backend);
    const state = await early.state();
    await advance(early, 6);
    expect(() => early.rewind(state)).toThrow(
      /cannot rewind from the phase 'model' to a state of the phase 'entropy model'/,
    );
  });
});
