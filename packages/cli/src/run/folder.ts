/**
 * @file The folder of a run on disk:
 *   runs/<name>/config.json         the resolved plan, data and its hash
 *   runs/<name>/data.jsonl          the documents: name, hash, and which bytes are trained on and held out
 *   runs/<name>/corpus.{bin,jsonl}  of data larger than memory: the bytes that the run reads, and of which documents they are
 *   runs/<name>/metrics.jsonl       one line a report
 *   runs/<name>/report.html
 *   runs/<name>/step-000500/        config.json, model.safetensors (Hugging Face layout), training_state.{json,safetensors}
 *   runs/<name>/latest, best        names of the newest and the best step
 *   runs/<name>/before-decay        with schedule wsd: name of the last step at the full learning rate
 *   runs/<name>/finished-000500/    a model that the run had come to before it was made longer
 *   runs/<name>/lock.json           while it is being trained: by whom
 */
import { existsSync } from 'node:fs';
import * as nodeFs from 'node:fs/promises';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import {
  type Checkpoint,
  configToHuggingFace,
  type LazySessionState,
  lazyArray,
  namedTensors,
  type RunPlan,
  type SessionState,
} from '@blt-ts/blt';
import { type DocumentList, parseDocumentList } from '../data/document-list.ts';
import {
  latestFolder,
  linkedFiles,
  listFolders,
  pruneFolders,
  removeLeftovers,
  setLatest,
  setPointer,
  writeFolder,
} from '../files/atomic-folder.ts';
import { readSmallFile } from '../files/small-file.ts';
import { type StreamedFile, streamedSafetensors } from '../files/streamed-file.ts';
import { type FileSystem, replaceFile } from '../files/synced-file.ts';
import { holdsWeights } from '../files/weight-files.ts';
import { errorCode, reason, reasonNoFolder, UserError } from '../terminal/errors.ts';
import { shellWords } from '../terminal/shell-words.ts';
import { RunLock } from './lock.ts';
import { noRun } from './no-run.ts';
import { MAX_RECORD_BYTES, parseRecord, type RunRecord, recordText } from './record.ts';
import { changedKeys, openStateFiles, orInfinityText, readState, STATE_JSON, stateJsonText } from './state-files.ts';

export const STEP = /^step-\d+$/;
/** A saved step, or a model that the run had come to before it was made longer. */
const MODEL_OF_RUN = /^(step|finished)-\d+$/;
const DATA_FILE = 'data.jsonl';
const BEFORE_DECAY = 'before-decay';

/** The run that a model folder lies in, which its name says. Null: it is of no run. */
export const runOfModel = (folder: string): string | null =>
  MODEL_OF_RUN.test(basename(resolve(folder))) ? join(folder, '..') : null;

export const stepName = (step: number): string => `step-${String(step).padStart(6, '0')}`;

/** Nothing was trained and saved in it: it failed, or was killed, in its first moments. */
async function neverBegan(path: string): Promise<boolean> {
  const metrics = await stat(join(path, 'metrics.jsonl')).catch(() => null);
  if (metrics !== null && metrics.size > 0) return false;
  return !(await listFolders(path)).some((name) => STEP.test(name));
}

/** Files that a run writes over in its folder. */
const WRITTEN = ['config.json', 'metrics.jsonl', 'samples.jsonl', 'report.html', 'latest', 'best', 'model.safetensors'];

/** @throws UserError if a folder holds a run that has begun, or files that no run made and a new one would write over: a model, somebody's report.html */
export async function refuseTaken(path: string): Promise<void> {
  const there = WRITTEN.filter((name) => existsSync(join(path, name)));
  if (there.includes('config.json') && !(await neverBegan(path))) {
    throw new UserError(
      `${path} already holds a run; go on with it: ${shellWords(['blt', 'train', '--resume', path])}, or name another: --run NAME`,
      2,
    );
  }
  if (there.length === 0) return;
  const ofRun = await new RunFolder(path).record().then(
    () => true,
    () => false,
  );
  if (ofRun) return;
  throw new UserError(
    `${path} already holds ${there.join(', ')}, which no run wrote; nothing is overwritten: name another folder, --run NAME`,
    2,
  );
}

/** A run's folder. */
export class RunFolder {
  readonly path: string;
  private readonly fs: FileSystem;

  /** @param fs what saves go through; tests pass one that fails */
  constructor(path: string, fs: FileSystem = nodeFs) {
    this.path = path;
    this.fs = fs;
  }

  /**
   * Makes the folder of a new run and locks it. `fill` writes what must be there before config.json, which makes the folder a run.
   * @throws UserError if it holds a run that has begun, or somebody is making one
   */
  static async create(
    path: string,
    record: RunRecord,
    fs: FileSystem = nodeFs,
    fill: (path: string) => Promise<void> = async () => {},
  ): Promise<{ folder: RunFolder; lock: RunLock }> {
    await refuseTaken(path);
    const failed = (error: unknown) =>
      new UserError(`cannot make the run's folder ${path}: ${reasonNoFolder(path, error)}`, 1, { cause: error });
    await mkdir(resolve(path), { recursive: true }).catch((error) => {
      throw failed(error);
    });
    const lock = await RunLock.acquire(path);
    try {
      await refuseTaken(path);
      await fill(path);
      await replaceFile(path, 'config.json', recordText(record), fs);
    } catch (error) {
      await lock.release();
      throw error instanceof UserError ? error : failed(error);
    }
    return { folder: new RunFolder(path), lock };
  }

  /** @throws UserError (exit code 2), ConfigError */
  async record(): Promise<RunRecord> {
    if (holdsWeights(this.path)) {
      const run = runOfModel(this.path);
      const near = run !== null && existsSync(join(run, 'config.json'));
      const instead = near ? `; give the run it belongs to: ${run}` : '';
      throw new UserError(`${this.path} is a model, not a run${instead}`, 2);
    }
    const file = join(this.path, 'config.json');
    let text: string;
    try {
      text = readSmallFile(file, MAX_RECORD_BYTES);
    } catch (error) {
      throw noRun(this.path, error);
    }
    return parseRecord(text, file);
  }

  /** Writes what the run's data are. */
  async writeDocumentList(text: string): Promise<void> {
    await replaceFile(this.path, DATA_FILE, text, this.fs).catch((error) => {
      throw new UserError(`cannot write ${join(this.path, DATA_FILE)}: ${reason(error)}`, 1, { cause: error });
    });
  }

  /** The documents of the run; null if they were not written down, as by version 0.1. @throws UserError if the list cannot be read */
  async documentList(): Promise<DocumentList | null> {
    const file = join(this.path, DATA_FILE);
    if (!existsSync(file)) return null;
    const text = await readFile(file, 'utf8').catch((error) => {
      throw new UserError(`cannot read ${file}: ${reason(error)}`, 1, { cause: error });
    });
    return parseDocumentList(text, file);
  }

  /**
   * Saves model and training state as step-N; `best` marks it as the best so far. Afterwards all steps go but the last `keepLast`
   * and the best. `plan` is kept in the state, so that a resume under another one is noticed.
   */
  async save(
    step: number,
    checkpoint: Checkpoint,
    state: LazySessionState,
    { best = false, keepLast = 1, plan }: { best?: boolean; keepLast?: number; plan?: RunPlan } = {},
  ): Promise<void> {
    const files = { ...checkpointFiles(checkpoint), ...openStateFiles(state, plan) };
    await writeFolder(this.path, stepName(step), files, { overwrite: true, fs: this.fs });
    await this.settle(step, best, keepLast);
  }

  /**
   * Saves what an evaluation said about a step that was saved just before it: the numbers of the state are written anew, the weights
   * are linked. @throws UserError where the file system has no hard links; what was saved is untouched
   */
  async saveVerdict(
    step: number,
    { json }: LazySessionState,
    { best = false, keepLast = 1, plan }: { best?: boolean; keepLast?: number; plan?: RunPlan } = {},
  ): Promise<void> {
    const name = stepName(step);
    const linked = await linkedFiles(join(this.path, name), this.fs);
    const files = { ...linked, [STATE_JSON]: stateJsonText(json, plan) };
    await writeFolder(this.path, name, files, { overwrite: true, fs: this.fs });
    await this.settle(step, best, keepLast);
  }

  /** Points at a step that has been written, and clears what it replaces. */
  private async settle(step: number, best: boolean, keepLast: number): Promise<void> {
    const { fs } = this;
    const name = stepName(step);
    await setLatest(this.path, name, fs);
    if (best) await setPointer(this.path, 'best', name, fs);
    await pruneFolders(this.path, { keepLast, keep: await this.pointedAt(), only: STEP, fs });
  }

  private async pointedAt(): Promise<string[]> {
    return [await this.bestName(), await this.beforeDecayName()].filter((name) => name !== null);
  }

  /** Marks a step as the best, if it is there and is not marked so. */
  async markBest(step: number): Promise<void> {
    const name = stepName(step);
    if (!existsSync(join(this.path, name)) || (await this.bestName()) === name) return;
    await setPointer(this.path, 'best', name, this.fs);
  }

  /** Marks a saved step as the last one before the decay of the learning rate: it is kept, because the run can be made longer from it. */
  async markBeforeDecay(step: number): Promise<void> {
    await setPointer(this.path, BEFORE_DECAY, stepName(step), this.fs);
  }

  /** @throws UserError */
  async writeRecord(record: RunRecord): Promise<void> {
    await replaceFile(this.path, 'config.json', recordText(record), this.fs).catch((error) => {
      throw new UserError(`cannot write ${join(this.path, 'config.json')}: ${reason(error)}`, 1, { cause: error });
    });
  }

  /** The newest step whose files are all there; null if nothing was saved. */
  latestName = async (): Promise<string | null> => (await latestFolder(this.path, { only: STEP, fs: this.fs })) ?? null;

  /**
   * The newest sound step and its training state, or null if nothing was saved yet.
   * @param plan that the run is to go on under: where it is not that of the saved step, the keys that differ are warned of
   * @throws UserError if that step's files lie
   */
  async latestState(
    warn: (message: string) => void,
    plan?: RunPlan,
  ): Promise<{ name: string; state: SessionState } | null> {
    await removeLeftovers(this.path);
    const problems: string[] = [];
    const warnings = { warn: (problem: string) => problems.push(problem) };
    const name = await latestFolder(this.path, { checksums: true, only: STEP, ...warnings });
    if (name === undefined) {
      const steps = (await listFolders(this.path)).filter((step) => STEP.test(step));
      if (steps.length === 0) return null;
      // Beginning anew would write over weights that may be sound.
      throw new UserError(
        `no checkpoint in ${this.path} can be gone on from: ${problems.join('; ')}; restore the files, or to begin anew delete ${steps.join(', ')}`,
      );
    }
    for (const problem of problems) warn(problem);
    const folder = join(this.path, name);
    const { plan: then, ...state } = readState(folder);
    if (plan !== undefined && then !== undefined) {
      const changed = changedKeys(then, JSON.parse(JSON.stringify(plan, orInfinityText)));
      const more = changed.length > 10 ? ` and ${changed.length - 10} more` : '';
      if (changed.length > 0) {
        warn(
          `${join(this.path, 'config.json')} was changed since ${name} was saved: ${changed.slice(0, 10).join(', ')}${more}; ` +
            'the run goes on as the file says now, and its result is no longer that of either plan',
        );
      }
    }
    return { name, state };
  }

  /** @throws UserError if there is a pointer that cannot be read: the best step must not be deleted for that */
  bestName(): Promise<string | null> {
    return this.pointer('best');
  }

  /** The last step before the decay of the learning rate, if it has come. @throws UserError as `bestName` */
  beforeDecayName(): Promise<string | null> {
    return this.pointer(BEFORE_DECAY);
  }

  private async pointer(file: string): Promise<string | null> {
    const pointer = join(this.path, file);
    const text = await this.fs.readFile(pointer, 'utf8').catch((error) => {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return '';
      throw new UserError(`cannot read ${pointer}: ${reason(error)}`, 1, { cause: error });
    });
    const name = text.trim();
    return STEP.test(name) && existsSync(join(this.path, name)) ? name : null;
  }
}

/** The two files of a model in the Hugging Face layout; its tensors are read one after the other while they are written. */
const checkpointFiles = (checkpoint: Checkpoint): Record<string, StreamedFile | string> => ({
  'config.json': `${JSON.stringify(configToHuggingFace(checkpoint.config), null, 2)}\n`,
  'model.safetensors': streamedSafetensors(
    namedTensors(checkpoint).map(([name, t]) => [name, { ...lazyArray(t), shape: t.shape }] as const),
    { format: 'pt' },
  ),
});
