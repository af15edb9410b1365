/** @file A text as a picture that is read byte by byte: as many lines as it needs, of which only those in sight exist. */
import { AXIS, CELL, type Picture } from './picture.ts';

/** Lines kept ready above and below the ones in sight. */
const SPARE = 2;

/** A picture in a frame: the pointer or the arrow keys choose a byte, and a sentence says what is known of it. */
export class Strip {
  /** The byte that is looked at. */
  chosen: number | null = null;
  private readonly frame: HTMLElement;
  private readonly facts: HTMLElement;
  private readonly onChoose: (byte: number) => void;
  /** The sentences that stand there while no byte is chosen. */
  private readonly unchosen: { readonly facts: string; readonly value: string };
  private readonly rows = document.createElement('div');
  private picture: Picture | null = null;
  private columns = 0;

  /** @param facts where the sentence about the chosen byte goes */
  constructor(frame: HTMLElement, facts: HTMLElement, onChoose: (byte: number) => void = () => {}) {
    this.frame = frame;
    this.facts = facts;
    this.onChoose = onChoose;
    this.unchosen = { facts: facts.textContent ?? '', value: frame.getAttribute('aria-valuetext') ?? '' };
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

  show(picture: Picture): void {
    this.picture = picture;
    if (this.chosen !== null && this.chosen >= picture.length) this.forget();
    this.frame.setAttribute('aria-valuemax', String(Math.max(0, picture.length - 1)));
    this.draw();
    if (this.chosen !== null) this.tell(this.chosen);
  }

  /** The chosen byte is no longer there. */
  private forget(): void {
    this.chosen = null;
    this.facts.textContent = this.unchosen.facts;
    this.frame.setAttribute('aria-valuenow', '0');
    this.frame.setAttribute('aria-valuetext', this.unchosen.value);
  }

  /** Looks at a byte. */
  choose(byte: number): void {
    if (!this.picture || byte === this.chosen || byte < 0 || byte >= this.picture.length) return;
    this.chosen = byte;
    this.draw();
    this.tell(byte);
    this.onChoose(byte);
  }

  private draw(): void {
    const { picture, frame, chosen } = this;
    if (!picture) return;
    const { length, rowHeight: height } = picture;
    this.columns = Math.max(4, Math.floor((frame.clientWidth - 16 - AXIS) / CELL));
    const count = Math.ceil(length / this.columns);
    this.rows.style.height = `${count * height}px`;
    const first = Math.max(0, Math.floor((frame.scrollTop - 8) / height) - SPARE);
    const last = Math.min(count, Math.ceil((frame.scrollTop + frame.clientHeight) / height) + SPARE);
    let html = '';
    for (let row = first; row < last; row++) {
      const from = row * this.columns;
      const to = Math.min(length, from + this.columns);
      const mark =
        chosen !== null && chosen >= from && chosen < to
          ? `<rect class="chosen" x="${(chosen - from) * CELL}" y="0" width="${CELL}" height="${height - 10}"/>`
          : '';
      html += `<svg width="${(to - from) * CELL}" height="${height}" style="left:${AXIS}px;top:${row * height}px">${picture.row(from, to, chosen)}${mark}</svg>`;
    }
    this.rows.innerHTML = html;
  }

  private point(event: PointerEvent): void {
    const box = this.rows.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - AXIS) / CELL);
    const row = Math.floor((event.clientY - box.top) / (this.picture?.rowHeight ?? 1));
    if (column < 0 || column >= this.columns || row < 0) return;
    this.choose(row * this.columns + column);
  }

  private key(event: KeyboardEvent): void {
    if (!this.picture) return;
    const { length: n, rowHeight: height } = this.picture;
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
    const y = Math.floor((this.chosen ?? 0) / this.columns) * height;
    if (y < this.frame.scrollTop) this.frame.scrollTop = y;
    else if (y + height + 16 > this.frame.scrollTop + this.frame.clientHeight) {
      this.frame.scrollTop = y + height + 16 - this.frame.clientHeight;
    }
  }

  private tell(byte: number): void {
    const said = this.picture!.facts(byte);
    this.facts.textContent = said;
    this.frame.setAttribute('aria-valuenow', String(byte));
    this.frame.setAttribute('aria-valuetext', said);
  }
}
