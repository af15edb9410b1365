/** @file The patch view: as many lines as the text needs, of which only those in sight exist. */
import { byteEscape } from '../../terminal/byte-labels.ts';
import { AXIS, axisTop, CELL, type Label, labelsOf, type Patched, rowHeight, stripRow } from './strip-row.ts';

/** Lines kept ready above and below the ones in sight. */
const SPARE = 2;

export class Strip {
  private readonly frame: HTMLElement;
  private readonly facts: HTMLElement;
  private readonly rows = document.createElement('div');
  private patched: Patched | null = null;
  private labels: (Label | null)[] = [];
  private columns = 0;
  private chosen: number | null = null;

  constructor(frame: HTMLElement, facts: HTMLElement) {
    this.frame = frame;
    this.facts = facts;
    this.rows.className = 'rows';
    // The facts below say what the picture shows, byte by byte; its loose characters would say nothing.
    this.rows.setAttribute('aria-hidden', 'true');
    frame.append(this.rows);
    frame.addEventListener('scroll', () => this.draw(), { passive: true });
    frame.addEventListener('pointermove', (event) => this.point(event));
    frame.addEventListener('pointerdown', (event) => this.point(event));
    frame.addEventListener('keydown', (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(frame);
  }

  show(patched: Patched): void {
    if (!this.patched || !sameBytes(this.patched.bytes, patched.bytes)) this.labels = labelsOf(patched.bytes);
    this.patched = patched;
    if (this.chosen !== null && this.chosen >= patched.bytes.length) this.chosen = null;
    this.frame.setAttribute('aria-valuemax', String(Math.max(0, patched.bytes.length - 1)));
    this.draw();
    if (this.chosen !== null) this.tell(this.chosen);
  }

  private draw(): void {
    const { patched, frame } = this;
    if (!patched) return;
    const n = patched.bytes.length;
    const height = rowHeight(patched);
    this.columns = Math.max(4, Math.floor((frame.clientWidth - 16 - AXIS) / CELL));
    const count = Math.ceil(n / this.columns);
    this.rows.style.height = `${count * height}px`;
    const first = Math.max(0, Math.floor((frame.scrollTop - 8) / height) - SPARE);
    const last = Math.min(count, Math.ceil((frame.scrollTop + frame.clientHeight) / height) + SPARE);
    const top = axisTop(patched);
    let html = '';
    for (let row = first; row < last; row++) {
      const from = row * this.columns;
      const to = Math.min(n, from + this.columns);
      const mark =
        this.chosen !== null && this.chosen >= from && this.chosen < to
          ? `<rect class="chosen" x="${(this.chosen - from) * CELL}" y="0" width="${CELL}" height="${height - 10}"/>`
          : '';
      html += `<svg width="${(to - from) * CELL}" height="${height}" style="left:${AXIS}px;top:${row * height}px">${stripRow(patched, this.labels, from, to, top)}${mark}</svg>`;
    }
    this.rows.innerHTML = html;
  }

  private point(event: PointerEvent): void {
    const box = this.rows.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - AXIS) / CELL);
    const row = Math.floor((event.clientY - box.top) / rowHeight(this.patched ?? { entropies: null }));
    if (column < 0 || column >= this.columns || row < 0) return;
    this.choose(row * this.columns + column);
  }

  private key(event: KeyboardEvent): void {
    const n = this.patched?.bytes.length ?? 0;
    const steps: Record<string, number> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.columns,
      ArrowDown: this.columns,
    };
    let to: number;
    if (event.key in steps) to = this.chosen === null ? 0 : this.chosen + steps[event.key];
    else if (event.key === 'Home') to = 0;
    else if (event.key === 'End') to = n - 1;
    else return;
    event.preventDefault();
    this.choose(Math.max(0, Math.min(n - 1, to)));
    const height = rowHeight(this.patched!);
    const y = Math.floor((this.chosen ?? 0) / this.columns) * height;
    if (y < this.frame.scrollTop) this.frame.scrollTop = y;
    else if (y + height + 16 > this.frame.scrollTop + this.frame.clientHeight) {
      this.frame.scrollTop = y + height + 16 - this.frame.clientHeight;
    }
  }

  private choose(byte: number): void {
    if (!this.patched || byte === this.chosen || byte < 0 || byte >= this.patched.bytes.length) return;
    this.chosen = byte;
    this.draw();
    this.tell(byte);
  }

  private tell(i: number): void {
    const { bytes, entropies, patchOf, patchLengths } = this.patched!;
    let at = i;
    while (at > 0 && !this.labels[at]) at--;
    const label = this.labels[at];
    const text = label && !label.isEscape ? `"${label.text}"` : bytes[i] === 32 ? 'space' : byteEscape(bytes[i]);
    const part = at === i ? '' : `, byte ${i - at + 1} of it`;
    const nats = entropies
      ? `, entropy ${entropies[i].toFixed(3)} nats (${(entropies[i] / Math.LN2).toFixed(2)} bits)`
      : '';
    const length = patchLengths[patchOf[i]];
    const said = `Byte ${i}: ${text} 0x${bytes[i].toString(16).padStart(2, '0')}${part}${nats}; patch ${patchOf[i] + 1} of ${patchLengths.length}, ${length} ${length === 1 ? 'byte' : 'bytes'} long.`;
    this.facts.textContent = said;
    this.frame.setAttribute('aria-valuenow', String(i));
    this.frame.setAttribute('aria-valuetext', said);
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
