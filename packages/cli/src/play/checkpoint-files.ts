/** @file A checkpoint folder in a browser: which of its files are the model, read with a word for everything that can be wrong. */
import {
  type Checkpoint,
  checkpointFromSafetensors,
  checkpointToSafetensors,
  configFromHuggingFace,
  configToHuggingFace,
} from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { humanBytes } from '../terminal/human-units.ts';
import type { CheckpointFiles } from './messages.ts';

/** A file with the path it has in the folder that was chosen. */
export interface FileAt {
  readonly path: string;
  readonly file: Blob;
}

/** A tab holds a file and its 32-bit floats at once, so larger ones do not fit. */
export const MAX_WEIGHTS_BYTES = 1e9;

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/**
 * The checkpoint among the files of a folder: the one folder that has both files, or, in a run's folder, its best step (else the
 * newest).
 * @throws Error saying what is missing
 */
export async function findCheckpoint(files: readonly FileAt[]): Promise<CheckpointFiles & { name: string }> {
  const at = (path: string) => files.find((one) => one.path === path)?.file;
  const folders = files
    .filter(({ path }) => nameOf(path) === 'model.safetensors')
    .map(({ path }) => folderOf(path))
    .sort();
  if (folders.length === 0) {
    const weights = files.some(({ path }) => nameOf(path) === 'config.json') ? '; there is only config.json' : '';
    throw new Error(`this is no checkpoint: it has no model.safetensors${weights}. Choose a folder with both files`);
  }
  let folder = folders.at(-1)!;
  const best = files.find(({ path }) => nameOf(path) === 'best');
  if (best) {
    const wanted = `${folderOf(best.path)}${(await best.file.text()).trim()}/`;
    if (folders.includes(wanted)) folder = wanted;
  }
  const config = at(`${folder}config.json`);
  if (!config) throw new Error(`this is no checkpoint: there is no config.json beside ${folder}model.safetensors`);
  return { config, weights: at(`${folder}model.safetensors`)!, name: folder.replace(/\/$/, '') || 'model.safetensors' };
}

/** @throws Error, ConfigError or SafetensorsError naming the file and what is wrong with it */
export async function readCheckpoint(files: CheckpointFiles, backend: Backend): Promise<Checkpoint> {
  const { config, weights } = files;
  if (weights.size > MAX_WEIGHTS_BYTES) {
    throw new Error(
      `model.safetensors is ${humanBytes(weights.size)}; a tab reads up to ${humanBytes(MAX_WEIGHTS_BYTES)}. Use blt generate --model`,
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(await config.text());
  } catch (error) {
    throw new Error(`config.json is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = configFromHuggingFace(json);
  const bytes = new Uint8Array(await weights.arrayBuffer());
  try {
    return checkpointFromSafetensors(bytes, parsed, backend);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(message.startsWith('model.safetensors') ? message : `model.safetensors: ${message}`);
  }
}

/** The two files, as `blt train` writes them. */
export function writeCheckpoint(checkpoint: Checkpoint): { config: string; weights: Uint8Array<ArrayBuffer> } {
  return {
    config: `${JSON.stringify(configToHuggingFace(checkpoint.config), null, 2)}\n`,
    weights: checkpointToSafetensors(checkpoint) as Uint8Array<ArrayBuffer>,
  };
}
