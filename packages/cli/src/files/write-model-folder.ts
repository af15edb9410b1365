/** @file Writes a model folder in the Hugging Face layout, piece by piece. It is a model when it is whole, and not before. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { link, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import {
  type BltConfig,
  checkpointPlan,
  configToHuggingFace,
  type StoredTensor,
  type StoredTensors,
} from '@blt-ts/blt';
import { f32ToBf16, layoutSafetensors, type SafetensorsDtype, toFloat32 } from '@blt-ts/tensor';
import { errorCode, reason, UserError } from '../terminal/errors.ts';
import { endAtSignal } from '../terminal/interrupt.ts';
import { INDEX, SINGLE } from './weight-files.ts';

export type WeightDtype = 'F32' | 'BF16';

const elementBytes: Partial<Record<SafetensorsDtype, number>> = { F32: 4, BF16: 2, F16: 2, F64: 8 };

/** Data of a stored tensor as F32 or BF16, in pieces of some megabytes; unchanged where it is of that dtype already. */
function* converted(name: string, tensor: StoredTensor, dtype: WeightDtype): Generator<Uint8Array> {
  const width = elementBytes[tensor.dtype];
  if (!width) throw new UserError(`${name} has dtype ${tensor.dtype}; weights are F32, BF16, F16 or F64`, 1);
  const piece = width * 2 ** 22;
  for (let at = 0; at < tensor.bytes; at += piece) {
    const data = tensor.read(at, Math.min(at + piece, tensor.bytes));
    if (tensor.dtype === dtype) {
      yield data;
      continue;
    }
    const values = toFloat32({ dtype: tensor.dtype, shape: [data.length / width], data }, name);
    const out = dtype === 'F32' ? values : f32ToBf16(values);
    yield new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
  }
}

/** The form of the files of a model folder. */
export interface WriteOptions {
  /** Default: BF16 if every tensor is stored so, else F32. */
  readonly dtype?: WeightDtype;
  /** Most bytes of data in one file (default: no limit, one file). */
  readonly shardBytes?: number;
  /** The values of config.json (default: those of the configuration alone). */
  readonly json?: Record<string, unknown>;
  /** Texts of more files, by name. */
  readonly beside?: Readonly<Record<string, string>>;
}

function attempt<T>(f: () => T): T | undefined {
  try {
    return f();
  } catch {
    return undefined;
  }
}

/** Where a folder is to come to be, with links and dots followed. `exists`: it does already, and is empty. */
function placeFor(folder: string): { path: string; exists: boolean } {
  // What cannot be looked at cannot be made either, which is said then.
  const found = attempt(() => lstatSync(folder));
  if (found === undefined) return { path: resolve(folder), exists: false };
  const info = attempt(() => statSync(folder));
  if (info === undefined) throw new UserError(`${folder} is a link to nothing; name a folder`, 2);
  if (!info.isDirectory()) throw new UserError(`${folder} is a file; name a folder`, 2);
  if (readdirSync(folder).some((name) => !name.startsWith(TEMPORARY))) {
    throw new UserError(`${folder} exists and is not empty; name another folder`, 2);
  }
  return { path: realpathSync(folder), exists: true };
}

/**
 * Gives files that were written to `from` their place in `to`, an empty folder that stays the same folder: it may be the current
 * one, a link's target or a mount point. Weights come last, so that it is no model before it is whole.
 */
async function moveFiles(from: string, to: string, names: readonly string[]): Promise<void> {
  const others = readdirSync(to).filter((name) => !name.startsWith(TEMPORARY));
  if (others.length > 0) throw Object.assign(new Error('not empty'), { code: 'ENOTEMPTY' });
  const moved: string[] = [];
  try {
    for (const name of names) {
      await moveNew(join(from, name), join(to, name));
      moved.push(name);
    }
  } catch (error) {
    for (const name of moved) await rm(join(to, name), { force: true });
    throw error;
  }
  await rm(from, { recursive: true });
}

/** Renames a file to a name that nobody has. A plain rename would put it in the place of another. */
async function moveNew(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    // File systems without hard links.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errorCode(error) ?? '')) throw error;
    if (existsSync(to)) throw Object.assign(new Error('there already'), { code: 'EEXIST' });
    return rename(from, to);
  }
  await rm(from);
}

/** Tensors in the order of the plan, in files of at most so many bytes. @param width bytes of an element in the file */
function inShards(
  config: BltConfig,
  stored: StoredTensors,
  width: number,
  shardBytes: number,
): [string, StoredTensor][][] {
  const shards: [string, StoredTensor][][] = [[]];
  let filled = 0;
  for (const { name } of checkpointPlan(config)) {
    const tensor = stored.get(name)!;
    const bytes = (tensor.bytes / (elementBytes[tensor.dtype] ?? width)) * width;
    if (filled > 0 && filled + bytes > shardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push([name, tensor]);
    filled += bytes;
  }
  return shards;
}

const TEMPORARY = '.blt-writing-';

/**
 * Writes a folder in the Hugging Face layout; it is a model when it is whole, and not before. Nothing that is there is removed.
 * @throws UserError if the folder exists and is not empty, before the work or when it is to take its place
 */
export async function writeModelFolder(
  folder: string,
  config: BltConfig,
  stored: StoredTensors,
  { dtype, shardBytes = Number.POSITIVE_INFINITY, json = configToHuggingFace(config), beside = {} }: WriteOptions = {},
): Promise<{ dtype: WeightDtype; files: string[]; bytes: number }> {
  const { path, exists } = placeFor(folder);
  const to = dtype ?? ([...stored.values()].every((t) => t.dtype === 'BF16') ? 'BF16' : 'F32');
  const shards = inShards(config, stored, elementBytes[to]!, shardBytes);
  const temporary = join(
    exists ? path : dirname(path),
    `${TEMPORARY}${basename(path)}-${randomBytes(6).toString('hex')}`,
  );
  const number = (i: number) => String(i).padStart(5, '0');
  const files = shards.map((_, i) =>
    shards.length === 1 ? SINGLE : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`,
  );
  const done = endAtSignal(`${folder} was not written`, () => rmSync(temporary, { recursive: true, force: true }));
  try {
    // An absolute path, since Node's recursive mkdir never ends for a relative one in a current folder that has been deleted.
    await mkdir(temporary, { recursive: true });
    const texts = { 'config.json': configText(json, to), ...beside };
    for (const [name, text] of Object.entries(texts)) await writeFile(join(temporary, name), text);
    let total = 0;
    shards.forEach((tensors, i) => {
      total += writeShard(join(temporary, files[i]), tensors, to);
    });
    if (shards.length > 1) {
      const weightMap = Object.fromEntries(shards.flatMap((s, i) => s.map(([name]) => [name, files[i]])));
      const index = { metadata: { total_size: total }, weight_map: weightMap };
      await writeFile(join(temporary, INDEX), `${JSON.stringify(index, null, 2)}\n`);
    }
    if (exists)
      await moveFiles(temporary, path, [...Object.keys(texts), ...files, ...(shards.length > 1 ? [INDEX] : [])]);
    // A folder does not take the place of one that is not empty.
    else await rename(temporary, path);
    return { dtype: to, files, bytes: total };
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    if (['ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '')) {
      throw new UserError(
        `${folder} was empty, but something was put into it while the model was being written; that was left as it is, the model was not kept: name another folder`,
        1,
        { cause: error },
      );
    }
    if (errorCode(error)) throw new UserError(`cannot write ${folder}: ${reason(error)}`, 1, { cause: error });
    throw error;
  } finally {
    done();
  }
}

const configText = (json: Record<string, unknown>, dtype: WeightDtype): string =>
  `${JSON.stringify({ ...json, dtype: dtype === 'F32' ? 'float32' : 'bfloat16' }, null, 2)}\n`;

/** A call may write less than it was given.   @param write tests pass one that does */
export function writeFully(descriptor: number, data: Uint8Array, position: number, write = writeSync): void {
  for (let done = 0; done < data.length; ) {
    done += write(descriptor, data, done, data.length - done, position + done);
  }
}

function writeShard(file: string, tensors: readonly [string, StoredTensor][], dtype: WeightDtype): number {
  const {
    header,
    tensors: placed,
    dataSize,
  } = layoutSafetensors(
    tensors.map(([name, { shape }]) => [name, { dtype, shape }] as const),
    { format: 'pt' },
  );
  const descriptor = openSync(file, 'w');
  try {
    writeFully(descriptor, header, 0);
    for (const [name, tensor] of tensors) {
      let at = header.length + placed.get(name)!.begin;
      for (const piece of converted(name, tensor, dtype)) {
        writeFully(descriptor, piece, at);
        at += piece.length;
      }
    }
  } finally {
    closeSync(descriptor);
  }
  return dataSize;
}
