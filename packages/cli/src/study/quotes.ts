/** @file Figures of results.json where the documentation quotes them: between marks that readers do not see, so that text and data cannot part. */
import { BLT } from './claims-at-equal-flops.ts';
import { Evidence, flopsInWords, need } from './evidence.ts';
import { ones, percent, withInterval } from './intervals-in-words.ts';
import type { Results } from './results.ts';
import { bpbRatio, computeMultiplier, type FinishedRun, flopsFor, lineThrough, type Point } from './statistics.ts';
import { figureOf } from './verdict-table.ts';
import { verdictsOf } from './verdicts.ts';

/** Text of a figure that no run has given yet. */
const NOTHING = 'not measured yet';

/** A point of an arm at a budget; undefined if it is not done. The text is that of the experiment, unless one is named. */
function pointOf(results: Results, [experiment, arm, flops, corpus = 'sotu']: readonly string[]): Point | undefined {
  const evidence = new Evidence(results);
  const one = need(experiment, arm, Number(flops), { corpus });
  return evidence.missing([one]).length === 0 ? evidence.point(one) : undefined;
}

/** A 1 for each item of a task that is right, a 0 for the others. */
function itemsOf(results: Results, args: readonly string[]): string | undefined {
  const measured = Object.values(pointOf(results, args)?.runs[0].measures ?? {});
  const tasks = measured.flatMap((found) => (found.kind === 'tasks' ? found.tasks : []));
  return tasks.find(({ task }) => task === args[4])?.items;
}

/** The verdicts as a table. Sentences that belong beside them are on the report, because a table of a page has no room for them. */
function verdicts(results: Results): string {
  const rows = verdictsOf(results).map((one) => {
    const { number, title, verdict, missing, hours } = one;
    const lacks = `runs missing, about ${hours.toPrecision(2)} hours of one core`;
    return `| ${number}. ${title} | ${verdict} | ${missing.length > 0 ? lacks : figureOf(one)} |`;
  });
  return `\n| claim | verdict | figure (95 %) |\n|---|---|---|\n${rows.join('\n')}\n`;
}

/** The figures by the first word of a mark. */
const FIGURES: Readonly<Record<string, (results: Results, args: readonly string[]) => string>> = {
  /** `bpb EXPERIMENT; ARM; FLOPS[; CORPUS]` */
  bpb: (results, args) => pointOf(results, args)?.bitsPerByte.toFixed(3) ?? NOTHING,
  /** `read EXPERIMENT; ARM; FLOPS[; CORPUS]`: MB of text that the best run was trained on, repeats counted */
  read(results, args) {
    const bytes = pointOf(results, args)?.runs[0].result.bytesSeen;
    return bytes === undefined ? NOTHING : `${(bytes / 1e6).toPrecision(2)} MB`;
  },
  /** `cost EXPERIMENT; ARM; FLOPS[; CORPUS]`: forward FLOPs per byte, entropy model included */
  cost(results, args) {
    const flops = pointOf(results, args)?.runs[0].result.flopsPerByte;
    return flops === undefined ? NOTHING : `${((flops.model + flops.patcher) / 1e6).toPrecision(2)} MFLOP`;
  },
  /** `ratio EXPERIMENT; ARM; BASELINE; FLOPS[; CORPUS]` */
  ratio(results, [experiment, arm, baseline, ...rest]) {
    const [of, to] = [arm, baseline].map((name) => pointOf(results, [experiment, name, ...rest]));
    return of && to ? withInterval(bpbRatio(of, to), 3) : NOTHING;
  },
  /** `right EXPERIMENT; ARM; FLOPS; CORPUS; TASK`: share of a task's items */
  right(results, args) {
    const items = itemsOf(results, args);
    return items === undefined ? NOTHING : percent(ones(items), items.length);
  },
  /** `errors EXPERIMENT; ARM; FLOPS; CORPUS; TASK`: number of a task's items that are wrong */
  errors(results, args) {
    const items = itemsOf(results, args);
    return items === undefined ? NOTHING : String(items.length - ones(items));
  },
  /** `step EXPERIMENT; ARM; FLOPS`: bytes for each step of the global model, while a text is made */
  step(results, args) {
    const measured = Object.values(pointOf(results, args)?.runs[0].measures ?? {});
    const found = measured.flatMap((one) => (one.kind === 'decoding' && one.decoding ? [one.decoding] : []))[0];
    return found ? (found.bytesRead / found.globalSteps).toFixed(1) : NOTHING;
  },
  /** `notes NUMBER`: what the verdict says beside its figure */
  notes: (results, [number]) => verdictsOf(results)[Number(number) - 1].notes.join(' ') || NOTHING,
  /** `verdict NUMBER` */
  verdict: (results, [number]) => verdictsOf(results)[Number(number) - 1].verdict,
  verdicts,
  derivation: (results) => derivation(results),
};

const sums = ({ documents }: FinishedRun['result']): readonly [bits: number, bytes: number] =>
  documents.reduce(([bits, bytes], d) => [bits + d.bits, bytes + d.bytes], [0, 0]);

/** Bits per byte of a point from the sums of its runs. */
function pointInWords({ runs }: Point): string {
  const lines = runs.map(({ name, config, result }) => {
    const [bits, bytes] = sums(result);
    return `   - run \`${name}\`, seed ${config.seed}: ${bits.toFixed(1)} bits / ${bytes} bytes = ${(bits / bytes).toFixed(6)}`;
  });
  const mean = runs.reduce((sum, { result }) => sum + result.bitsPerByte, 0) / runs.length;
  return `${lines.join('\n')}\n   - mean: ${mean.toFixed(6)}`;
}

/** The ratio and the compute multiplier of BLT at the largest budget of the ladder that both have done, step by step. */
function derivation(results: Results): string {
  const evidence = new Evidence(results);
  const arm = (name: string) => evidence.frontier({ experiment: 'ladder', arm: name, corpus: 'sotu' });
  const [tokens, blts] = [arm('token'), arm(BLT)];
  const budgetOf = ({ runs: [{ config }] }: Point) => config.flops;
  const blt = blts.filter((one) => tokens.some((other) => budgetOf(other) === budgetOf(one))).at(-1);
  const line = lineThrough(tokens);
  if (blt === undefined || line === null) return `\n${NOTHING}\n`;
  const token = tokens.find((one) => budgetOf(one) === budgetOf(blt))!;
  const needed = flopsFor(line, blt.bitsPerByte);
  const multiplier = computeMultiplier(blt, tokens);
  const table = tokens.map(({ flops, bitsPerByte }) => `   | ${flops} | ${bitsPerByte.toFixed(6)} |`).join('\n');
  return `
1. The budget is ${flopsInWords(budgetOf(blt))} FLOPs. The best point of the token model has these runs:
${pointInWords(token)}
2. The best point of ${BLT} has these:
${pointInWords(blt)}
3. The ratio is ${blt.bitsPerByte.toFixed(6)} / ${token.bitsPerByte.toFixed(6)} = ${(blt.bitsPerByte / token.bitsPerByte).toFixed(4)}. With its interval it is ${withInterval(bpbRatio(blt, token), 4)}.
4. The best points of the token model are these:

   | FLOPs | bits per byte |
   |---|---|
${table}

   The line through their logarithms has b = ${line.slope.toFixed(6)} and a = ${line.intercept.toFixed(6)}.
5. The token model reaches ${blt.bitsPerByte.toFixed(6)} bits per byte at ${needed === null ? 'no number of FLOPs, because its line does not fall' : `${needed.toExponential(4)} FLOPs`}.
6. ${BLT} took ${blt.flops.toExponential(4)} FLOPs. The compute multiplier is ${multiplier === null ? 'none' : withInterval(multiplier, 3)}.
`;
}

/**
 * A page with each figure between `<!-- study NAME ARGUMENTS -->` and `<!-- /study -->` as results.json has it.
 * @throws Error naming a mark that means nothing
 */
export const withFigures = (markdown: string, results: Results): string =>
  markdown.replace(/<!-- study (\w+)(.*?) -->[\s\S]*?<!-- \/study -->/g, (_, name: string, rest: string) => {
    const figure = FIGURES[name];
    if (figure === undefined) throw new Error(`<!-- study ${name} --> is no figure; there are ${Object.keys(FIGURES)}`);
    const args = rest.split(';').map((one) => one.trim());
    return `<!-- study ${name}${rest} -->${figure(results, args)}<!-- /study -->`;
  });

/** The best bits per byte of each arm of the ladder at each budget, and the figures of the compressors, for the picture of the page. */
export function ladderPoints(results: Results): {
  readonly points: readonly { readonly name: string; readonly budget: number; readonly bitsPerByte: number }[];
  readonly references: readonly { readonly name: string; readonly bitsPerByte: number }[];
} {
  const { runs, references } = results.experiments.find(({ name }) => name === 'ladder')!;
  const evidence = new Evidence(results);
  const arms = [...new Set(runs.map(({ arm }) => arm))];
  const points = arms.flatMap((arm) =>
    evidence
      .frontier({ experiment: 'ladder', arm, corpus: 'sotu' })
      .map(({ runs: [{ config }], bitsPerByte }) => ({ name: arm, budget: config.flops, bitsPerByte })),
  );
  return { points, references: references.map(({ name, bits_per_byte: bitsPerByte }) => ({ name, bitsPerByte })) };
}
