/** @file The two forms in which OpenAI's API gives an answer: a text that goes on, and a message of a chat. */
import type { EndReason } from './lane.ts';
import type { Logprobs } from './logprobs.ts';

/** An answer, or a piece of one. */
interface Made {
  readonly index: number;
  readonly text: string;
  readonly logprobs: Logprobs | null;
  /** null while more may come. */
  readonly finish: EndReason | null;
}

/** How an answer stands in JSON, whole and as pieces of a stream. */
export interface AnswerForm {
  readonly idPrefix: string;
  readonly object: string;
  readonly pieceObject: string;
  choice(made: Made): object;
  /** @param isFirst nothing of this answer has been sent */
  piece(made: Made, isFirst: boolean): object;
}

const textChoice = ({ index, text, logprobs, finish }: Made) => ({ index, text, logprobs, finish_reason: finish });

/** The form of `/v1/completions`. */
export const TEXT_ANSWER: AnswerForm = {
  idPrefix: 'cmpl',
  object: 'text_completion',
  pieceObject: 'text_completion',
  choice: textChoice,
  piece: textChoice,
};

/** The form of `/v1/chat/completions`. The first piece of an answer names the role, and the last one is empty. */
export const CHAT_ANSWER: AnswerForm = {
  idPrefix: 'chatcmpl',
  object: 'chat.completion',
  pieceObject: 'chat.completion.chunk',
  choice: ({ index, text, finish }) => ({
    index,
    message: { role: 'assistant', content: text, refusal: null },
    logprobs: null,
    finish_reason: finish,
  }),
  piece: ({ index, text, finish }, isFirst) => ({
    index,
    delta: { ...(isFirst && { role: 'assistant' }), ...((isFirst || text !== '') && { content: text }) },
    logprobs: null,
    finish_reason: finish,
  }),
};
