/** @file Which runs are done, in which order and by which processes, and which are left for another time. */
import { spawn } from 'node:child_process';
import { createWasmBackend } from '@blt-ts/tensor';
import { UserError } from '../terminal/errors.ts';
import { note } from '../terminal/output.ts';
import { doRun } from './one-run.ts';
import { entropyRun, type RunConfig, runName } from './run-config.ts';
import type { StudyFolder } from './run-folders.ts';

/** FLOP/s of one thread before any run of the study has been timed. */
const FIRST_SPEED = 20e9;
/** Seconds of a run that its FLOPs do not explain: start, text, tokenizer. */
const FIXED_SECONDS = 6;

/** How the runs are done. */
export interface QueueOptions {
  readonly jobs: number;
  /** No run is begun that is expected to end later than so many hours from now. */
  readonly hours: number | null;
  /** The i-th of n shares, i from 1. */
  readonly shard: { readonly i: number; readonly n: number } | null;
  /** All in this process, for runs of a moment. */
  readonly here: boolean;
}

/** The runs in the order in which they are done: entropy models before the runs that need them, small budgets before large ones. */
export function inOrder(configs: readonly RunConfig[], { shard }: Pick<QueueOptions, 'shard'>): RunConfig[] {
  const all = new Map(configs.map((config) => [runName(config), config]));
  const sorted = [...all.values()].sort((a, b) => a.flops - b.flops || (runName(a) < runName(b) ? -1 : 1));
  const mine = shard === null ? sorted : sorted.filter((_, i) => i % shard.n === shard.i - 1);
  const needed = mine.flatMap((config) => entropyRun(config) ?? []);
  return [...new Map([...needed, ...mine].map((config) => [runName(config), config])).values()];
}

/** Seconds that a run is expected to take, from the speed of the run whose budget is nearest. */
function secondsOf(config: RunConfig, done: readonly RunConfig[], folder: StudyFolder): number {
  let [speed, nearest] = [FIRST_SPEED, Number.POSITIVE_INFINITY];
  for (const other of done) {
    const result = other.kind === config.kind ? folder.result(other) : null;
    const distance = Math.abs(Math.log(other.flops / config.flops));
    if (result === null || distance >= nearest) continue;
    [speed, nearest] = [(result.flops.model + result.flops.patcher) / result.seconds.training, distance];
  }
  return FIXED_SECONDS + config.flops / speed;
}

/** One run in a process of its own, which ends with this one. */
function inProcess(config: RunConfig, folder: StudyFolder): Promise<void> {
  return new Promise((resolve, reject) => {
    const args = [process.argv[1], 'study', '--one', JSON.stringify(config), '--out', folder.root];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new UserError(`the run ${runName(config)} failed: ${said.trim() || `exit code ${code}`}`));
    });
  });
}

/** Does the runs that are not done. @returns the runs that were left out because time would not have been enough */
export async function doRuns(
  configs: readonly RunConfig[],
  folder: StudyFolder,
  options: QueueOptions,
): Promise<RunConfig[]> {
  const order = inOrder(configs, options);
  const deadline = options.hours === null ? Number.POSITIVE_INFINITY : performance.now() + options.hours * 3_600_000;
  const waiting = order.filter((config) => !folder.isDone(config));
  const left: RunConfig[] = [];
  const ready = (config: RunConfig): boolean => {
    const entropy = entropyRun(config);
    return entropy === null || folder.isDone(entropy);
  };
  const backend = options.here ? createWasmBackend({ threads: 1 }) : null;
  let finished = order.length - waiting.length;
  const working = new Set<Promise<void>>();
  const begin = (config: RunConfig): void => {
    const work = (backend ? doRun(config, folder, backend).then(() => {}) : inProcess(config, folder)).then(() => {
      finished++;
      const { bitsPerByte, seconds } = folder.result(config)!;
      note(
        `${finished}/${order.length} ${runName(config)} ${bitsPerByte.toFixed(3)} bits per byte, ${Math.round(seconds.training)} s`,
      );
    });
    working.add(work);
    // Whoever waits for the set hears of a failure; this promise only takes the work out.
    work.then(
      () => working.delete(work),
      () => {},
    );
  };
  while (waiting.length > 0 || working.size > 0) {
    const at = working.size < options.jobs ? waiting.findIndex(ready) : -1;
    if (at >= 0) {
      const [config] = waiting.splice(at, 1);
      const done = order.filter((one) => folder.isDone(one));
      if (performance.now() + 1000 * secondsOf(config, done, folder) > deadline) left.push(config);
      else begin(config);
    } else if (working.size > 0) await Promise.race(working);
    // Their entropy models were left out.
    else return left.concat(waiting);
  }
  return left;
}
