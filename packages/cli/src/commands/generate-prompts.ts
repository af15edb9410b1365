/** @file `blt generate --prompts`: continues every prompt of a file, many side by side. */

import { readFileSync } from 'node:fs';
import {
  type BatchText,
  CHAT_END,
  type ChatMessage,
  type Checkpoint,
  ContinuousBatch,
  chatPrompt,
  type HashRows,
  type TextOptions,
} from '@blt-ts/blt';
import { chatMessages } from '../data/chat-lines.ts';
import { checkCanWrite, writeFileAtomically } from '../files/atomic-file.ts';
import { parseJson, readSmallBytes } from '../files/small-file.ts';
import { reason, UserError } from '../terminal/errors.ts';
import { counted } from '../terminal/human-units.ts';
import { printableJson, quiet, sayJson } from '../terminal/output.ts';
import { StatusLine } from '../terminal/progress.ts';
import { breathing } from '../threads/breathing.ts';

/** Most texts side by side. */
const PLACES = 32;
/** Bytes of the file of prompts. */
const MOST_FILE_BYTES = 256 * 1024 * 1024;

/** One line of the file: its fields go into the answers. */
interface PromptLine {
  readonly prompt: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** The answer is a message of a chat, which CHAT_END ends. */
  readonly chat?: true;
}

/** Fields that an answer adds to those of its line. */
const ANSWER_FIELDS = ['index', 'text', 'bytes', 'finish_reason'] as const;

/** One text that is wanted, and how far it is. */
interface Wanted {
  readonly line: PromptLine;
  readonly index: number;
  readonly options: TextOptions;
  readonly made: number[];
  finish: 'stop' | 'length';
}

/** A chat behind the message of the system if there is one. */
const behindSystem = (system: string | undefined, chat: readonly ChatMessage[]): ChatMessage[] => [
  ...(system === undefined ? [] : [{ role: 'system', content: system }]),
  ...chat,
];

/** A message of a user as a chat, behind the message of the system if there is one. */
export const chatOf = (said: string, system?: string): ChatMessage[] =>
  behindSystem(system, [{ role: 'user', content: said }]);

/** The prompt of a line in a chat. @throws UserError naming the line */
function promptInChat(fields: Readonly<Record<string, unknown>>, where: string, system?: string): string {
  const { prompt, messages } = fields;
  if (messages !== undefined && prompt !== undefined) {
    throw new UserError(`${where} has both prompt and messages; with --chat a line has one of them`);
  }
  if (messages === undefined && typeof prompt !== 'string') {
    throw new UserError(`${where} has neither prompt nor messages; with --chat a line has one of them`);
  }
  const chat = messages === undefined ? chatOf(prompt as string) : chatMessages(messages, where);
  if (system !== undefined && chat[0].role === 'system') {
    throw new UserError(
      `${where} begins with a message of the system, and --system gives another; leave one of the two out`,
    );
  }
  try {
    return chatPrompt(behindSystem(system, chat));
  } catch (error) {
    if (error instanceof RangeError) throw new UserError(`${where}: ${error.message}`, 1, { cause: error });
    throw error;
  }
}

/** Lines that are not blank, each with its place for messages. @throws UserError naming the line that is no UTF-8 */
function* textLines(bytes: Uint8Array, name: string): Generator<{ readonly line: string; readonly where: string }> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (let [from, number] = [0, 1]; from < bytes.length; number++) {
    const found = bytes.indexOf(0x0a, from);
    const end = found < 0 ? bytes.length : found;
    const where = `${name} line ${number}`;
    let line: string;
    try {
      line = decoder.decode(bytes.subarray(from, end));
    } catch {
      throw new UserError(`${where} is not valid UTF-8, which JSON must be; save the file as UTF-8`);
    }
    if (line.trim() !== '') yield { line, where };
    from = end + 1;
  }
}

/**
 * The prompts of a file, one a line.
 * @param chat the prompts are messages of a chat, which the system may begin
 * @throws UserError naming the line that is no prompt
 */
export function parsePrompts(
  bytes: Uint8Array,
  name: string,
  chat: { readonly system?: string } | null = null,
): PromptLine[] {
  const lines: PromptLine[] = [];
  for (const { line, where } of textLines(bytes, name)) {
    const value = parseJson(line, where);
    if (typeof value === 'string' && chat === null) {
      lines.push({ prompt: value, fields: { prompt: value } });
      continue;
    }
    const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
    const fields = isRecord ? { ...value } : typeof value === 'string' ? { prompt: value } : {};
    const taken = ANSWER_FIELDS.find((name) => Object.hasOwn(fields, name));
    if (taken !== undefined) {
      throw new UserError(`${where} has a field '${taken}', which the answer would overwrite; give it another name`);
    }
    if (chat !== null) {
      lines.push({ prompt: promptInChat(fields as Record<string, unknown>, where, chat.system), fields, chat: true });
      continue;
    }
    const { prompt } = fields as { prompt?: unknown };
    if (typeof prompt !== 'string') {
      throw new UserError(`${where} has no prompt; each line must be a text, or an object such as {"prompt": "..."}`);
    }
    lines.push({ prompt, fields: fields as Record<string, unknown> });
  }
  if (lines.length === 0) throw new UserError(`${name} has no prompt; give one JSON value a line`);
  return lines;
}

/** The answers of one text as a line: the fields of its prompt, its number among `n`, and its text. */
function answerOf({ line, index, made, finish }: Wanted): object {
  const bytes = Uint8Array.from(line.chat && made.at(-1) === CHAT_END ? made.slice(0, -1) : made);
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  const isText = Buffer.from(text).equals(bytes);
  // Bytes that are no UTF-8 would be lost in the text.
  return { ...line.fields, index, text, ...(isText ? {} : { bytes: [...bytes] }), finish_reason: finish };
}

/** Whether bytes end with a stop text. */
const endsWith = (bytes: readonly number[], stop: Uint8Array | null | undefined): boolean =>
  !!stop && stop.length > 0 && Buffer.from(bytes.slice(-stop.length)).equals(stop);

/** Makes all texts, as many side by side as there are places. */
async function makeTexts(
  batch: ContinuousBatch,
  wanted: readonly Wanted[],
  { synchronous, onText }: { synchronous: boolean; onText: (done: number) => void },
): Promise<void> {
  const texts = new Map<BatchText, Wanted>();
  let next = 0;
  let done = 0;
  const breathe = breathing(20);
  while (next < wanted.length || batch.size > 0) {
    while (next < wanted.length && batch.free > 0) {
      const one = wanted[next++];
      const text = batch.add(one.line.prompt, one.options, one.index);
      if (text.ended) onText(++done);
      else texts.set(text, one);
    }
    for (const { text, byte } of synchronous ? batch.round() : await batch.roundAsync()) {
      const one = texts.get(text)!;
      if (byte === null) one.finish = 'stop';
      else one.made.push(byte);
      if (!text.ended) continue;
      if (endsWith(one.made, one.options.stop)) one.finish = 'stop';
      texts.delete(text);
      onText(++done);
    }
    await breathe();
  }
}

/** Options of `generatePrompts`. */
export interface PromptsOptions {
  readonly prompts: string;
  readonly n: number;
  readonly out?: string;
  /** The prompts are messages of a chat. */
  readonly chat: { readonly system?: string } | null;
  readonly text: TextOptions & { readonly seed: number };
  readonly contextBytes?: number;
  readonly hashRows?: HashRows;
}

/**
 * Continues each prompt `n` times. The texts of line i (from 0) are drawn with the seed + i, each from a random stream of its own, so
 * a text depends on no other.
 * @throws UserError for a file that is no list of prompts, or an output that cannot be written
 */
export async function generatePrompts(checkpoint: Checkpoint, options: PromptsOptions): Promise<void> {
  const { prompts, n, out, chat, text, contextBytes, hashRows } = options;
  const lines = parsePrompts(readPromptFile(prompts), prompts, chat);
  if (out !== undefined) checkCanWrite(out);
  const wanted = lines.flatMap((line, i) =>
    Array.from({ length: n }, (_, index): Wanted => {
      const seed = (text.seed + i) % 2 ** 32;
      return { line, index, options: { ...text, seed }, made: [], finish: 'length' };
    }),
  );
  const batch = new ContinuousBatch(checkpoint, { places: Math.min(PLACES, wanted.length), contextBytes, hashRows });
  const progress = quiet() ? null : new StatusLine(process.stderr);
  try {
    const { synchronous } = checkpoint.params.lm_head.weight.backend;
    await makeTexts(batch, wanted, {
      synchronous,
      onText: (done) => progress?.show(`${done} of ${counted(wanted.length, 'text')}`),
    });
  } finally {
    progress?.finish();
    batch.release();
  }
  const answers = wanted.map(answerOf);
  if (out === undefined) answers.forEach(sayJson);
  else await writeFileAtomically(out, Buffer.from(answers.map((one) => `${printableJson(one)}\n`).join('')));
}

function readPromptFile(path: string): Uint8Array {
  try {
    if (path === '-') return readFileSync(0);
    return readSmallBytes(path, MOST_FILE_BYTES);
  } catch (error) {
    throw new UserError(`cannot read ${path}: ${reason(error)}`, 2, { cause: error });
  }
}
