/** @file A few real steps before the run, on a small part of the corpus, to know how long its work takes here. */
import { type Corpus, type RunPlan, Session, TextMemory, type WarmStart } from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { breathing } from '../threads/breathing.ts';
import type { Rates } from './forecast.ts';
import { lanesOf, passWorkers, shortStep } from './pass-threads.ts';

/** Ids of the corpus that the rehearsal scores and evaluates. */
const HELD_OUT_IDS = 8192;
const LEAST_TRAIN_IDS = 16_384;
/** The first steps are slower: engines compile what they run. */
const WARM_UP = 2;
const MOST_STEPS = 50;
/** Once so many times the time has gone by, the first step has to do. */
const LATE = 2;
/** Bytes that a save writes and syncs in a second. Measured on slow disks, so that the estimate is not too hopeful. */
const SAVED_BYTES_PER_SECOND = 250e6;

/**
 * Takes steps of the plan for about `seconds`, at a learning rate of almost nothing, and throws them away.
 * @param parameters of the whole model, for the time of a save
 * @param rememberedBytes of the memory beside the model; 0: there is none, and it takes no time
 */
export async function rehearse(
  plan: RunPlan,
  corpus: Corpus,
  backend: Backend,
  warmStart: WarmStart,
  parameters: number,
  { seconds, rememberedBytes }: { seconds: number; rememberedBytes: number },
): Promise<Rates> {
  const { small, trainIds, times } = rehearsalOf(plan, warmStart, lanesOf(plan, backend));
  const part = { train: head(corpus.train, trainIds), heldOut: head(corpus.heldOut, HELD_OUT_IDS) };
  if (part.heldOut.length === 0) part.heldOut = head(corpus.train, HELD_OUT_IDS);
  const session = new Session(small, part, backend, {
    llama: warmStart.llama,
    model: warmStart.model,
    entropyModel: warmStart.entropyModel,
  });
  const workers = passWorkers(plan, backend);
  if (workers) session.useWorkers(workers);
  const steps = { 'entropy model': [] as number[], model: [] as number[] };
  let scoring = 0;
  let evaluation = 0;
  // Signals are to be heard meanwhile.
  const breathe = breathing(50);
  const end = performance.now() + 1000 * seconds;
  try {
    for (let before = performance.now(); session.phase !== 'done'; ) {
      const event = await session.next();
      const now = performance.now();
      const took = (now - before) / 1000;
      if (event.kind === 'step') {
        const all = steps[event.phase];
        all.push(took);
        // Half the time at most goes to the entropy model.
        const until = event.phase === 'model' ? end : end - 500 * seconds;
        const isLate = now > until + 1000 * LATE * seconds;
        if (isLate || (all.length > WARM_UP && now > until)) session.endAt(event.report.step);
      } else if (event.kind === 'progress') {
        if (event.work === 'scoring') scoring += took;
        else if (session.phase === 'model') evaluation += took;
      }
      await breathe();
      before = performance.now();
    }
  } finally {
    session.dispose();
    await workers?.end();
  }
  const ids = (documents: readonly Int32Array[]) => documents.reduce((n, d) => n + d.length, 0);
  return {
    entropyStep: times.entropyModel * typical(steps['entropy model']),
    scoredByte: scoring / (ids(part.train) + ids(part.heldOut)),
    step: times.model * typical(steps.model),
    evaluatedByte: evaluation / ids(part.heldOut),
    save: (16 * parameters) / SAVED_BYTES_PER_SECOND,
    ...(rememberedBytes === 0 ? { countedByte: 0, mixedByte: 0 } : memoryRates(rememberedBytes)),
    beside: false,
  };
}

/** Bytes that the memory is tried on. */
const TRIED = { counted: 16_384, mixed: 4096 };

/** Seconds a byte of a memory of so much text. What is tried has no pattern, so that it reads cells that are far apart, which is the dearest. */
function memoryRates(rememberedBytes: number): Pick<Rates, 'countedByte' | 'mixedByte'> {
  const memory = new TextMemory(rememberedBytes);
  const each = (bytes: number, read: (byte: number) => void): number => {
    const before = performance.now();
    for (let i = 0; i < bytes; i++) read(Math.imul(i + 1, 0x9e3779b1) >>> 24);
    return (performance.now() - before) / 1000 / bytes;
  };
  // Once more each: the first time compiles.
  each(TRIED.counted, (byte) => memory.read(byte));
  each(TRIED.mixed, (byte) => memory.study(byte));
  return {
    countedByte: each(TRIED.counted, (byte) => memory.read(byte)),
    mixedByte: each(TRIED.mixed, (byte) => memory.study(byte)),
  };
}

/** The plan with few and short steps, and how many times as long its own take. Entropies and patches made before are those of whole documents: fixed patches take their place. */
function rehearsalOf(
  plan: RunPlan,
  warmStart: WarmStart,
  lanes: number,
): { small: RunPlan; trainIds: number; times: { model: number; entropyModel: number } } {
  const prepared = warmStart.entropies != null || warmStart.patches != null;
  const { model, entropyModel, config } = plan;
  const shortened = {
    model: shortStep(model.loop, lanes),
    entropyModel: entropyModel && shortStep(entropyModel.loop, 1),
  };
  const brief = <L extends RunPlan['model']['loop']>(loop: L, { step }: ReturnType<typeof shortStep>): L => ({
    ...loop,
    ...step,
    steps: MOST_STEPS,
    warmupSteps: 0,
    lr: loop.lr / 1000,
    muon: loop.muon && { ...loop.muon, lr: loop.muon.lr / 1000 },
    spike: null,
  });
  const small: RunPlan = {
    ...plan,
    // Drawing the values of large tables takes seconds, and zeros cost the steps as much.
    hashInit: 0,
    // The first documents may be of one source alone.
    mixture: null,
    ...(prepared && {
      config: {
        ...config,
        patcher: null,
        patching: { mode: 'static', patchSize: Math.max(1, Math.round(plan.targetPatchBytes ?? 4)) },
      },
      targetPatchBytes: null,
      entropyOrigin: null,
    }),
    entropyModel:
      entropyModel && !prepared ? { ...entropyModel, loop: brief(entropyModel.loop, shortened.entropyModel!) } : null,
    model: { ...model, loop: brief(model.loop, shortened.model) },
    evalEvery: MOST_STEPS,
    evalBytes: HELD_OUT_IDS,
    patience: Number.POSITIVE_INFINITY,
  };
  const batch = (model.maxRowBytes ?? 2048) * small.model.loop.batchRows;
  const times = { model: shortened.model.times, entropyModel: shortened.entropyModel?.times ?? 1 };
  return { small, trainIds: Math.max(LEAST_TRAIN_IDS, 2 * batch), times };
}

/** The median of the times behind the warm-up. */
function typical(times: readonly number[]): number {
  if (times.length === 0) return 0;
  const warm = times.slice(Math.min(WARM_UP, times.length - 1)).sort((a, b) => a - b);
  return warm[Math.floor(warm.length / 2)];
}

/** The first documents, `ids` ids at most, the last one cut. */
function head(documents: readonly Int32Array[], ids: number): Int32Array[] {
  const taken: Int32Array[] = [];
  let left = ids;
  for (const document of documents) {
    if (left < 2) break;
    taken.push(document.subarray(0, left));
    left -= document.length;
  }
  return taken;
}
