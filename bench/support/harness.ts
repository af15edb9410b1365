/** @file The part that all benchmarks share: flags, the machine they ran on, timing in turns, and the two forms of a result. */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';

type Default = string | number | boolean | null;
type Value<D> = D extends string
  ? string
  : D extends number
    ? number
    : D extends boolean
      ? boolean
      : number | undefined;
/** Values of flags, and the words of the command line that belong to none. */
export type Flags<D> = { readonly [K in keyof D]: Value<D[K]> } & { readonly words: readonly string[] };

/** Ends the process with code 2 and a sentence. */
export function usage(message: string): never {
  console.error(message);
  process.exit(2);
}

/**
 * The flags of the command line, each as what its default is: a text, a number above 0 (null: a number without a default), a switch.
 * Every benchmark has --json too. Ends the process with code 2 at any other flag, a value that is none, or more than `words` words.
 */
export function flags<const D extends Readonly<Record<string, Default>>>(defaults: D, words = 0): Flags<D> {
  const options = Object.fromEntries(
    Object.entries({ ...defaults, json: false }).map(([name, value]) => [
      name,
      { type: typeof value === 'boolean' ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  const known = `flags: ${Object.keys(options)
    .map((name) => `--${name}`)
    .join(', ')}`;
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ options, allowPositionals: words > 0 });
  } catch (error) {
    return usage(`${(error as Error).message.split('. ')[0]}; ${known}`);
  }
  if (parsed.positionals.length > words) usage(`${parsed.positionals[words]}: one word too many; ${known}`);
  // What goes wrong from here on is said in one line; BLT_DEBUG=1 shows where.
  process.on('uncaughtException', (error: Error) => {
    console.error(process.env.BLT_DEBUG ? error : error.message);
    process.exit(1);
  });
  const result: Record<string, unknown> = { words: parsed.positionals };
  for (const [name, fallback] of Object.entries(defaults)) {
    const given = parsed.values[name] as string | boolean | undefined;
    const number = typeof fallback === 'number' || fallback === null;
    result[name] = given === undefined ? (fallback ?? undefined) : number ? Number(given) : given;
    if (given === undefined || !number) continue;
    const value = Number(given);
    if (!(Number.isFinite(value) && value > 0)) usage(`--${name} needs a number above 0, got ${JSON.stringify(given)}`);
    if (name !== 'seconds' && name !== 'mb' && !Number.isInteger(value))
      usage(`--${name} needs a whole number, got ${given}`);
    const most = availableParallelism();
    if (name === 'threads' && value > most) usage(`--threads ${value}: this machine runs ${most} at once`);
  }
  return result as Flags<D>;
}

/** `value`, if it is one of `choices`. Ends the process with code 2 if not. */
export function oneOf<T extends string>(name: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  const list = `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
  return found ?? usage(`--${name} must be ${list}, got ${JSON.stringify(value)}`);
}

/** The pattern of `--only`. Ends the process with code 2 if it is none. */
export function patternOf(only: string): RegExp {
  try {
    return new RegExp(only);
  } catch (error) {
    return usage(`--only: ${(error as Error).message}`);
  }
}

/** Ends the process with code 2 if `--only` has left nothing to measure. */
export function someOf<T>(rows: readonly T[], only: RegExp): readonly T[] {
  return rows.length > 0 ? rows : usage(`--only ${only.source} fits nothing; without it all names are listed`);
}

/** The place of a measurement, which every result names. */
export const machine = () => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  node: process.version,
  /** Of this process, peers not included. */
  rss_mb: Math.round(process.memoryUsage.rss() / 2 ** 20),
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
      // Outside the clock: the other candidates have had the caches, and threads have gone to sleep.
      if (calls[name] >= 10) candidates[name]();
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
  if (process.argv.includes('--json')) {
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
