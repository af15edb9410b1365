/**
 * @file Structure-aware fuzzing of the safetensors reader: make a random valid file, break it in one named way, read it.
 * A nightly script calls `fuzzSafetensors` with a million cases; the tests call it with a few hundred.
 */

import { Random } from '../../../packages/tensor/src/numerics/random.ts';
import { SafetensorsError } from '../../../packages/tensor/src/safetensors/format.ts';
import {
  readSafetensors,
  type SafetensorsFile,
  toFloat32,
  toInt32,
  writeSafetensors,
} from '../../../packages/tensor/src/safetensors/write-read.ts';
import { MUTATIONS, type Mutation, REASONS } from './mutations.ts';
import { randomSample } from './samples.ts';

/**
 * Reads the bytes and checks the laws that hold for every input: it is read, or refused with a SafetensorsError; what is
 * read agrees with `JSON.parse` of its header, covers the data, and survives being written and read again.
 * @returns what was read, or the error that refused it
 * @throws if a law is broken
 */
export function readOrRefuse(bytes: Uint8Array): SafetensorsFile | SafetensorsError {
  let file: SafetensorsFile;
  try {
    file = readSafetensors(bytes);
  } catch (error) {
    if (error instanceof SafetensorsError && error.message.length < 1000) return error;
    throw error;
  }
  checkAgainstJson(file, bytes);
  const again = readSafetensors(writeSafetensors(file.tensors, file.metadata));
  if (!equalFiles(file, again)) throw new Error('a file that was read changed when written and read again');
  for (const tensor of file.tensors.values()) {
    for (const decode of [toFloat32, toInt32]) {
      try {
        decode(tensor);
      } catch (error) {
        if (!(error instanceof SafetensorsError)) throw error;
      }
    }
  }
  return file;
}

function checkAgainstJson(file: SafetensorsFile, bytes: Uint8Array): void {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const json = new Map(
    Object.entries<Record<string, unknown>>(JSON.parse(new TextDecoder().decode(bytes.slice(8, 8 + length)))),
  );
  const metadata = Object.entries(json.get('__metadata__') ?? {});
  json.delete('__metadata__');
  // An own property called __proto__ is set by JSON.parse and listed by Object.entries.
  if (json.size !== file.tensors.size || metadata.length !== file.metadata.size) throw new Error('entries were lost');
  for (const [key, value] of metadata) if (file.metadata.get(key) !== value) throw new Error(`metadata ${key} differs`);
  let covered = 0;
  for (const [name, { dtype, shape, data_offsets }] of json) {
    const tensor = file.tensors.get(name);
    if (tensor === undefined) throw new Error(`tensor ${name} was lost`);
    const [begin, end] = data_offsets as number[];
    const at = tensor.data.byteOffset - bytes.byteOffset - 8 - length;
    if (
      tensor.dtype !== dtype ||
      `${tensor.shape}` !== `${shape}` ||
      at !== begin ||
      tensor.data.length !== end - begin
    ) {
      throw new Error(`tensor ${name} differs from the header`);
    }
    covered += tensor.data.length;
  }
  if (covered !== bytes.length - 8 - length) throw new Error(`${covered} bytes of data are covered`);
}

/** Same names, dtypes, shapes, bytes and metadata. */
export function equalFiles(a: SafetensorsFile, b: SafetensorsFile): boolean {
  if (a.tensors.size !== b.tensors.size || a.metadata.size !== b.metadata.size) return false;
  for (const [key, value] of a.metadata) if (b.metadata.get(key) !== value) return false;
  for (const [name, x] of a.tensors) {
    const y = b.tensors.get(name);
    if (x.dtype !== y?.dtype || `${x.shape}` !== `${y.shape}` || x.data.length !== y.data.length) return false;
    if (x.data.some((byte, i) => byte !== y.data[i])) return false;
  }
  return true;
}

/** Runs one mutation on one random file. @throws if a law or the mutation's verdict is broken */
export function runMutation(mutation: Mutation, random: Random): 'read' | 'refused' {
  const sample = randomSample(random);
  const result = readOrRefuse(mutation.apply(sample, random));
  const outcome = result instanceof SafetensorsError ? 'refused' : 'read';
  if (mutation.verdict !== 'either' && mutation.verdict !== outcome) {
    throw new Error(
      `must be ${mutation.verdict}, but: ${result instanceof SafetensorsError ? result.message : outcome}`,
    );
  }
  const reason = REASONS[mutation.check];
  if (result instanceof SafetensorsError && reason && !reason.test(result.message)) {
    throw new Error(`refused for another reason than ${reason}: ${result.message}`);
  }
  if (mutation.verdict === 'read' && !equalFiles(result as SafetensorsFile, sample.expected))
    throw new Error('read other values');
  return outcome;
}

/**
 * Breaks `cases` random files, each case from its own seed. Returns how many were read and refused per mutation.
 * @throws Error that names the mutation and the seed that replays it
 */
export function fuzzSafetensors(options: {
  cases: number;
  seed: number;
  mutations?: readonly Mutation[];
}): Map<string, { read: number; refused: number }> {
  const { cases, seed, mutations = MUTATIONS } = options;
  const counts = new Map(mutations.map(({ name }) => [name, { read: 0, refused: 0 }]));
  for (let i = 0; i < cases; i++) {
    const mutation = mutations[i % mutations.length];
    try {
      counts.get(mutation.name)![runMutation(mutation, new Random(seed + i))]++;
    } catch (cause) {
      throw new Error(`fuzzing: "${mutation.name}" with seed ${seed + i}: ${(cause as Error).message}`, { cause });
    }
  }
  return counts;
}
