/** @file Scored texts as lines for people, as a table, as JSON. */
import { printable } from '../terminal/byte-labels.ts';
import { say, sayJson, sayRow } from '../terminal/output.ts';
import type { Figures, Scored } from './scored.ts';

/** How results are written to standard output. */
export interface Format {
  /** Writes the line above them, if there is one. */
  begin(): void;
  /** Writes the lines of one text. */
  show(text: Scored): void;
}

/** One JSON object a text. @param models their names */
export const jsonFormat = (models: readonly string[], perByte: boolean): Format => ({
  begin: () => {},
  show: (text) => sayJson(scoredJson(text, models, perByte)),
});

/** 4 digits: more would change with the texts that are computed together. */
const rounded = (value: number): number => Number(value.toFixed(4));

const hasLines = ({ line }: Scored): boolean => line !== null;
const withoutBreak = ({ bytes }: Scored): Uint8Array =>
  bytes.at(-1) === 10 ? bytes.subarray(0, bytes.length - 1) : bytes;

/** A cell: tabs and line breaks are escaped. */
const cell = (text: string): string => printable(Buffer.from(text), '\\n');

/** Columns with one row a text. @param models their names */
export function tableFormat(models: readonly string[], lines: boolean): Format {
  const several = models.length > 1;
  const of = (name: string, model: string) => (several ? `${name}:${model}` : name);
  const header = [
    'source',
    ...(lines ? ['line'] : []),
    'bytes',
    ...models.flatMap((model) => ['bits', 'bits_per_byte', 'patch_bytes'].map((name) => cell(of(name, model)))),
    ...(several ? ['best'] : []),
    ...(lines ? ['text'] : []),
  ];
  return {
    begin: () => sayRow(header),
    show: (text) =>
      sayRow([
        cell(text.source),
        ...(lines ? [String(text.line)] : []),
        String(text.bytes.length),
        ...text.figures.flatMap((f) => [f.bits.toFixed(2), f.bitsPerByte.toFixed(4), f.patchBytes.toFixed(2)]),
        ...(several ? [cell(models[text.best])] : []),
        ...(lines ? [printable(withoutBreak(text), '\\n')] : []),
      ]),
  };
}

/** Columns with one row a byte. */
export function byteTableFormat(models: readonly string[]): Format {
  const of = (name: string, model: string) => (models.length > 1 ? `${name}:${model}` : name);
  const header = [
    'source',
    'at',
    'byte',
    'shown',
    ...models.flatMap((model) => ['bits', 'entropy_nats', 'starts_patch'].map((name) => cell(of(name, model)))),
  ];
  return {
    begin: () => sayRow(header),
    show: ({ source, bytes, figures }) => {
      const starts = figures.map(({ scored }) => startsOf(scored.patchLengths, bytes.length));
      for (const [at, byte] of bytes.entries()) {
        sayRow([
          cell(source),
          String(at),
          String(byte),
          printable(bytes.subarray(at, at + 1), '\\n'),
          ...figures.flatMap(({ scored }, model) => [
            scored.bits[at].toFixed(4),
            scored.entropies?.[at].toFixed(4) ?? '',
            String(starts[model][at]),
          ]),
        ]);
      }
    },
  };
}

/** 1 where a patch starts. */
function startsOf(patchLengths: Int32Array, bytes: number): Uint8Array {
  const starts = new Uint8Array(bytes);
  let at = 0;
  for (const length of patchLengths) {
    starts[at] = 1;
    at += length;
  }
  return starts;
}

const figuresJson = ({ bits, bitsPerByte, patchBytes, scored }: Figures, perByte: boolean) => ({
  bits: rounded(bits),
  bits_per_byte: rounded(bitsPerByte),
  patch_size_mean: rounded(patchBytes),
  ...(perByte && {
    bits_of_bytes: [...scored.bits].map(rounded),
    entropies: scored.entropies && [...scored.entropies].map(rounded),
    patch_lengths: [...scored.patchLengths],
  }),
});

/** A text as one object. The figures at its top are those of the best model. */
function scoredJson(text: Scored, models: readonly string[], perByte: boolean): object {
  return {
    source: text.source,
    ...(hasLines(text) && { line: text.line, ...exactText(withoutBreak(text)) }),
    bytes: text.bytes.length,
    ...figuresJson(text.figures[text.best], perByte),
    best: models[text.best],
    ...(models.length > 1 && {
      models: text.figures.map((figures, i) => ({ model: models[i], ...figuresJson(figures, perByte) })),
    }),
  };
}

/** Bytes as text, or in base64 where they are no UTF-8. */
function exactText(bytes: Uint8Array): { text: string } | { base64: string } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') };
  }
}

/** Columns for people: bits per byte of each model, then what it is of. @param models their names */
export function plainFormat(models: readonly string[], lines: boolean): Format {
  const widths = models.map((name) => (models.length > 1 ? Math.max(9, printable(Buffer.from(name)).length) : 9));
  const names = models.length > 1 ? models : ['bits/byte'];
  const best = models.length > 1 ? widths.reduce((a, b) => Math.max(a, b)) : 0;
  const row = (values: readonly string[], bytes: string, patch: string, named: string, what: string) =>
    [...values.map((v, i) => v.padStart(widths[i])), bytes.padStart(8), patch.padStart(6), named.padEnd(best), what]
      .filter((part) => part !== '')
      .join('  ');
  return {
    begin: () => say(row(names, 'bytes', 'patch', models.length > 1 ? 'best' : '', lines ? 'line' : 'file')),
    show: (text) => {
      const { source, line, figures, bytes } = text;
      const what = line === null ? cell(source) : `${cell(source)}:${line}: ${printable(withoutBreak(text), '⏎')}`;
      const named = models.length > 1 ? cell(models[text.best]) : '';
      const values = figures.map((f) => f.bitsPerByte.toFixed(4));
      say(row(values, String(bytes.length), figures[text.best].patchBytes.toFixed(2), named, what));
    },
  };
}
