/** @file Does the runs of a sweep that are not done, each by a `blt train` of its own. What was stopped or killed goes on where it was. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { withDataSection } from '../config/config-file.ts';
import { writeFileAtomically } from '../files/atomic-file.ts';
import { parseJson } from '../files/small-file.ts';
import { lockOwner } from '../run/lock.ts';
import { reason, UserError } from '../terminal/errors.ts';
import type { SweepRun } from './sweep-file.ts';

/** Folder of the configs, beside the runs. Its name has no config.json, so it is no run. */
const SETTINGS = 'settings';

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** A run is done when its report is there, which is written last. */
export const isDone = (folder: string, { name }: SweepRun): boolean => existsSync(join(folder, name, 'report.html'));

const settingsFile = (folder: string, { name }: SweepRun): string => join(folder, SETTINGS, `${name}.json`);

const settingsText = ({ config }: Pick<SweepRun, 'config'>): string => `${JSON.stringify(config, null, 2)}\n`;

/** Whether a run was begun with the settings that it has now. Earlier versions wrote the short form of `data`. */
function isBegunWith(run: SweepRun, file: string): boolean {
  const config = withDataSection(parseJson(readFileSync(file, 'utf8'), file)) as SweepRun['config'];
  return settingsText({ config }) === settingsText(run);
}

/**
 * Writes the config of each run, from which it is trained.
 * @throws UserError if a run was begun with another config, or is being trained by somebody else
 */
export async function prepareRuns(runs: readonly SweepRun[], folder: string): Promise<void> {
  for (const run of runs) {
    const path = join(folder, run.name);
    if (!existsSync(join(path, 'config.json'))) continue;
    const file = settingsFile(folder, run);
    const isOurs = existsSync(file);
    if (!isOurs || !isBegunWith(run, file)) {
      const how = isOurs ? 'begun with other settings than the file has now' : 'no run of this sweep';
      throw new UserError(
        `${path} is ${how}; name another folder with --out, name the run anew with run = "...", or delete it`,
        2,
      );
    }
    const owner = isDone(folder, run) ? null : await lockOwner(path);
    if (owner) throw new UserError(`${path} is being trained by process ${owner.pid}; wait for it, or end it`, 2);
  }
  try {
    await mkdir(join(folder, SETTINGS), { recursive: true });
    for (const run of runs) await writeFileAtomically(settingsFile(folder, run), Buffer.from(settingsText(run)));
  } catch (error) {
    throw new UserError(`cannot write into ${folder}: ${reason(error)}`, 1, { cause: error });
  }
}

/** How the runs are done. */
export interface SweepOptions {
  readonly folder: string;
  /** Runs at a time. */
  readonly jobs: number;
  /** CPU threads of each, where its config does not say. */
  readonly threads: number;
  /** Is told of each run that has ended; null: it went well, else why not. */
  readonly onEnd: (run: SweepRun, failure: string | null) => Promise<void>;
}

/** The arguments of `blt train` that begin a run, or go on with it. */
export function flagsOf(run: SweepRun, { folder, threads }: Pick<SweepOptions, 'folder' | 'threads'>): string[] {
  const path = join(folder, run.name);
  const { config } = run;
  const shared = ['--threads', String(config.threads ?? threads)];
  if (!existsSync(join(path, 'config.json'))) {
    return ['--config', settingsFile(folder, run), '--runs', folder, '--run', run.name, ...shared];
  }
  // A run does not keep what it was computed with.
  return ['--resume', path, ...shared, ...(typeof config.backend === 'string' ? ['--backend', config.backend] : [])];
}

/** Does the runs that are not done. @returns the exit code of a signal that stopped them, else null */
export async function doSweep(runs: readonly SweepRun[], options: SweepOptions): Promise<number | null> {
  const waiting = runs.filter((run) => !isDone(options.folder, run));
  const children = new Set<ReturnType<typeof spawn>>();
  let stopped: number | null = null;
  const handlers = Object.entries(SIGNALS).map(([signal, code]) => {
    const handler = (): void => {
      stopped = code;
      // Ctrl-C reaches them too. They take two signals that come together for one.
      for (const child of children) child.kill(signal as keyof typeof SIGNALS);
    };
    process.on(signal, handler);
    return [signal, handler] as const;
  });
  const train = (run: SweepRun): Promise<string | null> =>
    new Promise((resolve) => {
      // Its events go nowhere but into this pipe: if this process is killed, the pipe breaks, and the run saves and ends.
      const args = [process.argv[1], 'train', ...flagsOf(run, options), '--json'];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      children.add(child);
      let said = '';
      child.stdout.resume();
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-2000);
      });
      child.on('error', (error) => resolve(reason(error)));
      child.on('close', (code, signal) => {
        children.delete(child);
        const last = said
          .trim()
          .split('\n')
          .at(-1)
          ?.replace(/^blt: /, '');
        resolve(code === 0 ? null : last || (signal ? `ended by ${signal}` : `exit code ${code}`));
      });
    });
  const work = async (): Promise<void> => {
    for (let run = waiting.shift(); run !== undefined && stopped === null; run = waiting.shift()) {
      const failure = await train(run);
      if (stopped === null) await options.onEnd(run, failure);
    }
  };
  try {
    await Promise.all(Array.from({ length: options.jobs }, work));
  } finally {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  }
  return stopped;
}
