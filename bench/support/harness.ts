/** @file What the benchmarks share: flags, the machine they ran on, timing in turns, and the two forms of a result. */
import { availableParallelism, cpus } from 'node:os';

/** The value after `--name`, or the fallback. */
export function flag(name: string, fallback: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
}

/** The number after `--name`, or the fallback. Exits with code 2 if it is none. */
export function numberFlag(name: string, fallback: number): number {
  const value = Number(flag(name, String(fallback)));
  if (Number.isFinite(value) && value > 0) return value;
  console.error(`--${name} needs a number above 0, got ${flag(name, '')}`);
  process.exit(2);
}

export const switched = (name: string): boolean => process.argv.includes(`--${name}`);

/** What every result says about where it was measured. */
export const machine = () => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  node: process.version,
});

/** Rounded to four significant digits, for people and for JSON. */
export const short = (x: number): number => Number(x.toPrecision(4));

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length % 2 === 1
    ? sorted[sorted.length >> 1]
    : (sorted[sorted.length / 2 - 1] + sorted[sorted.length / 2]) / 2;
}

/** Milliseconds: of processor time, in which the turns of other programs do not count, or by the clock where threads share the work. */
export function clockFor(threads: number): () => number {
  if (threads > 1) return () => performance.now();
  return () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
}

/** Milliseconds a call of each candidate took, round by round: index r of every list was measured in the same moment. */
export type Rounds<K extends string> = Record<K, number[]>;

/**
 * Runs the candidates in turns until `seconds` are over (three rounds at least), each for about `slice` milliseconds, so that a
 * machine that slows down slows them all.
 */
export function inTurns<K extends string>(
  candidates: Record<K, () => void>,
  { seconds = 0.4, slice = 10, clock = clockFor(1) }: { seconds?: number; slice?: number; clock?: () => number } = {},
): Rounds<K> {
  const names = Object.keys(candidates) as K[];
  const calls = {} as Record<K, number>;
  const rounds = {} as Rounds<K>;
  for (const name of names) {
    const f = candidates[name];
    f();
    const start = performance.now();
    let n = 0;
    do {
      f();
      n++;
    } while (performance.now() - start < slice);
    calls[name] = n;
    rounds[name] = [];
  }
  const begin = performance.now();
  do {
    for (const name of names) {
      const start = clock();
      for (let i = 0; i < calls[name]; i++) candidates[name]();
      rounds[name].push((clock() - start) / calls[name]);
    }
  } while (performance.now() - begin < seconds * 1000 || rounds[names[0]].length < 3);
  return rounds;
}

/** Median over the rounds of a / b. */
export const ratio = (a: readonly number[], b: readonly number[]): number => median(a.map((x, i) => x / b[i]));

/** Prints the result: one JSON object with `--json`, else the lines for people, and the machine. */
export function report(bench: string, result: object, lines: readonly string[]): void {
  const where = machine();
  if (switched('json')) {
    console.log(JSON.stringify({ bench, ...where, ...result }));
    return;
  }
  for (const line of lines) console.log(line);
  console.log(`${where.cpu}, ${where.cores} cores, Node ${where.node}`);
}

/** A table for people: the first column to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[i]))).join('  '),
  );
}
