/** @file Messages between the page and its workers: calls with one answer each, and events that come whenever there is news. */
import type { SamplingOptions } from '@blt-ts/blt';
import type { KernelName } from '@blt-ts/tensor';

/** Names of backends. The gpu.js ones are there only where their chunk loads and the browser has the device. */
export type BackendChoice = 'reference' | 'wasm' | 'wasm-threads' | 'webgpu' | 'webgl2' | 'webasm';

export interface BackendFacts {
  readonly choice: BackendChoice;
  readonly name: string;
  readonly description: string;
}

export interface EntropyModelFacts {
  readonly parameters: number;
  /** The threshold it was calibrated to, nats. */
  readonly threshold: number;
  /** Bytes it looks back; null: all. */
  readonly window: number | null;
}

export interface Scores {
  /** Nats; entropies[i] is that of the prediction of byte i. */
  readonly entropies: Float32Array;
  /** Bytes that were computed anew. */
  readonly rescored: number;
  readonly seconds: number;
}

/** How often each kernel ran, and what it computed, in the last scoring or training step. */
export type KernelUse = readonly { readonly kernel: KernelName; readonly calls: number; readonly flops: number }[];

/** The two files of a checkpoint. */
export interface CheckpointFiles {
  readonly config: Blob;
  readonly weights: Blob;
}

export interface CheckpointFacts {
  readonly parameters: number;
  readonly patching: string;
  /** Its entropy model as a file of entropy-file.ts, where it has one. */
  readonly entropyModel: Uint8Array | null;
}

export interface TrainingRequest {
  readonly bytes: Uint8Array;
  readonly steps: number | null;
  readonly patchingMode: 'entropy' | 'space' | 'static' | 'byte';
  readonly patchSize: number;
  readonly lr: number | null;
  readonly seed: number;
}

export interface TrainingFacts {
  readonly trainBytes: number;
  readonly heldOutBytes: number;
  readonly entropySteps: number;
  readonly steps: number;
  readonly parameters: number;
}

export interface GenerationRequest extends SamplingOptions {
  readonly model: 'trained' | 'loaded';
  readonly prompt: Uint8Array;
  readonly maxBytes: number;
  readonly seed: number;
}

export interface GenerationFacts {
  readonly bytes: number;
  readonly seconds: number;
  readonly stopped: boolean;
}

/** Everything a worker can be asked for. */
export interface WorkerCalls {
  useBackend(choice: BackendChoice): BackendFacts;
  useEntropyModel(file: Uint8Array): EntropyModelFacts;
  score(bytes: Uint8Array): Scores;
  /** Bytes per second of an entropy model on the backend in use. */
  measure(file: Uint8Array): { bytesPerSecond: number; kernels: KernelUse };
  /** Makes a session; `advance` runs it. */
  prepare(request: TrainingRequest): TrainingFacts;
  /** Trains until the end or until `pause`; how it stopped. */
  advance(): 'paused' | 'done';
  pause(): void;
  load(slot: 'trained' | 'loaded', files: CheckpointFiles): CheckpointFacts;
  generate(request: GenerationRequest): GenerationFacts;
  stopGenerating(): void;
}

export type WorkerEvent =
  | {
      readonly kind: 'step';
      readonly phase: 'entropy model' | 'model';
      readonly step: number;
      /** Null if the step had no byte of text. */
      readonly bitsPerByte: number | null;
      /** Bytes per second since the last report. */
      readonly bytesPerSecond: number;
      readonly bytesSeen: number;
      readonly kernels: KernelUse | null;
    }
  | { readonly kind: 'patched'; readonly threshold: number | null; readonly meanPatchBytes: number }
  | { readonly kind: 'evaluation'; readonly step: number; readonly bitsPerByte: number; readonly bytesSeen: number }
  | {
      readonly kind: 'checkpoint';
      readonly step: number;
      readonly config: string;
      readonly weights: Uint8Array<ArrayBuffer>;
      readonly entropyModel: Uint8Array | null;
    }
  | { readonly kind: 'sample'; readonly step: number; readonly prompt: Uint8Array; readonly bytes: Uint8Array }
  | { readonly kind: 'generated'; readonly bytes: Uint8Array };

export interface CallMessage {
  readonly id: number;
  readonly call: keyof WorkerCalls;
  readonly arguments: readonly unknown[];
}

export type WorkerMessage =
  | { readonly kind: 'ready'; readonly lock: string }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly message: string }
  | { readonly kind: 'event'; readonly event: WorkerEvent };
