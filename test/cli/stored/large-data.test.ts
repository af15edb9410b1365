import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BLT, blt } from '../../support/command.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const KILLS = 5;
const TRAIN =
  '--local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --entropy-width 16 --entropy-heads 2 --entropy-layers 1 --entropy-steps 20 --row-bytes 64 --batch-size 2 --steps 300 --save-every 7 --eval-every 100 --patience 0 --memory off --data data'.split(
    ' ',
  );
/** An eighth of this is less than the data. */
const MEMORY = ['--max-memory', '480MB'];
const DATA_BYTES = 64e6;

/** Numbered lines, so that no two pieces are alike. */
function text(bytes: number): string {
  const lines: string[] = [];
  for (let size = 0, i = 0; size < bytes; i++) {
    const line = `${i} ${Math.imul(i, 0x9e3779b1) >>> 0} whales\n`;
    lines.push(line);
    size += line.length;
  }
  return lines.join('');
}

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const model = (run: string): string => {
  const last = readdirSync(run)
    .filter((name) => name.startsWith('step-'))
    .sort()
    .at(-1)!;
  return sha256(join(run, last, 'model.safetensors'));
};

function killed(cwd: string, args: readonly string[], delay: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BLT, 'train', ...args], { cwd, stdio: 'ignore' });
    child.on('error', reject);
    setTimeout(() => child.kill('SIGKILL'), delay);
    child.on('close', () => resolve());
  });
}

test.runIf(process.env.BLT_SLOW)(
  'a run on data that stay on disk has the bits of one in memory, killed at random moments and without its data too',
  { timeout: 900_000 },
  async () => {
    const folder = temporaryFolder({ 'data/0.txt': '' });
    const all = text(DATA_BYTES);
    for (let i = 0; i < 4; i++) {
      writeFileSync(join(folder, `data/${i}.txt`), all.slice((i * DATA_BYTES) / 4, ((i + 1) * DATA_BYTES) / 4));
    }
    for (const [run, flags] of [
      ['memory', []],
      ['disk', MEMORY],
    ] as const) {
      expect(blt(folder, ['train', ...TRAIN, ...flags, '--run', run])).toMatchObject({ code: 0, stderr: '' });
    }
    const runs = join(folder, 'runs');
    expect(existsSync(join(runs, 'memory/corpus.bin'))).toBe(false);
    expect(existsSync(join(runs, 'disk/corpus.bin'))).toBe(true);
    expect(model(join(runs, 'disk'))).toBe(model(join(runs, 'memory')));
    for (let kill = 0; kill < KILLS; kill++) {
      const begun = existsSync(join(runs, 'parts/config.json'));
      const args = begun ? ['--resume', 'runs/parts'] : [...TRAIN, ...MEMORY, '--run', 'parts'];
      await killed(folder, args, 1000 + Math.random() * 3000);
    }
    if (!existsSync(join(runs, 'parts/config.json'))) {
      expect(blt(folder, ['train', ...TRAIN, ...MEMORY, '--run', 'parts']).code).toBe(0);
    }
    rmSync(join(folder, 'data'), { recursive: true });
    expect(blt(folder, ['train', '--resume', 'runs/parts'])).toMatchObject({ code: 0, stderr: '' });
    expect(model(join(runs, 'parts'))).toBe(model(join(runs, 'memory')));
    expect(blt(folder, ['eval', '--model', 'runs/parts'])).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(runs).sort()).toEqual(['disk', 'memory', 'parts']);
  },
);
