/** @file The complete tiny models of test/fixtures, through our own loader, and what the reference implementation made of them. */
import { readFileSync } from 'node:fs';
import {
  type BltConfig,
  bltBatch,
  type Checkpoint,
  checkpointFromSafetensors,
  configFromHuggingFace,
  modelPatchLengths,
  scoreEntropies,
} from '@blt-ts/blt';
import { type Backend, readSafetensors, toFloat32 } from '@blt-ts/tensor';
import { fixture } from './fixture.ts';

export const goldenModels = ['tiny_A_1b_like', 'tiny_B_7b_like', 'tiny_C_encoder_all_layers'] as const;
export const goldenInputs = ['single', 'batch2'] as const;
export type GoldenModel = (typeof goldenModels)[number];

export interface Expected {
  input_ids: number[][];
  threshold: number;
  patch_lengths: number[][];
  patch_ids: number[][];
  decoder_patch_ids: number[][];
  loss_hf_shifted_mean: number;
  per_position_ce_nats: number[][];
}

export const fixtureBytes = (name: string): Uint8Array => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));

/** The tensors of a safetensors fixture as plain values. */
export function fixtureTensors(name: string): Map<string, { shape: number[]; values: Float32Array }> {
  const { tensors } = readSafetensors(fixtureBytes(name));
  return new Map([...tensors].map(([key, t]) => [key, { shape: t.shape, values: toFloat32(t, key) }]));
}

/** A tiny model; `change` replaces parts of its configuration. */
export function loadGolden(model: GoldenModel, backend: Backend, change: Partial<BltConfig> = {}): Checkpoint {
  const config = { ...configFromHuggingFace(fixture(`${model}/config.json`)), ...change };
  return checkpointFromSafetensors(fixtureBytes(`${model}/model.safetensors`), config, backend);
}

export const rowsOf = (ids: number[][]): Int32Array[] => ids.map((row) => Int32Array.from(row));

/** Entropies, patch lengths and batch of some rows: what happens before the model runs. */
export function prepare({ config, patcher }: Checkpoint, rows: Int32Array[], threshold: number, backend: Backend) {
  const facebook = config.behaviour === 'facebook';
  const entropies = scoreEntropies(patcher!, rows, config.patcher!, {
    window: facebook ? config.window : null,
    documents: facebook,
    backend,
  });
  const lengths = rows.map((ids, r) => modelPatchLengths(ids, entropies[r], { mode: 'entropy', threshold }));
  const batch = bltBatch(
    rows.map((ids, r) => ({ ids, patchLengths: lengths[r] })),
    config,
    { backend },
  );
  return { entropies, lengths, batch };
}

/** Largest |a - b|; NaN counts as infinitely far. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new RangeError(`distance: ${a.length} and ${b.length} values`);
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i] - b[i]);
    if (!(d <= worst)) worst = Number.isNaN(d) ? Number.POSITIVE_INFINITY : d;
  }
  return worst;
}

/** Largest magnitude. */
export const magnitude = (a: ArrayLike<number>): number => distance(a, new Float64Array(a.length));
