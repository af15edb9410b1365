/** @file `blt prepare`: entropies and patch lengths of a corpus, a shard at a time, for training on data prepared by many machines. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Corpus,
  type EntropyModelParams,
  entropyModelPlan,
  initParameters,
  loadEntropyModel,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { availableThreads, type Backend, createReferenceBackend, createWasmBackend, Random } from '@blt-ts/tensor';
import { corpusIds, loadNewCorpus } from '../data/corpus.ts';
import { HELD_OUT_FRACTION, type SplitChoice, splitHash } from '../data/split.ts';
import { removeStale, writeFileAtomically } from '../files/atomic-file.ts';
import { type EntropyModel, makeShard } from '../prepared/make-shard.ts';
import { readShard } from '../prepared/prepared-set.ts';
import { type Identity, identityText, MOST_SHARDS, shardBytes, shardName } from '../prepared/shard-file.ts';
import { printableMessage, reason, UserError } from '../terminal/errors.ts';
import { counted, humanBytes } from '../terminal/human-units.ts';
import { trainingOutput } from '../terminal/training-output.ts';
import { type OpenedEntropyModel, openEntropyModel } from '../training/pretrained.ts';
import { type PatchFlags, patchingFor } from './patch.ts';

export interface PrepareFlags
  extends Pick<
    PatchFlags,
    'mode' | 'threshold' | 'monotonic' | 'thresholdAdd' | 'patchSize' | 'maxPatchLength' | 'json'
  > {
  readonly data?: readonly string[];
  readonly heldOut?: readonly string[];
  readonly heldOutFraction?: number;
  readonly split?: SplitChoice;
  readonly dedupe?: boolean;
  /** The seed of the run that will use the entropies. */
  readonly seed?: number;
  readonly textField?: string;
  readonly raw?: boolean;
  readonly patcher?: string;
  readonly shard: string;
  readonly out: string;
  readonly threads?: number;
}

/** Tokens of a piece and of a span where no entropy model gives a context: any fixed number does. */
const SPAN_TOKENS = 8192;

/** "3/7" -> [3, 7]. @throws UserError */
export function parseShardNumber(text: string): [index: number, of: number] {
  const [, index, of] = (/^(\d{1,9})\/(\d{1,9})$/.exec(text) ?? []).map(Number);
  if (index === undefined || index < 1 || index > of || of > MOST_SHARDS) {
    throw new UserError(
      `--shard is i/n with 1 <= i <= n <= ${MOST_SHARDS}, for example 3/7; got ${JSON.stringify(text.slice(0, 40))}`,
      2,
    );
  }
  return [index, of];
}

/** Results do not depend on the machine: multiply and add are rounded separately, as every machine can. */
function sameEverywhere(threads = availableThreads()): { backend: Backend; kernels: string } {
  try {
    return { backend: createWasmBackend({ threads, deterministic: true }), kernels: 'wasm, multiply and add' };
  } catch {
    return { backend: createReferenceBackend(), kernels: 'reference' };
  }
}

function loaded(opened: OpenedEntropyModel, backend: Backend): EntropyModel {
  const plan = entropyModelPlan(opened.config, VOCAB_SIZE);
  const params = initParameters<EntropyModelParams>(plan, new Random(0), { backend });
  loadEntropyModel(params, opened.stored);
  return { params, config: opened.config, window: opened.window, backend };
}

/** Whether this shard is there already. @throws UserError if a sound one of something else is in its place */
async function isDone(path: string, identity: Identity, corpus: Corpus, warn: (m: string) => void): Promise<boolean> {
  if (!existsSync(path)) return false;
  const tokens = corpus.train.concat(corpus.heldOut).reduce((n, ids) => n + ids.length, 0);
  let found: string;
  try {
    found = identityText((await readShard(path, tokens)).identity);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    warn(`${error.message}: it is made anew`);
    return false;
  }
  if (found === identityText(identity)) return true;
  throw new UserError(
    `${path} was made from other data, another entropy model or other patches; name another --out, or delete it`,
    2,
  );
}

/** How to cut. @throws UserError if the flags contradict one another */
function modeOf(flags: PrepareFlags): NonNullable<PrepareFlags['mode']> {
  const mode = flags.mode ?? (flags.patcher === undefined ? undefined : 'entropy');
  if (mode === undefined) {
    throw new UserError(
      'how to cut? give --patcher MODEL for patches by entropy, or --mode space, static or byte (for a model that needs no entropies)',
      2,
    );
  }
  if (mode === 'entropy' && flags.patcher === undefined) {
    throw new UserError('--mode entropy needs an entropy model: --patcher MODEL (a run or checkpoint folder)', 2);
  }
  if (mode !== 'entropy' && flags.patcher !== undefined) {
    throw new UserError(`--mode ${mode} needs no entropy model; leave out --patcher`, 2);
  }
  if (flags.heldOut !== undefined && flags.split !== undefined) {
    throw new UserError('--held-out names the held-out text, so there is nothing to --split; give one of the two', 2);
  }
  if (flags.heldOut !== undefined && flags.heldOutFraction !== undefined) {
    throw new UserError(
      '--held-out names the held-out text, so --held-out-fraction has no meaning; give one of the two',
      2,
    );
  }
  return mode;
}

/** `blt prepare`. @returns the exit code */
export async function prepareCommand(flags: PrepareFlags): Promise<number> {
  const [index, of] = parseShardNumber(flags.shard);
  const mode = modeOf(flags);
  const out = trainingOutput(flags.json === true);
  const warn = (message: string) => out.say(`warning: ${printableMessage(message)}`, { event: 'warning', message });
  const opened = flags.patcher === undefined ? null : await openEntropyModel(flags.patcher);
  const source = {
    data: flags.data ?? [],
    heldOut: flags.heldOut ?? null,
    heldOutFraction: flags.heldOutFraction ?? HELD_OUT_FRACTION,
    split: flags.split ?? 'auto',
    dedupe: flags.dedupe ?? false,
    seed: flags.seed ?? 0,
    textField: flags.textField ?? null,
    raw: flags.raw ?? false,
  };
  const split = await loadNewCorpus(source, warn);
  const corpus = corpusIds(split);
  const { backend, kernels } = sameEverywhere(flags.threads);
  const identity: Identity = {
    corpus: splitHash(split),
    tokens: corpus.train.concat(corpus.heldOut).reduce((n, ids) => n + ids.length, 0),
    context: opened?.config.maxPositionEmbeddings ?? SPAN_TOKENS,
    batch: SPAN_TOKENS,
    entropyModel: opened && { sha256: opened.sha256, window: opened.window },
    patching: patchingFor(flags, mode, opened?.patching),
    kernels,
  };
  await mkdir(flags.out, { recursive: true }).catch((error) => {
    throw new UserError(`cannot make the folder ${flags.out}: ${reason(error)}`, 1, { cause: error });
  });
  const path = join(flags.out, shardName(index, of));
  if (await isDone(path, identity, corpus, warn)) {
    out.say(`shard ${index}/${of}  ${path} is there already`, { event: 'done', shard: index, of, path, skipped: true });
    return 0;
  }
  await removeStale(path);
  const shard = await makeShard(
    corpus,
    { identity, entropyModelSource: flags.patcher ?? null, index, of },
    opened && loaded(opened, backend),
    (done, all) => {
      out.status(`shard ${index}/${of}  ${humanBytes(done)} of ${humanBytes(all)}`, { event: 'progress', done, all });
    },
  );
  await writeFileAtomically(path, shardBytes(shard));
  out.finish();
  const { tokens, patchLengths } = shard;
  const sizes = `${counted(tokens, 'token')}, ${counted(patchLengths.length, 'patch', 'patches')}`;
  out.say(`shard ${index}/${of}  ${sizes} -> ${path}`, {
    event: 'done',
    shard: index,
    of,
    path,
    skipped: false,
    tokens,
    patches: patchLengths.length,
  });
  return 0;
}
