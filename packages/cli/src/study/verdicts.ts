/**
 * @file The verdicts on the seven claims, by the rules of docs/study/preregistration.md. They are a function of results.json alone.
 * A claim whose runs are not all done has no verdict, and the runs that it lacks are named.
 */

import type { Claim, Decision, Finding } from './claim.ts';
import { CLAIMS_ABOUT_TEXT } from './claims-about-text.ts';
import { CLAIMS_AT_EQUAL_FLOPS } from './claims-at-equal-flops.ts';
import { Evidence } from './evidence.ts';
import type { Results } from './results.ts';

/** A verdict, or what it lacks. */
export interface Verdict {
  readonly number: number;
  readonly title: string;
  readonly verdict: Decision | 'not decided';
  /** The figure of the claim with its 95 % interval, in words; empty without a verdict. */
  readonly figure: string;
  readonly notes: readonly string[];
  /** Runs that are missing, in words, and the hours that they take on one core. */
  readonly missing: readonly string[];
  readonly hours: number;
}

const CLAIMS: readonly Claim[] = [...CLAIMS_AT_EQUAL_FLOPS, ...CLAIMS_ABOUT_TEXT];
const ERROR = 0.05;

/** How many of the levels 0.05, 0.05 / 2, 0.05 / 3 ... a decision stands at, one after the other. */
function strength({ decide }: Finding): number {
  const decision = decide(ERROR);
  let levels = 1;
  while (levels < CLAIMS.length && decide(ERROR / (levels + 1)) === decision) levels++;
  return levels;
}

/**
 * Holm's method: of the n claims the one decided most surely must stand at 0.05 / n, the next at 0.05 / (n - 1), and so on. From the first
 * that does not stand on, all are open. @see Holm 1979, A simple sequentially rejective multiple test procedure
 */
function holm(findings: readonly Finding[]): Decision[] {
  const decided = findings
    .map((finding, i) => ({ i, decision: finding.decide(ERROR), stands: strength(finding) }))
    .filter(({ decision }) => decision !== 'open')
    .sort((a, b) => b.stands - a.stands);
  const verdicts: Decision[] = findings.map(() => 'open');
  for (const [rank, { i, decision, stands }] of decided.entries()) {
    if (stands < CLAIMS.length - rank) break;
    verdicts[i] = decision;
  }
  return verdicts;
}

/** The verdicts on all claims, in their order. */
export function verdictsOf(results: Results): Verdict[] {
  const evidence = new Evidence(results);
  const looked = CLAIMS.map((claim) => {
    const { number, title } = claim;
    const { names, hours } = evidence.toDo(evidence.missing(claim.needs));
    const untuned = claim.tuned.flatMap((arm) => evidence.untuned(arm) ?? []);
    const lacking = { number, title, figure: '', notes: untuned, missing: names, hours };
    const finding = names.length === 0 && untuned.length === 0 ? claim.find(evidence) : null;
    return { lacking, finding };
  });
  const corrected = holm(looked.flatMap(({ finding }) => finding ?? []));
  return looked.map(({ lacking, finding }): Verdict => {
    if (finding === null) return { ...lacking, verdict: 'not decided' };
    const [verdict, before] = [corrected.shift()!, finding.decide(ERROR)];
    const weakened =
      verdict === before ? [] : [`By itself it would be ${before}, but not as one of ${CLAIMS.length} (Holm).`];
    return { ...lacking, verdict, figure: finding.figure, notes: [...finding.notes, ...weakened] };
  });
}
