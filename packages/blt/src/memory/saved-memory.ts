/**
 * @file A memory as a safetensors file. It holds the text and what was learned about counts, some 0.9 MB, but not the counters: they
 * follow from the text, are a hundred times larger, and are counted anew when the file is read.
 */
import { readSafetensors, SafetensorsError, type SafetensorsInput, writeSafetensors } from '@blt-ts/tensor';
import { MOST_TEXT_BYTES } from './learn-memory.ts';
import { TextMemory } from './text-memory.ts';

const FORMAT = 'blt-memory';
const VERSION = '1';

/** The held-out bits per byte of the model that a memory belongs to, by itself and with the memory. */
export interface HeldOutGain {
  readonly alone: number;
  readonly withMemory: number;
}

/** A saved memory, and how much it helped. */
export interface SavedMemory {
  readonly memory: TextMemory;
  /** Null where nothing was held out. */
  readonly heldOut: HeldOutGain | null;
}

/** A learned array, its name, and the values it may have. */
interface Learned {
  readonly name: string;
  readonly values: Float64Array;
  readonly least: number;
  readonly most: number;
}

/** All that is learned in a memory, but for its counters. The arrays are the memory's own. */
function learnedArrays({ maps, mixer, finalMixer, match }: TextMemory): Learned[] {
  const probability = { least: 0.0001, most: 0.9999 };
  const count = { least: 0, most: Number.MAX_SAFE_INTEGER };
  return [
    ...maps.map((map, k) => ({ name: `map.${k}.probability`, values: map.probabilities, ...probability })),
    ...maps.map((map, k) => ({ name: `map.${k}.seen`, values: map.seen, ...count })),
    { name: 'match.trust', values: match.trust.probabilities, ...probability },
    { name: 'match.seen', values: match.trust.seen, ...count },
    { name: 'mixer.weight', values: mixer.weights, least: -1000, most: 1000 },
    { name: 'mixer.seen', values: mixer.seen, ...count },
    { name: 'final_mixer.weight', values: finalMixer.weights, least: -1000, most: 1000 },
    { name: 'final_mixer.seen', values: finalMixer.seen, ...count },
  ];
}

/** The file of a memory as it is now: with all that it has read. */
export function memoryToSafetensors(memory: TextMemory): Uint8Array<ArrayBuffer> {
  const text = memory.history.bytes();
  const tensors: [string, SafetensorsInput][] = learnedArrays(memory).map(({ name, values }) => [
    name,
    { dtype: 'F64', shape: [values.length], data: values },
  ]);
  tensors.push(['text', { dtype: 'U8', shape: [text.length], data: text }]);
  return writeSafetensors(tensors, { format: FORMAT, version: VERSION });
}

/** The same file, with what the memory changed on held-out text. It is measured on a memory that has read that text, so it comes later. */
export function memoryFileWithGain(file: Uint8Array, { alone, withMemory }: HeldOutGain): Uint8Array<ArrayBuffer> {
  const { tensors, metadata } = readSafetensors(file);
  metadata.set('held_out_alone', String(alone)).set('held_out_with_memory', String(withMemory));
  return writeSafetensors(tensors, metadata);
}

/**
 * The memory of a file, its text read again. It predicts exactly as the one that was saved.
 * @throws SafetensorsError in one sentence for anything that is no such file
 */
export function memoryFromSafetensors(file: Uint8Array): SavedMemory {
  const { tensors, metadata } = readSafetensors(file);
  if (metadata.get('format') !== FORMAT || metadata.get('version') !== VERSION) {
    throw new SafetensorsError(`this is no memory of format ${FORMAT}, version ${VERSION}; train again to make one`);
  }
  const text = tensors.get('text');
  if (text?.dtype !== 'U8' || text.shape.length !== 1) {
    throw new SafetensorsError('the memory has no tensor "text" of bytes; train again to make one');
  }
  if (text.data.length > MOST_TEXT_BYTES) {
    throw new SafetensorsError(
      `the memory's text has ${text.data.length} bytes, the most is ${MOST_TEXT_BYTES}; train again to make one`,
    );
  }
  const memory = new TextMemory(text.data.length);
  for (const learned of learnedArrays(memory)) restore(learned, tensors.get(learned.name));
  for (const byte of text.data) memory.read(byte);
  return { memory, heldOut: gainOf(metadata) };
}

/** Fills a learned array from the file. */
function restore({ name, values, least, most }: Learned, stored: SafetensorsInput | undefined): void {
  const shown = `the memory's tensor "${name}"`;
  if (stored?.dtype !== 'F64' || stored.shape.length !== 1 || stored.shape[0] !== values.length) {
    const what = stored ? `${stored.dtype} [${stored.shape.slice(0, 4)}]` : 'missing';
    throw new SafetensorsError(`${shown} is ${what}, it must be F64 [${values.length}]; train again to make one`);
  }
  const { buffer, byteOffset, byteLength } = stored.data;
  values.set(new Float64Array(buffer.slice(byteOffset, byteOffset + byteLength)));
  const wrong = values.find((value) => !(value >= least && value <= most));
  if (wrong !== undefined) {
    throw new SafetensorsError(`${shown} holds ${wrong}, it must be ${least} to ${most}; train again to make one`);
  }
}

function gainOf(metadata: ReadonlyMap<string, string>): HeldOutGain | null {
  const [alone, withMemory] = ['held_out_alone', 'held_out_with_memory'].map((key) => Number(metadata.get(key)));
  return Number.isFinite(alone) && Number.isFinite(withMemory) ? { alone, withMemory } : null;
}
