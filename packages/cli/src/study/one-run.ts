/** @file One run of the study, from its configuration to its result: train for a budget of FLOPs, then score excerpts of held-out documents. */
import { setImmediate } from 'node:timers/promises';
import { crossEntropy, leaves, mul } from '@blt-ts/autograd';
import {
  ADAMW_DEFAULTS,
  countParameters,
  EpochLoader,
  HASH_TABLE,
  initParameters,
  type LoopOptions,
  NO_DROPOUT,
  type ParameterPlan,
  TrainingLoop,
} from '@blt-ts/blt';
import { type Backend, Random, release, type SafetensorsInput, scope, tensor, writeSafetensors } from '@blt-ts/tensor';
import { UserError } from '../terminal/errors.ts';
import { type Arm, type StudyRow, scoredBytes } from './arm.ts';
import { Tokenizer } from './bpe.ts';
import { type Merge, trainBpe } from './bpe-training.ts';
import { excerptOf, type StudyDocument, trainingEnds } from './chunks.ts';
import { type StudyCorpus, studyCorpus } from './corpora.ts';
import { cuttingOf } from './cutting.ts';
import { patchArm } from './patch-arm.ts';
import { entropyRun, type RunConfig, runName } from './run-config.ts';
import { type DocumentScore, jsonFile, type RunResult, type StudyFolder } from './run-folders.ts';
import { type Scored, scoreDocument } from './scoring.ts';
import { NGRAM_TABLE, tokenArm } from './token-arm.ts';

/** Rows whose FLOPs are counted to plan the steps, and documents that they come from. */
const SAMPLED_ROWS = 64;
const SAMPLED_DOCUMENTS = 16;
/** A run has at least so many steps, however small its budget. */
const FEWEST_STEPS = 2;

const bytesOfAll = (documents: readonly StudyDocument[]): number =>
  documents.reduce((n, { bytes }) => n + bytes.length, 0);

/** The tokenizer of a corpus and a size of vocabulary, trained on the training part alone. */
async function tokenizerFor(
  corpus: string,
  vocab: number,
  train: readonly StudyDocument[],
  folder: StudyFolder,
): Promise<Tokenizer> {
  const merges = vocab - new Tokenizer([]).vocabSize;
  if (merges === 0) return new Tokenizer([]);
  const path = folder.path('cache', `bpe-${corpus}-${vocab}.json`);
  const train1 = async () =>
    Buffer.from(
      JSON.stringify(
        trainBpe(
          train.map(({ bytes }) => bytes),
          merges,
        ),
      ),
    );
  return new Tokenizer(JSON.parse(Buffer.from(await folder.once(path, train1)).toString()) as Merge[]);
}

/** The model of a configuration. The run of its entropy model must be done. */
export async function armOf(
  config: RunConfig,
  { train }: StudyCorpus,
  folder: StudyFolder,
  backend: Backend,
): Promise<Arm> {
  return config.kind === 'token'
    ? (tokenArm(config, await tokenizerFor(config.corpus, config.vocab, train, folder), backend) as Arm)
    : (patchArm(config, await cuttingOf(config, train, folder, backend), backend) as Arm);
}

/** Sums over the batches of a run. */
class Tally {
  model = 0;
  patcher = 0;
  bytes = 0;
  units = 0;

  /** Adds a batch. @param share of its FLOPs that count: without the context that was read before */
  add(arm: Arm, batch: unknown, rows: readonly StudyRow[], share = 1): void {
    const { model, patcher } = arm.flops(batch);
    this.model += model * share;
    this.patcher += patcher * share;
    for (const row of rows) {
      this.bytes += scoredBytes(row, arm.byteLengths);
      const patches = row.patchLengths.length - 1;
      const all = row.targets.length;
      this.units += ((patches > 0 ? patches : all) * (all - row.scoredFrom)) / all;
    }
  }
}

/** About so many of a list, evenly. */
function sampleOf<T>(all: readonly T[], count: number): T[] {
  const every = Math.max(1, Math.floor(all.length / count));
  return all.filter((_, i) => i % every === 0);
}

/** Mean training FLOPs of a row. */
function flopsOfRow(arm: Arm, rows: readonly StudyRow[]): number {
  const sample = sampleOf(rows, SAMPLED_ROWS);
  const { model, patcher } = scope(() => arm.flops(arm.batch(sample)));
  return (3 * model + patcher) / sample.length;
}

/** The recipe of a run as the numbers of a training loop. There is no dropout, because no run of the study is long enough for it. */
function loopOptions(config: RunConfig, steps: number): LoopOptions {
  const { beta1, beta2, weight_decay: weightDecay, table_lr: lrScale } = config;
  return {
    steps,
    batchRows: config.batch_rows,
    accumulation: 1,
    lr: config.lr,
    warmupSteps: Math.floor(steps * config.warmup),
    minRatio: config.min_ratio,
    gradClip: config.grad_clip,
    adamw: { ...ADAMW_DEFAULTS, beta1, beta2, weightDecay },
    dropout: NO_DROPOUT,
    ema: null,
    groups: [HASH_TABLE, NGRAM_TABLE].map((prefix) => ({ prefix, lrScale })),
    seed: config.seed,
  };
}

/** Matrices whose products are added to the residual stream. */
const TO_RESIDUAL = /\.(self_attn\.o_proj|mlp\.down_proj)\.weight$/;

/** The parameters of an arm as a run begins with them. */
const beginning = (arm: Arm, { output_init: share }: RunConfig): ParameterPlan[] =>
  arm.parameters.map((one) =>
    TO_RESIDUAL.test(one.name) && one.std !== null ? { ...one, std: one.std * share } : one,
  );

/** A batch, its targets, and the weights of their losses where they differ. */
interface TrainingBatch {
  readonly batch: unknown;
  readonly targets: Int32Array;
  readonly weights: Float32Array | null;
}

/** The training loop of `blt train` with the numbers of the run. */
function loopOf(
  arm: Arm,
  config: RunConfig,
  train: readonly StudyDocument[],
  budget: number,
  tally: Tally,
  backend: Backend,
) {
  const random = new Random(config.seed);
  const cut = (documents: readonly StudyDocument[], stream: Random, epoch: number): StudyRow[] =>
    documents.flatMap((document) =>
      arm.rows(document, trainingEnds(document.bytes, config.row_bytes, stream, epoch), false),
    );
  const rowsOf = (stream: Random, epoch: number): StudyRow[] => cut(train, stream, epoch);
  const perStep = flopsOfRow(arm, cut(sampleOf(train, SAMPLED_DOCUMENTS), new Random(0), 0)) * config.batch_rows;
  const steps = Math.max(FEWEST_STEPS, Math.round(budget / perStep));
  const loop = loopOptions(config, steps);
  const params = initParameters<object>(beginning(arm, config), random.fork('model'), { backend });
  const task = {
    batch(rows: readonly StudyRow[]): TrainingBatch {
      const batch = arm.batch(rows);
      tally.add(arm, batch, rows);
      const targets = Int32Array.from(rows.flatMap((row) => [...row.targets]));
      const weighed = rows.every((row) => row.weights !== undefined);
      return { batch, targets, weights: weighed ? Float32Array.from(rows.flatMap((row) => [...row.weights!])) : null };
    },
    losses(p: object, { batch, targets, weights }: TrainingBatch, dropout: never) {
      const losses = crossEntropy(arm.logits(p, batch, dropout), tensor(targets, undefined, { backend }));
      return weights === null ? losses : mul(losses, tensor(weights, undefined, { backend }));
    },
    reads: ({ batch }: TrainingBatch) => arm.reads(batch),
  };
  return new TrainingLoop(params, new EpochLoader<StudyRow>(random.fork('rows'), rowsOf), task, loop);
}

function parametersOf(arm: Arm): { embedding: number; tables: number; rest: number } {
  const count = (prefix: RegExp) => countParameters(arm.parameters.filter(({ name }) => prefix.test(name)));
  const tables = count(/^ngrams\.|encoder_hash_tok_embedding/);
  const embedding = count(/embed_tokens|lm_head/);
  return { embedding, tables, rest: countParameters(arm.parameters) - tables - embedding };
}

async function weightsFile(params: object): Promise<Uint8Array> {
  const tensors: [string, SafetensorsInput][] = [];
  for (const [name, leaf] of leaves(params)) {
    tensors.push([name, { dtype: 'F32', shape: leaf.shape, data: (await leaf.read()) as Float32Array }]);
  }
  return writeSafetensors(tensors);
}

/**
 * Compares a run that is done again, for its weights, with the result that was taken over.
 * @throws UserError if its bits per byte differ: then the two are not of one study
 */
function checkAgain(config: RunConfig, { bitsPerByte }: RunResult, folder: StudyFolder): void {
  const before = folder.result(config);
  if (before === null || before.bitsPerByte === bitsPerByte) return;
  throw new UserError(
    `the run ${runName(config)} has ${bitsPerByte} bits per byte, and ${before.bitsPerByte} in the results that were taken over: another version of blt made them; give a new folder with --out, without --from`,
  );
}

/** Does a run whose entropy model, if it has one, is done, and writes its folder; the result last. */
export async function doRun(config: RunConfig, folder: StudyFolder, backend: Backend): Promise<RunResult> {
  const corpus = await studyCorpus(config.corpus, folder.path('corpora'));
  const arm = await armOf(config, corpus, folder, backend);
  const entropy = entropyRun(config);
  const patcher = entropy === null ? null : folder.result(entropy)!;
  const training = new Tally();
  const started = performance.now();
  const loop = loopOf(arm, config, corpus.train, config.flops - (patcher?.flops.total ?? 0), training, backend);
  while (!loop.done) {
    await loop.next();
    // Between two steps the end of the process that began this one is heard.
    await setImmediate();
  }
  const trained = performance.now();
  const processor = process.cpuUsage();
  const params = loop.evaluationParams();
  const evaluation = new Tally();
  const documents: DocumentScore[] = [];
  const onBatch: Scored['onBatch'] = (batch, rows, share) => evaluation.add(arm, batch, rows, share);
  for (const document of corpus.heldOut) {
    const excerpt = excerptOf(document, config.excerpt_bytes);
    documents.push(await scoreDocument({ arm, params, backend, onBatch }, excerpt, config.row_bytes));
  }
  const ended = performance.now();
  const { user, system } = process.cpuUsage(processor);
  const bytes = documents.reduce((n, d) => n + d.bytes, 0);
  const flops = { model: 3 * training.model, patcher: training.patcher, patcherTraining: patcher?.flops.total ?? 0 };
  const result: RunResult = {
    documents,
    bitsPerByte: documents.reduce((n, d) => n + d.bits, 0) / bytes,
    flops: { ...flops, total: flops.model + flops.patcher + flops.patcherTraining },
    flopsPerByte: { model: evaluation.model / bytes, patcher: evaluation.patcher / bytes },
    steps: loop.step,
    bytesSeen: training.bytes,
    passes: training.bytes / bytesOfAll(corpus.train),
    bytesPerUnit: evaluation.bytes / evaluation.units,
    parameters: {
      ...parametersOf(arm),
      patcher: patcher === null ? 0 : patcher.parameters.embedding + patcher.parameters.rest,
    },
    seconds: { training: (trained - started) / 1000, evaluation: (ended - trained) / 1000 },
    millisecondsPerByte: (user + system) / 1000 / bytes,
  };
  checkAgain(config, result, folder);
  await folder.write(folder.runPath(config, 'config.json'), jsonFile(config));
  await folder.write(folder.runPath(config, 'weights.safetensors'), await weightsFile(params));
  // A result that was taken over stays, so that its times are those of the machine that it came from.
  if (!folder.isDone(config)) await folder.write(folder.runPath(config, 'result.json'), jsonFile(result));
  loop.dispose();
  for (const [, leaf] of leaves(loop.params)) release(leaf);
  return result;
}
