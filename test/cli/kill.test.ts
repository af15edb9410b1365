import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { latestFolder } from '../../packages/cli/src/files/atomic-folder.ts';
import { BLT, blt } from '../support/command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const KILLS = process.env.BLT_SLOW ? 50 : 3;
const SAVE_EVERY = 7;
const STEPS = KILLS * 120;
const TRAIN =
  `--local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --entropy-width 16 --entropy-heads 2 --entropy-layers 1 --entropy-steps 40 --row-bytes 64 --batch-size 2 --data book.txt --steps ${STEPS} --save-every ${SAVE_EVERY} --eval-every 30 --patience 0 --keep-last 2 --ema 0.9 --dropout 0.1`.split(
    ' ',
  );
const TEXT = 'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(40);

/** Starts a run and kills it without warning, `delay` ms after it has said its plan. @returns true if it was still going */
function killed(cwd: string, args: readonly string[], delay: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BLT, 'train', ...args], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
    child.on('error', reject);
    child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), delay));
    child.stdout.resume();
    child.on('close', (_, signal) => resolve(signal === 'SIGKILL'));
  });
}

const lines = (run: string): Record<string, number>[] => {
  const path = join(run, 'metrics.jsonl');
  if (!existsSync(path)) return [];
  const text = readFileSync(path, 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
};
const figures = (run: string) => lines(run).map((m) => [m.step, m.lossNats, m.gradNorm, m.heldOutBitsPerByte]);

test(`killed ${KILLS} times at random moments: every resume works, none loses more than one save interval, and the end is the same`, {
  timeout: KILLS * 60_000,
}, async () => {
  const folder = temporaryFolder({ 'book.txt': TEXT });
  const run = join(folder, 'runs', 'parts');
  let kills = 0;
  for (let tries = 0; kills < KILLS && tries < 3 * KILLS; tries++) {
    const started = existsSync(join(run, 'config.json'));
    const args = started ? ['--resume', 'runs/parts'] : [...TRAIN, '--run', 'parts'];
    if (await killed(folder, args, Math.random() * 450)) kills++;
    const done = Math.max(0, ...lines(run).map(({ step }) => step));
    const saved = Number((await latestFolder(run, { checksums: true }))?.slice(5) ?? 0);
    expect(done - saved).toBeLessThanOrEqual(SAVE_EVERY);
    expect(readdirSync(run).filter((name) => name.startsWith('step-')).length).toBeLessThanOrEqual(5);
    if (done >= STEPS) break;
  }
  expect(kills).toBe(KILLS);
  const end = blt(folder, ['train', '--resume', 'runs/parts']);
  expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' });
  expect(readdirSync(run).filter((name) => name.startsWith('.') || name.startsWith('lock'))).toEqual([]);

  expect(blt(folder, ['train', ...TRAIN, '--run', 'whole']).code).toBe(0);
  const whole = join(folder, 'runs', 'whole');
  const last = `step-${String(STEPS).padStart(6, '0')}`;
  for (const file of ['model.safetensors', 'training_state.safetensors', 'training_state.json']) {
    expect(readFileSync(join(run, last, file)).equals(readFileSync(join(whole, last, file)))).toBe(true);
  }
  expect(figures(run)).toEqual(figures(whole));
  if (process.env.BLT_SLOW) console.log(`${kills} kills survived, ${STEPS} steps`);
});
