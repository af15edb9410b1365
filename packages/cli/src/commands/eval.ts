import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  bltBatch,
  bltLogits,
  encode,
  evaluateBlt,
  evaluationRows,
  layoutOptions,
  longestText,
  meanPatchSize,
  patchLengths,
  scoreEntropiesAsync,
} from '@blt-ts/blt';
import { scope, totalFlops, withLedger } from '@blt-ts/tensor';
import { chooseBackend } from '../backend-choice.ts';
import type { BackendName } from '../backend-names.ts';
import { concatenated, type Document, totalBytes } from '../data/document.ts';
import { loadDocuments } from '../data/sources.ts';
import { dataHash, splitHeldOut } from '../data/split.ts';
import { UserError, warn } from '../errors.ts';
import { humanBytes, humanCount } from '../human-units.ts';
import { flopsPerByte } from '../plan-text.ts';
import { loadModel, RunFolder } from '../run-folder.ts';
import { yardsticks } from '../yardstick.ts';

export interface EvalFlags {
  readonly model?: string;
  readonly data?: readonly string[];
  readonly textField?: string;
  readonly raw?: boolean;
  readonly rowBytes: number;
  readonly json?: boolean;
  readonly backend?: BackendName;
  readonly threads?: number;
}

/** What to evaluate on: the given data, or the held-out part of the run that the model comes from. */
async function evaluationData(
  flags: EvalFlags,
  folder: string,
): Promise<{ title: string; train: Document[]; heldOut: Document[] }> {
  if (flags.data && flags.data.length > 0) {
    return { title: flags.data.join(' '), train: [], heldOut: await loadDocuments(flags.data, { ...flags, warn }) };
  }
  const ignored = flags.raw ? '--raw' : flags.textField === undefined ? null : '--text-field';
  if (ignored) throw new UserError(`${ignored} is for --data; a run's own data are read as the run read them`, 2);
  for (const path of [folder, dirname(folder)]) {
    const record = await new RunFolder(path).record().catch((error) => {
      // A model's own config.json is no run's; that of the folder around a step is, or is broken.
      if (path !== folder && /^step-\d+$/.test(basename(folder)) && existsSync(join(path, 'config.json'))) throw error;
      return null;
    });
    if (!record) continue;
    const options = { textField: record.textField ?? undefined, raw: record.raw, warn };
    const documents = await loadDocuments(record.data, options);
    const split = record.heldOut
      ? { train: documents, heldOut: await loadDocuments(record.heldOut, options) }
      : splitHeldOut(documents, record.heldOutFraction);
    if (dataHash([...split.train, ...split.heldOut]) !== record.dataHash) {
      throw new UserError(
        `the data of ${path} are not those it was trained on, so its held-out part is not known; restore them, or give --data`,
      );
    }
    return { title: `held-out part of ${record.data.join(' ') || 'Moby Dick'}`, ...split };
  }
  throw new UserError(`${folder} is not part of a run, so its held-out text is not known; give --data`, 2);
}

/** `blt eval`. @returns the exit code */
export async function evalCommand(flags: EvalFlags): Promise<number> {
  const { backend, why } = await chooseBackend(flags);
  const { checkpoint, folder } = await loadModel(flags.model, backend);
  const { title, train, heldOut } = await evaluationData(flags, folder);
  if (totalBytes(heldOut) === 0) throw new UserError(`${title} is empty; give a text to evaluate on with --data`, 2);
  const { config, params, patcher } = checkpoint;
  const started = performance.now();
  const measures = yardsticks(concatenated(train), concatenated(heldOut));
  const documents = heldOut.map((d) => encode(d.bytes, { bos: true, eos: true }));
  const entropies =
    config.patching.mode === 'entropy'
      ? await scoreEntropiesAsync(patcher!, documents, config.patcher!, { ...layoutOptions(config), backend })
      : documents.map(() => null);
  const lengths = documents.map((ids, i) =>
    patchLengths(ids, entropies[i], config.patching, { includeNextToken: false }),
  );
  const patchBytes = meanPatchSize(lengths);
  const patchesPerRow = Math.max(2, Math.round(flags.rowBytes / patchBytes));
  const rows = evaluationRows(
    documents.map((ids, i) => ({ ids, patchLengths: lengths[i] })),
    patchesPerRow,
  );
  const row = rows.reduce((a, b) => (b.ids.length > a.ids.length ? b : a));
  const longest = longestText(config);
  if (row.ids.length > longest) {
    const fits = Math.max(2, Math.floor((Math.min(flags.rowBytes, row.ids.length) * longest) / row.ids.length));
    throw new UserError(
      `--row-bytes ${flags.rowBytes}: the longest row has ${row.ids.length} bytes, the model reads at most ${longest}; try --row-bytes ${fits}`,
      2,
    );
  }
  const evaluation = await evaluateBlt(params, rows, config);
  // What really runs, on the longest row, against the paper's formula.
  const { ledger } = withLedger(() =>
    scope(() => void bltLogits(params, bltBatch([row], config, { backend }), config)),
  );
  const executed = totalFlops(ledger, ['matmul', 'intervalAttention']) / row.ids.length;
  const formula = flopsPerByte({ config }, patchBytes, flags.rowBytes);
  const seconds = (performance.now() - started) / 1000;
  const compressors = await measures;
  if (flags.json) {
    process.stdout.write(
      `${JSON.stringify({ model: folder, data: title, bytes: evaluation.bytes, bits_per_byte: evaluation.bitsPerByte, patch_size_mean: patchBytes, flops_per_byte: { executed, formula: formula.model, entropy_model: formula.entropyModel }, compressors: compressors.map((y) => ({ name: y.name, bits_per_byte: y.bitsPerByte, seen_training: y.seenTraining })), seconds, backend: backend.name })}\n`,
    );
    return 0;
  }
  const line = (name: string, text: string) => process.stdout.write(`${name.padEnd(20)} ${text}\n`);
  line('model', folder);
  line('data', `${title}: ${humanBytes(totalBytes(heldOut))}`);
  line('bits per byte', evaluation.bitsPerByte.toFixed(4));
  for (const y of compressors)
    line(`  ${y.name}`, `${y.bitsPerByte.toFixed(4)}${y.seenTraining ? ' (having read the training part)' : ''}`);
  line('mean patch', `${patchBytes.toFixed(2)} bytes`);
  line(
    'FLOPs per byte',
    `${humanCount(executed)} executed in matrix products and attention; the paper's formula: ${humanCount(formula.model)}, entropy model ${humanCount(formula.entropyModel)}`,
  );
  line('time', `${seconds.toFixed(1)} s on ${why}`);
  return 0;
}
