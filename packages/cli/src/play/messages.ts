/** @file Messages between the page and its workers: calls with one answer each, and events that come whenever there is news. */
import type { HashConfig, Layout, SamplingOptions } from '@blt-ts/blt';
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

/** Models that can be used: the one that comes with the page, the one trained here, the checkpoint that was loaded. */
export type ModelSlot = 'built-in' | 'trained' | 'loaded';

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
  readonly model: ModelSlot;
  readonly prompt: Uint8Array;
  readonly maxBytes: number;
  readonly seed: number;
}

export interface GenerationFacts {
  readonly bytes: number;
  readonly seconds: number;
  readonly stopped: boolean;
}

/** A passage as the whole model reads it. Positions of the layout count BOS: byte i stands at position i + 1. */
export interface Reading {
  /** [n] */
  readonly bytes: Uint8Array;
  /** [n] nats; entropies[i] is that of the prediction of byte i. Null for a model that cuts without entropies. */
  readonly entropies: Float32Array | null;
  /** [n] bits; -log2 of the probability that the model gave to byte i. */
  readonly surprise: Float32Array;
  readonly layout: Layout;
  readonly hash: HashConfig;
  /** [n + 1, tables] rows of the fused hash table. */
  readonly hashIds: Int32Array | null;
}

/** The state of a text that is made byte by byte, before the next byte is chosen. */
export interface PatchStep {
  /** Prompt and bytes made. */
  readonly text: Uint8Array;
  readonly promptBytes: number;
  /** Lengths of the patches that have ended, BOS being the first. */
  readonly patchLengths: readonly number[];
  /** Nats; of the entropy model's prediction of the next byte. Null for a model that cuts without entropies. */
  readonly entropy: number | null;
  readonly threshold: number | null;
  /** Whether the next byte starts a patch, so that the global model has just read the one that ended. */
  readonly startsPatch: boolean;
  /** Steps that the global model has taken. */
  readonly globalSteps: number;
  /** The most probable next ids, the first one most of all. */
  readonly candidates: readonly { readonly id: number; readonly probability: number }[];
}

/** The parts of the model in the order in which a gradient reaches them. */
export type PartName = 'decoder' | 'global transformer' | 'encoder' | 'hash tables';

/** One part of the model in a training step. */
export interface PartOfStep {
  readonly part: PartName;
  readonly parameters: number;
  /** Norm of the gradient of the mean loss. */
  readonly gradientNorm: number;
  /** Root mean square of what AdamW adds to the weights. */
  readonly update: number;
}

/** One training step on a passage. */
export interface LessonStep {
  /** Steps so far, this one included. */
  readonly step: number;
  readonly bytes: Uint8Array;
  /** [n] bits per byte, before the step. */
  readonly before: Float32Array;
  /** [n] bits per byte, after the step. */
  readonly after: Float32Array;
  readonly parts: readonly PartOfStep[];
  readonly hash: HashConfig;
  /** The rows of the fused hash table that were read. */
  readonly rows: Int32Array;
  /** Norm of the gradient of each of these rows. */
  readonly rowNorms: Float32Array;
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
  load(slot: ModelSlot, files: CheckpointFiles): CheckpointFacts;
  generate(request: GenerationRequest): GenerationFacts;
  stopGenerating(): void;
  /** The two files of a checkpoint, from a packed model and its entropy model. */
  unpack(model: Uint8Array, entropyModel: Uint8Array): { config: string; weights: Uint8Array<ArrayBuffer> };
  /** The model that the calls below are about. */
  useLessonModel(files: CheckpointFiles): void;
  readPassage(bytes: Uint8Array): Reading;
  beginPatch(prompt: Uint8Array): PatchStep;
  nextByte(byte: number): PatchStep;
  /** Has the browser compile what `trainOnce` needs, a little more with every call. True once it has. */
  warmUp(bytes: Uint8Array): boolean;
  trainOnce(bytes: Uint8Array, lr: number): LessonStep;
  /** Forgets what `trainOnce` has learnt. */
  untrain(): void;
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
