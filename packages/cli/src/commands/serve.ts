/** @file `blt serve`: completions of a model over HTTP, as clients of the OpenAI API ask for them. */
import { basename, resolve } from 'node:path';
import { type Checkpoint, ContinuousBatch, type HashRows, type WeightFormat } from '@blt-ts/blt';
import { availableThreads, type Backend } from '@blt-ts/tensor';
import { announce, chooseBackend } from '../config/backend-choice.ts';
import type { BackendName } from '../config/backend-names.ts';
import { LOOPBACK, untilInterrupted } from '../http/listen.ts';
import { weightBytes } from '../run/coding-model.ts';
import { documentListOf } from '../run/document-list-of.ts';
import { newestRun } from '../run/find-model.ts';
import { checkContext, openForDecoding } from '../run/open-model.ts';
import { BatchLane, type Lane } from '../serve/lane.ts';
import { openLaneThreads } from '../serve/lane-threads.ts';
import { serveModel } from '../serve/server.ts';
import { UserError } from '../terminal/errors.ts';
import { say } from '../terminal/output.ts';
import { SteadyHeap } from '../threads/steady-heap.ts';

/** Flags of `blt serve`. */
export interface ServeFlags {
  readonly host: string;
  readonly port: number;
  readonly name?: string;
  readonly apiKey?: string;
  readonly places: number;
  readonly queue: number;
  readonly maxBytes: number;
  /** The model was trained on chats, whatever its run says. */
  readonly chat?: boolean;
  readonly context?: number;
  readonly weights: WeightFormat;
  readonly backend?: BackendName;
  readonly threads?: number;
}

/** Answers of one request. */
const MOST_TEXTS = 128;

/** The weights that threads hold for themselves take no more bytes than this together. */
const MOST_COPIED = 2 ** 30;

/** A model that is open, and what it is to be served with. */
interface OpenModel {
  readonly checkpoint: Checkpoint;
  readonly folder: string;
  readonly hashRows: HashRows | undefined;
}

/** In how many threads texts are made. Products of a few rows are too short to be shared by threads, so the texts are. */
function threadsFor(backend: Backend, { folder, hashRows }: OpenModel, { threads, places }: ServeFlags): number {
  if (backend.name !== 'wasm' || hashRows) return 1;
  const affordable = Math.floor(MOST_COPIED / weightBytes({ folder }));
  return Math.max(1, Math.min(threads ?? availableThreads(), places, affordable));
}

/** The lanes that make the texts, and their end. */
async function openLanes(
  backend: Backend,
  open: OpenModel,
  flags: ServeFlags,
): Promise<{ lanes: readonly Lane[]; end: () => unknown }> {
  const { places, context: contextBytes, weights } = flags;
  const threads = threadsFor(backend, open, flags);
  if (threads > 1) {
    return openLaneThreads({ folder: open.folder, weights, places, contextBytes }, threads, open.checkpoint);
  }
  const batch = new ContinuousBatch(open.checkpoint, { places, contextBytes, hashRows: open.hashRows });
  return { lanes: [new BatchLane(batch, backend.synchronous)], end: () => batch.release() };
}

/** `blt serve`: serves a model until it is interrupted. @returns the exit code */
export async function serveCommand(model: string | undefined, flags: ServeFlags): Promise<number> {
  const host = flags.host === 'localhost' ? LOOPBACK : flags.host;
  const apiKey = flags.apiKey ?? process.env.BLT_API_KEY ?? null;
  if (apiKey === '') throw new UserError('the API key is empty; give one, or leave out --api-key and BLT_API_KEY', 2);
  if (host !== LOOPBACK && apiKey === null) {
    throw new UserError(
      `--host ${host} lets other machines in, so a key is needed: set BLT_API_KEY, or give --api-key KEY`,
      2,
    );
  }
  const choice = await chooseBackend(flags);
  announce(choice);
  const path = model ?? (await newestRun());
  const open = await openForDecoding(path, choice.backend, flags.weights);
  const { checkpoint, folder } = open;
  checkContext(checkpoint, flags.context);
  const chats = flags.chat ?? (await documentListOf(folder))?.chats ?? false;
  const { lanes, end } = await openLanes(choice.backend, open, flags);
  const name = flags.name ?? basename(resolve(path));
  const limits = { maxBytes: flags.maxBytes, maxTexts: Math.min(MOST_TEXTS, flags.places + flags.queue) };
  const serving = {
    checkpoint,
    lanes,
    model: name,
    chats,
    host,
    apiKey,
    limits,
    port: flags.port,
    mostWaiting: flags.queue,
  };
  const { server, port } = await serveModel(serving).catch(async (error) => {
    await end();
    throw error;
  });
  const reach = host === LOOPBACK ? 'this machine only' : 'whoever reaches it and has the key';
  const address = host.includes(':') ? `[${host}]` : host;
  const threads = lanes.length > 1 ? ` in ${lanes.length} threads` : '';
  const heap = new SteadyHeap('JavaScript');
  setInterval(() => heap.step(), 1000).unref();
  say(`http://${address}:${port}/v1  serves ${name}${threads} (${reach}; Ctrl-C ends it)`);
  await untilInterrupted(server);
  await end();
  return 0;
}
