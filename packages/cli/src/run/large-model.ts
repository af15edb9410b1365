/**
 * @file Models larger than one WebAssembly memory, for decoding: the hash tables (two thirds of a released model) stay on disk and are
 * read row by row; the other weights are spread over several memories of up to 4 GiB, the global layers in order.
 */
import {
  type BltConfig,
  type Checkpoint,
  checkpointFromStored,
  checkpointPlan,
  HASH_TABLE,
  type HashRows,
  hashRowsOf,
  planMemory,
  type WeightFormat,
} from '@blt-ts/blt';
import { type Backend, createWasmBackend, sizeOf } from '@blt-ts/tensor';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { findModel, newestRun } from './find-model.ts';

/** Bytes of weights put into one memory; the rest of its 4 GiB is for rounding up and for what is computed. */
const BYTES_PER_MEMORY = 3.2e9;

/** Whether all weights and the tables as float32 leave no room in one memory. */
export function needsSpreading(config: BltConfig): boolean {
  const { values, hashValues } = planMemory(checkpointPlan(config));
  return 4 * (values + hashValues) > BYTES_PER_MEMORY;
}

/** For each tensor its memory: everything that bytes pass through in the first, then global layer after global layer. */
export function placeTensors(config: BltConfig, bytesPerMemory = BYTES_PER_MEMORY): Map<string, number> {
  const places = new Map<string, number>();
  const layers = new Map<string, [string, number][]>();
  let filled = 0;
  for (const { name, shape } of checkpointPlan(config)) {
    if (name === HASH_TABLE) continue;
    const layer = /^model\.global_transformer\.layers\.\d+\./.exec(name)?.[0];
    if (!layer) {
      places.set(name, 0);
      filled += 4 * sizeOf(shape);
      continue;
    }
    if (!layers.has(layer)) layers.set(layer, []);
    layers.get(layer)!.push([name, 4 * sizeOf(shape)]);
  }
  let memory = 0;
  for (const tensors of layers.values()) {
    const bytes = tensors.reduce((n, [, b]) => n + b, 0);
    if (filled + bytes > bytesPerMemory && filled > 0) {
      memory++;
      filled = 0;
    }
    for (const [name] of tensors) places.set(name, memory);
    filled += bytes;
  }
  return places;
}

/** Opens a large model for decoding. `backend` is the first memory. What is BF16 in the file stays so, unless `weights` says else. */
export async function loadLargeModel(
  path: string | undefined,
  backend: Backend,
  { bytesPerMemory, weights = 'stored' }: { bytesPerMemory?: number; weights?: WeightFormat } = {},
): Promise<{ checkpoint: Checkpoint; folder: string; hashRows: HashRows | undefined; memories: number }> {
  const folder = await findModel(path ?? (await newestRun()));
  const { config, stored } = openModelFolder(folder);
  const places = placeTensors(config, bytesPerMemory);
  const memories = 1 + [...places.values()].reduce((a, b) => Math.max(a, b), 0);
  const backends = [backend, ...Array.from({ length: memories - 1 }, () => createWasmBackend())];
  const checkpoint = checkpointFromStored(stored, config, (name) => backends[places.get(name)!], {
    hashTables: false,
    weights,
  });
  return { checkpoint, folder, hashRows: stored.has(HASH_TABLE) ? hashRowsOf(stored) : undefined, memories };
}
