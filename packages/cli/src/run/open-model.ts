/** @file A model opened for decoding, whatever its size. */
import { type Checkpoint, type HashRows, longestText, type WeightFormat } from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { UserError } from '../terminal/errors.ts';
import { findModel, loadModel, newestRun } from './find-model.ts';
import { loadLargeModel, needsSpreading } from './large-model.ts';

/**
 * The model of a path, or of the newest run. One that is too large for a WebAssembly memory is spread over several.
 * @throws UserError if it cannot continue a text
 */
export async function openForDecoding(
  model: string | undefined,
  backend: Backend,
  weights: WeightFormat,
): Promise<{ checkpoint: Checkpoint; folder: string; hashRows: HashRows | undefined }> {
  const path = await findModel(model ?? (await newestRun()));
  const large = backend.name === 'wasm' && needsSpreading(openModelFolder(path).config);
  const opened = large
    ? await loadLargeModel(path, backend, { weights })
    : { ...(await loadModel(path, backend, weights)), hashRows: undefined };
  const longest = longestText(opened.checkpoint.config);
  if (longest < 2) {
    throw new UserError(`${opened.folder} reads at most ${longest} bytes; a model that continues text reads 2`, 1);
  }
  return opened;
}

/** The most bytes that the model looks back where --context says nothing. */
const USUAL_CONTEXT = 512;

/** @throws UserError if --draft is half of --context or more */
export function checkDraft({ config }: Checkpoint, draft: number, context?: number): void {
  const looksBack = context ?? Math.min(USUAL_CONTEXT, longestText(config));
  if (draft === 0 || draft < looksBack / 2) return;
  throw new UserError(`--draft ${draft}: it must be below half of --context (${looksBack}); give less`, 2);
}

/** @throws UserError if --context is more than the model reads */
export function checkContext({ config }: Checkpoint, context: number | undefined): void {
  const longest = longestText(config);
  if (context === undefined || context <= longest) return;
  throw new UserError(`--context ${context}: the model reads at most ${longest} bytes; give less`, 2);
}
