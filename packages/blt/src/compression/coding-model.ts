/** @file A model for compression, and the fingerprints by which an archive knows it again. */
import { scope } from '@blt-ts/tensor';
import { namedTensors } from '../checkpoints/huggingface.ts';
import { configToHuggingFace } from '../checkpoints/huggingface-config.ts';
import { Decoder } from '../decoding/decoder.ts';
import { TooManyPatchesError } from '../errors.ts';
import { memoryToSafetensors } from '../memory/saved-memory.ts';
import type { TextMemory } from '../memory/text-memory.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { longestText, surelyRead } from '../model/config.ts';
import { BOS, BYTE_OFFSET } from '../patching/vocabulary.ts';

/** A checkpoint that compresses, see `codingModel`. */
export interface CodingModel {
  readonly checkpoint: Checkpoint;
  /** [8] the beginning of the SHA-256 of configuration and weights. */
  readonly fingerprint: Uint8Array;
  /** [4] the beginning of the SHA-256 of some logits as this backend computes them. */
  readonly arithmetic: Uint8Array;
}

/** A memory that predicts beside a model, see `codingMemory`. */
export interface CodingMemory {
  readonly memory: TextMemory;
  /** [8] the beginning of the SHA-256 of its text and of what it has learned. */
  readonly fingerprint: Uint8Array;
}

/** The parts, laid end to end. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Whether two texts have the same bytes. */
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/** SHA-256 of some bytes. */
const digest = async (bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

/** SHA-256 of the parts, laid end to end. */
export const sha256 = (parts: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> => digest(joined(parts));

export const FINGERPRINT_BYTES = 8;
export const ARITHMETIC_BYTES = 4;

/** The same text for the same value, whatever the order of its keys. */
function canonical(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonical)}]`;
  const entries = Object.entries(value).filter(([, x]) => x !== undefined);
  return `{${entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, x]) => `${JSON.stringify(key)}:${canonical(x)}`)}}`;
}

const text = (s: string): Uint8Array => new TextEncoder().encode(s);

/** The SHA-256 of a checkpoint's configuration and of all its values, as float32: the same however its file keeps them. */
async function sha256OfCheckpoint(checkpoint: Checkpoint): Promise<Uint8Array> {
  const hashes = [text(canonical(configToHuggingFace(checkpoint.config)))];
  for (const [name, tensor] of namedTensors(checkpoint)) {
    const read = scope(() => tensor.readSync());
    const { buffer, byteOffset, byteLength } = read instanceof Float32Array ? read : Float32Array.from(read);
    // A copy of millions of values would take longer than their sum.
    hashes.push(text(name), await digest(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength)));
  }
  return sha256(hashes);
}

/** Bytes whose logits are compared: texts of several lengths, so that products of one row and of several are among them. */
const PROBE = 96;

/** The logits after each of so many bytes that look like nothing. @throws TooManyPatchesError if they are more patches than the model takes */
function probeLogits(checkpoint: Checkpoint, length: number): Float32Array {
  const ids = Array.from({ length }, (_, i) => (i === 0 ? BOS : BYTE_OFFSET + ((i * i * 7 + 13 * i) % 256)));
  const decoder = new Decoder(checkpoint);
  try {
    return decoder.feed([ids], { all: true })[0];
  } finally {
    decoder.release();
  }
}

/** The SHA-256 of the logits of `PROBE` bytes, or of as many as the model surely reads where those have more patches than it takes. */
function sha256OfLogits(checkpoint: Checkpoint): Promise<Uint8Array> {
  const { config } = checkpoint;
  let logits: Float32Array;
  try {
    logits = probeLogits(checkpoint, Math.min(PROBE, longestText(config)));
  } catch (error) {
    if (!(error instanceof TooManyPatchesError)) throw error;
    logits = probeLogits(checkpoint, Math.min(PROBE, surelyRead(config)));
  }
  return sha256([new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength)]);
}

/**
 * Makes a checkpoint ready to compress and decompress.
 *
 * An archive opens where the same bits are computed. `createWasmBackend({ deterministic: true, batchInvariant: true })` computes them on
 * every machine, engine and number of threads. Without `deterministic` they are those of machines like this one. Without
 * `batchInvariant` no archive is sure to open, because one text and many side by side are computed in another order.
 */
export async function codingModel(checkpoint: Checkpoint): Promise<CodingModel> {
  const [fingerprint, arithmetic] = [await sha256OfCheckpoint(checkpoint), await sha256OfLogits(checkpoint)];
  return {
    checkpoint,
    fingerprint: fingerprint.slice(0, FINGERPRINT_BYTES),
    arithmetic: arithmetic.slice(0, ARITHMETIC_BYTES),
  };
}

/** Makes a memory ready to compress and decompress beside a model. It must not read anything more. */
export async function codingMemory(memory: TextMemory): Promise<CodingMemory> {
  const fingerprint = (await sha256([memoryToSafetensors(memory)])).slice(0, FINGERPRINT_BYTES);
  return { memory, fingerprint };
}
