/** @file The texts about letters and the noises: what they promise to whoever reads the figures. */
import { Random } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { lettersText, TASKS } from '../../../packages/cli/src/study/letters.ts';
import { CHOICES, choices, NOISES, noised } from '../../../packages/cli/src/study/noise.ts';
import { wilson } from '../../../packages/cli/src/study/statistics.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test('tasks have the answers that a reader would give', () => {
  const answer = (task: string, word: string) => TASKS[task]([...word], new Random(3));
  expect(answer('spell', 'cat')).toEqual(['spell cat:', 'c a t']);
  expect(answer('join', 'cat')).toEqual(['join c a t:', 'cat']);
  for (const word of ['strawberry', 'banana', 'see']) {
    const [, counted] = /^count (.) /.exec(answer('count', word)[0])!;
    expect(answer('count', word)[1]).toBe(String(word.split(counted).length - 1));
    const [, dropped] = /^drop (.) /.exec(answer('drop', word)[0])!;
    expect(answer('drop', word)[1]).toBe(word.replaceAll(dropped, ''));
    const [, from, to] = /^change (.) to (.) /.exec(answer('change', word)[0])!;
    expect(answer('change', word)[1]).toBe(word.replaceAll(from, to));
    const [, added, after] = /^add (.) after (.) /.exec(answer('add', word)[0])!;
    expect(answer('add', word)[1]).toBe(word.replaceAll(after, after + added));
    const [, a, b] = /^swap (.) (.) /.exec(answer('swap', word)[0])!;
    const swapped = [...word].map((x) => (x === a ? b : x === b ? a : x)).join('');
    expect(answer('swap', word)[1]).toBe(swapped);
  }
});

test('words of a test are not in the text, those only read are in no example, and the text is the same at each call', () => {
  const letters = [...'abcdefgh'];
  const words = letters.flatMap((a) => letters.map((b) => `${a}o${b}`));
  const options = { tasks: ['spell', 'count'], examples: 40, unseen: 10, readOnly: 5, readings: 7 };
  const { train, tests } = lettersText(words, options);
  const lines = train.flatMap(({ bytes }) => text(bytes).trimEnd().split('\n'));
  const wordsIn = new Set(lines.flatMap((line) => line.split(':')[0].split(' ')));
  const wordsOf = (name: string) => tests.find(({ task }) => task === name)!.items.map(({ word }) => text(word).trim());
  expect(wordsOf('spell')).toHaveLength(10);
  for (const word of wordsOf('spell')) expect(wordsIn).not.toContain(word);
  for (const word of wordsOf('spell (read)')) {
    expect(lines.filter((line) => line.includes(word))).toEqual(Array(7).fill(`say ${word}`));
  }
  expect(tests.at(-1)!.task).toBe("r's of strawberry");
  expect(lettersText([...words].reverse(), options)).toEqual({ train, tests });
});

test('noises change what they say, and no more', () => {
  const spoil = (name: string, given: string) => text(noised(utf8(given), NOISES[name], new Random(1)));
  const long = 'abcde fghij '.repeat(500);
  expect(spoil('clean', 'Ab é 世')).toBe('Ab é 世');
  expect(spoil('UpperCase', 'Ab é')).toBe('AB É');
  expect(spoil('AntSpeak', 'ab c')).toBe('A B   C ');
  expect(spoil('RandomCase', long).toLowerCase()).toBe(long);
  expect(spoil('Drop', long).length / long.length).toBeCloseTo(0.9, 1);
  expect(spoil('Repeat', long).replace(/(.)\1+/g, '$1')).toBe(long);
  expect(spoil('Repeat', long).length / long.length).toBeCloseTo(1.4, 1);
});

test('the choices are the same under each noise, and the true continuation follows its passage', () => {
  const documents = ['a', 'b', 'c', 'd', 'e'].map((letter) => ({
    name: letter,
    bytes: utf8(Array.from({ length: 400 }, (_, i) => `${letter}${i}`).join(' ')),
    complete: true,
  }));
  const clean = choices(documents, 6, NOISES.clean);
  expect(choices(documents, 6, NOISES.UpperCase).map(({ answer }) => answer)).toEqual(
    clean.map(({ answer }) => answer),
  );
  clean.forEach(({ prompt, answer }, i) => {
    const whole = text(documents[Math.floor(i / CHOICES) % documents.length].bytes);
    expect(whole.includes(text(prompt) + text(answer))).toBe(i % CHOICES === 0);
    expect(text(answer).startsWith(' ')).toBe(true);
  });
});

test('0 errors of 3,000 are at least 99.87 %, and 1 of 2 is anything', () => {
  expect(wilson(3000, 3000).low).toBeCloseTo(0.99872, 5);
  const half = wilson(1, 2);
  expect(half.value).toBe(0.5);
  expect(half.low).toBeCloseTo(0.0945, 4);
  expect(half.high).toBeCloseTo(0.9055, 4);
});
