/** @file The model of a command that compresses, opened in the main thread and in those beside it. */
import { type CodingModel, checkpointPlan, codingModel, planMemory, unpackModel } from '@blt-ts/blt';
import { type Backend, createWasmBackend, type WasmBackend } from '@blt-ts/tensor';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { loadModel } from './find-model.ts';

/** Where a model is: its folder, or its bytes as `packModel` made them. */
export type ModelPlace = { readonly folder: string } | { readonly packed: Uint8Array };

/** A backend whose bits are the same on every machine, engine and number of threads, and for one text as for many. */
export async function deterministicBackend(threads: number): Promise<WasmBackend> {
  const backend = createWasmBackend({ threads, deterministic: true, batchInvariant: true });
  await backend.threadsReady();
  return backend;
}

/** Opens a model for compression. */
export async function openCodingModel(place: ModelPlace, backend: Backend): Promise<CodingModel> {
  if ('packed' in place) return codingModel(unpackModel(place.packed, backend));
  return codingModel((await loadModel(place.folder, backend, 'stored')).checkpoint);
}

/** About how many bytes the weights take in memory, as floats. */
export function weightBytes(place: ModelPlace): number {
  if ('packed' in place) return 2 * place.packed.length;
  const { values, hashValues } = planMemory(checkpointPlan(openModelFolder(place.folder).config));
  return 4 * (values + hashValues);
}
