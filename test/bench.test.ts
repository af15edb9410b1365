import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const bench = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/bench.mjs', ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
};
const names = readdirSync('bench')
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3));
/** Flags that change a configuration; their meaning stands in bench/train.ts and bench/support/configurations.ts. */
const SHARED = ['--hash-vocab', '--rows', '--row-bytes'];

describe('benchmarks', () => {
  it('are listed', () => {
    expect(names.length).toBeGreaterThan(10);
    const { status, stdout } = bench();
    expect(status).toBe(0);
    for (const name of names) expect(stdout).toContain(`  ${name}`);
  });

  it.each(names)('%s refuses a flag it does not have, and documents those it has', (name) => {
    const { status, stderr } = bench(name, '--no-such-flag');
    expect(stderr).toContain("'--no-such-flag'");
    expect(status).toBe(2);
    const known = stderr.match(/flags: (.*)/)![1].split(', ');
    const comment = readFileSync(`bench/${name}.ts`, 'utf8').match(/@file[\s\S]*?\*\//)![0];
    // bench/peers.ts measures nothing.
    const expected = known.filter((flag) => !SHARED.includes(flag) && !(name === 'peers' && flag === '--json'));
    expect(expected.filter((flag) => !comment.includes(flag))).toEqual([]);
  });

  it('answer with one JSON object of plain keys', () => {
    const args = ['--config', 'nano', '--bytes', '100', '--json'];
    const { stdout } = bench('decode', ...args);
    const result = JSON.parse(stdout) as Record<string, unknown>;
    expect(result).toMatchObject({ bench: 'decode', config: 'nano', threads: 1, bytes: 100 });
    for (const key of ['ms_per_byte', 'floor_ms_per_byte', 'rss_mb'])
      expect(result[key], key).toEqual(expect.any(Number));
  });

  it.each([
    [['train', '--config', 'XL'], '--config must be S, SL, M, nano, tiny, small or base, got "XL"'],
    [['matmul', '--threads', 'two'], '--threads needs a number above 0, got "two"'],
    [['tables', '--steps', '0'], '--steps needs a number above 0, got "0"'],
    [['decode', '--weights', 'f64'], '--weights must be f32 or bf16, got "f64"'],
    [['matmul', 'extra'], "Unexpected argument 'extra'"],
    [['draft', 'a', 'b', '3', 'c'], 'c: one word too many'],
  ])('%j', (args, message) => {
    const { status, stderr } = bench(...args);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });
});
