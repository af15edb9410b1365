/** @file Files of weights: model.safetensors, or shards with an index, read tensor by tensor. A file may be larger than memory. */
import { closeSync, existsSync, readSync, type Stats } from 'node:fs';
import { basename, join } from 'node:path';
import type { StoredTensor, StoredTensors } from '@blt-ts/blt';
import { parseSafetensorsHeader, SafetensorsError, safetensorsHeaderSize } from '@blt-ts/tensor';
import { reason, UserError } from '../terminal/errors.ts';
import { checkManifest } from './checksums.ts';
import { openRegular, parseJson, readSmallFile } from './small-file.ts';

export const INDEX = 'model.safetensors.index.json';
export const SINGLE = 'model.safetensors';

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
  const why = reason(error);
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
export const tensorsOfFile = (path: string): StoredTensors => openTensors(path).tensors;

/**
 * Makes something of a file's tensors, and closes the file. An open file takes its place on the disk even after it was deleted.
 * @throws UserError with the reader's message
 */
export function fromTensorsOf<T>(path: string, make: (tensors: StoredTensors) => T): T {
  const { tensors, close } = openTensors(path);
  try {
    return make(tensors);
  } finally {
    close();
  }
}

function openTensors(path: string): { tensors: StoredTensors; close(): void } {
  const file = new WeightFile(path);
  const { size } = file;
  try {
    const start = new Uint8Array(Math.min(size, 512));
    file.read(start, 0);
    const head = new Uint8Array(safetensorsHeaderSize(start, size));
    file.read(head, 0);
    const { tensors: entries, dataStart } = parseSafetensorsHeader(head, size);
    const tensors = new Map(
      [...entries].map(([name, { dtype, shape, begin, end }]): [string, StoredTensor] => [
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
    return { tensors, close: () => file.close() };
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
