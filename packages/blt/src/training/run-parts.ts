/**
 * @file The parts of a run: weights, training loops, entropies and patches. They are made phase by phase, and all of them can be saved,
 * restored and freed. The order of the work is that of session.ts.
 */
import { leaves as namedLeaves } from '@blt-ts/autograd';
import { type Backend, forEachTensor, Random, release, type Tensor } from '@blt-ts/tensor';
import { copyLlamaIntoGlobal } from '../checkpoints/from-llama.ts';
import { type BltConfig, layoutOptions } from '../model/config.ts';
import {
  type BltParams,
  bltPlan,
  type EntropyModelParams,
  entropyModelPlan,
  initParameters,
} from '../model/parameters.ts';
import { BestSoFar } from './best-so-far.ts';
import type { ByteRow } from './data-loader.ts';
import { type Evaluation, evaluatingEntropyModel, type Progress } from './evaluation.ts';
import { type EvaluationRow, heldOutRows } from './evaluation-rows.ts';
import { entropyModelLoop, modelLoop, patchedDocuments } from './loops.ts';
import type { TrainingRow } from './packing.ts';
import type { PassWorkers } from './pass-workers.ts';
import { CorpusEntropies, needsEntropies, patchCorpus } from './patch-corpus.ts';
import type { MarkedCorpus, RunPlan } from './run-plan.ts';
import type { Phase } from './session-events.ts';
import {
  type LazySessionState,
  lazySessionState,
  loopArrays,
  restoredEntropies,
  restoredPatches,
  restorePatcher,
  type SessionState,
} from './session-state.ts';
import type { TrainingLoop } from './training-loop.ts';
import { loadEntropyModel, loadModel, type PerDocument, type WarmStart } from './warm-start.ts';

/** Weights, loops and patches of a run. Those of a phase are made when the phase before it ends, or when a state of the phase is restored. */
export class RunParts {
  readonly plan: RunPlan;
  readonly corpus: MarkedCorpus;
  readonly patcher: EntropyModelParams | null;
  readonly params: BltParams;
  /** Inputs still to be supplied, for the error message. */
  readonly missing = new Set<string>();
  readonly bestSoFar = new BestSoFar();
  phase: Phase;
  /** With the calibrated threshold once there is one. */
  config: BltConfig;
  /** Until the entropy model is trained. */
  entropyLoop: TrainingLoop<EntropyModelParams, ByteRow> | null = null;
  /** From the patches on. */
  modelLoop: TrainingLoop<BltParams, TrainingRow> | null = null;
  /** Patch lengths of every document, once they are cut. */
  patches: PerDocument<Int32Array> = { train: [], heldOut: [] };
  private readonly backend: Backend;
  private readonly warmStart: WarmStart;
  private readonly random: Random;
  /** While the corpus is scored. */
  private entropies: CorpusEntropies | null = null;
  private checking = false;
  private workers: PassWorkers | null = null;

  /** @throws ConfigError if the warm start does not fit the plan */
  constructor(plan: RunPlan, corpus: MarkedCorpus, backend: Backend, warmStart: WarmStart) {
    const { config } = plan;
    this.plan = plan;
    this.corpus = corpus;
    this.backend = backend;
    this.warmStart = warmStart;
    this.config = config;
    this.random = new Random(plan.seed);
    this.patcher = config.patcher
      ? initParameters<EntropyModelParams>(
          entropyModelPlan(config.patcher, config.vocabSize),
          this.random.fork('entropy model'),
          { backend },
        )
      : null;
    this.params = initParameters<BltParams>(
      bltPlan(config, plan.hashInit, plan.outputInit),
      this.random.fork('model'),
      { backend },
    );
    if (warmStart.llama) copyLlamaIntoGlobal(this.params, warmStart.llama, config.global);
    else if (plan.globalOrigin) this.missing.add(`the Llama ${plan.globalOrigin.source}`);
    if (warmStart.model) loadModel(this.params, warmStart.model);
    else if (plan.modelOrigin) this.missing.add(`the model ${plan.modelOrigin.source}`);
    if (this.patcher && warmStart.entropyModel) loadEntropyModel(this.patcher, warmStart.entropyModel);
    else if (plan.entropyOrigin) this.missing.add(`the entropy model ${plan.entropyOrigin.source}`);
    this.phase = this.patcher && plan.entropyModel ? 'entropy model' : 'patching';
    if (this.phase === 'entropy model') this.startEntropyModel();
  }

  /** The loop in progress. */
  get loop(): TrainingLoop<EntropyModelParams, ByteRow> | TrainingLoop<BltParams, TrainingRow> | null {
    return this.phase === 'entropy model' ? this.entropyLoop : this.modelLoop;
  }

  /** The configured or calibrated threshold, nats; null where patches are cut without entropies. */
  get threshold(): number | null {
    const { patching } = this.config;
    return patching.mode === 'entropy' ? patching.threshold : null;
  }

  private startEntropyModel(): void {
    this.entropyLoop = entropyModelLoop(this.plan, this.patcher!, this.corpus, this.random, this.backend);
    this.entropyLoop.detectAnomaly = this.checking;
    this.lendWorkers();
  }

  /** Ends the first phase. From here on the patcher is the averaged one, if the weights were averaged. */
  async adoptEntropyModel(): Promise<void> {
    const averaged = new Map(namedLeaves(this.entropyLoop!.evaluationParams()));
    for (const [name, t] of namedLeaves(this.patcher!)) {
      const from = averaged.get(name)!;
      if (from !== t) t.assign(await from.read());
    }
    this.entropyLoop = null;
    this.phase = 'patching';
  }

  /** Scores the corpus with the entropy model, batch by batch, if the patches need it. */
  async *scoring(): AsyncGenerator<Progress, void> {
    const { config, targetPatchBytes } = this.plan;
    if (!needsEntropies(config, targetPatchBytes, this.warmStart)) return;
    this.entropies ??= new CorpusEntropies(this.corpus, config);
    yield* this.entropies.score(this.patcher!, config, this.backend);
  }

  /** Ends the second phase: calibrates the threshold, cuts the documents, and makes the loop of the last phase. */
  cutPatches(): void {
    const { config, targetPatchBytes } = this.plan;
    const entropies = this.entropies ?? this.warmStart.entropies ?? null;
    const patched = patchCorpus(this.corpus, config, targetPatchBytes, entropies, this.warmStart);
    this.entropies = null;
    this.config = patched.config;
    this.patches = { train: patched.train, heldOut: patched.heldOut };
    this.phase = 'model';
    this.startModel();
  }

  private startModel(): void {
    const { plan, config, params, corpus, patches, random } = this;
    this.modelLoop = modelLoop(plan, config, params, corpus, patches.train, random, this.backend);
    this.modelLoop.detectAnomaly = this.checking;
    this.lendWorkers();
  }

  /** Held-out text in rows, `stride` patches between the starts of two. */
  heldOutRows(stride: number): EvaluationRow[] {
    const documents = patchedDocuments(this.corpus, 'heldOut', this.patches.heldOut);
    return heldOutRows(this.plan, this.config, documents, stride);
  }

  /** A quick evaluation, as those of the model: on a sample of `plan.evalBytes`. */
  evaluatingEntropyModel(): AsyncGenerator<Progress, Evaluation> {
    const { config, entropyModel } = this.plan;
    const options = { ...layoutOptions(config), rowBytes: entropyModel!.rowBytes, sampleBytes: this.plan.evalBytes };
    return evaluatingEntropyModel(this.patcher!, this.corpus.heldOut, config.patcher!, options);
  }

  /** See `Session.useWorkers`. */
  useWorkers(workers: PassWorkers): void {
    this.workers = workers;
    this.lendWorkers();
  }

  private lendWorkers(): void {
    const { workers, config } = this;
    if (!workers) return;
    this.entropyLoop?.useWorkers(workers, { model: 'entropy model', config });
    this.modelLoop?.useWorkers(workers, { model: 'latent transformer', config, recompute: this.plan.recompute });
  }

  /** Checks every kernel's results from now on, see `withAnomalyDetection`. */
  detectAnomaly(): void {
    this.checking = true;
    for (const loop of [this.entropyLoop, this.modelLoop]) if (loop) loop.detectAnomaly = true;
  }

  /** See `Session.lazyState`. */
  lazyState(): LazySessionState {
    return lazySessionState({
      phase: this.phase,
      threshold: this.threshold,
      best: this.bestSoFar.state,
      loop: this.loop,
      patcher: this.phase === 'entropy model' ? null : this.patcher,
      entropies: this.entropies,
      patches: this.modelLoop && this.patches,
    });
  }

  /** See `Session.restore`. */
  restore(state: SessionState): void {
    const { phase, threshold, loop } = state.json;
    const { patching } = this.config;
    if (threshold !== null && patching.mode === 'entropy') {
      this.config = { ...this.config, patching: { ...patching, threshold } };
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
      this.phase = 'patching';
      this.entropies = restoredEntropies(state, this.corpus, this.plan.config) ?? this.entropies;
      return;
    }
    this.patches = restoredPatches(state, this.corpus);
    this.startModel();
    this.modelLoop!.restore({ ...loop, arrays: loopArrays(state) });
    this.missing.clear();
    this.phase = 'model';
    this.bestSoFar.restore(state.json);
  }

  /** See `Session.extend`. */
  extend(steps: number): void {
    const loop = this.modelLoop;
    if (!loop) throw new RangeError('only a run whose model is being trained can be extended');
    if (steps <= loop.step) throw new RangeError(`the run has done ${loop.step} steps; it cannot end after ${steps}`);
    loop.endAt(steps);
    this.phase = 'model';
    this.bestSoFar.restore({ ...this.bestSoFar.state, stale: 0 });
  }

  /** See `Session.rewind`. */
  rewind(state: SessionState): void {
    const { phase, loop } = state.json;
    const current = this.loop;
    if (phase !== this.phase || !loop || !current) {
      throw new Error(`cannot rewind from the phase '${this.phase}' to a state of the phase '${phase}'`);
    }
    current.rewind({ ...loop, arrays: loopArrays(state) });
    this.bestSoFar.restore(state.json);
  }

  /** Frees all tensors but those of `kept`. */
  dispose(kept: object = {}): void {
    const spared = new Set<Tensor>();
    forEachTensor(kept, (t) => spared.add(t));
    this.entropyLoop?.dispose(spared);
    this.modelLoop?.dispose(spared);
    forEachTensor([this.params, this.patcher], (t) => spared.has(t) || release(t));
  }
}
