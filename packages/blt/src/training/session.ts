/**
 * @file A whole training run, one step at a time: entropy model, threshold, patches, latent transformer. It touches no files and
 * no clock; who drives it (the command line, a page, a test) shows progress and saves what it hands out.
 */

import { crossEntropy, leaves as namedLeaves } from '@blt-ts/autograd';
import { type Backend, forEachTensor, Random, release, tensor } from '@blt-ts/tensor';
import { copyLlamaIntoGlobal } from '../checkpoints/from-llama.ts';
import { HASH_TABLE } from '../checkpoints/stored-tensors.ts';
import { bltBatch, byteBatch } from '../model/batch.ts';
import { bltLosses } from '../model/blt.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { type BltConfig, layoutOptions } from '../model/config.ts';
import { entropyModelLogits } from '../model/entropy-model.ts';
import {
  type BltParams,
  bltPlan,
  type EntropyModelParams,
  entropyModelPlan,
  initParameters,
} from '../model/parameters.ts';
import { meanPatchSize } from '../patching/calibrate.ts';
import { countBytes } from '../patching/vocabulary.ts';
import { type ByteRow, byteRows, patchRows, RowDealer } from './data-loader.ts';
import {
  type Evaluation,
  type EvaluationRow,
  evaluatingBlt,
  evaluatingEntropyModel,
  evaluationRows,
  type Progress,
  result,
} from './evaluation.ts';
import { type PatchedDocument, type RowLimits, rowLimits, type TrainingRow } from './packing.ts';
import { CorpusEntropies, needsEntropies, patchCorpus } from './patch-corpus.ts';
import {
  hostArray,
  type LoopOptions,
  type LoopState,
  readArrays,
  type StateArray,
  type StepReport,
  stateArray,
  TrainingLoop,
} from './training-loop.ts';
import { concatInts, type Given, loadEntropyModel, type Origin, splitPatches } from './warm-start.ts';

/** Documents as ids: BOS, bytes, EOS. */
export interface Corpus {
  readonly train: readonly Int32Array[];
  readonly heldOut: readonly Int32Array[];
}

/** Everything a run needs to be repeated. */
export interface RunPlan {
  readonly config: BltConfig;
  /** Mean bytes per patch the threshold is calibrated to (entropy patching); null: use the configured threshold. */
  readonly targetPatchBytes: number | null;
  /** See `bltPlan`. */
  readonly hashInit: number;
  /** Run blocks again in the backward pass instead of keeping their activations. */
  readonly recompute: boolean;
  /** How the entropy model is trained; null: there is none, or it is one made before. */
  readonly entropyModel: { readonly loop: LoopOptions; readonly rowBytes: number } | null;
  /** The entropy model made before. */
  readonly entropyOrigin?: Origin | null;
  /** Byte-ifying: the Llama that the global transformer's blocks are copied from. */
  readonly globalOrigin?: Origin | null;
  readonly model: { readonly loop: LoopOptions; readonly patchesPerRow: number; readonly maxRowBytes: number | null };
  /** Steps between evaluations on held-out bytes. */
  readonly evalEvery: number;
  /** Held-out bytes of those evaluations; the last one takes all. */
  readonly evalBytes: number;
  /** Stop after this many evaluations in a row without a new best. */
  readonly patience: number;
  readonly seed: number;
}

export type Phase = 'entropy model' | 'patching' | 'model' | 'done';

export type SessionEvent =
  /** What follows may take long: a good moment to save. */
  | { readonly kind: 'milestone' }
  | { readonly kind: 'progress'; readonly work: 'scoring' | 'evaluation'; readonly progress: Progress }
  | { readonly kind: 'step'; readonly phase: 'entropy model' | 'model'; readonly report: StepReport }
  | { readonly kind: 'entropy model'; readonly evaluation: Evaluation | null }
  | {
      readonly kind: 'patched';
      readonly threshold: number | null;
      /** Bytes of the training text / patches: patches * meanPatchBytes = bytes. */
      readonly meanPatchBytes: number;
      readonly patches: number;
    }
  | {
      readonly kind: 'evaluation';
      readonly step: number;
      readonly evaluation: Evaluation;
      /** The best so far: save it. */
      readonly best: boolean;
      /** Evaluations since the best. */
      readonly stale: number;
    }
  | { readonly kind: 'done'; readonly reason: 'steps' | 'patience' | 'asked' };

/** What a session needs to go on: JSON and named arrays. */
export interface SessionState {
  readonly json: {
    readonly phase: Phase;
    readonly threshold: number | null;
    readonly best: { readonly step: number; readonly bitsPerByte: number } | null;
    readonly stale: number;
    /** Step of the last evaluation, -1 before the first. */
    readonly evaluatedAt: number;
    readonly loop: Omit<LoopState, 'arrays'> | null;
  };
  readonly arrays: ReadonlyMap<string, Float32Array | Int32Array | Float64Array>;
}

/** A session's state whose arrays have not been copied. */
export interface OpenSessionState extends Omit<SessionState, 'arrays'> {
  readonly arrays: ReadonlyMap<string, StateArray>;
}

export class Session {
  readonly plan: RunPlan;
  /** Bytes of text in the held-out documents; with none there is nothing to evaluate on. */
  readonly heldOutBytes: number;
  private readonly corpus: Corpus;
  private readonly backend: Backend;
  private readonly random: Random;
  private readonly patcher: EntropyModelParams | null;
  private readonly params: BltParams;
  private currentPhase: Phase;
  private currentConfig: BltConfig;
  private work: AsyncGenerator<SessionEvent, void> | null = null;
  private entropyLoop: TrainingLoop<EntropyModelParams, ByteRow> | null = null;
  private entropies: CorpusEntropies | null = null;
  private modelLoop: TrainingLoop<BltParams, TrainingRow> | null = null;
  private trainPatches: Int32Array[] = [];
  private heldOutPatches: Int32Array[] = [];
  private bestSoFar: { step: number; bitsPerByte: number } | null = null;
  private stale = 0;
  private evaluatedAt = -1;
  private askedToEnd = false;
  private checking = false;
  private readonly given: Given;
  /** What is not there yet, in words. */
  private readonly missing = new Set<string>();

  /** @throws ConfigError if what is given does not fit the plan */
  constructor(plan: RunPlan, corpus: Corpus, backend: Backend, given: Given = {}) {
    this.given = given;
    this.plan = plan;
    this.corpus = corpus;
    this.heldOutBytes = countBytes(corpus.heldOut);
    this.backend = backend;
    this.random = new Random(plan.seed);
    const { config } = plan;
    this.currentConfig = config;
    this.patcher = config.patcher
      ? initParameters<EntropyModelParams>(
          entropyModelPlan(config.patcher, config.vocabSize),
          this.random.fork('entropy model'),
          { backend },
        )
      : null;
    this.params = initParameters<BltParams>(bltPlan(config, plan.hashInit), this.random.fork('model'), { backend });
    if (given.llama) copyLlamaIntoGlobal(this.params, given.llama, config.global);
    else if (plan.globalOrigin) this.missing.add(`the Llama ${plan.globalOrigin.source}`);
    if (this.patcher && given.entropyModel) loadEntropyModel(this.patcher, given.entropyModel);
    else if (plan.entropyOrigin) this.missing.add(`the entropy model ${plan.entropyOrigin.source}`);
    this.currentPhase = this.patcher && plan.entropyModel ? 'entropy model' : 'patching';
    if (this.currentPhase === 'entropy model') this.entropyLoop = this.makeEntropyLoop();
  }

  get phase(): Phase {
    return this.currentPhase;
  }

  /** The configuration, with the calibrated threshold once there is one. */
  get config(): BltConfig {
    return this.currentConfig;
  }

  get best(): { step: number; bitsPerByte: number } | null {
    return this.bestSoFar;
  }

  /** Updates of the model: 0 while the entropy model is trained. */
  get modelStep(): number {
    return this.modelLoop?.step ?? 0;
  }

  /** Updates done in the current phase. */
  get step(): number {
    return (this.currentPhase === 'entropy model' ? this.entropyLoop?.step : this.modelLoop?.step) ?? 0;
  }

  /** Bytes of text the model has been trained on, repeats counted. */
  get bytesSeen(): number {
    return this.modelLoop?.bytesSeen ?? 0;
  }

  /** Does the next piece of work and says what it was. After 'done' it must not be called again. */
  async next(): Promise<SessionEvent> {
    if (this.missing.size > 0) throw new Error(`the run starts from ${[...this.missing].join(' and ')}: give it`);
    this.work ??= this.run();
    const { value } = await this.work.next();
    if (!value) throw new Error('the session is done');
    return value;
  }

  /** The whole run, from the phase that it is in. */
  private async *run(): AsyncGenerator<SessionEvent, void> {
    if (this.currentPhase === 'entropy model') yield* this.trainEntropyModel();
    if (this.currentPhase === 'patching') yield* this.patch();
    if (this.currentPhase === 'model') yield* this.trainModel();
  }

  private async *trainEntropyModel(): AsyncGenerator<SessionEvent, void> {
    const loop = this.entropyLoop!;
    while (!loop.done) yield { kind: 'step', phase: 'entropy model', report: await loop.next() };
    await this.adoptEntropyWeights();
    this.currentPhase = 'patching';
    yield { kind: 'milestone' };
    const held = this.heldOutBytes > 0;
    yield { kind: 'entropy model', evaluation: held ? yield* told(this.evaluateEntropyModel()) : null };
  }

  private async *patch(): AsyncGenerator<SessionEvent, void> {
    const { config, targetPatchBytes } = this.plan;
    if (needsEntropies(config, targetPatchBytes, this.given)) {
      this.entropies ??= new CorpusEntropies(this.corpus, config);
      for await (const progress of this.entropies.score(this.patcher!, config, this.backend)) {
        yield { kind: 'progress', work: 'scoring', progress };
      }
    }
    const entropies = this.entropies ?? this.given.entropies ?? null;
    const patches = patchCorpus(this.corpus, config, targetPatchBytes, entropies, this.given);
    this.entropies = null;
    this.currentConfig = patches.config;
    this.trainPatches = [...patches.train];
    this.heldOutPatches = [...patches.heldOut];
    this.currentPhase = 'model';
    this.modelLoop = this.makeModelLoop();
    const { patching } = this.currentConfig;
    yield {
      kind: 'patched',
      threshold: patching.mode === 'entropy' ? patching.threshold : null,
      meanPatchBytes: meanPatchSize(this.trainPatches, countBytes(this.corpus.train)),
      patches: this.trainPatches.reduce((n, p) => n + p.length, 0),
    };
  }

  private async *trainModel(): AsyncGenerator<SessionEvent, void> {
    const loop = this.modelLoop!;
    for (;;) {
      const stopping = this.stopping;
      if (stopping === 'asked') return yield this.finish('asked');
      if (this.evaluationDue) {
        yield { kind: 'milestone' };
        yield* this.evaluate();
      } else if (stopping) return yield this.finish(stopping);
      else yield { kind: 'step', phase: 'model', report: await loop.next() };
    }
  }

  /** Why no further step is taken, if there is a reason. */
  private get stopping(): 'steps' | 'patience' | 'asked' | null {
    if (this.askedToEnd) return 'asked';
    if (this.stale >= this.plan.patience) return 'patience';
    return this.modelLoop!.done ? 'steps' : null;
  }

  /** Takes no further step of the model. What has been saved goes on later as if nothing had happened. */
  end(): void {
    this.askedToEnd = true;
  }

  /** Updates of the current phase in all. */
  get steps(): number {
    return this.loop?.steps ?? this.plan.model.loop.steps;
  }

  /** Ends the current phase after `steps` updates instead, see `TrainingLoop.endAt`. */
  endAt(steps: number): void {
    this.loop?.endAt(steps);
  }

  private get loop(): TrainingLoop<EntropyModelParams, ByteRow> | TrainingLoop<BltParams, TrainingRow> | null {
    return this.currentPhase === 'entropy model' ? this.entropyLoop : this.modelLoop;
  }

  /** Checks every kernel's results from now on (slow), see `withAnomalyDetection`. */
  detectAnomaly(): void {
    this.checking = true;
    for (const loop of [this.entropyLoop, this.modelLoop]) if (loop) loop.detectAnomaly = true;
  }

  /** True where held-out text is to be scored before the next step: that saves by itself. */
  get evaluationDue(): boolean {
    const loop = this.modelLoop;
    if (this.currentPhase !== 'model' || !loop || this.heldOutBytes === 0) return false;
    if (this.evaluatedAt === loop.step) return false;
    return loop.done || (loop.step > 0 && loop.step % this.plan.evalEvery === 0);
  }

  /** Frees all tensors. The session must not be used afterwards. */
  dispose(): void {
    this.entropyLoop?.dispose();
    this.modelLoop?.dispose();
    forEachTensor([this.params, this.patcher], release);
  }

  /** The model as it is now: averaged weights if there are any. Shares memory with the session. */
  checkpoint(): Checkpoint {
    return {
      config: this.currentConfig,
      params: this.modelLoop?.evaluationParams() ?? this.params,
      patcher: this.patcher,
    };
  }

  /**
   * The full evaluation: `params` on all held-out bytes, each predicted with at least half a row of context. The evaluations between steps
   * are quick ones: rows without overlap, on a sample of `plan.evalBytes`. So their figure is a little higher and less certain.
   * @throws RangeError if no byte is held out
   */
  evaluateFully(params: BltParams): Promise<Evaluation> {
    return result(this.evaluatingFully(params));
  }

  /** `evaluateFully`, batch by batch. */
  evaluatingFully(params: BltParams): AsyncGenerator<Progress, Evaluation> {
    return evaluatingBlt(params, this.heldOutRows(Math.ceil(this.plan.model.patchesPerRow / 2)), this.currentConfig);
  }

  /** Mean bytes per patch of the held-out text. */
  heldOutPatchBytes(): number {
    return meanPatchSize(this.heldOutPatches, this.heldOutBytes);
  }

  async state(): Promise<SessionState> {
    const open = this.openState();
    return { ...open, arrays: await readArrays(open.arrays) };
  }

  /** What `state` gives, its arrays not yet copied: good until the next step, and for saving one array after the other. */
  openState(): OpenSessionState {
    const { loop } = this;
    const arrays = new Map<string, StateArray>();
    let loopJson: Omit<LoopState, 'arrays'> | null = null;
    if (loop) {
      const { arrays: own, ...rest } = loop.openState();
      for (const [name, array] of own) arrays.set(`loop.${name}`, array);
      loopJson = rest;
    }
    if (this.patcher && this.currentPhase !== 'entropy model') {
      for (const [name, t] of namedLeaves(this.patcher)) arrays.set(`patcher.${name}`, stateArray(t));
    }
    if (this.entropies) {
      const entropies = this.entropies.state();
      arrays.set('entropies', { dtype: 'F32', length: entropies.length, read: async () => entropies });
    }
    if (this.modelLoop) {
      arrays.set('patches.train', hostArray(concatInts(this.trainPatches)));
      arrays.set('patches.heldOut', hostArray(concatInts(this.heldOutPatches)));
    }
    const threshold = this.currentConfig.patching.mode === 'entropy' ? this.currentConfig.patching.threshold : null;
    return {
      json: {
        phase: this.currentPhase,
        threshold,
        best: this.bestSoFar,
        stale: this.stale,
        evaluatedAt: this.evaluatedAt,
        loop: loopJson,
      },
      arrays,
    };
  }

  /** Continues a saved run exactly. Plan and corpus must be those of the run. @throws Error naming what does not fit */
  restore(state: SessionState): void {
    this.work = null;
    const { phase, threshold, best, stale, evaluatedAt, loop } = state.json;
    if (threshold !== null && this.currentConfig.patching.mode === 'entropy') {
      this.currentConfig = { ...this.currentConfig, patching: { ...this.currentConfig.patching, threshold } };
    }
    if (phase === 'entropy model') {
      if (!this.entropyLoop || !loop)
        throw new Error('training state: it stops in the entropy model, which this run has not');
      this.entropyLoop.restore({ ...loop, arrays: loopArrays(state) });
      return;
    }
    this.entropyLoop = null;
    if (this.patcher) {
      for (const [name, t] of namedLeaves(this.patcher)) {
        const values = state.arrays.get(`patcher.${name}`);
        if (!values || values.length !== t.size)
          throw new Error(`training state: patcher.${name} needs ${t.size} values`);
        t.assign(values);
      }
      this.missing.delete(`the entropy model ${this.plan.entropyOrigin?.source}`);
    }
    if (phase === 'patching' || !loop) {
      this.currentPhase = 'patching';
      const entropies = state.arrays.get('entropies');
      if (entropies instanceof Float32Array) {
        this.entropies = new CorpusEntropies(this.corpus, this.plan.config);
        this.entropies.restore(entropies);
      }
      return;
    }
    const documents = (name: string, ids: readonly Int32Array[]) =>
      splitPatches(state.arrays.get(name), ids, `training state: ${name}`);
    this.trainPatches = documents('patches.train', this.corpus.train);
    this.heldOutPatches = documents('patches.heldOut', this.corpus.heldOut);
    this.modelLoop = this.makeModelLoop();
    this.modelLoop.restore({ ...loop, arrays: loopArrays(state) });
    this.missing.clear();
    this.currentPhase = 'model';
    this.bestSoFar = best;
    this.stale = stale;
    this.evaluatedAt = evaluatedAt;
  }

  /**
   * Goes back to the weights of a saved state of the same phase without going back in the data: the answer to a loss that spiked.
   * @throws Error if the state is of another phase
   */
  rewind(state: SessionState): void {
    const { phase, loop, best, stale, evaluatedAt } = state.json;
    const current = this.loop;
    if (phase !== this.currentPhase || !loop || !current) {
      throw new Error(`cannot rewind from the phase '${this.currentPhase}' to a state of the phase '${phase}'`);
    }
    current.rewind({ ...loop, arrays: loopArrays(state) });
    this.bestSoFar = best;
    this.stale = stale;
    this.evaluatedAt = evaluatedAt;
  }

  private makeEntropyLoop(): TrainingLoop<EntropyModelParams, ByteRow> {
    const { rowBytes, loop } = this.plan.entropyModel!;
    const c = this.plan.config.patcher!;
    const dealer = new RowDealer<ByteRow>(this.random.fork('entropy model rows'), (random, epoch) =>
      byteRows(this.corpus.train, rowBytes, random, epoch),
    );
    const options = { ...layoutOptions(this.plan.config), backend: this.backend };
    return this.watched(
      new TrainingLoop(
        this.patcher!,
        dealer,
        {
          batch: (rows) => ({
            targets: targetsOf(rows),
            batch: byteBatch(
              rows.map((r) => r.ids),
              c,
              options,
            ),
          }),
          losses: (params, { targets, batch }, dropout) => {
            const logits = entropyModelLogits(params, batch, c, dropout);
            return crossEntropy(logits, tensor(targets, undefined, { backend: this.backend }));
          },
        },
        loop,
      ),
    );
  }

  private makeModelLoop(): TrainingLoop<BltParams, TrainingRow> {
    const { patchesPerRow, loop } = this.plan.model;
    const { maxPatches, maxBytes } = this.limits;
    const documents = patched(this.corpus.train, this.trainPatches);
    const dealer = new RowDealer<TrainingRow>(this.random.fork('rows'), (random, epoch) =>
      patchRows(documents, Math.min(patchesPerRow, maxPatches), maxBytes, random, epoch),
    );
    return this.watched(
      new TrainingLoop(
        this.params,
        dealer,
        {
          batch: (rows) => ({
            targets: targetsOf(rows),
            batch: bltBatch(rows, this.currentConfig, { backend: this.backend, recompute: this.plan.recompute }),
          }),
          losses: (params, { targets, batch }, dropout) =>
            bltLosses(params, batch, targets, this.currentConfig, dropout),
          reads: ({ batch }) => new Map(batch.hashIds ? [[HASH_TABLE, batch.hashIds]] : []),
        },
        loop,
      ),
    );
  }

  private watched<L extends { detectAnomaly: boolean }>(loop: L): L {
    loop.detectAnomaly = this.checking;
    return loop;
  }

  /** From here on the patcher is the averaged one, if the weights were averaged. */
  private async adoptEntropyWeights(): Promise<void> {
    const averaged = new Map(namedLeaves(this.entropyLoop!.evaluationParams()));
    for (const [name, t] of namedLeaves(this.patcher!)) {
      const from = averaged.get(name)!;
      if (from !== t) t.assign(await from.read());
    }
    this.entropyLoop = null;
  }

  private evaluateEntropyModel(): AsyncGenerator<Progress, Evaluation> {
    return evaluatingEntropyModel(this.patcher!, this.corpus.heldOut, this.plan.config.patcher!, {
      ...layoutOptions(this.plan.config),
      rowBytes: this.plan.entropyModel!.rowBytes,
    });
  }

  private heldOutRows(stride: number): EvaluationRow[] {
    const { patchesPerRow } = this.plan.model;
    return evaluationRows(patched(this.corpus.heldOut, this.heldOutPatches), {
      patchesPerRow,
      limits: this.limits,
      stride,
    });
  }

  /** Training and evaluation cut their rows by the same limits. */
  private get limits(): RowLimits {
    return rowLimits(this.currentConfig, this.plan.model.maxRowBytes);
  }

  /** Quick evaluation: whole rows without overlap, spread evenly over the held-out text. */
  private async *evaluate(): AsyncGenerator<SessionEvent, void> {
    const { step } = this.modelLoop!;
    const all = this.heldOutRows(this.plan.model.patchesPerRow);
    const total = all.reduce((n, r) => n + r.ids.length, 0);
    const every = Math.max(1, Math.floor(total / this.plan.evalBytes));
    const sample = all.filter((_, i) => i % every === 0);
    const rows = countBytes(sample.map((row) => row.targets)) > 0 ? sample : all;
    const params = this.modelLoop!.evaluationParams();
    const evaluation = yield* told(evaluatingBlt(params, rows, this.currentConfig));
    this.evaluatedAt = step;
    const best = this.bestSoFar === null || evaluation.bitsPerByte < this.bestSoFar.bitsPerByte;
    if (best) this.bestSoFar = { step, bitsPerByte: evaluation.bitsPerByte };
    this.stale = best ? 0 : this.stale + 1;
    yield { kind: 'evaluation', step, evaluation, best, stale: this.stale };
  }

  private finish(reason: 'steps' | 'patience' | 'asked'): SessionEvent {
    this.currentPhase = 'done';
    return { kind: 'done', reason };
  }
}

/** An evaluation whose progress is told as events. */
async function* told<R>(steps: AsyncGenerator<Progress, R>): AsyncGenerator<SessionEvent, R> {
  for (;;) {
    const next = await steps.next();
    if (next.done) return next.value;
    yield { kind: 'progress', work: 'evaluation', progress: next.value };
  }
}

const targetsOf = (rows: readonly { readonly targets: Int32Array }[]): Int32Array =>
  concatInts(rows.map((r) => r.targets));

const patched = (documents: readonly Int32Array[], lengths: readonly Int32Array[]): PatchedDocument[] =>
  documents.map((ids, i) => ({ ids, patchLengths: lengths[i] }));

/** The arrays of the loop in progress, by the names the loop knows. */
const loopArrays = ({ arrays }: SessionState): LoopState['arrays'] =>
  new Map([...arrays].flatMap(([name, values]) => (name.startsWith('loop.') ? [[name.slice(5), values]] : [])));
