/** @file `blt inspect --plan`: what a checkpoint needs, from headers, or from a mere list of names and shapes. */
import { statSync } from 'node:fs';
import {
  type BltConfig,
  checkAgainstPlan,
  checkpointPlan,
  configFromShapes,
  type NamedShapes,
  planMemory,
} from '@blt-ts/blt';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { readJson } from '../files/weight-files.ts';
import { findModel, newestRun } from '../run/find-model.ts';
import { parametersByPart } from '../run/model-size.ts';
import { UserError } from '../terminal/errors.ts';
import { humanBytes, humanCount } from '../terminal/human-units.ts';
import { say, sayJson } from '../terminal/output.ts';

/** `{"tensor name": [sizes], ...}` */
function shapesOf(file: string): NamedShapes {
  const json = readJson(file);
  const isShape = (x: unknown) => Array.isArray(x) && x.every((d) => Number.isSafeInteger(d) && d >= 0);
  if (json === null || typeof json !== 'object' || !Object.values(json).every(isShape)) {
    throw new UserError(`${file} must hold {"tensor name": [sizes], ...}, one entry for each tensor`, 2);
  }
  return new Map(Object.entries(json).map(([name, shape]) => [name, { shape: shape as number[] }]));
}

/** Bytes of keys, values and states that decoding keeps for one text of `bytes` bytes at 4.5 bytes a patch, in float32. */
function decodingBytes(c: BltConfig, bytes: number): number {
  const keyValues = (t: BltConfig['global'], n: number) =>
    2 * t.numHiddenLayers * (t.hiddenSize / t.numAttentionHeads) * t.numKeyValueHeads * n;
  const window = c.behaviour === 'facebook' && c.window !== null ? Math.min(bytes, 2 * c.window) : bytes;
  const local = keyValues(c.encoder, window) + keyValues(c.decoder, window) + c.encoder.hiddenSize * window;
  return 4 * (local + keyValues(c.global, bytes / 4.5) + (c.patcher ? keyValues(c.patcher, window) : 0));
}

/** @returns the exit code */
export async function inspectPlan(
  path: string | undefined,
  flags: { readonly tensors?: boolean; readonly json?: boolean },
): Promise<number> {
  let config: BltConfig;
  let source: string;
  if (path?.endsWith('.json') && statSync(path, { throwIfNoEntry: false })?.isFile() !== false) {
    const shapes = shapesOf(path);
    config = configFromShapes(shapes);
    checkAgainstPlan(checkpointPlan(config), shapes);
    source = path;
  } else {
    source = await findModel(path ?? (await newestRun()));
    config = openModelFolder(source).config;
  }
  const plan = checkpointPlan(config);
  const { values, hashValues } = planMemory(plan);
  const parts = parametersByPart({ config });
  const memory = {
    f32: 4 * (values + hashValues),
    bf16: 2 * (values + hashValues),
    bf16_hash_on_disk: 2 * values,
    decoding_8192_bytes: decodingBytes(config, 8192),
    training_f32: 16 * (values + hashValues),
  };
  if (flags.json) {
    const parameters = Object.fromEntries(parts.map((p) => [p.part, p.count]));
    const tensors = Object.fromEntries(plan.map((p) => [p.name, p.shape]));
    sayJson({ source, parameters, total: values + hashValues, tensor_count: plan.length, memory, tensors });
    return 0;
  }
  const line = (name: string, text: string) => say(`${name.padEnd(24)} ${text}`);
  line('source', source);
  line('tensors', `${plan.length}, all names and shapes fit`);
  for (const { part, count } of parts) line(part, humanCount(count));
  line('total', `${values + hashValues} parameters`);
  line('weights in memory', `${humanBytes(memory.f32)} as F32, ${humanBytes(memory.bf16)} as BF16`);
  line('  hash tables on disk', `${humanBytes(memory.bf16_hash_on_disk)} as BF16`);
  line('decoding, 8192 bytes', `${humanBytes(memory.decoding_8192_bytes)} of caches`);
  line('training', `${humanBytes(memory.training_f32)} for weights, gradients and two moments in F32`);
  if (flags.tensors) for (const { name, shape } of plan) line(`  ${name}`, `[${shape.join(', ')}]`);
  return 0;
}
