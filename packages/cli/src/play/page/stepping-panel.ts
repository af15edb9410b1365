/** @file Chapter 4: one patch after the other, made byte by byte, with everything that is known before each byte. */
import { BYTE_OFFSET } from '@blt-ts/blt';
import { byteEscape, printable } from '../../terminal/byte-labels.ts';
import type { PatchStep } from '../messages.ts';
import { button, byId, element, fill, input } from './dom.ts';
import type { Lessons } from './lessons.ts';

/** Bytes after which a patch that does not end is left alone. */
const MOST_IN_A_ROW = 40;
/** Nats at the right end of the meter: the entropy of a blind guess is ln 260 = 5.56. */
const MOST_NATS = 5.6;

export class SteppingPanel {
  private readonly lessons: Lessons;
  private step: PatchStep | null = null;
  private busy = false;
  /** Raised by every new beginning. What was asked for before it belongs to a text that is gone. */
  private begun = 0;

  constructor(lessons: Lessons) {
    this.lessons = lessons;
    byId('stepping-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.begin();
    });
    button('stepping-next').addEventListener('click', () => this.likeliest(() => true));
    button('stepping-patch').addEventListener('click', () => this.likeliest(({ startsPatch }) => startsPatch));
    lessons.onModel(() => this.begin());
  }

  /** Reads the prompt and stops before the first byte. */
  async begin(): Promise<void> {
    const begun = ++this.begun;
    // Until the answer there is no text that a byte could be added to.
    this.step = null;
    const step = await this.lessons.ask('beginPatch', new TextEncoder().encode(input('stepping-prompt').value));
    if (begun !== this.begun) return;
    for (const id of ['stepping-next', 'stepping-patch']) button(id).disabled = !step;
    this.show(step);
  }

  /** Takes the most probable byte, again until `enough`. */
  private async likeliest(enough: (step: PatchStep) => boolean): Promise<void> {
    const { begun } = this;
    for (let made = 0; made < MOST_IN_A_ROW && this.step; made++) {
      const best = this.step.candidates.find(({ id }) => id >= BYTE_OFFSET);
      if (!best || !(await this.take(best.id)) || begun !== this.begun) return;
      if (enough(this.step)) return;
    }
  }

  /** @returns whether the byte was read */
  private async take(id: number): Promise<boolean> {
    if (this.busy || !this.step) return false;
    this.busy = true;
    const { begun } = this;
    try {
      const step = await this.lessons.ask('nextByte', id - BYTE_OFFSET);
      if (begun !== this.begun) return false;
      this.show(step);
      return step !== undefined;
    } finally {
      this.busy = false;
    }
  }

  private show(step: PatchStep | undefined): void {
    if (!step) return;
    this.step = step;
    fill(byId('stepping-text'), patchesOf(step));
    byId('stepping-gate').textContent = gate(step);
    this.meter(step);
    this.candidates(step);
  }

  private meter({ entropy, threshold }: PatchStep): void {
    const place = byId('stepping-meter');
    byId('stepping-gauge').hidden = entropy === null || threshold === null;
    if (entropy === null || threshold === null) return;
    const percent = (nats: number) => `${(100 * Math.min(1, Math.max(0, nats / MOST_NATS))).toFixed(1)}%`;
    const [bar, line] = [byId('stepping-entropy'), byId('stepping-threshold')];
    bar.style.width = percent(entropy);
    bar.classList.toggle('above', entropy > threshold);
    line.style.left = percent(threshold);
    place.setAttribute('aria-label', `Entropy ${entropy.toFixed(2)} nats, threshold ${threshold.toFixed(2)} nats`);
  }

  private candidates({ candidates }: PatchStep): void {
    const focused = document.activeElement?.id;
    const list = candidates.map(({ id, probability }, place) => {
      const said = nameOf(id);
      const percent = `${(100 * probability).toFixed(1)}%`;
      const shown = probability < 0.0005 ? 'below 0.1%' : percent;
      const bar = element('span', [], 'bar');
      bar.style.width = percent;
      const choose = element('button', [bar, element('span', [said], 'byte'), ' ', element('span', [shown], 'number')]);
      choose.id = `candidate-${place}`;
      choose.setAttribute('type', 'button');
      if (id < BYTE_OFFSET) choose.setAttribute('disabled', '');
      else choose.addEventListener('click', () => this.take(id));
      return element('li', [choose]);
    });
    fill(byId('stepping-candidates'), list);
    if (focused?.startsWith('candidate-')) document.getElementById(focused)?.focus();
  }
}

/** The id as it stands on its button. */
function nameOf(id: number): string {
  if (id < BYTE_OFFSET) return 'end of text';
  const byte = id - BYTE_OFFSET;
  return byte === 32 ? 'space' : byte > 32 && byte < 127 ? String.fromCharCode(byte) : byteEscape(byte);
}

/** The text, one element for each patch; the last one is open unless the next byte starts another. */
function patchesOf({ text, patchLengths, startsPatch, promptBytes }: PatchStep): HTMLElement[] {
  const made: HTMLElement[] = [];
  // The first patch is BOS.
  let at = 0;
  const add = (length: number, name: string) => {
    const part = (from: number, to: number) => printable(text.slice(from, to), '⏎').replaceAll(' ', '␣');
    const inPrompt = Math.max(at, Math.min(promptBytes, at + length));
    made.push(
      element('span', [element('span', [part(at, inPrompt)], 'prompt'), part(inPrompt, at + length)], `patch ${name}`),
    );
    at += length;
  };
  for (const length of patchLengths.slice(1)) add(length, '');
  if (at < text.length) add(text.length - at, 'open');
  if (startsPatch) made.push(element('span', ['?'], 'patch open'));
  return made;
}

/** Whether the next byte starts a patch, and what that costs. */
function gate({ entropy, threshold, startsPatch, globalSteps, text, patchLengths }: PatchStep): string {
  const compared =
    entropy === null || threshold === null
      ? ''
      : `The entropy of the next byte is ${entropy.toFixed(2)} nats, ${entropy > threshold ? 'above' : 'not above'} the threshold ${threshold.toFixed(2)}. `;
  const decided = startsPatch
    ? `So the patch has ended, and the global model has just read it: step ${globalSteps}.`
    : 'So the patch goes on. The global model rests, and only the local models work.';
  const mean = patchLengths.length > 1 ? ` So far ${text.length + 1} ids took ${globalSteps} global steps.` : '';
  return compared + decided + mean;
}
