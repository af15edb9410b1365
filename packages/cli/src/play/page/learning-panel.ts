/** @file Chapter 5: one training step on the passage, and everything that the gradient reaches. */
import type { LessonStep, PartName } from '../messages.ts';
import { button, byId, element, fill, select } from './dom.ts';
import { heatPicture, squares } from './heat-picture.ts';
import type { Lessons } from './lessons.ts';
import { Strip } from './strip.ts';

/** Bytes that a step learns from. */
const STEP_BYTES = 192;
/** Steps on a copy after which the browser has compiled what a step needs, and a step takes its usual time. */
const WARM_STEPS = 3;
/** Most columns of the picture of the hash tables. */
const COLUMNS = 128;

const EXPLAINED: Readonly<Record<PartName, string>> = {
  decoder: 'predicts the bytes, so the gradient begins here',
  'global transformer': 'is reached through the patches that the decoder reads',
  encoder: 'is reached through the patches and through its bytes',
  'hash tables': 'are reached last, in the rows that were read',
};

export class LearningPanel {
  private readonly lessons: Lessons;
  private readonly strip = new Strip(byId('step-heat'), byId('step-facts'));

  constructor(lessons: Lessons) {
    this.lessons = lessons;
    button('step-take').addEventListener('click', () => this.take());
    button('step-forget').addEventListener('click', () => this.forget());
    lessons.onModel(() => this.clear());
    const read = new Promise<unknown>((resolve) => lessons.onReading(resolve));
    Promise.all([nearlyInSight(byId('learning')), read]).then(() => this.warmUp());
  }

  /** Each step is a call of its own, so that a keystroke waits for one of them at most. */
  private async warmUp(): Promise<void> {
    for (let i = 1; i <= WARM_STEPS; i++) {
      if (!(await this.lessons.ask('warmUp', this.lessons.passage.slice(0, STEP_BYTES)))) return;
      byId('learning').dataset.prepared = String(i);
    }
  }

  private async take(): Promise<void> {
    const passage = this.lessons.passage.slice(0, STEP_BYTES);
    if (passage.length === 0) {
      byId('step-summary').textContent = 'There is no text to learn from.';
      return;
    }
    const lr = Number(select('step-lr').value);
    const step = await this.lessons.ask('trainOnce', passage, lr);
    if (step) this.show(step, lr);
  }

  private async forget(): Promise<void> {
    await this.lessons.ask('untrain');
    this.clear();
  }

  private clear(): void {
    byId('step-result').hidden = true;
    button('step-forget').disabled = true;
    byId('step-summary').textContent = 'No step yet.';
  }

  private show(step: LessonStep, lr: number): void {
    const { bytes, before, after, parts } = step;
    byId('step-result').hidden = false;
    button('step-forget').disabled = false;
    this.strip.show(
      heatPicture(bytes, [
        { name: 'before the step', bits: before },
        { name: 'after it', bits: after },
      ]),
    );
    const [was, is] = [before, after].map((bits) => bits.reduce((sum, b) => sum + b, 0) / bits.length);
    byId('step-summary').textContent =
      `Step ${step.step}: the passage cost ${was.toFixed(3)} bits per byte before and costs ${is.toFixed(3)} after.`;
    // As many digits for each part, so that a part that moves less is seen to.
    const decimals = 2 - Math.floor(Math.log10(lr));
    const most = parts.reduce((high, { gradientNorm }) => Math.max(high, gradientNorm), 1e-12);
    const rows = parts.map(({ part, parameters, gradientNorm, update }) => {
      const bar = element('span', [], 'bar');
      bar.style.width = `${((100 * gradientNorm) / most).toFixed(1)}%`;
      return element('tr', [
        element('th', [part, element('small', [EXPLAINED[part]])]),
        element('td', [element('span', [bar], 'track'), element('span', [gradientNorm.toFixed(3)])], 'norm'),
        element('td', [update.toFixed(decimals)], 'number'),
        element('td', [parameters.toLocaleString('en')], 'number'),
      ]);
    });
    fill(byId('step-parts').querySelector('tbody')!, rows);
    this.showRows(step);
  }

  private showRows({ rows, rowNorms, hash }: LessonStep): void {
    const tables = hash.functions * hash.groupSizes.length;
    byId('step-rows-figure').hidden = tables === 0;
    byId('step-rows-facts').textContent =
      `${rows.length.toLocaleString('en')} of ${(tables * hash.vocab).toLocaleString('en')} rows of the hash tables were read and moved. ` +
      'AdamW leaves the others as they are until somebody reads them.';
    byId('step-rows').innerHTML = rowsPicture(rows, rowNorms, hash);
  }
}

/** Settles when an element is in sight, or less than one screen away. */
const nearlyInSight = (place: HTMLElement): Promise<void> =>
  new Promise((resolve) => {
    const watch = new IntersectionObserver(
      (entries) => {
        if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
        watch.disconnect();
        resolve();
      },
      { rootMargin: '100% 0px' },
    );
    watch.observe(place);
  });

/** The hash tables, one line for each: a square is a row, or several where a table is long; the stronger its colour, the larger its gradient. */
function rowsPicture(
  rows: Int32Array,
  norms: Float32Array,
  { vocab, groupSizes, functions }: LessonStep['hash'],
): string {
  const tables = functions * groupSizes.length;
  const columns = Math.min(vocab, COLUMNS);
  const cells = new Float32Array(tables * columns);
  rows.forEach((row, i) => {
    const table = Math.floor(row / vocab);
    const cell = table * columns + Math.floor(((row - table * vocab) * columns) / vocab);
    cells[cell] = Math.max(cells[cell], norms[i]);
  });
  const most = cells.reduce((a, b) => Math.max(a, b), 1e-12);
  let out = '';
  for (let table = 0; table < tables; table++) {
    const strengths = Array.from(cells.subarray(table * columns, (table + 1) * columns), (norm) =>
      norm === 0 ? 0 : 0.2 + 0.8 * (norm / most),
    );
    const line = squares(strengths, { step: 1, width: 0.85, height: 1, y: 0 });
    const size = groupSizes[table % groupSizes.length];
    out += `<span>${size} bytes</span><svg viewBox="0 0 ${columns} 1" preserveAspectRatio="none" aria-hidden="true">${line}</svg>`;
  }
  return out;
}
