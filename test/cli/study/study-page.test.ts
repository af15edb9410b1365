import { expect, test } from 'vitest';
import type { Results } from '../../../packages/cli/src/study/results.ts';
import { resultsText } from '../../../packages/cli/src/study/results.ts';
import { runConfig } from '../../../packages/cli/src/study/run-config.ts';
import { studyPage } from '../../../packages/cli/src/study/study-page.ts';
import { RECIPE } from '../../support/study-recipe.ts';

/** Two arms on two texts: on the first one the second arm needs half the bits, on the other one twice. */
function onTwoTexts(): Results {
  const bits = { 'token one': 400, 'blt one': 200, 'token two': 100, 'blt two': 200 };
  const runs = Object.entries(bits).map(([key, each]) => {
    const corpus = key.split(' ')[1];
    const config = runConfig.parse({
      ...{ ...RECIPE, kind: 'token', flops: 1e12, lr: 1e-3, vocab: 260, width: 8, layers: 1, corpus },
    });
    const result = {
      documents: ['a', 'b'].map((name) => ({ name, bits: each, bytes: 100 })),
      bitsPerByte: each / 100,
      flops: { total: 1e12 },
      flopsPerByte: { model: 1, patcher: 0 },
      ...{ millisecondsPerByte: 1, bytesPerUnit: 1, passes: 1 },
      parameters: { embedding: 1, tables: 0, rest: 1, patcher: 0 },
      seconds: { training: 1, evaluation: 1 },
    } as unknown as Results['runs'][string]['result'];
    return [key, { config, result, measures: {} }] as const;
  });
  const references = [
    { name: 'everywhere', bits_per_byte: 3 },
    { name: 'of one', bits_per_byte: 2, corpus: 'one' },
  ];
  const listed = runs.map(([run]) => ({ arm: run.split(' ')[0], run }));
  const experiment = {
    name: 'x',
    title: 'X',
    question: 'Q',
    baseline: 'token',
    references,
    measures: [],
    runs: listed,
  };
  return { format: 1, experiments: [experiment], runs: Object.fromEntries(runs) };
}

test('each text has a chart and a table of its own, so that no figure is compared with one of another text', () => {
  const page = studyPage(onTwoTexts());
  const [, one, two] = page.split(/<h3>(?:one|two)<\/h3>/);
  expect(one).toContain('0.500 (0.500 to 0.500)');
  expect(two).toContain('2.000 (2.000 to 2.000)');
  const half = two.slice(0, two.indexOf('<details>'));
  expect([one.includes('of one'), half.includes('of one'), half.includes('everywhere')]).toEqual([true, false, true]);
});

test('the page begins with a verdict for each claim', () => {
  const verdicts = studyPage(onTwoTexts())
    .split('<h2')
    .find((part) => part.includes('id="verdicts"'))!;
  expect(verdicts.match(/<td>not decided<\/td>/g)).toHaveLength(7);
});

test('results.json has a run on each line, and reads as it was', () => {
  const text = resultsText(onTwoTexts());
  expect(JSON.parse(text)).toEqual(onTwoTexts());
  expect(text.split('\n').filter((line) => line.startsWith('"'))).toHaveLength(4);
});
