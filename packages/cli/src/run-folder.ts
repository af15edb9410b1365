/**
 * @file What a run leaves behind, on disk:
 *   runs/<name>/config.json         the resolved plan, data and its hash
 *   runs/<name>/metrics.jsonl       one line a report
 *   runs/<name>/report.html
 *   runs/<name>/step-000500/        config.json, model.safetensors (Hugging Face layout), training_state.{json,safetensors}
 *   runs/<name>/latest, best        names of the newest and the best step
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  type Checkpoint,
  checkpointFromSafetensors,
  checkpointToSafetensors,
  configFromHuggingFace,
  configToHuggingFace,
  type RunPlan,
  type SessionState,
} from '@blt-ts/blt';
import {
  type Backend,
  readSafetensors,
  SafetensorsError,
  type SafetensorsInput,
  writeSafetensors,
} from '@blt-ts/tensor';
import { latestFolder, listFolders, pruneFolders, removeLeftovers, setLatest, writeFolder } from './atomic-folder.ts';
import { errorCode, reason, UserError } from './errors.ts';

const STEP = /^step-\d+$/;

export interface RunRecord {
  readonly format: 1;
  readonly version: string;
  readonly command: string;
  readonly startedAt: string;
  /** `--data` arguments; empty = the built-in book. */
  readonly data: readonly string[];
  readonly heldOut: readonly string[] | null;
  readonly heldOutFraction: number;
  readonly textField: string | null;
  readonly dataHash: string;
  readonly plan: RunPlan;
}

export const stepName = (step: number): string => `step-${String(step).padStart(6, '0')}`;

// JSON has no Infinity: "never" and "no limit" are written as this word.
const encode = (_key: string, value: unknown) => (value === Number.POSITIVE_INFINITY ? 'infinity' : value);
const decode = (_key: string, value: unknown) => (value === 'infinity' ? Number.POSITIVE_INFINITY : value);

/** A run's folder. */
export class RunFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes the folder of a new run. @throws UserError if it holds a run already */
  static async create(path: string, record: RunRecord): Promise<RunFolder> {
    if (existsSync(join(path, 'config.json'))) {
      throw new UserError(
        `${path} already holds a run; go on with it: blt train --resume ${path}, or name another: --run NAME`,
        2,
      );
    }
    try {
      await mkdir(path, { recursive: true });
      await writeFile(join(path, 'config.json.tmp'), `${JSON.stringify(record, encode, 2)}\n`);
      await rename(join(path, 'config.json.tmp'), join(path, 'config.json'));
    } catch (error) {
      throw new UserError(`cannot make the run's folder ${path}: ${reason(error)}`, 1, { cause: error });
    }
    return new RunFolder(path);
  }

  async record(): Promise<RunRecord> {
    const file = join(this.path, 'config.json');
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      const why = errorCode(error) === 'ENOENT' ? 'there is no config.json in it' : reason(error);
      throw new UserError(`${this.path} is no run: ${why}`, 2, { cause: error });
    }
    try {
      const record = JSON.parse(text, decode) as RunRecord;
      if (record.format !== 1 || typeof record.plan !== 'object') throw new Error('it has no plan of format 1');
      return record;
    } catch (error) {
      throw new UserError(`${file} cannot be used: ${reason(error)}`, 2, { cause: error });
    }
  }

  /** Saves model and training state as step-N; `best` marks it as the best so far. Older steps but the best are removed after. */
  async save(step: number, checkpoint: Checkpoint, state: SessionState, best: boolean): Promise<void> {
    const name = stepName(step);
    await writeFolder(
      this.path,
      name,
      {
        ...checkpointFiles(checkpoint),
        'training_state.json': `${JSON.stringify(state.json, encode, 2)}\n`,
        'training_state.safetensors': stateToSafetensors(state.arrays),
      },
      { overwrite: true },
    );
    await setLatest(this.path, name);
    if (best) await this.markBest(name);
    const keep = await this.bestName();
    await pruneFolders(this.path, { keepLast: 1, keep: keep ? [keep] : [], only: STEP });
  }

  /** The newest sound step and its training state, or null if nothing was saved yet. */
  async latestState(warn: (message: string) => void): Promise<{ name: string; state: SessionState } | null> {
    await removeLeftovers(this.path);
    const name = await latestFolder(this.path, { checksums: true, warn });
    if (name === undefined) return null;
    const folder = join(this.path, name);
    const json = JSON.parse(
      await readFile(join(folder, 'training_state.json'), 'utf8'),
      decode,
    ) as SessionState['json'];
    const { tensors } = readSafetensors(await readFile(join(folder, 'training_state.safetensors')));
    const arrays = new Map<string, Float32Array | Int32Array | Float64Array>();
    for (const [key, { dtype, data }] of tensors) {
      const bytes = data.slice().buffer;
      if (dtype === 'F32') arrays.set(key, new Float32Array(bytes));
      else if (dtype === 'I32') arrays.set(key, new Int32Array(bytes));
      else if (dtype === 'F64') arrays.set(key, new Float64Array(bytes));
      else throw new UserError(`${folder}/training_state.safetensors: ${key} has dtype ${dtype}, which no state has`);
    }
    return { name, state: { json, arrays } };
  }

  async bestName(): Promise<string | null> {
    const name = (await readFile(join(this.path, 'best'), 'utf8').catch(() => '')).trim();
    return STEP.test(name) && existsSync(join(this.path, name)) ? name : null;
  }

  private async markBest(name: string): Promise<void> {
    await writeFile(join(this.path, '.best.tmp'), `${name}\n`);
    await rename(join(this.path, '.best.tmp'), join(this.path, 'best'));
  }
}

/** The two files of a model in the Hugging Face layout. */
export function checkpointFiles(checkpoint: Checkpoint): Record<string, Uint8Array | string> {
  return {
    'config.json': `${JSON.stringify(configToHuggingFace(checkpoint.config), null, 2)}\n`,
    'model.safetensors': checkpointToSafetensors(checkpoint),
  };
}

function stateToSafetensors(arrays: SessionState['arrays']): Uint8Array {
  return writeSafetensors(
    [...arrays].map(([name, data]): [string, SafetensorsInput] => [
      name,
      {
        dtype: data instanceof Float32Array ? 'F32' : data instanceof Int32Array ? 'I32' : 'F64',
        shape: [data.length],
        data,
      },
    ]),
  );
}

/** The folder that holds model.safetensors: the path itself, or a run's best (else newest) step. */
export async function findModel(path: string): Promise<string> {
  if (existsSync(join(path, 'model.safetensors'))) return path;
  const best = await new RunFolder(path).bestName();
  if (best) return join(path, best);
  const steps = (await listFolders(path)).filter((name) => STEP.test(name));
  if (steps.length > 0) return join(path, (await latestFolder(path)) ?? steps.at(-1)!);
  const why = existsSync(path) ? 'it holds no model.safetensors and no step-NNNNNN folder' : 'there is no such folder';
  throw new UserError(`cannot load a model from ${path}: ${why}; give a run's folder, e.g. runs/nano-1`, 2);
}

/** The newest run under runs/ that has a model, for commands called without --model. */
export async function newestRun(root = 'runs'): Promise<string> {
  const names = existsSync(root) ? await listFolders(root) : [];
  const dated: { path: string; at: string }[] = [];
  for (const name of names) {
    const path = join(root, name);
    try {
      const record = await new RunFolder(path).record();
      if ((await listFolders(path)).some((step) => STEP.test(step))) dated.push({ path, at: record.startedAt });
    } catch {
      // Not a run: nothing to choose from.
    }
  }
  dated.sort((a, b) => (a.at < b.at ? 1 : -1));
  if (dated.length === 0)
    throw new UserError(`there is no trained model under ${root}/; train one: blt train, or give --model DIR`, 2);
  return dated[0].path;
}

/** Reads a model folder. @throws UserError or the library's own error naming file, thing and both values */
export async function loadModel(
  path: string | undefined,
  backend: Backend,
): Promise<{ checkpoint: Checkpoint; folder: string }> {
  const folder = await findModel(path ?? (await newestRun()));
  const read = async (name: string) => {
    try {
      return await readFile(join(folder, name));
    } catch (error) {
      const why = errorCode(error) === 'ENOENT' ? 'there is no such file' : reason(error);
      throw new UserError(`cannot read ${join(folder, name)}: ${why}`, 1, { cause: error });
    }
  };
  let json: unknown;
  try {
    json = JSON.parse((await read('config.json')).toString('utf8'));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${join(folder, 'config.json')} is not JSON: ${reason(error)}`, 1, { cause: error });
  }
  const config = configFromHuggingFace(json);
  try {
    return { checkpoint: checkpointFromSafetensors(await read('model.safetensors'), config, backend), folder };
  } catch (error) {
    if (error instanceof SafetensorsError) {
      throw new UserError(`${join(folder, 'model.safetensors')}: ${error.message}`, 1, { cause: error });
    }
    throw error;
  }
}

/** A free name under runs/: size-1, size-2, ... */
export function freeRunName(root: string, size: string): string {
  for (let i = 1; ; i++) if (!existsSync(join(root, `${size}-${i}`))) return `${size}-${i}`;
}

export const runTitle = (folder: RunFolder): string => basename(folder.path);
