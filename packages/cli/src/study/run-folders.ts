/** @file The folder of the study: a folder for each run, named after its configuration, and what runs share. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../files/atomic-file.ts';
import { type RunConfig, runName } from './run-config.ts';

/** Bits and bytes of one held-out document. */
export interface DocumentScore {
  readonly name: string;
  /** Sum over the scored targets of -log2 p. */
  readonly bits: number;
  readonly bytes: number;
}

/** The figures of a finished run. */
export interface RunResult {
  readonly documents: readonly DocumentScore[];
  /** Sum of the bits / sum of the bytes. */
  readonly bitsPerByte: number;
  /** Training: three times the forward pass of the model, one of the entropy model, and the entropy model's own training. */
  readonly flops: {
    readonly model: number;
    readonly patcher: number;
    readonly patcherTraining: number;
    readonly total: number;
  };
  /** Forward FLOPs per byte of held-out text, without the context that is read again. */
  readonly flopsPerByte: { readonly model: number; readonly patcher: number };
  readonly steps: number;
  /** Bytes trained on, repeats counted, and how many times the corpus that is. */
  readonly bytesSeen: number;
  readonly passes: number;
  /** Bytes of text for each position of the largest stack: per token, per patch. */
  readonly bytesPerUnit: number;
  readonly parameters: {
    readonly embedding: number;
    readonly tables: number;
    readonly rest: number;
    readonly patcher: number;
  };
  readonly seconds: { readonly training: number; readonly evaluation: number };
  /** Processor time of the forward pass over held-out text, in batches, context included. Other programs on the machine do not add to it. */
  readonly millisecondsPerByte: number;
}

/** A value as the text of a file of a run. */
export const jsonFile = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;

/** The paths of the study. */
export class StudyFolder {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  path(folder: string, file = ''): string {
    return join(this.root, folder, file);
  }

  /** A file of a run. */
  runPath(config: RunConfig, file: string): string {
    return join(this.root, 'runs', runName(config), file);
  }

  /** Whether a file is there; files are written whole. */
  has(path: string): boolean {
    return existsSync(path);
  }

  isDone(config: RunConfig): boolean {
    return this.has(this.runPath(config, 'result.json'));
  }

  /** Whether the weights of a run are there, which those of a run taken over from a results.json are not. */
  hasWeights(config: RunConfig): boolean {
    return this.has(this.runPath(config, 'weights.safetensors'));
  }

  /** The result of a run; null if there is none yet. */
  result(config: RunConfig): RunResult | null {
    return this.isDone(config) ? JSON.parse(readFileSync(this.runPath(config, 'result.json'), 'utf8')) : null;
  }

  /** Writes a file that is there whole or not at all. */
  async write(path: string, data: Uint8Array | string): Promise<void> {
    await mkdir(join(path, '..'), { recursive: true });
    await writeFileAtomically(path, typeof data === 'string' ? Buffer.from(data) : data);
  }

  /** Contents of a file, made and written the first time. Two processes may make it at once: both make the same bytes. */
  async once(path: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    if (existsSync(path)) return readFile(path);
    const data = await make();
    await this.write(path, data);
    return data;
  }
}
