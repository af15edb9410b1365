/** @file A session's state as two files, and back: training_state.json and training_state.safetensors. What is read is hostile until checked. */
import { join } from 'node:path';
import type { LazySessionState, RunPlan, SessionState, StoredTensors } from '@blt-ts/blt';
import * as z from 'zod';
import { checked } from '../files/checked.ts';
import { parseJson, readSmallFile } from '../files/small-file.ts';
import { type StreamedFile, streamedSafetensors } from '../files/streamed-file.ts';
import { fromTensorsOf } from '../files/weight-files.ts';
import { reason, UserError } from '../terminal/errors.ts';

export const STATE_JSON = 'training_state.json';
export const STATE_ARRAYS = 'training_state.safetensors';

/** Most bytes of training_state.json, which has the plan and a place in each source of a mixture. */
const MAX_STATE_JSON = 4 * 1024 * 1024;
/** Types of a state's arrays, by their name in a file. */
const KINDS = { F32: Float32Array, I32: Int32Array, F64: Float64Array };

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
 * Reads the two files of a saved step back, bit for bit. The arrays are read one after the other, because their file may be larger than
 * what Node reads at once, and none of it is to be in memory twice.
 * @returns the state, and the plan that it was made under (undefined if it was not kept)
 * @throws UserError in one sentence naming the file and what is wrong with it
 */
export function readState(folder: string): SessionState & { plan?: unknown } {
  const { plan, ...json } = readStateJson(folder);
  const file = join(folder, STATE_ARRAYS);
  const arrays = fromTensorsOf(file, (stored) => stateArrays(stored, file));
  return { json, arrays, ...(plan === undefined ? {} : { plan }) };
}

/** Reads the numbers of a saved step alone. @throws UserError as `readState` */
export function readStateJson(folder: string): SessionState['json'] & { plan?: unknown } {
  const file = join(folder, STATE_JSON);
  let text: string;
  try {
    text = readSmallFile(file, MAX_STATE_JSON);
  } catch (error) {
    throw new UserError(`cannot go on from ${file}: ${reason(error)}`, 1, { cause: error });
  }
  return parseStateJson(text, file);
}

/** Updates of the model in all: as planned, or as the time of the run has made of them. */
export const modelSteps = ({ phase, loop }: SessionState['json'], plan: RunPlan): number =>
  (phase === 'entropy model' ? null : loop?.steps) ?? plan.model.loop.steps;

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

/** The arrays of a state, out of a file that gives each its own memory. @throws UserError for one of a type that no state has */
function stateArrays(stored: StoredTensors, name: string): SessionState['arrays'] {
  const arrays = new Map<string, Float32Array | Int32Array | Float64Array>();
  for (const [key, tensor] of stored) {
    const { dtype } = tensor;
    const Kind = Object.hasOwn(KINDS, dtype) ? KINDS[dtype as keyof typeof KINDS] : null;
    if (Kind === null) throw new UserError(`${name}: ${key} has dtype ${dtype}; a training state has F32, I32 and F64`);
    arrays.set(key, new Kind(tensor.read().buffer as ArrayBuffer));
  }
  return arrays;
}
