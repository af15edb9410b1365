/** @file A session's state as two files, and back: training_state.json and training_state.safetensors. What is read is hostile until checked. */
import type { LazySessionState, RunPlan, SessionState } from '@blt-ts/blt';
import { readSafetensors, SafetensorsError } from '@blt-ts/tensor';
import * as z from 'zod';
import { checked } from '../files/checked.ts';
import { parseJson } from '../files/small-file.ts';
import { type StreamedFile, streamedSafetensors } from '../files/streamed-file.ts';
import { UserError } from '../terminal/errors.ts';

export const STATE_JSON = 'training_state.json';
export const STATE_ARRAYS = 'training_state.safetensors';

const count = () => z.int().min(0);
const word = () =>
  z
    .int()
    .min(-(2 ** 31))
    .max(2 ** 31 - 1);

const place = { epoch: z.int().min(-1), row: count() };
const stateSchema = z.strictObject({
  phase: z.enum(['entropy model', 'patching', 'model', 'done']),
  threshold: z.number().nullable(),
  best: z.strictObject({ step: count(), bitsPerByte: z.number() }).nullable(),
  stale: count(),
  evaluatedAt: z.int().min(-1),
  /** The plan that it was made under, as in the run's config.json. Checked by `changedKeys`, not here. */
  plan: z.unknown().optional(),
  loop: z
    .strictObject({
      step: count(),
      steps: count().optional(),
      bytes: count(),
      cursor: z.strictObject({ ...place, sources: z.array(z.strictObject(place)).max(10_000).optional() }),
      random: z.tuple([word(), word(), word(), word()]).refine((words) => words.some((w) => w !== 0), 'all zero'),
      lossAverage: z.number().nullable(),
      skipped: count(),
    })
    .nullable(),
});

/** The numbers of a state. @param plan see `openStateFiles` */
export const stateJsonText = (json: SessionState['json'], plan?: RunPlan): string =>
  `${JSON.stringify(plan === undefined ? json : { ...json, plan }, orInfinityText, 2)}\n`;

/**
 * The two files of a state, for writing before the next step: its arrays are read one after the other.
 * @param plan that the run follows; kept beside the state, so that a later change of it is noticed
 */
export const openStateFiles = (
  { json, arrays }: LazySessionState,
  plan?: RunPlan,
): Record<string, StreamedFile | string> => ({
  [STATE_JSON]: stateJsonText(json, plan),
  [STATE_ARRAYS]: streamedSafetensors(arrays),
});

/** For JSON.stringify: JSON has no Infinity, "never" and "no limit" are written as the word. */
export const orInfinityText = (_: string, value: unknown): unknown =>
  value === Number.POSITIVE_INFINITY ? 'infinity' : value;

/**
 * Reads the two files back, bit for bit.
 * @param name the folder, for messages
 * @returns the state, and the plan that it was made under (undefined if it was not kept)
 * @throws UserError in one sentence naming the file and what is wrong with it
 */
export function parseState(text: string, bytes: Uint8Array, name: string): SessionState & { plan?: unknown } {
  const { plan, ...json } = parseStateJson(text, `${name}/${STATE_JSON}`);
  return { json, arrays: parseStateArrays(bytes, `${name}/${STATE_ARRAYS}`), ...(plan === undefined ? {} : { plan }) };
}

/** Keys in which two plans differ: `model.loop.seed`, ... Both as JSON has them. */
export function changedKeys(then: unknown, now: unknown, path = ''): string[] {
  const isTree = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
  if (!isTree(then) || !isTree(now)) return Object.is(then, now) ? [] : [path];
  const keys = new Set([...Object.keys(then), ...Object.keys(now)]);
  return [...keys].flatMap((key) => changedKeys(then[key], now[key], path === '' ? key : `${path}.${key}`));
}

/** @throws UserError */
export function parseStateJson(text: string, name: string): SessionState['json'] & { plan?: unknown } {
  return checked(stateSchema, parseJson(text, name), name);
}

/** @throws UserError */
export function parseStateArrays(bytes: Uint8Array, name: string): SessionState['arrays'] {
  const arrays = new Map<string, Float32Array | Int32Array | Float64Array>();
  try {
    for (const [key, { dtype, data }] of readSafetensors(bytes).tensors) {
      const copy = data.slice().buffer;
      if (dtype === 'F32') arrays.set(key, new Float32Array(copy));
      else if (dtype === 'I32') arrays.set(key, new Int32Array(copy));
      else if (dtype === 'F64') arrays.set(key, new Float64Array(copy));
      else throw new UserError(`${name}: ${key} has dtype ${dtype}; a training state has F32, I32 and F64`);
    }
  } catch (error) {
    if (error instanceof SafetensorsError) throw new UserError(`${name}: ${error.message}`, 1, { cause: error });
    throw error;
  }
  return arrays;
}
