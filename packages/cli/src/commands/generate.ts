/** @file `blt generate`: continues a prompt, onto a terminal, into a pipe, or as JSON. */
import {
  CHAT_END,
  chatPrompt,
  type GenerateCounts,
  generate,
  generateAsync,
  type MemoryMixture,
  type WeightFormat,
} from '@blt-ts/blt';
import { announce, chooseBackend } from '../config/backend-choice.ts';
import type { BackendName } from '../config/backend-names.ts';
import { documentListOf } from '../run/document-list-of.ts';
import { memoryBeside } from '../run/memory-file.ts';
import { checkContext, checkDraft, openForDecoding } from '../run/open-model.ts';
import { byteEscape, printable, utf8Length } from '../terminal/byte-labels.ts';
import { UserError } from '../terminal/errors.ts';
import { note, noteUnreadInput, sayJson, warn } from '../terminal/output.ts';
import { breathing } from '../threads/breathing.ts';
import { chatOf, generatePrompts } from './generate-prompts.ts';

export interface GenerateFlags {
  readonly model?: string;
  readonly prompt?: string;
  /** A file of prompts, one a line. */
  readonly prompts?: string;
  readonly n?: number;
  readonly out?: string;
  readonly maxBytes: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
  /** The prompt is a message of a chat. */
  readonly chat?: boolean;
  readonly system?: string;
  readonly stop?: string;
  readonly ignoreEos?: boolean;
  readonly context?: number;
  readonly draft: number;
  /** undefined: where it helped on held-out text. */
  readonly memory?: boolean;
  readonly weights?: WeightFormat;
  readonly json?: boolean;
  readonly backend?: BackendName;
  readonly threads?: number;
}

async function readAll(stream: NodeJS.ReadStream): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/**
 * Bytes to a terminal, each character as soon as it is complete: printable ones, newlines and tabs as they are, everything else escaped.
 * A model may have learnt escape sequences, which a terminal would obey.
 */
class TerminalWriter {
  private pending: number[] = [];

  write(byte: number): void {
    this.pending.push(byte);
    this.flush(false);
  }

  flush(all: boolean): void {
    while (this.pending.length > 0) {
      const bytes = Uint8Array.from(this.pending);
      const length = utf8Length(bytes, 0);
      if (length > 0) {
        const character = bytes.subarray(0, length);
        process.stdout.write(character[0] === 0x09 ? '\t' : printable(character));
        this.pending.splice(0, length);
        continue;
      }
      // A lead byte may still be completed by the next ones.
      const lead = bytes[0];
      const wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;
      const plausible = lead >= 0xc2 && lead <= 0xf4 && bytes.subarray(1).every((b) => b >= 0x80 && b < 0xc0);
      if (!all && plausible && bytes.length < wanted) return;
      process.stdout.write(byteEscape(lead));
      this.pending.shift();
    }
  }
}

async function warnOfChats(folder: string): Promise<void> {
  if ((await documentListOf(folder))?.chats !== false) return;
  warn(
    'the model was not trained on chats, so it goes on with the text of a chat instead of answering; see docs/chats.md',
  );
}

/** `blt generate`. @returns the exit code */
export async function generateCommand(flags: GenerateFlags): Promise<number> {
  checkPromptFlags(flags);
  const choice = await chooseBackend(flags);
  const { backend } = choice;
  const { weights = 'stored' } = flags;
  const { checkpoint, folder, hashRows } = await openForDecoding(flags.model, backend, weights);
  announce(choice);
  if (flags.chat) await warnOfChats(folder);
  checkContext(checkpoint, flags.context);
  checkDraft(checkpoint, flags.draft, flags.context);
  const { context: contextBytes } = flags;
  const text = textOptions(flags);
  if (flags.prompts !== undefined) {
    const { prompts, n = 1, out, system } = flags;
    const chat = flags.chat ? { system } : null;
    await generatePrompts(checkpoint, { prompts, n, out, chat, text, contextBytes, hashRows });
    return 0;
  }
  if (flags.prompt === undefined && flags.model !== '-') noteUnreadInput('--prompt -');
  const prompt = await promptOf(flags);
  // Of a chat the answer alone is shown.
  const shown = flags.chat ? new Uint8Array(0) : prompt;
  let counts: GenerateCounts | undefined;
  const options = {
    ...text,
    contextBytes,
    draftBytes: flags.draft,
    hashRows,
    memory: memoryOf(flags, folder),
    onDone: (ran: GenerateCounts) => {
      counts = ran;
    },
  };
  const all = backend.synchronous ? generate(checkpoint, prompt, options) : generateAsync(checkpoint, prompt, options);
  const bytes = shownOf(all, flags.chat ? CHAT_END : null);
  if (flags.json) {
    const made: number[] = [];
    for await (const byte of bytes) made.push(byte);
    sayJson({
      model: folder,
      prompt: Buffer.from(prompt).toString(),
      text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(made)),
      bytes: made,
      global_steps: counts?.globalSteps,
      backend: backend.name,
    });
  } else if (process.stdout.isTTY) await showOnTerminal(shown, bytes);
  else {
    // A pipe gets the bytes as they are.
    process.stdout.write(shown);
    for await (const byte of bytes) process.stdout.write(Uint8Array.of(byte));
  }
  return 0;
}

/** How a text is drawn, and where it ends. */
const textOptions = ({ maxBytes, temperature, topK, topP, seed, stop, chat, ignoreEos }: GenerateFlags) => ({
  maxBytes,
  temperature,
  topK: topK ?? null,
  topP: topP ?? null,
  seed,
  stop: chat ? Uint8Array.of(CHAT_END) : stop === undefined ? null : Buffer.from(stop),
  ignoreEos,
});

/** Milliseconds in which a signal or a closed pipe may wait to be heard. */
const HEARD_WITHIN = 20;

/** The bytes that are shown: those of an answer without the one that ends it. */
async function* shownOf(bytes: Iterable<number> | AsyncIterable<number>, end: number | null): AsyncGenerator<number> {
  const breathe = breathing(HEARD_WITHIN);
  for await (const byte of bytes) {
    if (byte !== end) yield byte;
    await breathe();
  }
}

/** @throws UserError for flags that do not go together */
function checkPromptFlags({ prompts, prompt, n, out, json, draft, memory, ...flags }: GenerateFlags): void {
  if (flags.chat && flags.stop !== undefined) {
    throw new UserError('--stop is for plain text: the answer of a --chat ends by itself; leave one of the two out', 2);
  }
  if (flags.stop === '') throw new UserError('--stop is empty, and no text ends with nothing; leave it out', 2);
  if (!flags.chat && flags.system !== undefined) {
    throw new UserError('--system is the first message of a chat; give --chat too, or leave it out', 2);
  }
  if (prompts === undefined) {
    const alone = n !== undefined ? '--n' : out !== undefined ? '--out' : null;
    if (alone) throw new UserError(`${alone} is for a file of prompts; give --prompts FILE too, or leave it out`, 2);
    return;
  }
  const single = { '--prompt': prompt !== undefined, '--json': json, '--draft': draft > 0, '--memory': memory };
  const wrong = Object.entries(single).find(([, given]) => given)?.[0];
  if (wrong) throw new UserError(`${wrong} is for a single text; leave it out, or --prompts`, 2);
}

/** The memory to draw with. Drafts are for the model alone, so they win where no memory was asked for, and that is said. */
function memoryOf({ memory, draft }: GenerateFlags, folder: string): MemoryMixture | undefined {
  if (draft > 0 && memory) {
    throw new UserError(`--draft ${draft} is for the model alone; leave it out, or give --no-memory`, 2);
  }
  const found = memoryBeside(folder, memory) ?? undefined;
  if (draft === 0 || found === undefined) return found;
  note(`--draft ${draft} takes the model alone, so the memory of its text is left out; --no-memory does so without it`);
  return undefined;
}

async function promptOf({ prompt, model, chat, system }: GenerateFlags): Promise<Uint8Array> {
  const piped = prompt === '-' || (prompt === undefined && !process.stdin.isTTY && model === '-');
  const text = piped ? await readAll(process.stdin) : Buffer.from(prompt ?? '');
  if (!chat) return text;
  const said = new TextDecoder('utf-8', { ignoreBOM: true }).decode(text).replace(/\r?\n$/, '');
  return Buffer.from(chatPrompt(chatOf(said, system)));
}

/** Writes each character as soon as it is complete. */
async function showOnTerminal(prompt: Uint8Array, bytes: AsyncIterable<number>): Promise<void> {
  const terminal = new TerminalWriter();
  for (const byte of prompt) terminal.write(byte);
  for await (const byte of bytes) {
    terminal.write(byte);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  terminal.flush(true);
  process.stdout.write('\n');
}
