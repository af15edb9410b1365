/**
 * @file A whole training run, one step at a time. It touches no files and no clock: whoever drives it (the command line, a page, a test)
 * shows progress and saves what it hands out.
 *
 * 1. Train the entropy model, a small byte language model.
 * 2. Score the corpus with it, calibrate the threshold, and cut every document into patches.
 * 3. Train the latent transformer on rows of patches, with an evaluation on held-out text every `evalEvery` steps.
 */

import { leaves as namedLeaves } from '@blt-ts/autograd';
import { type Backend, forEachTensor, Random, release } from '@blt-ts/tensor';
import { copyLlamaIntoGlobal } from '../checkpoints/from-llama.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { type BltConfig, layoutOptions } from '../model/config.ts';
import {
  type BltParams,
  bltPlan,
  type EntropyModelParams,
  entropyModelPlan,
  initParameters,
} from '../model/parameters.ts';
import { meanPatchSize } from '../patching/calibrate.ts';
import { countBytes } from '../patching/vocabulary.ts';
import { BestSoFar } from './best-so-far.ts';
import type { ByteRow } from './data-loader.ts';
import { type Evaluation, evaluatingBlt, evaluatingEntropyModel, type Progress, result } from './evaluation.ts';
import { type EvaluationRow, heldOutRows, sampleRows } from './evaluation-rows.ts';
import { readArrays } from './loop-state.ts';
import { entropyModelLoop, modelLoop, patchedDocuments } from './loops.ts';
import type { TrainingRow } from './packing.ts';
import { CorpusEntropies, needsEntropies, patchCorpus } from './patch-corpus.ts';
import type { Corpus, RunPlan } from './run-plan.ts';
import type { Phase, SessionEvent } from './session-events.ts';
import {
  type LazySessionState,
  lazySessionState,
  loopArrays,
  restorePatcher,
  type SessionState,
} from './session-state.ts';
import type { TrainingLoop } from './training-loop.ts';
import { loadEntropyModel, splitPatches, type WarmStart } from './warm-start.ts';

export class Session {
  readonly plan: RunPlan;
  /** Bytes of text in the held-out documents; with none there is nothing to evaluate on. */
  readonly heldOutBytes: number;
  private readonly corpus: Corpus;
  private readonly backend: Backend;
  private readonly random: Random;
  private readonly patcher: EntropyModelParams | null;
  private readonly params: BltParams;
  private readonly warmStart: WarmStart;
  /** Inputs still to be supplied, for the error message. */
  private readonly missing = new Set<string>();
  private readonly bestSoFar = new BestSoFar();
  private currentPhase: Phase;
  private currentConfig: BltConfig;
  private work: AsyncGenerator<SessionEvent, void> | null = null;
  private entropyLoop: TrainingLoop<EntropyModelParams, ByteRow> | null = null;
  /** While the corpus is scored. */
  private entropies: CorpusEntropies | null = null;
  private modelLoop: TrainingLoop<BltParams, TrainingRow> | null = null;
  private trainPatches: Int32Array[] = [];
  private heldOutPatches: Int32Array[] = [];
  private askedToEnd = false;
  private checking = false;

  /** @throws ConfigError if the warm start does not fit the plan */
  constructor(plan: RunPlan, corpus: Corpus, backend: Backend, warmStart: WarmStart = {}) {
    const { config } = plan;
    this.plan = plan;
    this.corpus = corpus;
    this.backend = backend;
    this.warmStart = warmStart;
    this.heldOutBytes = countBytes(corpus.heldOut);
    this.currentConfig = config;
    this.random = new Random(plan.seed);
    this.patcher = config.patcher
      ? initParameters<EntropyModelParams>(
          entropyModelPlan(config.patcher, config.vocabSize),
          this.random.fork('entropy model'),
          { backend },
        )
      : null;
    this.params = initParameters<BltParams>(bltPlan(config, plan.hashInit), this.random.fork('model'), { backend });
    if (warmStart.llama) copyLlamaIntoGlobal(this.params, warmStart.llama, config.global);
    else if (plan.globalOrigin) this.missing.add(`the Llama ${plan.globalOrigin.source}`);
    if (this.patcher && warmStart.entropyModel) loadEntropyModel(this.patcher, warmStart.entropyModel);
    else if (plan.entropyOrigin) this.missing.add(`the entropy model ${plan.entropyOrigin.source}`);
    this.currentPhase = this.patcher && plan.entropyModel ? 'entropy model' : 'patching';
    if (this.currentPhase === 'entropy model') this.entropyLoop = this.makeEntropyLoop();
  }

  /** Does the next piece of work and says what it was. After 'done' it must not be called again. */
  async next(): Promise<SessionEvent> {
    if (this.missing.size > 0) throw new Error(`the run starts from ${[...this.missing].join(' and ')}: give it`);
    this.work ??= this.run();
    let value: SessionEvent | undefined;
    try {
      value = (await this.work.next()).value ?? undefined;
    } catch (error) {
      // A generator that threw is at its end; the work can be tried again from where the session is.
      this.work = null;
      throw error;
    }
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
    yield { kind: 'entropy model', evaluation: held ? yield* reportingProgress(this.evaluateEntropyModel()) : null };
  }

  private async *patch(): AsyncGenerator<SessionEvent, void> {
    const { config, targetPatchBytes } = this.plan;
    if (needsEntropies(config, targetPatchBytes, this.warmStart)) {
      this.entropies ??= new CorpusEntropies(this.corpus, config);
      for await (const progress of this.entropies.score(this.patcher!, config, this.backend)) {
        yield { kind: 'progress', work: 'scoring', progress };
      }
    }
    const entropies = this.entropies ?? this.warmStart.entropies ?? null;
    const patches = patchCorpus(this.corpus, config, targetPatchBytes, entropies, this.warmStart);
    this.entropies = null;
    this.currentConfig = patches.config;
    this.trainPatches = [...patches.train];
    this.heldOutPatches = [...patches.heldOut];
    this.currentPhase = 'model';
    this.modelLoop = this.makeModelLoop();
    yield {
      kind: 'patched',
      threshold: this.threshold,
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

  /** Quick evaluation: whole rows without overlap, spread evenly over the held-out text. */
  private async *evaluate(): AsyncGenerator<SessionEvent, void> {
    const { step } = this.modelLoop!;
    const rows = sampleRows(this.heldOutRows(this.plan.model.patchesPerRow), this.plan.evalBytes);
    const params = this.modelLoop!.evaluationParams();
    const evaluation = yield* reportingProgress(evaluatingBlt(params, rows, this.currentConfig));
    const best = this.bestSoFar.record(step, evaluation.bitsPerByte);
    yield { kind: 'evaluation', step, evaluation, best, stale: this.bestSoFar.state.stale };
  }

  /** The reason why no further step is taken, if there is one. */
  private get stopping(): 'steps' | 'patience' | 'asked' | null {
    if (this.askedToEnd) return 'asked';
    if (this.bestSoFar.state.stale >= this.plan.patience) return 'patience';
    return this.modelLoop!.done ? 'steps' : null;
  }

  private finish(reason: 'steps' | 'patience' | 'asked'): SessionEvent {
    this.currentPhase = 'done';
    return { kind: 'done', reason };
  }

  get phase(): Phase {
    return this.currentPhase;
  }

  /** The configuration, with the calibrated threshold once there is one. */
  get config(): BltConfig {
    return this.currentConfig;
  }

  get best(): { step: number; bitsPerByte: number } | null {
    return this.bestSoFar.state.best;
  }

  /** Updates of the model: 0 while the entropy model is trained. */
  get modelStep(): number {
    return this.modelLoop?.step ?? 0;
  }

  /** Updates done in the current phase. */
  get step(): number {
    return this.loop?.step ?? 0;
  }

  /** Updates of the current phase in all. */
  get steps(): number {
    return this.loop?.steps ?? this.plan.model.loop.steps;
  }

  /** Bytes of text the model has been trained on, repeats counted. */
  get bytesSeen(): number {
    return this.modelLoop?.bytesSeen ?? 0;
  }

  /** Takes no further step of the model. What has been saved goes on later as if nothing had happened. */
  end(): void {
    this.askedToEnd = true;
  }

  /** Ends the current phase after `steps` updates instead, see `TrainingLoop.endAt`. */
  endAt(steps: number): void {
    this.loop?.endAt(steps);
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
    if (this.bestSoFar.state.evaluatedAt === loop.step) return false;
    return loop.done || (loop.step > 0 && loop.step % this.plan.evalEvery === 0);
  }

  /** The model as it is now: averaged weights if there are any. Shares memory with the session. */
  checkpoint(): Checkpoint {
    const params = this.modelLoop?.evaluationParams() ?? this.params;
    return { config: this.currentConfig, params, patcher: this.patcher };
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

  /** The state between two events, from which `restore` goes on bit for bit. */
  async state(): Promise<SessionState> {
    const lazy = this.lazyState();
    return { ...lazy, arrays: await readArrays(lazy.arrays) };
  }

  /** The result of `state`, its arrays not yet copied: good until the next step, and for saving one array after the other. */
  lazyState(): LazySessionState {
    return lazySessionState({
      phase: this.currentPhase,
      threshold: this.threshold,
      best: this.bestSoFar.state,
      loop: this.loop,
      patcher: this.currentPhase === 'entropy model' ? null : this.patcher,
      entropies: this.entropies,
      patches: this.modelLoop && { train: this.trainPatches, heldOut: this.heldOutPatches },
    });
  }

  /** Continues a saved run exactly. Plan and corpus must be those of the run. @throws Error naming what does not fit */
  restore(state: SessionState): void {
    this.work = null;
    const { phase, threshold, loop } = state.json;
    const { patching } = this.currentConfig;
    if (threshold !== null && patching.mode === 'entropy') {
      this.currentConfig = { ...this.currentConfig, patching: { ...patching, threshold } };
    }
    if (phase === 'entropy model') {
      if (!this.entropyLoop || !loop)
        throw new Error('training state: it stops in the entropy model, which this run has not');
      this.entropyLoop.restore({ ...loop, arrays: loopArrays(state) });
      return;
    }
    this.entropyLoop = null;
    if (this.patcher) {
      restorePatcher(this.patcher, state);
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
    this.bestSoFar.restore(state.json);
  }

  /**
   * Goes back to the weights of a saved state of the same phase without going back in the data: the answer to a loss that spiked.
   * @throws Error if the state is of another phase
   */
  rewind(state: SessionState): void {
    const { phase, loop } = state.json;
    const current = this.loop;
    if (phase !== this.currentPhase || !loop || !current) {
      throw new Error(`cannot rewind from the phase '${this.currentPhase}' to a state of the phase '${phase}'`);
    }
    current.rewind({ ...loop, arrays: loopArrays(state) });
    this.bestSoFar.restore(state.json);
  }

  /** Frees all tensors. The session must not be used afterwards. */
  dispose(): void {
    this.entropyLoop?.dispose();
    this.modelLoop?.dispose();
    forEachTensor([this.params, this.patcher], release);
  }

  /** The loop in progress. */
  private get loop(): TrainingLoop<EntropyModelParams, ByteRow> | TrainingLoop<BltParams, TrainingRow> | null {
    return this.currentPhase === 'entropy model' ? this.entropyLoop : this.modelLoop;
  }

  private get threshold(): number | null {
    const { patching } = this.currentConfig;
    return patching.mode === 'entropy' ? patching.threshold : null;
  }

  private makeEntropyLoop(): TrainingLoop<EntropyModelParams, ByteRow> {
    const loop = entropyModelLoop(this.plan, this.patcher!, this.corpus.train, this.random, this.backend);
    loop.detectAnomaly = this.checking;
    return loop;
  }

  private makeModelLoop(): TrainingLoop<BltParams, TrainingRow> {
    const documents = patchedDocuments(this.corpus.train, this.trainPatches);
    const loop = modelLoop(this.plan, this.currentConfig, this.params, documents, this.random, this.backend);
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

  /** Held-out text in rows, `stride` patches between the starts of two. */
  private heldOutRows(stride: number): EvaluationRow[] {
    const documents = patchedDocuments(this.corpus.heldOut, this.heldOutPatches);
    return heldOutRows(this.plan, this.currentConfig, documents, stride);
  }

  private evaluateEntropyModel(): AsyncGenerator<Progress, Evaluation> {
    const { rowBytes } = this.plan.entropyModel!;
    const options = { ...layoutOptions(this.plan.config), rowBytes };
    return evaluatingEntropyModel(this.patcher!, this.corpus.heldOut, this.plan.config.patcher!, options);
  }
}

/** An evaluation whose progress becomes events. */
async function* reportingProgress<R>(steps: AsyncGenerator<Progress, R>): AsyncGenerator<SessionEvent, R> {
  for (;;) {
    const next = await steps.next();
    if (next.done) return next.value;
    yield { kind: 'progress', work: 'evaluation', progress: next.value };
  }
}
