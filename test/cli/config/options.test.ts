import { planRun, type RunOptions } from '@blt-ts/blt';
import { expect, test } from 'vitest';
import { flagOf, OPTIONS, type Option, type OptionRow } from '../../../packages/cli/src/config/options.ts';

const rows: readonly OptionRow[] = OPTIONS;

test('flags are unique, in kebab-case, and the same words as the keys', () => {
  const flags = rows.map(flagOf);
  expect(new Set(flags).size).toBe(flags.length);
  for (const row of rows) {
    expect(flagOf(row)).toMatch(/^[a-z]+[0-9]?(-[a-z]+)*$/);
    expect(flagOf(row)).toBe(`${row.section === 'entropy_model' ? 'entropy-' : ''}${row.key.replaceAll('_', '-')}`);
  }
});

test('a choice has its words, a list its length, and everything but a switch a name for its value', () => {
  for (const { key, kind, choices, most, value } of rows) {
    expect({ key, choices: choices !== undefined }).toEqual({ key, choices: kind === 'choice' });
    expect({ key, most: most !== undefined }).toEqual({ key, most: kind === 'wholes' });
    expect({ key, value: value === undefined }).toEqual({ key, value: kind === 'boolean' });
  }
});

test('no option of the library is set by two rows', () => {
  const names = rows.flatMap(({ library }) => library ?? []);
  expect(new Set(names).size).toBe(names.length);
});

test('every option of the library is in the table, but those that are opened or put together first', () => {
  type Named<O> = O extends { readonly library: infer Name } ? Name : never;
  type Missing = Exclude<
    keyof RunOptions,
    Named<Option> | 'from' | 'entropyModel' | 'initGlobal' | 'spike' | 'mixture'
  >;
  const none: Missing extends never ? true : false = true;
  expect(none).toBe(true);
});

test('a default that is a number or a choice is the one of the library', () => {
  const plain = rows.filter(
    ({ library, default: text, choices }) =>
      library !== undefined && (choices?.includes(text) || /^[\d.]+$/.test(text)),
  );
  expect(plain.length).toBeGreaterThanOrEqual(10);
  const plan = planRun({}, 1_000_000);
  for (const { key, kind, library, default: text } of plain) {
    const value = kind === 'choice' ? text : Number(text);
    expect({ key, plan: planRun({ [library!]: value }, 1_000_000) }).toEqual({ key, plan });
  }
});
