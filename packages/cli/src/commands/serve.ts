/** @file `blt serve`: completions of a model over HTTP, as clients of the OpenAI API ask for them. */
import { basename, resolve } from 'node:path';
import { ContinuousBatch, type WeightFormat } from '@blt-ts/blt';
import { announce, chooseBackend } from '../config/backend-choice.ts';
import type { BackendName } from '../config/backend-names.ts';
import { LOOPBACK, untilInterrupted } from '../http/listen.ts';
import { checkContext, openForDecoding } from '../run/open-model.ts';
import { serveModel } from '../serve/server.ts';
import { UserError } from '../terminal/errors.ts';
import { say } from '../terminal/output.ts';

/** Flags of `blt serve`. */
export interface ServeFlags {
  readonly host: string;
  readonly port: number;
  readonly name?: string;
  readonly apiKey?: string;
  readonly places: number;
  readonly queue: number;
  readonly maxBytes: number;
  readonly context?: number;
  readonly weights: WeightFormat;
  readonly backend?: BackendName;
  readonly threads?: number;
}

/** Answers of one request. */
const MOST_TEXTS = 128;

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
  const { checkpoint, folder, hashRows } = await openForDecoding(model, choice.backend, flags.weights);
  checkContext(checkpoint, flags.context);
  const batch = new ContinuousBatch(checkpoint, { places: flags.places, contextBytes: flags.context, hashRows });
  const name = flags.name ?? basename(resolve(model ?? folder));
  const limits = { maxBytes: flags.maxBytes, maxTexts: Math.min(MOST_TEXTS, flags.places + flags.queue) };
  const { server, port } = await serveModel({
    ...{ checkpoint, batch, model: name, host, apiKey, limits },
    port: flags.port,
    mostWaiting: flags.queue,
  });
  const reach = host === LOOPBACK ? 'this machine only' : 'whoever reaches it and has the key';
  const address = host.includes(':') ? `[${host}]` : host;
  say(`http://${address}:${port}/v1  serves ${name} (${reach}; Ctrl-C ends it)`);
  await untilInterrupted(server);
  batch.release();
  return 0;
}
