/**
 * @file The memory beside a model, in memory.safetensors. A run has one, in its own folder, because it is of the run's training text and
 * the same for every step. An exported model has none. A folder of a model in a run finds that of the run.
 */
import { closeSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type HeldOutGain,
  MemoryMixture,
  memoryFileWithGain,
  memoryFromSafetensors,
  type SavedMemory,
  type TextMemory,
} from '@blt-ts/blt';
import { SafetensorsError } from '@blt-ts/tensor';
import { writeFileAtomically } from '../files/atomic-file.ts';
import { openRegular } from '../files/small-file.ts';
import { reason, UserError } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';
import { runOfModel } from './folder.ts';

const MEMORY_FILE = 'memory.safetensors';
/** A memory has at most 4 MiB of text and some 0.9 MB of what was learned. */
const MOST_BYTES = 16 * 2 ** 20;

/** Where the memory of a model folder would lie: in it, or in the run that it is of. */
function memoryPath(modelFolder: string): string {
  const own = join(modelFolder, MEMORY_FILE);
  const run = runOfModel(modelFolder);
  return existsSync(own) || run === null ? own : join(run, MEMORY_FILE);
}

/** Saves a run's memory. @param heldOut what it changed on held-out text; null where none was held out   @throws UserError naming the file */
export async function writeMemory(run: string, file: Uint8Array, heldOut: HeldOutGain | null): Promise<void> {
  await writeFileAtomically(join(run, MEMORY_FILE), heldOut ? memoryFileWithGain(file, heldOut) : file);
}

/** Words of the errors about a memory. */
export interface MemoryWords {
  /** The name of the asker. */
  readonly who: string;
  /** The remedy where it is broken. */
  readonly otherwise: string;
  /** Of the error where there is none. */
  readonly exitCode: 1 | 2;
}
const FLAG: MemoryWords = { who: '--memory', otherwise: '--no-memory takes the model alone', exitCode: 2 };

/** @throws UserError naming the file and what is wrong with it */
function readMemory(path: string, { otherwise }: MemoryWords): SavedMemory {
  try {
    const { descriptor, info } = openRegular(path);
    try {
      if (info.size > MOST_BYTES) throw new Error(`it has more than ${humanBytes(MOST_BYTES)}, the most of a memory`);
      return memoryFromSafetensors(readFileSync(descriptor));
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    const message = error instanceof SafetensorsError ? error.message : reason(error);
    throw new UserError(`cannot use ${path}: ${message}; ${otherwise}`, 1, { cause: error });
  }
}

/**
 * The memory to be used with a model: null where there is none, or where it did not help on held-out text.
 * @param asked true: it is used whether it helped or not; false: it is not used
 * @throws UserError if it was asked for and is not there, or is no memory
 */
export function memoryBeside(modelFolder: string, asked: boolean | undefined): MemoryMixture | null {
  const memory = asked === false ? null : textMemoryBeside(modelFolder, asked);
  return memory && new MemoryMixture(memory);
}

/** Whether there is a memory for a model. */
export const hasMemory = (modelFolder: string): boolean => existsSync(memoryPath(modelFolder));

/** `memoryBeside`, not mixed with a model yet. */
export function textMemoryBeside(
  modelFolder: string,
  asked: boolean | undefined,
  words: MemoryWords = FLAG,
): TextMemory | null {
  const path = memoryPath(modelFolder);
  if (!existsSync(path)) {
    if (!asked) return null;
    throw new UserError(
      `${words.who}: there is no ${path}; a run gets one when it ends, unless it was trained with --memory off`,
      words.exitCode,
    );
  }
  const { memory, heldOut } = readMemory(path, words);
  if (!asked && !(heldOut && heldOut.withMemory < heldOut.alone)) return null;
  return memory;
}
