/** @file The warm start of a run: entropies prepared before, an entropy model, a Llama. Opened for a new run, and found again for a resumed one. */
import type { Corpus, PatchingOptions, RunOptions, RunPlan, WarmStart } from '@blt-ts/blt';
import { type FileConfig, unusedPatching } from '../config/config-schema.ts';
import { runOptions } from '../config/run-options.ts';
import { type PreparedSet, readPrepared } from '../prepared/prepared-set.ts';
import type { RunRecord } from '../run/record.ts';
import { UserError } from '../terminal/errors.ts';
import {
  assertSame,
  type OpenedEntropyModel,
  type OpenedModel,
  openEntropyModel,
  openLlama,
  openModel,
  type PretrainedWeights,
} from './pretrained.ts';

/** A warm start, and the options that follow from it. */
export interface OpenedWarmStart {
  /** Options of the run, with what the prepared data and the entropy model decide. */
  readonly options: RunOptions;
  /** For the plan that is made of them. */
  readonly warmStart: (plan: RunPlan) => WarmStart;
}

/** @throws UserError, ConfigError if something is missing, damaged, or does not fit the rest */
export async function openWarmStart(
  config: FileConfig,
  corpus: () => Corpus,
  corpusHash: string,
  warn: (message: string) => void,
): Promise<OpenedWarmStart> {
  const folder = config.data?.prepared;
  const prepared = folder === undefined ? null : await readPrepared(folder, corpus(), corpusHash);
  const model = config.from === undefined ? null : await openModel(config.from);
  const asked = config.patcher?.patching_mode;
  const mode = asked ?? prepared?.identity.patching.mode ?? model?.config.patching.mode ?? 'entropy';
  if (prepared && mode !== prepared.identity.patching.mode) {
    throw new UserError(`${folder} was prepared for patches by ${prepared.identity.patching.mode}, not by ${mode}`, 2);
  }
  const unused = unusedPatching(mode).find((key) => (config.patcher?.[key] ?? false) !== false);
  if (unused !== undefined && (prepared || model)) {
    const who = prepared ? `${folder} was prepared for` : `the model of ${config.from} cuts`;
    throw new UserError(`${who} patches by ${mode}, which take no ${unused}; leave it out`, 2);
  }
  refuseUnusedPatcher(config, mode, model);
  const entropyModel = await entropyModelOf(config, mode, prepared, model);
  const llamaFolder = config.model?.init_global;
  if (llamaFolder === undefined && config.train?.init_global_lr_scale !== undefined) {
    throw new UserError(
      '--init-global-lr-scale is the rate of what --init-global copies; give --init-global DIR too',
      2,
    );
  }
  const llama =
    llamaFolder === undefined ? null : openLlama(llamaFolder, { layers: config.model?.global_layers, warn });
  const own = runOptions(config, {
    from: model ?? undefined,
    entropyModel: entropyModel ?? undefined,
    initGlobal: llama ?? undefined,
  });
  return {
    options: withPatching(own, prepared, entropyModel),
    warmStart: (plan) => warmStartOf(plan, { llama, model, entropyModel, prepared }),
  };
}

/** @throws UserError where --patcher decides nothing, because another option or the way of cutting says which entropy model there is */
function refuseUnusedPatcher(
  { patcher, data, entropy_model }: FileConfig,
  mode: string,
  model: OpenedModel | null,
): void {
  const asked = patcher?.patcher;
  if (asked === undefined) return;
  const refuse = (why: string): never => {
    throw new UserError(`--patcher says what becomes of the entropy model of --from; ${why}`, 2);
  };
  if (!model) refuse('give --from MODEL too');
  if (mode !== 'entropy') refuse(`patches by ${mode} need none, so leave out --patcher ${asked}`);
  const other = entropy_model?.model !== undefined ? '--entropy-model' : data?.prepared !== undefined && '--prepared';
  if (other) refuse(`${other} gives another one, so leave out one of the two`);
}

/** The warm start of a run that is resumed before it had its patches. @throws UserError if a file has changed since */
export async function reopenWarmStart(
  { plan, prepared: folder, dataHash }: RunRecord,
  corpus: () => Corpus,
): Promise<WarmStart> {
  const { globalOrigin, modelOrigin, entropyOrigin, config } = plan;
  const llama = globalOrigin ? openLlama(globalOrigin.source, { layers: config.global.numHiddenLayers }) : null;
  if (llama) assertSame('the Llama in', llama, globalOrigin!);
  const model = modelOrigin ? await openModel(modelOrigin.source) : null;
  if (model) assertSame('the model in', model, modelOrigin!);
  const entropyModel = entropyOrigin ? await openEntropyModel(entropyOrigin.source) : null;
  if (entropyModel) assertSame('the entropy model in', entropyModel, entropyOrigin!);
  const prepared = folder ? await readPrepared(folder, corpus(), dataHash) : null;
  const made = prepared?.identity.entropyModel;
  if (made && made.sha256 !== entropyOrigin?.sha256) {
    throw new UserError(
      `${folder} was prepared with another entropy model than the run began with; restore the folder`,
    );
  }
  return warmStartOf(plan, { llama, model, entropyModel, prepared });
}

/** Everything that a run may start from, opened. */
interface Opened {
  readonly llama: PretrainedWeights | null;
  readonly model: OpenedModel | null;
  readonly entropyModel: PretrainedWeights | null;
  readonly prepared: PreparedSet | null;
}

function warmStartOf(plan: RunPlan, { llama, model, entropyModel, prepared }: Opened): WarmStart {
  const sameCut = prepared && patchingText(prepared.identity.patching) === patchingText(plan.config.patching);
  return {
    llama: llama?.stored,
    model: model?.stored,
    entropyModel: entropyModel?.stored,
    entropies: prepared?.entropies,
    // Other thresholds cut the same entropies anew.
    patches: sameCut && plan.targetPatchBytes === null ? prepared.patches : null,
  };
}

/** One text for equal rules. */
const patchingText = (p: PatchingOptions): string =>
  JSON.stringify(
    p.mode === 'entropy'
      ? [p.mode, p.threshold, p.monotonic ?? false, p.thresholdAdd ?? null, p.maxPatchLength ?? null]
      : [p.mode, p.mode === 'static' ? p.patchSize : null, p.maxPatchLength ?? null],
  );

async function entropyModelOf(
  config: FileConfig,
  mode: string,
  prepared: PreparedSet | null,
  model: OpenedModel | null,
): Promise<OpenedEntropyModel | null> {
  const folder = config.data?.prepared;
  const kept = model?.config.patcher && config.patcher?.patcher !== 'retrain' ? config.from : undefined;
  const asked = config.entropy_model?.model;
  if (mode !== 'entropy') {
    const [unused] = Object.keys(config.entropy_model ?? {});
    if (unused !== undefined) {
      throw new UserError(`patches by ${mode} need no entropy model; leave out --entropy-${unused}`, 2);
    }
    return null;
  }
  const made = prepared?.identity.entropyModel;
  if (prepared && !made) {
    throw new UserError(`${folder} was prepared without an entropy model; prepare it with --patcher MODEL`, 2);
  }
  const path = asked ?? prepared?.entropyModelSource ?? kept;
  if (path == null) return null;
  const trained = Object.keys(config.entropy_model ?? {}).find((key) => key !== 'model');
  if (trained !== undefined) {
    const how =
      path === kept
        ? `${kept}; leave out --entropy-${trained}, or give --patcher retrain`
        : `${folder}; leave out --entropy-${trained}`;
    throw new UserError(`the entropy model is given with ${how}`, 2);
  }
  if (config.model?.behaviour === 'huggingface') {
    throw new UserError(
      'under --behaviour huggingface the entropy model is trained with the rest; leave out --prepared and --entropy-model',
      2,
    );
  }
  const opened = await openEntropyModel(path).catch((error: unknown) => {
    if (!(error instanceof UserError) || asked !== undefined) throw error;
    if (path === kept) throw new UserError(`${error.message}; or train a new one: --patcher retrain`, 2);
    throw new UserError(`the entropy model of ${folder}: ${error.message}; say where it is: --entropy-model DIR`, 2);
  });
  if (made && made.sha256 !== opened.sha256) {
    throw new UserError(
      `${folder} was prepared with another entropy model than ${path}: SHA-256 ${made.sha256.slice(0, 12)}, not ${opened.sha256.slice(0, 12)}; give --entropy-model DIR`,
      2,
    );
  }
  return opened;
}

/** The entropies hold for one window; patches are cut as they were prepared, unless the run says otherwise. */
function withPatching(o: RunOptions, prepared: PreparedSet | null, model: OpenedEntropyModel | null): RunOptions {
  if (model && o.window !== undefined && o.window !== model.window) {
    throw new UserError(`the entropy model looks back ${model.window} bytes; --window ${o.window} does not fit it`, 2);
  }
  const window = model ? model.window : o.window;
  if (!prepared) return { ...o, window };
  const { patching } = prepared.identity;
  const { patchSize, threshold, monotonic, thresholdAdd } = o;
  const chosen = [patchSize, threshold, monotonic, thresholdAdd].some((value) => value !== undefined);
  if (patching.mode === 'entropy' && !chosen) {
    return {
      ...o,
      window,
      threshold: patching.threshold,
      monotonic: patching.monotonic,
      thresholdAdd: patching.thresholdAdd ?? undefined,
      maxPatchLength: o.maxPatchLength ?? patching.maxPatchLength ?? undefined,
    };
  }
  return {
    ...o,
    window,
    patchingMode: patching.mode === 'bpe' ? undefined : (o.patchingMode ?? patching.mode),
    patchSize: o.patchSize ?? (patching.mode === 'static' ? patching.patchSize : undefined),
    maxPatchLength: o.maxPatchLength ?? patching.maxPatchLength ?? undefined,
  };
}
