/**
 * @file Model folders on disk: one model.safetensors, or shards with an index; read tensor by tensor, written piece by piece, so that
 * a checkpoint may be larger than memory.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { link, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import {
  type BltConfig,
  checkAgainstPlan,
  checkpointPlan,
  configFromFacebook,
  configFromHuggingFace,
  configToHuggingFace,
  facebookArguments,
  isFacebookLayout,
  type StoredTensor,
  type StoredTensors,
  withHuggingFaceNames,
  withTiedEmbeddings,
} from '@blt-ts/blt';
import {
  f32ToBf16,
  layoutSafetensors,
  parseSafetensorsHeader,
  type SafetensorsDtype,
  SafetensorsError,
  safetensorsHeaderSize,
  toFloat32,
} from '@blt-ts/tensor';
import { errorCode, reason, UserError } from '../terminal/errors.ts';
import { checkManifest } from './checksums.ts';
import { openRegular, parseJson, readSmallFile } from './small-file.ts';

const INDEX = 'model.safetensors.index.json';
const SINGLE = 'model.safetensors';

/** Whether a folder holds weights. */
export const holdsWeights = (folder: string): boolean =>
  existsSync(join(folder, SINGLE)) || existsSync(join(folder, INDEX));

/** Reads a JSON file. @throws UserError naming the file */
export function readJson(file: string): unknown {
  let text: string;
  try {
    text = readSmallFile(file);
  } catch (error) {
    throw unreadable(file, error);
  }
  return parseJson(text, file);
}

const unreadable = (file: string, error: unknown): UserError => {
  const why = errorCode(error) === 'ENOENT' ? 'there is no such file' : reason(error);
  return new UserError(`cannot read ${file}: ${why}`, 1, { cause: error });
};

/** A model may have hundreds of shards; a process may often have no more than 256 files open. */
const MOST_OPEN = 8;

/** A file of weights, read at any place. Those read last stay open, the others are opened again when they are needed. */
class WeightFile {
  private static readonly open: WeightFile[] = [];
  readonly path: string;
  readonly size: number;
  private readonly stamp: string;
  private descriptor: number | null = null;

  /** @throws UserError if it cannot be read, or is no regular file */
  constructor(path: string) {
    this.path = path;
    const info = this.opened();
    this.size = info.size;
    this.stamp = stampOf(info);
  }

  /** Fills `into` from byte `position` on. @throws UserError, also if another file has taken its name */
  read(into: Uint8Array, position: number): void {
    if (this.descriptor === null && stampOf(this.opened()) !== this.stamp) {
      this.close();
      throw new UserError(`${this.path} was changed while it was being read; try again`, 1);
    }
    for (let done = 0; done < into.length; ) {
      let n: number;
      try {
        n = readSync(this.descriptor!, into, done, Math.min(into.length - done, 2 ** 30), position + done);
      } catch (error) {
        throw unreadable(this.path, error);
      }
      if (n === 0) throw new UserError(`${this.path} ended while it was being read; was it changed?`, 1);
      done += n;
    }
  }

  close(): void {
    const { open } = WeightFile;
    if (this.descriptor === null) return;
    open.splice(open.indexOf(this), 1);
    closeSync(this.descriptor);
    this.descriptor = null;
  }

  private opened(): Stats {
    try {
      const { descriptor, info } = openRegular(this.path);
      this.descriptor = descriptor;
      WeightFile.open.push(this);
      if (WeightFile.open.length > MOST_OPEN) WeightFile.open[0].close();
      return info;
    } catch (error) {
      throw unreadable(this.path, error);
    }
  }
}

const stampOf = ({ dev, ino, size, mtimeMs }: Stats): string => `${dev} ${ino} ${size} ${mtimeMs}`;

/** A file's tensors. @throws UserError with the reader's message */
function tensorsOfFile(path: string): StoredTensors {
  const file = new WeightFile(path);
  const { size } = file;
  try {
    const start = new Uint8Array(Math.min(size, 512));
    file.read(start, 0);
    const head = new Uint8Array(safetensorsHeaderSize(start, size));
    file.read(head, 0);
    const { tensors, dataStart } = parseSafetensorsHeader(head, size);
    return new Map(
      [...tensors].map(([name, { dtype, shape, begin, end }]): [string, StoredTensor] => [
        name,
        {
          dtype,
          shape,
          bytes: end - begin,
          read(from = 0, to = end - begin) {
            const data = new Uint8Array(to - from);
            file.read(data, dataStart + begin + from);
            return data;
          },
        },
      ]),
    );
  } catch (error) {
    file.close();
    if (error instanceof SafetensorsError) throw new UserError(`${path}: ${error.message}`, 1, { cause: error });
    throw error;
  }
}

/** All tensors of a folder, of one file or of the shards that its index names. */
export function storedInFolder(folder: string): StoredTensors {
  if (existsSync(join(folder, SINGLE))) {
    // The reader says more of a file that is cut or of another kind than a sum that does not match.
    const stored = tensorsOfFile(join(folder, SINGLE));
    checkManifest(folder, [SINGLE]);
    return stored;
  }
  const index = join(folder, INDEX);
  const json = readJson(index) as { weight_map?: unknown } | null;
  const map = json?.weight_map;
  if (map === null || typeof map !== 'object') throw new UserError(`${index} has no weight_map`, 1);
  const all = new Map<string, StoredTensor>();
  const shards = new Map<string, StoredTensors>();
  for (const [name, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || basename(shard) !== shard || !shard.endsWith('.safetensors')) {
      throw new UserError(
        `${index}: ${JSON.stringify(name)} lies in ${JSON.stringify(shard)}; a shard is a .safetensors file beside the index`,
        1,
      );
    }
    if (!shards.has(shard)) {
      shards.set(shard, tensorsOfFile(join(folder, shard)));
      checkManifest(folder, [shard]);
    }
    const tensor = shards.get(shard)!.get(name);
    if (!tensor) throw new UserError(`${join(folder, shard)} has no tensor ${name}, which ${index} promises`, 1);
    all.set(name, tensor);
  }
  return all;
}

const prefixed = (stored: StoredTensors, prefix: string): StoredTensors =>
  new Map([...stored].map(([name, tensor]) => [prefix + name, tensor]));

export interface OpenedModel {
  readonly config: BltConfig;
  /** Under Hugging Face names, checked against the configuration. */
  readonly stored: StoredTensors;
  readonly layout: 'huggingface' | 'facebook';
}

/**
 * Opens a folder of either layout without loading it. Facebook's keeps its entropy model in a folder of its own: `entropy_model` inside
 * it, or `entropyModel`; a pickle (.pth) must be converted to safetensors first, it is never unpickled.
 */
export function openModelFolder(folder: string, { entropyModel }: { entropyModel?: string } = {}): OpenedModel {
  if (!holdsWeights(folder)) {
    const why = existsSync(folder) ? `it holds neither ${SINGLE} nor ${INDEX}` : 'there is no such folder';
    throw new UserError(`cannot open ${folder}: ${why}`, 2);
  }
  let own = storedInFolder(folder);
  const facebook = isFacebookLayout(own.keys());
  const json = readJson(
    join(folder, facebook && !existsSync(join(folder, 'config.json')) ? 'params.json' : 'config.json'),
  );
  if (!facebook) {
    const config = configFromHuggingFace(json);
    const stored = withTiedEmbeddings(own, json);
    checkAgainstPlan(checkpointPlan(config), stored);
    checkManifest(folder, ['config.json']);
    return { config, stored, layout: 'huggingface' };
  }
  const beside = entropyModel ?? join(folder, 'entropy_model');
  let entropyArgs: Record<string, unknown> = {};
  if (existsSync(beside)) {
    const file = ['model.safetensors', 'consolidated.safetensors'].map((f) => join(beside, f)).find(existsSync);
    if (!file) {
      throw new UserError(
        `${beside} holds no model.safetensors; convert the .pth with torch.load and safetensors.torch.save_file`,
        2,
      );
    }
    own = new Map([...own, ...prefixed(tensorsOfFile(file), 'patcher.')]);
    if (existsSync(join(beside, 'params.json'))) {
      const params = readJson(join(beside, 'params.json')) as Record<string, unknown>;
      entropyArgs = (params.entropy_model ?? params.model ?? params) as Record<string, unknown>;
    }
  }
  const stored = withHuggingFaceNames(own);
  const args = facebookArguments(json);
  // Weights of one layout beside a configuration of the other: the converter of Hugging Face leaves such folders.
  const config = args ? configFromFacebook(args, stored, entropyArgs) : configFromHuggingFace(json);
  checkAgainstPlan(checkpointPlan(config), stored);
  return { config, stored, layout: 'facebook' };
}

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

export interface WriteOptions {
  /** Default: BF16 if every tensor is stored so, else F32. */
  readonly dtype?: WeightDtype;
  /** Most bytes of data in one file (default: no limit, one file). */
  readonly shardBytes?: number;
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
  if (readdirSync(folder).length > 0) throw new UserError(`${folder} exists and is not empty; name another folder`, 2);
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

const TEMPORARY = '.blt-writing-';

/**
 * Writes a folder in the Hugging Face layout; it is a model when it is whole, and not before. Nothing that is there is removed.
 * @throws UserError if the folder exists and is not empty, before the work or when it is to take its place
 */
export async function writeModelFolder(
  folder: string,
  config: BltConfig,
  stored: StoredTensors,
  { dtype, shardBytes = Number.POSITIVE_INFINITY }: WriteOptions = {},
): Promise<{ dtype: WeightDtype; files: string[]; bytes: number }> {
  const { path, exists } = placeFor(folder);
  const to = dtype ?? ([...stored.values()].every((t) => t.dtype === 'BF16') ? 'BF16' : 'F32');
  const width = elementBytes[to]!;
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
  const temporary = join(
    exists ? path : dirname(path),
    `${TEMPORARY}${basename(path)}-${randomBytes(6).toString('hex')}`,
  );
  const number = (i: number) => String(i).padStart(5, '0');
  const files = shards.map((_, i) =>
    shards.length === 1 ? SINGLE : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`,
  );
  try {
    // An absolute path, since Node's recursive mkdir never ends for a relative one in a current folder that has been deleted.
    await mkdir(temporary, { recursive: true });
    await writeFile(join(temporary, 'config.json'), `${JSON.stringify(configJson(config, to), null, 2)}\n`);
    let total = 0;
    shards.forEach((tensors, i) => {
      total += writeShard(join(temporary, files[i]), tensors, to);
    });
    if (shards.length > 1) {
      const weightMap = Object.fromEntries(shards.flatMap((s, i) => s.map(([name]) => [name, files[i]])));
      const index = { metadata: { total_size: total }, weight_map: weightMap };
      await writeFile(join(temporary, INDEX), `${JSON.stringify(index, null, 2)}\n`);
    }
    if (exists) await moveFiles(temporary, path, ['config.json', ...files, ...(shards.length > 1 ? [INDEX] : [])]);
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
  }
}

const configJson = (config: BltConfig, dtype: WeightDtype) => ({
  ...configToHuggingFace(config),
  dtype: dtype === 'F32' ? 'float32' : 'bfloat16',
});

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
