/** @file A training session in a worker: it takes steps, gives way between them, and tells the page what happened. */
import {
  type Checkpoint,
  type Corpus,
  checkpointPlan,
  countParameters,
  encode,
  generate,
  planRun,
  type RunPlan,
  Session,
  type SessionEvent,
} from '@blt-ts/blt';
import { type Backend, forEachTensor, type Ledger, release, withLedger } from '@blt-ts/tensor';
import { writeCheckpoint } from '../checkpoint-files.ts';
import type { KernelUse, TrainingFacts, TrainingRequest, WorkerEvent } from '../messages.ts';
import { onCpu } from './backends.ts';
import { entropyModelToFile } from './entropy-file.ts';

/** Fewer bytes leave nothing to hold out and nothing to learn from. */
export const LEAST_BYTES = 500;
const HELD_OUT_SHARE = 0.1;
const SAMPLE_BYTES = 160;
const PROMPT_BYTES = 24;

/** Samples and held-out figures of a run, for somebody who watches it. */
const SAMPLES = 6;

/** The last tenth is kept for evaluation. @throws Error if the text is too short */
export function corpusOf(bytes: Uint8Array): Corpus {
  if (bytes.length < LEAST_BYTES) {
    throw new Error(
      `there are ${bytes.length} bytes to train on; give at least ${LEAST_BYTES}, 20,000 are a good start`,
    );
  }
  const cut = bytes.length - Math.round(bytes.length * HELD_OUT_SHARE);
  const document = (part: Uint8Array) => [encode(part, { bos: true, eos: true })];
  return { train: document(bytes.subarray(0, cut)), heldOut: document(bytes.subarray(cut)) };
}

export function planOf(request: TrainingRequest): RunPlan {
  const { bytes, patchingMode, patchSize, steps, lr, seed } = request;
  const plan = planRun(
    {
      size: 'nano',
      patchingMode,
      patchSize: patchingMode === 'entropy' || patchingMode === 'static' ? patchSize : undefined,
      steps: steps ?? undefined,
      lr: lr ?? undefined,
      seed,
      // A person is watching, and decides when to stop.
      patience: 0,
    },
    Math.ceil(bytes.length * (1 - HELD_OUT_SHARE)),
  );
  return { ...plan, evalEvery: Math.ceil(plan.model.loop.steps / SAMPLES) };
}

export const kernelUse = (ledger: Ledger): KernelUse =>
  [...ledger]
    .map(([kernel, { calls, flops }]) => ({ kernel, calls, flops }))
    .sort((a, b) => b.flops - a.flops || b.calls - a.calls);

/** Steps between two reports: often enough to look alive, seldom enough not to cost anything. */
const REPORT_MS = 120;

export class Trainer {
  session: Session;
  paused = false;
  private readonly corpus: Corpus;
  private readonly heldOutBytes: Uint8Array;
  private readonly say: (event: WorkerEvent) => void;
  private bytes = 0;
  private since = 0;
  /** The step whose checkpoint the page has. */
  private sent: number | null = null;
  private kernels: KernelUse | null = null;

  constructor(request: TrainingRequest, backend: Backend, say: (event: WorkerEvent) => void) {
    this.corpus = corpusOf(request.bytes);
    const [heldOut] = this.corpus.heldOut;
    this.heldOutBytes = Uint8Array.from(heldOut.subarray(1, -1), (id) => id - 4);
    this.session = new Session(planOf(request), this.corpus, backend);
    this.say = say;
  }

  facts(): TrainingFacts {
    const { plan } = this.session;
    return {
      trainBytes: this.corpus.train[0].length - 2,
      heldOutBytes: this.heldOutBytes.length,
      entropySteps: plan.entropyModel?.loop.steps ?? 0,
      steps: plan.model.loop.steps,
      parameters: countParameters(checkpointPlan(plan.config)),
    };
  }

  /** The same run, from the same state, on another backend. */
  async moveTo(backend: Backend): Promise<void> {
    const state = await this.session.state();
    const copy = new Session(this.session.plan, this.corpus, backend);
    copy.restore(state);
    this.session = copy;
  }

  /** Gives the model as it is now, on the CPU: to be written to a file, or to make a sample without holding up a device. */
  private async withCheckpoint(use: (checkpoint: Checkpoint) => void): Promise<void> {
    const { config, params: live, patcher } = this.session.checkpoint();
    const params = await onCpu(live);
    const copy: Checkpoint = { config, params, patcher: patcher && (await onCpu(patcher)) };
    try {
      use(copy);
    } finally {
      if (params !== live) forEachTensor([copy.params, copy.patcher], release);
    }
  }

  /** The session's next piece of work, and the kernels it started before its first await. A step after another one starts all of its own so. */
  private async next(): Promise<{ event: SessionEvent; ledger: Ledger }> {
    // In an object, because a ledger is closed when its function returns, and refuses promises for that.
    const { result, ledger } = withLedger(() => ({ event: this.session.next() }));
    return { event: await result.event, ledger };
  }

  /**
   * Runs until the end or until `paused` is set.
   * @param giveWay resolves when the worker has looked at its messages
   */
  async advance(giveWay: () => Promise<void>): Promise<'paused' | 'done'> {
    this.paused = false;
    this.bytes = 0;
    this.since = performance.now();
    let spoke = 0;
    while (this.session.phase !== 'done') {
      if (this.paused) {
        if (this.session.phase === 'model') await this.sendNewest();
        return 'paused';
      }
      const { event, ledger } = await this.next();
      if (event.kind === 'step') {
        this.bytes += event.report.bytes;
        // The first step after other work starts later, and leaves nothing in the ledger.
        if (ledger.size > 0) this.kernels = kernelUse(ledger);
        const now = performance.now();
        if (now - spoke > REPORT_MS || event.report.step === 1) {
          spoke = now;
          this.report(event);
        }
      } else {
        await this.pass(event);
      }
      await giveWay();
    }
    await this.sendNewest();
    return 'done';
  }

  /** Whether the page lacks the model as it is now. */
  private get newer(): boolean {
    return this.sent !== this.session.step;
  }

  private async sendNewest(): Promise<void> {
    if (this.newer) await this.withCheckpoint((model) => this.sendCheckpoint(model));
  }

  private report({ phase, report }: Extract<SessionEvent, { kind: 'step' }>): void {
    const seconds = (performance.now() - this.since) / 1000;
    this.say({
      kind: 'step',
      phase,
      step: report.step,
      bitsPerByte: report.bitsPerByte,
      bytesPerSecond: this.bytes / Math.max(1e-3, seconds),
      bytesSeen: this.session.bytesSeen,
      kernels: this.kernels,
    });
    this.bytes = 0;
    this.since = performance.now();
  }

  private async pass(event: SessionEvent): Promise<void> {
    if (event.kind === 'patched') {
      this.say({ kind: 'patched', threshold: event.threshold, meanPatchBytes: event.meanPatchBytes });
    } else if (event.kind === 'evaluation') {
      const { step, evaluation } = event;
      this.say({ kind: 'evaluation', step, bitsPerByte: evaluation.bitsPerByte, bytesSeen: this.session.bytesSeen });
      await this.withCheckpoint((checkpoint) => {
        this.sendSample(step, checkpoint);
        if (this.newer) this.sendCheckpoint(checkpoint);
      });
    }
    this.bytes = 0;
    this.since = performance.now();
  }

  private sendSample(step: number, checkpoint: Checkpoint): void {
    const prompt = this.heldOutBytes.slice(0, PROMPT_BYTES);
    const options = { maxBytes: SAMPLE_BYTES, temperature: 0.8, seed: this.session.plan.seed, ignoreEos: true };
    const bytes = Uint8Array.from(generate(checkpoint, prompt, options));
    this.say({ kind: 'sample', step, prompt, bytes });
  }

  private sendCheckpoint(checkpoint: Checkpoint): void {
    const { patcher, config } = checkpoint;
    this.sent = this.session.step;
    this.say({
      kind: 'checkpoint',
      step: this.session.step,
      ...writeCheckpoint(checkpoint),
      entropyModel: patcher ? entropyModelToFile(patcher, config) : null,
    });
  }
}
