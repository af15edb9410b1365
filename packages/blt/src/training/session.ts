/**
 * @file A whole training run, one step at a time. It touches no files and no clock: whoever drives it (the command line, a page, a test)
 * shows progress and saves what it hands out.
 *
 * 1. Train the entropy model, a small byte language model.
 * 2. Score the corpus with it, calibrate the threshold, and cut every document into patches.
 * 3. Train the latent transformer on rows of patches, with an evaluation on held-out text every `evalEvery` steps.
 */

import type { Backend } from '@blt-ts/tensor';
import type { MixedLosses } from '../memory/memory-mixture.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import type { BltConfig } from '../model/config.ts';
import type { BltParams } from '../model/parameters.ts';
import { meanPatchSize } from '../patching/calibrate.ts';
import { countBytes } from '../patching/vocabulary.ts';
import { bitsByShares, type Evaluation, evaluatingBlt, type Progress, result } from './evaluation.ts';
import { sampleRows } from './evaluation-rows.ts';
import { type EvaluationWithMemory, evaluatingWithMemory } from './evaluation-with-memory.ts';
import { readArrays } from './loop-state.ts';
import type { PassWorkers } from './pass-workers.ts';
import { RunParts } from './run-parts.ts';
import type { MarkedCorpus, RunPlan } from './run-plan.ts';
import type { Phase, SessionEvent } from './session-events.ts';
import type { LazySessionState, SessionState } from './session-state.ts';
import type { WarmStart } from './warm-start.ts';

/** A run in memory: call `next` until it reports 'done', and read `checkpoint` at any time. */
export class Session {
  readonly plan: RunPlan;
  /** Bytes of text in the held-out documents; with none there is nothing to evaluate on. */
  readonly heldOutBytes: number;
  private readonly parts: RunParts;
  private work: AsyncGenerator<SessionEvent, void> | null = null;
  private askedToEnd = false;

  /** @throws ConfigError if the warm start does not fit the plan */
  constructor(plan: RunPlan, corpus: MarkedCorpus, backend: Backend, warmStart: WarmStart = {}) {
    this.plan = plan;
    this.heldOutBytes = countBytes(corpus.heldOut);
    this.parts = new RunParts(plan, corpus, backend, warmStart);
  }

  /** Does the next piece of work and says what it was. After 'done' it must not be called again. */
  async next(): Promise<SessionEvent> {
    const { missing } = this.parts;
    if (missing.size > 0) throw new Error(`the run starts from ${[...missing].join(' and ')}: give it`);
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
    if (this.phase === 'entropy model') yield* this.trainEntropyModel();
    if (this.phase === 'patching') yield* this.patch();
    if (this.phase === 'model') yield* this.trainModel();
  }

  private async *trainEntropyModel(): AsyncGenerator<SessionEvent, void> {
    const loop = this.parts.entropyLoop!;
    while (!loop.done) yield { kind: 'step', phase: 'entropy model', report: await loop.next() };
    await this.parts.adoptEntropyModel();
    yield { kind: 'milestone' };
    const evaluating = this.heldOutBytes > 0 ? this.parts.evaluatingEntropyModel() : null;
    yield { kind: 'entropy model', evaluation: evaluating && (yield* reportingProgress(evaluating)) };
  }

  private async *patch(): AsyncGenerator<SessionEvent, void> {
    const { parts } = this;
    for await (const progress of parts.scoring()) yield { kind: 'progress', work: 'scoring', progress };
    parts.cutPatches();
    const { train } = parts.patches;
    yield {
      kind: 'patched',
      threshold: parts.threshold,
      meanPatchBytes: meanPatchSize(train, countBytes(parts.corpus.train)),
      patches: train.reduce((n, p) => n + p.length, 0),
    };
  }

  private async *trainModel(): AsyncGenerator<SessionEvent, void> {
    const loop = this.parts.modelLoop!;
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

  /** Quick evaluation: whole rows without overlap, spread evenly over the held-out text. The figure of a mixture goes by its shares. */
  private async *evaluate(): AsyncGenerator<SessionEvent, void> {
    const { modelLoop, bestSoFar } = this.parts;
    const { step } = modelLoop!;
    const rows = sampleRows(this.parts.heldOutRows(this.plan.model.patchesPerRow), this.plan.evalBytes);
    const params = modelLoop!.evaluationParams();
    const measured = yield* reportingProgress(evaluatingBlt(params, rows, this.config));
    const shares = this.parts.corpus.heldOutApart ? null : (this.plan.mixture ?? null);
    const evaluation = { ...measured, bitsPerByte: bitsByShares(measured, shares) };
    const best = bestSoFar.record(step, evaluation.bitsPerByte);
    yield { kind: 'evaluation', step, evaluation, best, stale: bestSoFar.state.stale };
  }

  /** The reason why no further step is taken, if there is one. */
  private get stopping(): 'steps' | 'patience' | 'asked' | null {
    if (this.askedToEnd) return 'asked';
    if (this.parts.bestSoFar.state.stale >= this.plan.patience) return 'patience';
    return this.parts.modelLoop!.done ? 'steps' : null;
  }

  private finish(reason: 'steps' | 'patience' | 'asked'): SessionEvent {
    this.parts.phase = 'done';
    return { kind: 'done', reason };
  }

  get phase(): Phase {
    return this.parts.phase;
  }

  /** The configuration, with the calibrated threshold once there is one. */
  get config(): BltConfig {
    return this.parts.config;
  }

  get best(): { step: number; bitsPerByte: number } | null {
    return this.parts.bestSoFar.state.best;
  }

  /** Updates of the model: 0 while the entropy model is trained. */
  get modelStep(): number {
    return this.parts.modelLoop?.step ?? 0;
  }

  /** Updates done in the current phase. */
  get step(): number {
    return this.parts.loop?.step ?? 0;
  }

  /** Updates of the current phase in all. */
  get steps(): number {
    return this.parts.loop?.steps ?? this.plan.model.loop.steps;
  }

  /** Bytes of text the model has been trained on, repeats counted. */
  get bytesSeen(): number {
    return this.parts.modelLoop?.bytesSeen ?? 0;
  }

  /** Takes no further step of the model. What has been saved goes on later as if nothing had happened. */
  end(): void {
    this.askedToEnd = true;
  }

  /** Ends the current phase after `steps` updates instead, see `TrainingLoop.endAt`. */
  endAt(steps: number): void {
    this.parts.loop?.endAt(steps);
  }

  /**
   * Makes a restored run longer, or one that has ended go on: its last phase ends after `steps` updates. Nothing that was done before
   * changes. A run of schedule wsd that goes on from where `beginsDecay` was true has the bits of one that was planned for `steps`, where both plans
   * have the same rates, see `RunPlan`.
   * @throws RangeError if so many have been done
   */
  extend(steps: number): void {
    this.parts.extend(steps);
  }

  /** See `TrainingLoop.beginsDecay`. */
  get beginsDecay(): boolean {
    return this.parts.phase === 'model' && this.parts.modelLoop!.beginsDecay;
  }

  /** Lets workers take some of the passes of each step, where the plan cuts steps into passes. The bits do not change. */
  useWorkers(workers: PassWorkers): void {
    this.parts.useWorkers(workers);
  }

  /** Checks every kernel's results from now on (slow), see `withAnomalyDetection`. */
  detectAnomaly(): void {
    this.parts.detectAnomaly();
  }

  /** True where held-out text is to be scored before the next step: that saves by itself. */
  get evaluationDue(): boolean {
    const loop = this.parts.modelLoop;
    if (this.parts.phase !== 'model' || !loop || this.heldOutBytes === 0) return false;
    if (this.parts.bestSoFar.state.evaluatedAt === loop.step) return false;
    return loop.done || (loop.step > 0 && loop.step % this.plan.evalEvery === 0);
  }

  /** The model as it is now: averaged weights if there are any. Shares memory with the session. */
  checkpoint(): Checkpoint {
    const { config, modelLoop, patcher } = this.parts;
    const params = modelLoop?.evaluationParams() ?? this.parts.params;
    return { config, params, patcher };
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
    const rows = this.parts.heldOutRows(Math.ceil(this.plan.model.patchesPerRow / 2));
    return evaluatingBlt(params, rows, this.config);
  }

  /** `evaluatingFully`, alone and with a memory beside the model, which then has read the held-out text. */
  evaluatingWithMemory(params: BltParams, memory: MixedLosses): AsyncGenerator<Progress, EvaluationWithMemory> {
    const rows = this.parts.heldOutRows(Math.ceil(this.plan.model.patchesPerRow / 2));
    return evaluatingWithMemory(params, rows, this.config, memory);
  }

  /** Mean bytes per patch of the held-out text. */
  heldOutPatchBytes(): number {
    return meanPatchSize(this.parts.patches.heldOut, this.heldOutBytes);
  }

  /** The state between two events, from which `restore` goes on bit for bit. */
  async state(): Promise<SessionState> {
    const lazy = this.lazyState();
    return { ...lazy, arrays: await readArrays(lazy.arrays) };
  }

  /** The result of `state`, its arrays not yet copied: good until the next step, and for saving one array after the other. */
  lazyState(): LazySessionState {
    return this.parts.lazyState();
  }

  /** Continues a saved run exactly. Plan and corpus must be those of the run. @throws Error naming what does not fit */
  restore(state: SessionState): void {
    this.work = null;
    this.parts.restore(state);
  }

  /**
   * Goes back to the weights of a saved state of the same phase without going back in the data: the answer to a loss that spiked.
   * @throws Error if the state is of another phase
   */
  rewind(state: SessionState): void {
    this.parts.rewind(state);
  }

  /** Frees all tensors: its weights and what trains them. It can still tell how far it came, and evaluate other weights. */
  dispose(): void {
    this.parts.dispose();
  }

  /** Frees all tensors but those of the result, which are the caller's from then on: the model as it is now, see `checkpoint`. */
  disposeButModel(): Checkpoint {
    const checkpoint = this.checkpoint();
    this.parts.dispose(checkpoint);
    return checkpoint;
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
