/** @file `blt eval`: bits per byte of a model on held-out text, beside compressors. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BltConfig,
  bltBatch,
  bltLogits,
  type Checkpoint,
  countBytes,
  type EvaluatedDocument,
  type Evaluation,
  type EvaluationRow,
  evaluateBlt,
  evaluateWithMemory,
  evaluationRows,
  heldOutRows,
  layoutOptions,
  longestText,
  type MemoryMixture,
  meanPatchSize,
  patchLengths,
  type RunPlan,
  rowLimits,
  scoreEntropiesAsync,
  type TrainingRow,
} from '@blt-ts/blt';
import { type Backend, scope, totalFlops, withLedger } from '@blt-ts/tensor';
import { chooseBackend } from '../config/backend-choice.ts';
import type { BackendName } from '../config/backend-names.ts';
import { corpusIds, loadCorpus } from '../data/corpus.ts';
import { type Document, lastBytes, totalBytes } from '../data/document.ts';
import { differences, recovered } from '../data/document-list.ts';
import { loadDocuments } from '../data/sources.ts';
import { splitHash } from '../data/split.ts';
import { trainedOn } from '../data/trained-on.ts';
import { comparedBytes, compressorFigures, MOST_CONTEXT_BYTES } from '../report/compressors.ts';
import { documentListOf } from '../run/document-list-of.ts';
import { loadModel } from '../run/find-model.ts';
import { RunFolder, runOfModel } from '../run/folder.ts';
import { memoryBeside } from '../run/memory-file.ts';
import { flopsPerByte } from '../run/model-size.ts';
import type { RunRecord } from '../run/record.ts';
import { readKept } from '../stored/kept-data.ts';
import { UserError } from '../terminal/errors.ts';
import { humanBytes, humanCount, plusMinus } from '../terminal/human-units.ts';
import { oneLine, say, sayJson, warn } from '../terminal/output.ts';

export interface EvalFlags {
  readonly model?: string;
  readonly data?: readonly string[];
  readonly textField?: string;
  readonly raw?: boolean;
  /** undefined: rows as the run cut them, on its own held-out part; 512 on other text. */
  readonly rowBytes?: number;
  /** undefined: where it helped on held-out text. */
  readonly memory?: boolean;
  readonly json?: boolean;
  readonly backend?: BackendName;
  readonly threads?: number;
}

/** The text to evaluate on: the given data, or the held-out part of the run that the model comes from. */
async function evaluationData(
  flags: EvalFlags,
  folder: string,
): Promise<{ title: string; plan: RunPlan | null; train: Document[]; heldOut: Document[] }> {
  if (flags.data && flags.data.length > 0) {
    const heldOut = await loadDocuments(flags.data, { ...flags, warn });
    const list = await documentListOf(folder);
    const known = list && trainedOn(heldOut, list);
    if (known) warn(known);
    return { title: flags.data.join(' '), plan: null, train: [], heldOut };
  }
  const ignored = flags.raw ? '--raw' : flags.textField === undefined ? null : '--text-field';
  if (ignored) throw new UserError(`${ignored} is for --data; a run's own data are read as the run read them`, 2);
  for (const path of [folder, join(folder, '..')]) {
    const record = await new RunFolder(path).record().catch((error) => {
      // A model's own config.json is no run's; that of the folder around a model of a run is, or is broken.
      if (path !== folder && runOfModel(folder) !== null && existsSync(join(path, 'config.json'))) throw error;
      return null;
    });
    if (!record) continue;
    return {
      title: `held-out part of ${record.data.join(' ') || 'Moby Dick'}`,
      plan: record.plan,
      ...(await evaluatedOn(path, record, warn)),
    };
  }
  throw new UserError(`${folder} is not part of a run, so its held-out text is not known; give --data`, 2);
}

/**
 * The parts of a run's data. Data that have changed will do as long as all held-out bytes are among them.
 * @throws UserError if they are not
 */
export async function evaluatedOn(
  path: string,
  record: RunRecord,
  warn: (message: string) => void,
): Promise<{ train: Document[]; heldOut: Document[] }> {
  if (record.stored) {
    const { end, heldOut } = readKept(path, record.stored.sha256);
    return { train: [...end], heldOut: [...heldOut] };
  }
  const corpus = await loadCorpus({ ...record, seed: record.plan.seed }, null);
  if (splitHash(corpus) === record.dataHash) return corpus;
  const documentList = await new RunFolder(path).documentList();
  const what = documentList ? `: ${differences(documentList, corpus.all)}` : '';
  const found = documentList && record.heldOutHash ? recovered(documentList, record.heldOutHash, corpus.all) : null;
  if (!found) {
    throw new UserError(
      `the data of ${path} are not those it was trained on, and its held-out part is not among them${what}; restore them, or give --data FILE to evaluate on`,
    );
  }
  warn(`the data of ${path} have changed since${what}; its held-out part is still there whole`);
  return found;
}

function checkRowBytes(rowBytes: number, longest: number): void {
  if (rowBytes <= longest) return;
  throw new UserError(
    `--row-bytes ${rowBytes}: the model reads at most ${longest} bytes at once; give --row-bytes ${longest} or less`,
    2,
  );
}

/** Rows of so many patches that they have about `rowBytes` ids, and never more than twice as many. */
function rowsOf(documents: readonly EvaluatedDocument[], config: BltConfig, rowBytes: number): EvaluationRow[] {
  const lengths = documents.map(({ patchLengths }) => patchLengths);
  const patchesPerRow = Math.max(2, Math.round(rowBytes / meanPatchSize(lengths)));
  const limits = rowLimits(config, 2 * rowBytes);
  if (patchesPerRow > limits.maxPatches) {
    const fits = Math.floor(limits.maxPatches * meanPatchSize(lengths));
    throw new UserError(
      `--row-bytes ${rowBytes}: that is ${patchesPerRow} patches, the model's global transformer takes ${limits.maxPatches}; give --row-bytes ${fits} or less`,
      2,
    );
  }
  return evaluationRows(documents, { patchesPerRow, limits });
}

/** Held-out text in patches and rows. The run's own rows give the figure that the run ended with. @param plan that of the run whose text it is */
async function patchedRows(
  { config, patcher }: Checkpoint,
  heldOut: Document[],
  plan: RunPlan | null,
  asked: number | undefined,
  backend: Backend,
): Promise<{ rows: EvaluationRow[]; rowBytes: number; patchBytes: number }> {
  const own = asked === undefined ? plan?.model : undefined;
  const rowBytes = own?.maxRowBytes ? own.maxRowBytes / 2 : (asked ?? 512);
  checkRowBytes(rowBytes, longestText(config));
  const { heldOut: documents, counted } = corpusIds({ train: [], heldOut });
  const entropies =
    config.patching.mode === 'entropy'
      ? await scoreEntropiesAsync(patcher!, documents, config.patcher!, { ...layoutOptions(config), backend })
      : documents.map(() => null);
  const patched = documents.map((ids, i) => ({
    ids,
    patchLengths: patchLengths(ids, entropies[i], config.patching, { includeNextToken: false }),
    counted: counted?.heldOut[i] ?? undefined,
  }));
  const rows = own
    ? heldOutRows(plan!, config, patched, Math.ceil(own.patchesPerRow / 2))
    : rowsOf(patched, config, rowBytes);
  const lengths = patched.map((one) => one.patchLengths);
  return { rows, rowBytes, patchBytes: meanPatchSize(lengths, countBytes(documents)) };
}

/** FLOPs per byte that really run on a row, counted kernel by kernel. */
function executedFlopsPerByte({ params, config }: Checkpoint, row: TrainingRow, backend: Backend): number {
  const { ledger } = withLedger(() =>
    scope(() => void bltLogits(params, bltBatch([row], config, { backend }), config)),
  );
  return totalFlops(ledger, ['matmul', 'intervalAttention']) / Math.max(1, countBytes(row.targets));
}

/** The figures of a model alone, and with a memory if there is one. */
const evaluateBoth = async (
  { params, config }: Checkpoint,
  rows: readonly EvaluationRow[],
  memory: MemoryMixture | null,
): Promise<{ alone: Evaluation; withMemory: Evaluation | null }> =>
  memory
    ? evaluateWithMemory(params, rows, config, memory)
    : { alone: await evaluateBlt(params, rows, config), withMemory: null };

/** A figure in the words of `--json`. */
const figure = ({ bitsPerByte, standardError }: Evaluation) => ({
  bits_per_byte: bitsPerByte,
  standard_error: standardError,
});

/** `blt eval`. @returns the exit code */
export async function evalCommand(flags: EvalFlags): Promise<number> {
  const { backend, short } = await chooseBackend(flags);
  const { checkpoint, folder } = await loadModel(flags.model, backend);
  const { title, plan, train, heldOut } = await evaluationData(flags, folder);
  if (totalBytes(heldOut) === 0) throw new UserError(`${title} is empty; give a text to evaluate on with --data`, 2);
  const { config } = checkpoint;
  const memory = memoryBeside(folder, flags.memory);
  const started = performance.now();
  const measures = compressorFigures(lastBytes(train, MOST_CONTEXT_BYTES), comparedBytes(heldOut));
  const { rows, rowBytes, patchBytes } = await patchedRows(checkpoint, heldOut, plan, flags.rowBytes, backend);
  const row = rows.reduce((a, b) => (b.ids.length > a.ids.length ? b : a));
  const { alone: evaluation, withMemory } = await evaluateBoth(checkpoint, rows, memory);
  const executed = executedFlopsPerByte(checkpoint, row, backend);
  const formula = flopsPerByte({ config }, patchBytes, rowBytes);
  const seconds = (performance.now() - started) / 1000;
  const compressors = await measures;
  if (flags.json) {
    sayJson({
      model: folder,
      data: title,
      bytes: evaluation.bytes,
      ...figure(evaluation),
      with_memory: withMemory && figure(withMemory),
      patch_size_mean: patchBytes,
      flops_per_byte: { executed, formula: formula.model, entropy_model: formula.entropyModel },
      compressors: compressors.map((y) => ({
        name: y.name,
        bits_per_byte: y.bitsPerByte,
        seen_training: y.seenTraining,
      })),
      seconds,
      backend: backend.name,
    });
    return 0;
  }
  const line = (name: string, text: string) => say(`${name.padEnd(20)} ${oneLine(text)}`);
  line('model', folder);
  line('data', `${title}: ${humanBytes(totalBytes(heldOut))}`);
  line('bits per byte', `${plusMinus(evaluation, 4)} (full: every byte with at least half a row of context)`);
  if (withMemory) line('  with memory', `${plusMinus(withMemory, 4)} (a memory of the training text beside the model)`);
  for (const y of compressors)
    line(`  ${y.name}`, `${y.bitsPerByte.toFixed(4)}${y.seenTraining ? ' (having read the training part)' : ''}`);
  line('mean patch', `${patchBytes.toFixed(2)} bytes`);
  line(
    'FLOPs per byte',
    `${humanCount(executed)} executed in matrix products and attention; the paper's formula: ${humanCount(formula.model)}, entropy model ${humanCount(formula.entropyModel)}`,
  );
  line('time', `${seconds.toFixed(1)} s on ${short}`);
  return 0;
}
