/**
 * @file Chats as bytes. Each message is the byte 0x01 (start of heading), its role, 0x02 (start of text), its content, and 0x03 (end of text),
 * all in UTF-8. ASCII has these three for headings and texts, and prose has none of them, so a content cannot pretend to be a message.
 */
import { encode } from '../patching/vocabulary.ts';

const HEADING = '\u0001';
const TEXT = '\u0002';
const END = '\u0003';

/** The byte that begins a message. */
export const CHAT_HEADING = 0x01;

/** The byte that ends a message. A model that answers in a chat is to stop there. */
export const CHAT_END = 0x03;

/** The role whose messages are answers. */
const ASSISTANT = 'assistant';

/** One message of a chat. */
export interface ChatMessage {
  /** The speaker: `user`, `assistant`, `system`, or any other name of letters, digits, `-` and `_`. */
  readonly role: string;
  readonly content: string;
}

/** A text of which only some bytes are to be learned. */
export interface AnsweredText {
  readonly bytes: Uint8Array;
  /** First byte of each answer, and the one after its last, in ascending order. */
  readonly answers: readonly (readonly [from: number, to: number])[];
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text.replace(/\p{Cs}/gu, ''));

/** @throws RangeError saying what is wrong with the message */
function messageText({ role, content }: ChatMessage, number: number): string {
  if (!/^[\w-]+$/.test(role)) {
    throw new RangeError(
      `message ${number} has the role ${JSON.stringify(role)}; a role is a name of letters, digits, - and _`,
    );
  }
  const forbidden = [HEADING, TEXT, END].find((byte) => content.includes(byte));
  if (forbidden !== undefined) {
    throw new RangeError(
      `message ${number} holds the byte 0x0${forbidden.charCodeAt(0)}, which divides the messages of a chat; take it out`,
    );
  }
  return `${HEADING}${role}${TEXT}${content}${END}`;
}

/**
 * A chat as bytes. Its answers are the contents of the assistant's messages, each with the 0x03 that ends it.
 * @throws RangeError for a role that is no name, a content with a byte 0x01 to 0x03, or a chat without an answer
 */
export function chatText(messages: readonly ChatMessage[]): AnsweredText {
  const pieces: Uint8Array[] = [];
  const answers: [number, number][] = [];
  let length = 0;
  messages.forEach((message, i) => {
    const bytes = utf8(messageText(message, i + 1));
    pieces.push(bytes);
    // Before the content are two bytes and the role, which is ASCII.
    if (message.role === ASSISTANT) answers.push([length + 2 + ASSISTANT.length, length + bytes.length]);
    length += bytes.length;
  });
  if (answers.length === 0) {
    throw new RangeError(`no message has the role ${ASSISTANT}, so there is no answer to learn`);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { bytes, answers };
}

/**
 * The prompt to which a model answers: the messages so far, and the heading of the assistant's next one.
 * @throws RangeError for a message that `chatText` would refuse
 */
export const chatPrompt = (messages: readonly ChatMessage[]): string =>
  `${messages.map((message, i) => messageText(message, i + 1)).join('')}${HEADING}${ASSISTANT}${TEXT}`;

/** A prompt and its completion as bytes, with nothing between them. The completion is the answer. @throws RangeError if it is empty */
export function completionText(prompt: string, completion: string): AnsweredText {
  const [before, answer] = [utf8(prompt), utf8(completion)];
  if (answer.length === 0) throw new RangeError('the completion is empty, so there is no answer to learn');
  const bytes = new Uint8Array(before.length + answer.length);
  bytes.set(before);
  bytes.set(answer, before.length);
  return { bytes, answers: [[before.length, bytes.length]] };
}

/**
 * The document of a text as ids, BOS bytes EOS, and which of them count as targets: the bytes of the answers, and EOS where an answer ends
 * the text.
 */
export function answeredIds({ bytes, answers }: AnsweredText): { ids: Int32Array; counted: Uint8Array } {
  const ids = encode(bytes, { bos: true, eos: true });
  const counted = new Uint8Array(ids.length);
  for (const [from, to] of answers) counted.fill(1, from + 1, to === bytes.length ? to + 2 : to + 1);
  return { ids, counted };
}
