/** @file The verdict on one exercise: all of its laws hold, or the first broken one with its smallest counterexample. */
import type { Law } from '@blt-ts/autograd/testing';
import { createReferenceBackend, setDefaultBackend } from '@blt-ts/tensor';

/** The laws and hints of one exercise. `Work` is what the reader's file exports. */
export interface Exercise<Work> {
  /** Statements about the work, which are checked on random inputs. */
  readonly laws: (work: Work) => readonly Law[];
  /** From a nudge to nearly the answer. */
  readonly hints: readonly string[];
}

/** The state of an exercise. `text` is for the reader, and empty if it is solved. */
export interface Verdict {
  readonly state: 'solved' | 'unsolved' | 'wrong';
  readonly text: string;
}

/** Most characters of a counterexample that are shown. */
const LONGEST = 600;

/** The parts of a law's message that a reader needs: the statement, the smallest input and the reason. */
function explain(law: Law, error: Error): string {
  const { message, cause } = error;
  const found = /Counterexample: (.*?)\n(?:Shrunk|Got|Hint|\n)/s.exec(message)?.[1] ?? 'any';
  const input = found.length > LONGEST ? `${found.slice(0, LONGEST)} ...` : found;
  const reason = cause instanceof Error ? cause.message : message;
  return `law     ${law.name}\ninput   ${input}\nreason  ${reason}`;
}

const isUnsolved = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'UnsolvedError' || isUnsolved(error.cause));

/** Checks the laws one after the other, on plain loops, so that nothing but the work can be at fault. */
export function grade<Work>({ laws }: Exercise<Work>, work: Work, seed?: number): Verdict {
  setDefaultBackend(createReferenceBackend());
  let at: Law | undefined;
  try {
    for (const law of laws(work)) {
      at = law;
      law.check({ seed });
    }
    return { state: 'solved', text: '' };
  } catch (error) {
    if (isUnsolved(error)) return { state: 'unsolved', text: 'It is not solved yet.' };
    if (!(error instanceof Error)) return { state: 'wrong', text: `reason  ${error}` };
    return { state: 'wrong', text: at ? explain(at, error) : `reason  ${error.message}` };
  }
}
