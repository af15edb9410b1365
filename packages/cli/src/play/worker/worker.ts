/**
 * @file The page's workers: one cuts text while it is typed, one trains and generates. Both run this file. A call is answered once;
 * long ones give way to other messages between two steps or two bytes.
 */
import { type Checkpoint, checkpointPlan, countParameters, generate, generateAsync } from '@blt-ts/blt';
import { setDefaultBackend } from '@blt-ts/tensor';
import { patchingInWords } from '../../report/patching-rule.ts';
import { readCheckpoint } from '../checkpoint-files.ts';
import type {
  BackendChoice,
  CallMessage,
  CheckpointFiles,
  GenerationRequest,
  ModelSlot,
  TrainingRequest,
  WorkerCalls,
  WorkerEvent,
  WorkerMessage,
} from '../messages.ts';
import { type Chosen, type GpuBackend, onCpu, startBackend } from './backends.ts';
import { type EntropyModel, entropyModelFromFile, entropyModelToFile } from './entropy-file.ts';
import { Lessons } from './lessons.ts';
import { checkpointFiles } from './model-file.ts';
import { EntropyScorer } from './scoring.ts';
import { kernelUse, Trainer } from './training.ts';

interface WorkerScope {
  postMessage(message: WorkerMessage): void;
  onmessage: ((event: MessageEvent<CallMessage>) => void) | null;
}
const worker = globalThis as unknown as WorkerScope;
const say = (event: WorkerEvent): void => worker.postMessage({ kind: 'event', event });

// A message to oneself comes after those that already wait; a timer would lose 4 ms each time.
const door = new MessageChannel();
const giveWay = (): Promise<void> =>
  new Promise((resolve) => {
    door.port1.onmessage = () => resolve();
    door.port2.postMessage(null);
  });

let chosen: Promise<Chosen> = startBackend('wasm').catch(() => startBackend('reference'));
let entropyFile: Uint8Array | null = null;
let scorer: EntropyScorer | null = null;
let trainer: Trainer | null = null;
let training: Promise<unknown> | null = null;
let generating: Promise<unknown> | null = null;
let stopGenerating = false;
const lessons = new Lessons();
const loaded = new Map<ModelSlot, { files: CheckpointFiles; checkpoint: Checkpoint }>();

const currentBackend = async () => (await chosen).backend;

type Answers = {
  [K in keyof WorkerCalls]: (...args: Parameters<WorkerCalls[K]>) => Promise<ReturnType<WorkerCalls[K]>>;
};

const answers: Answers = {
  async useBackend(choice: BackendChoice) {
    const previous = (await chosen).backend;
    const next = await startBackend(choice);
    const wasTraining = training !== null && trainer !== null;
    if (wasTraining) trainer!.paused = true;
    stopGenerating = true;
    await Promise.allSettled([training, generating]);
    chosen = Promise.resolve(next);
    setDefaultBackend(next.backend);
    if (entropyFile) scorer = new EntropyScorer(entropyModelFromFile(entropyFile, next.backend));
    if (trainer && trainer.session.phase !== 'done') {
      try {
        await trainer.moveTo(next.backend);
      } catch (error) {
        if ((error as Error).name !== 'DeviceError') throw error;
        // What the lost device held is gone; the page has said so, and keeps the last checkpoint.
        trainer = null;
      }
    }
    for (const [slot, { files }] of loaded) {
      loaded.set(slot, { files, checkpoint: await readCheckpoint(files, next.backend) });
    }
    // A device's buffers are many and large; they are not left to the garbage collector.
    if (previous !== next.backend && !previous.synchronous) await (previous as GpuBackend).destroy();
    return next.facts;
  },

  async useEntropyModel(file) {
    const model: EntropyModel = entropyModelFromFile(file, await currentBackend());
    entropyFile = file;
    scorer = new EntropyScorer(model);
    return { parameters: model.parameters, threshold: model.threshold, window: model.window };
  },

  async score(bytes) {
    if (!scorer) throw new Error('there is no entropy model yet');
    const start = performance.now();
    const scores = await scorer.score(bytes);
    return { ...scores, seconds: (performance.now() - start) / 1000 };
  },

  async measure(file) {
    const model = entropyModelFromFile(file, await currentBackend());
    const text = (n: number) => Uint8Array.from({ length: n }, (_, i) => 97 + ((i * i + 3 * i) % 26));
    // The first run compiles; then ever longer texts until one takes long enough to be timed.
    let ledger = new EntropyScorer(model).ledger;
    for (let n = 128, warm = false; ; ) {
      const scorer = new EntropyScorer(model);
      const start = performance.now();
      await scorer.score(text(n));
      const seconds = (performance.now() - start) / 1000;
      ledger = scorer.ledger;
      if (warm && (seconds > 0.15 || n >= 4096)) return { bytesPerSecond: n / seconds, kernels: kernelUse(ledger) };
      if (warm) n *= 2;
      warm = true;
    }
  },

  async prepare(request: TrainingRequest) {
    if (trainer) trainer.paused = true;
    await Promise.allSettled([training]);
    trainer = new Trainer(request, await currentBackend(), say);
    loaded.delete('trained');
    return trainer.facts();
  },

  async advance() {
    if (!trainer) throw new Error('there is nothing to train yet');
    const run = trainer.advance(async () => {
      await giveWay();
      await generating?.catch(() => {});
    });
    training = run;
    try {
      return await run;
    } finally {
      training = null;
    }
  },

  async pause() {
    if (trainer) trainer.paused = true;
  },

  async load(slot: ModelSlot, files: CheckpointFiles) {
    const checkpoint = await readCheckpoint(files, await currentBackend());
    loaded.set(slot, { files, checkpoint });
    const { config, patcher } = checkpoint;
    const { patching } = config;
    return {
      parameters: countParameters(checkpointPlan(config)),
      patching: patchingInWords(patching, 3),
      entropyModel: patcher ? entropyModelToFile(await onCpu(patcher), config) : null,
    };
  },

  async generate(request: GenerationRequest) {
    const checkpoint = await checkpointFor(request.model);
    stopGenerating = true;
    await generating?.catch(() => {});
    stopGenerating = false;
    const run = stream(checkpoint, request);
    generating = run;
    try {
      return await run;
    } finally {
      generating = null;
    }
  },

  async stopGenerating() {
    stopGenerating = true;
  },

  unpack: async (model, entropyModel) => checkpointFiles(model, entropyModel),
  useLessonModel: (files) => lessons.use(files),
  readPassage: async (bytes) => lessons.read(bytes),
  beginPatch: async (prompt) => lessons.begin(prompt),
  nextByte: async (byte) => lessons.next(byte),
  warmUp: async (bytes) => lessons.warmUp(bytes),
  trainOnce: async (bytes, lr) => lessons.train(bytes, lr),
  untrain: async () => lessons.untrain(),
};

/** @throws Error if there is none yet */
async function checkpointFor(model: ModelSlot): Promise<Checkpoint> {
  if (model === 'trained' && trainer) {
    if (trainer.session.phase === 'model' || trainer.session.phase === 'done') return trainer.session.checkpoint();
    throw new Error(
      'the model on this page is not there yet: its entropy model is trained first; wait, or choose another',
    );
  }
  const found = loaded.get(model);
  if (!found) throw new Error(model === 'trained' ? 'no model was trained here yet' : 'no checkpoint is loaded yet');
  return found.checkpoint;
}

async function stream(checkpoint: Checkpoint, request: GenerationRequest) {
  const start = performance.now();
  let bytes = 0;
  const { synchronous } = checkpoint.params.lm_head.weight.backend;
  const made = (synchronous ? generate : generateAsync)(checkpoint, request.prompt, request);
  for await (const byte of made) {
    bytes++;
    say({ kind: 'generated', bytes: Uint8Array.of(byte) });
    await pause();
    if (stopGenerating) break;
  }
  return { bytes, seconds: (performance.now() - start) / 1000, stopped: stopGenerating };
}

// `giveWay` belongs to training; generation inside a pause of it needs its own door.
const secondDoor = new MessageChannel();
const pause = (): Promise<void> =>
  new Promise((resolve) => {
    secondDoor.port1.onmessage = () => resolve();
    secondDoor.port2.postMessage(null);
  });

/** Errors whose message is meant for people as it is. */
const PLAIN = new Set([
  'Error',
  'ConfigError',
  'SafetensorsError',
  'ShapeError',
  'RangeError',
  'NonFiniteError',
  'DeviceError',
]);

worker.onmessage = async ({ data }) => {
  const { id, call } = data;
  try {
    const answer = answers[call] as (...args: readonly unknown[]) => Promise<unknown>;
    // biome-ignore lint/plugin: the arguments of one call
    worker.postMessage({ kind: 'answer', id, value: await answer(...data.arguments) });
  } catch (error) {
    const plain = error instanceof Error && PLAIN.has(error.name);
    let message = error instanceof Error ? error.message : String(error);
    if (error instanceof Error && error.name === 'DeviceError') {
      message += '. Choose another backend under Backends';
    }
    worker.postMessage({ kind: 'failure', id, message: plain ? message : `something broke in the worker: ${message}` });
  }
};

// The page waits for this lock: the browser gives it away the moment this worker is gone, whatever ended it.
const lock = `blt worker ${Math.random()}`;
const ready = (): void => worker.postMessage({ kind: 'ready', lock });
if (navigator.locks) {
  navigator.locks.request(lock, () => {
    ready();
    return new Promise(() => {});
  });
} else {
  ready();
}
