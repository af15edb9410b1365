/** @file Which blocks of a bundled script ran, as V8 itself counts them (block coverage, through node:inspector). */
import { readFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';

/** AFL's idea: once, twice, a few times and often are different behaviours; more is not. */
const bucket = (count: number): number => (count < 3 ? count : count < 16 ? 3 : 4);

/** Ranges of a bundle made by esbuild that come from modules whose path matches: it writes each path in a comment before them. */
function rangesOf(bundle: string, modules: RegExp): [begin: number, end: number][] {
  const found = [...bundle.matchAll(/^\/\/ ((?:packages|test|node_modules)\/\S+|<stdin>)$/gm)];
  return found
    .map(({ index, 1: path }, i) => ({
      path,
      range: [index, found[i + 1]?.index ?? bundle.length] as [number, number],
    }))
    .filter(({ path }) => modules.test(path))
    .map(({ range }) => range);
}

export class BlockCoverage {
  private readonly session = new Session();
  private readonly script: string;
  private readonly ranges: [number, number][];
  private readonly known = new Set<string>();
  /** One byte a character of the script: 1 if it was inside a block that ran. */
  private readonly ran: Uint8Array;

  /** @param script path of the bundle that is running   @param modules paths of the modules that count */
  constructor(script: string, modules: RegExp) {
    this.script = script;
    const text = readFileSync(script, 'utf8');
    this.ranges = rangesOf(text, modules);
    this.ran = new Uint8Array(text.length);
    this.session.connect();
    this.post('Profiler.enable');
    this.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Characters of code inside blocks that ran at least once. */
  get reached(): number {
    return this.ran.reduce((sum, one) => sum + one, 0);
  }

  /** Whether something ran since the last call that had not before, or not so often. */
  fresh(): boolean {
    const { result } = this.post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType;
    let fresh = false;
    for (const { url, functions } of result) {
      if (!url.endsWith(this.script)) continue;
      for (const { ranges } of functions) if (this.counts(ranges[0].startOffset) && this.isNew(ranges)) fresh = true;
    }
    return fresh;
  }

  private counts(offset: number): boolean {
    return this.ranges.some(([begin, end]) => offset >= begin && offset < end);
  }

  /** Takes in the blocks of one function, outer ones first as V8 lists them. */
  private isNew(ranges: readonly Profiler.CoverageRange[]): boolean {
    const before = this.known.size;
    for (const { startOffset, endOffset, count } of ranges) {
      this.known.add(`${startOffset}-${endOffset}:${bucket(count)}`);
    }
    if (this.known.size === before) return false;
    const [{ startOffset: begin, endOffset: end }] = ranges;
    const now = new Uint8Array(end - begin);
    for (const { startOffset, endOffset, count } of ranges) {
      now.fill(count > 0 ? 1 : 0, startOffset - begin, endOffset - begin);
    }
    now.forEach((one, i) => {
      this.ran[begin + i] |= one;
    });
    return true;
  }

  /** In a session of the same thread the answer comes before `post` returns. */
  private post(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    this.session.post(method, parameters, (error: Error | null, result?: object) => {
      if (error) throw error;
      answer = result;
    });
    return answer;
  }
}
