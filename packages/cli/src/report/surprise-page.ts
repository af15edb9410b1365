/** @file The page of `blt score --html`: where a model is surprised. */
import { meanPatchSize } from '@blt-ts/blt';
import type { Scored } from '../scoring/scored.ts';
import { counted } from '../terminal/human-units.ts';
import { ENTROPY_STRIP_CSS, entropyStrip, MAX_STRIP_BYTES } from './entropy-strip.ts';
import { escapeHtml, htmlPage } from './html-page.ts';

const CSS = `
main { max-width: 1200px; }
h2 { overflow-wrap: anywhere; }
`;

/** Texts of a page: so many bytes, and one more. */
const MOST_BYTES = 4 * MAX_STRIP_BYTES;

/** Collects texts for the page, and knows when it is full. */
export class SurprisePage {
  private readonly model: string;
  private readonly threshold: number | null;
  private readonly sections: string[] = [];
  private shown = 0;
  private leftOut = 0;

  /** @param model its name   @param threshold of its patches, nats; null where they are cut otherwise */
  constructor(model: string, threshold: number | null) {
    this.model = model;
    this.threshold = threshold;
  }

  add(text: Scored): void {
    if (this.shown >= MOST_BYTES) {
      this.leftOut++;
      return;
    }
    this.shown += Math.min(text.bytes.length, MAX_STRIP_BYTES);
    this.sections.push(section(text, this.threshold));
  }

  html(): string {
    const rest =
      this.leftOut === 0 ? '' : `<p class="muted">${counted(this.leftOut, 'more is', 'more are')} not shown.</p>`;
    const body = `<h1>Surprise of ${escapeHtml(this.model)}</h1>
<p class="muted">Bits of each byte: -log2 of the probability that the model gave it.</p>
${this.sections.join('\n')}
${rest}`;
    return htmlPage(`Surprise of ${this.model}`, body, ENTROPY_STRIP_CSS + CSS);
  }
}

function section(
  { source, line, bytes, figures: [{ scored, bitsPerByte }] }: Scored,
  threshold: number | null,
): string {
  const name = line === null ? source : `${source}, line ${line}`;
  const patch = meanPatchSize([scored.patchLengths]).toFixed(2);
  const facts = `${counted(bytes.length, 'byte')} · ${bitsPerByte.toFixed(4)} bits per byte · ${patch} bytes per patch`;
  return `<h2>${escapeHtml(name)}</h2>
<p>${facts}</p>
${entropyStrip({
  bytes: [...bytes],
  patchLengths: [...scored.patchLengths],
  entropies: scored.entropies ? [...scored.entropies] : undefined,
  threshold: scored.entropies ? threshold : null,
  bits: [...scored.bits],
})}`;
}
