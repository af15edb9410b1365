/** @file Chapter 3: one byte, its patch, its rows of the hash tables, and its interval in all four attentions. */
import { printable } from '../../terminal/byte-labels.ts';
import { counted } from '../../terminal/human-units.ts';
import type { Reading } from '../messages.ts';
import { BANDS, bandsPicture } from './bands-picture.ts';
import { type ByteView, type Span, viewOfByte } from './byte-view.ts';
import { byId, element, fill } from './dom.ts';
import type { Lessons } from './lessons.ts';
import { Strip } from './strip.ts';

export class SeeingPanel {
  private readonly strip = new Strip(byId('bands'), byId('bands-facts'), (byte) => this.tell(byte));
  private reading: Reading | null = null;

  constructor(lessons: Lessons) {
    lessons.onReading((reading) => {
      this.reading = reading;
      this.strip.show(bandsPicture(reading));
      const { chosen } = this.strip;
      if (chosen === null) this.strip.choose(Math.min(12, reading.bytes.length - 1));
      else this.tell(chosen);
    });
    fill(
      byId('bands-key'),
      BANDS.map((name, b) => element('span', [element('i', [], `band band${b + 1}`), `${b + 1} ${name}`])),
    );
  }

  private tell(byte: number): void {
    const view = viewOfByte(this.reading!, byte);
    const terms = this.terms(view).flatMap(([term, said]) => [element('dt', [term]), element('dd', [said])]);
    fill(byId('byte-view'), terms);
    const rows = view.ngrams.map(({ size, span, table, row }) =>
      element('tr', [
        element('th', [counted(size, 'byte')]),
        element('td', [element('code', [this.text(span, size)])]),
        element('td', [String(table)], 'number'),
        element('td', [row.toLocaleString('en')], 'number'),
      ]),
    );
    fill(byId('hash-rows').querySelector('tbody')!, rows);
    byId('hash-rows').hidden = rows.length === 0;
  }

  private terms({ patch, patchBytes, local, pooled, global, decoder }: ByteView): [string, string][] {
    const { layout } = this.reading!;
    const bytes = (span: Span) => span.to - span.from + (span.bos ? 1 : 0);
    const read =
      decoder.to > decoder.from
        ? `It is about to predict the byte after this one, so it reads the newest patch that has ended by then: patch ${decoder.to - 1}, ${this.quoted(decoder.bytes)}.`
        : 'No patch has ended yet.';
    return [
      [
        'Patch',
        `Number ${patch} of ${layout.patches - 1}: ${this.quoted(patchBytes)}. Patch 0 is BOS, the beginning of the text.`,
      ],
      [
        '1 Local',
        `The byte sees ${counted(bytes(local), 'byte')}, itself included, in the local encoder and in the local decoder.`,
      ],
      [
        '2 Pooled',
        `The patch asks with ${layout.k} rows. They read its own ${counted(bytes(pooled), 'byte')} and nothing else.`,
      ],
      [
        '3 Global',
        `The patch sees ${counted(global.to - global.from, 'patch', 'patches')}, itself included. The large model takes one step for all of its bytes.`,
      ],
      ['4 Decoder', read],
    ];
  }

  private quoted(span: Span): string {
    const { bytes } = this.reading!;
    return span.to > span.from ? `“${printable(bytes.slice(span.from, span.to), '⏎')}”` : 'BOS';
  }

  /** The n-gram; before the text there is BOS, and before that nothing. */
  private text({ from, to, bos }: Span, size: number): string {
    const missing = size - (to - from) - (bos ? 1 : 0);
    const text = printable(this.reading!.bytes.slice(from, to), '⏎').replaceAll(' ', '␣');
    return `${'·'.repeat(Math.max(0, missing))}${bos ? 'BOS ' : ''}${text}`;
  }
}
