/** @file Chapters 1 and 2: text in, entropies and patches out, again after every keystroke. */
import { calibrateThreshold, type PatchingOptions } from '@blt-ts/blt';
import { thresholdLine } from '../../report/patching-rule.ts';
import { counted, humanBytes } from '../../terminal/human-units.ts';
import type { EntropyModelFacts, ModelSlot, Scores } from '../messages.ts';
import { cut, decoded, key, withLast } from './cutting.ts';
import { byId, input, numberIn, Sentence, select } from './dom.ts';
import { readText } from './dropped-files.ts';
import { patchesPicture, patchNumbers } from './patches-picture.ts';
import { Strip } from './strip.ts';
import type { WorkerClient } from './worker-client.ts';

/** Most bytes of a text that the view shows. Training reads all of it. */
export const MAX_SHOWN_BYTES = 20_000;

export class PatchesPanel {
  /** The whole text. */
  bytes: Uint8Array = new Uint8Array(0);
  private readonly worker: WorkerClient;
  private readonly text = byId<HTMLTextAreaElement>('text');
  private readonly curve = new Strip(byId('curve'), byId('curve-facts'));
  private readonly strip = new Strip(byId('strip'), byId('byte-facts'));
  private readonly onText: (bytes: Uint8Array) => void;
  private readonly sentence = new Sentence('text-error');
  private readonly models = new Map<ModelSlot, Uint8Array>();
  private fileBytes: Uint8Array | null = null;
  private scores: Scores | null = null;
  private scored: Uint8Array = new Uint8Array(0);
  private facts: EntropyModelFacts | null = null;
  private busy = false;
  private stale = false;
  private typedAt = 0;
  /** The sentence about the worker that is gone, until another is asked for. */
  private loss: string | null = null;

  /** @param onText told of every new text */
  constructor(worker: WorkerClient, onText: (bytes: Uint8Array) => void) {
    this.worker = worker;
    this.onText = onText;
    this.text.addEventListener('input', () => this.edited());
    input('text-file').addEventListener('change', () => {
      const [file] = input('text-file').files ?? [];
      if (file) this.open(file);
      input('text-file').value = '';
    });
    byId('close-file').addEventListener('click', () => this.closeFile());
    select('mode').addEventListener('change', () => {
      this.fitFields();
      if (this.usesEntropy) this.aim(4.5);
      this.show();
    });
    input('threshold').addEventListener('input', () => this.show());
    input('size').addEventListener('input', () => this.show());
    input('target').addEventListener('change', () => {
      const wanted = numberIn(input('target'));
      if (wanted !== null && wanted >= 1) this.aim(wanted);
      this.show();
    });
    select('entropy-model').addEventListener('change', () => this.useModel(select('entropy-model').value as ModelSlot));
  }

  /** Offers an entropy model; the one in use is replaced at once. */
  async offer(slot: ModelSlot, name: string, file: Uint8Array): Promise<void> {
    this.models.set(slot, file);
    const list = select('entropy-model');
    let option = [...list.options].find(({ value }) => value === slot);
    if (!option) {
      option = new Option(name, slot);
      list.add(option);
    }
    option.textContent = name;
    if (list.value === slot) await this.useModel(slot);
  }

  /** Says what happened to the worker. Until its button starts another, nothing is scored. */
  lost(reason: string): void {
    this.busy = false;
    this.facts = null;
    this.scores = null;
    this.loss = `The worker that cuts the text has stopped: ${reason}.`;
    this.say(this.loss);
  }

  /** Says what is wrong. While there is no worker, the button that starts one stands beside it. */
  private say(error: unknown): void {
    const again = {
      label: 'Start it again',
      run: () => {
        this.loss = null;
        this.useModel(select('entropy-model').value as ModelSlot);
      },
    };
    this.sentence.say(error, this.loss === null ? undefined : again);
  }

  /** Takes back what was said, but not the loss of the worker. */
  private unsay(): void {
    if (this.loss === null) this.sentence.clear();
    else if (!byId('text-error').textContent?.startsWith(this.loss)) this.say(this.loss);
  }

  async open(file: File): Promise<void> {
    this.unsay();
    try {
      const bytes = await readText(file);
      const text = decoded(bytes);
      if (text !== null && bytes.length <= MAX_SHOWN_BYTES) {
        this.setText(text);
        return;
      }
      this.fileBytes = bytes;
      const rest = bytes.length > MAX_SHOWN_BYTES ? `; the first ${humanBytes(MAX_SHOWN_BYTES)} are shown` : '';
      byId('file-name').textContent =
        `${file.name}, ${humanBytes(bytes.length)}${text === null ? ', kept as bytes' : ''}${rest}.`;
      byId('file-note').hidden = false;
      this.text.hidden = true;
      this.edited();
    } catch (error) {
      this.say(error);
    }
  }

  private closeFile(): void {
    this.fileBytes = null;
    byId('file-note').hidden = true;
    this.text.hidden = false;
    this.edited();
  }

  /** Puts a text into the field, in place of a file if one is open. */
  setText(text: string): void {
    this.text.value = text;
    this.closeFile();
  }

  private async useModel(slot: ModelSlot): Promise<void> {
    const file = this.models.get(slot);
    if (!file) return;
    try {
      this.facts = await this.worker.call('useEntropyModel', file);
      if (this.loss !== null) {
        this.loss = null;
        this.unsay();
      }
      this.scores = null;
      input('threshold').value = String(this.facts.threshold);
      this.edited();
    } catch (error) {
      this.failed(error);
    }
  }

  /** Scores the text on the backend in use once more. */
  rescore(): void {
    this.scores = null;
    this.edited();
  }

  private edited(): void {
    this.typedAt = performance.now();
    this.bytes = this.fileBytes ?? new TextEncoder().encode(this.text.value);
    const n = this.bytes.length;
    byId('text-facts').textContent =
      n > MAX_SHOWN_BYTES
        ? `${n.toLocaleString('en')} bytes, the first ${MAX_SHOWN_BYTES.toLocaleString('en')} are shown`
        : counted(n, 'byte', undefined, n.toLocaleString('en'));
    this.onText(this.bytes);
    if (!this.usesEntropy) this.show();
    this.score();
  }

  /** One request at a time; what was typed meanwhile goes with the next. */
  private async score(): Promise<void> {
    if (this.facts === null) return;
    if (this.busy) {
      this.stale = true;
      return;
    }
    this.busy = true;
    try {
      do {
        this.stale = false;
        const bytes = this.bytes.slice(0, MAX_SHOWN_BYTES);
        this.scores = await this.worker.call('score', bytes);
        this.scored = bytes;
        this.showCurve();
        this.show();
        this.timed();
      } while (this.stale);
    } catch (error) {
      this.failed(error);
    } finally {
      this.busy = false;
    }
  }

  private failed(error: unknown): void {
    // The loss of a worker is told by `lost`, with a button.
    if ((error as Error).name !== 'LostWorkerError') this.say(error);
  }

  private timed(): void {
    const { rescored, seconds } = this.scores!;
    const milliseconds = performance.now() - this.typedAt;
    const place = byId('latency');
    place.dataset.milliseconds = milliseconds.toFixed(1);
    place.dataset.rescored = String(rescored);
    place.dataset.updates = String(Number(place.dataset.updates ?? 0) + 1);
    place.textContent = `${rescored.toLocaleString('en')} positions computed in ${(seconds * 1000).toFixed(0)} ms, shown ${milliseconds.toFixed(0)} ms after the last change`;
  }

  private get usesEntropy(): boolean {
    return ['entropy', 'monotonic'].includes(select('mode').value);
  }

  private fitFields(): void {
    byId('threshold-field').hidden = !this.usesEntropy;
    byId('target-field').hidden = !this.usesEntropy;
    byId('size-field').hidden = select('mode').value !== 'static';
  }

  /** The threshold that gives this mean patch size here. */
  private aim(meanPatchBytes: number): void {
    if (!this.scores || this.scored.length < 8) return;
    const monotonic = select('mode').value === 'monotonic';
    const { threshold } = calibrateThreshold([withLast(this.scores.entropies)], meanPatchBytes, { monotonic });
    input('threshold').value = String(threshold);
  }

  private options(): PatchingOptions {
    const mode = select('mode').value;
    switch (mode) {
      case 'entropy':
      case 'monotonic':
        return { mode: 'entropy', threshold: input('threshold').valueAsNumber, monotonic: mode === 'monotonic' };
      case 'static': {
        const size = numberIn(input('size'));
        if (size === null || !Number.isInteger(size) || size < 1) {
          throw new Error(`bytes per patch must be a whole number of at least 1, got ${size ?? 'nothing'}`);
        }
        return { mode, patchSize: size };
      }
      default:
        return { mode: mode as 'space' | 'byte' };
    }
  }

  private show(): void {
    const entropic = this.usesEntropy;
    const bytes = entropic ? this.scored : this.bytes.slice(0, MAX_SHOWN_BYTES);
    const fits = this.scores !== null && this.scored.length === bytes.length;
    const entropies = fits ? this.scores!.entropies : null;
    if (entropic && !entropies) return;
    let lengths: Int32Array;
    let options: PatchingOptions;
    try {
      options = this.options();
      lengths = cut(bytes, entropies, options);
      this.unsay();
    } catch (error) {
      this.say(error);
      return;
    }
    const threshold = options.mode === 'entropy' ? options.threshold : null;
    byId('threshold-value').textContent = threshold === null ? '' : `${threshold.toFixed(2)} nats`;
    const line = thresholdLine(options);
    const patchOf = patchNumbers(lengths, bytes.length);
    this.strip.show(patchesPicture({ bytes, entropies, threshold: line, patchLengths: lengths, patchOf }));
    this.summarise(lengths, bytes.length);
    byId('strip-key').innerHTML = key(entropies !== null, line !== null);
  }

  /** Chapter 1 shows the entropies alone. */
  private showCurve(): void {
    const { scored: bytes, scores } = this;
    const uncut = { threshold: null, patchLengths: new Int32Array(0), patchOf: new Int32Array(bytes.length) };
    this.curve.show(patchesPicture({ bytes, entropies: scores!.entropies, ...uncut }));
  }

  private summarise(lengths: Int32Array, bytes: number): void {
    const mean = lengths.length === 0 ? 0 : bytes / lengths.length;
    byId('patch-summary').textContent =
      bytes === 0
        ? 'No text yet.'
        : `${lengths.length.toLocaleString('en')} ${lengths.length === 1 ? 'patch' : 'patches'}, ${mean.toFixed(2)} bytes each on average, the longest ${lengths.reduce((a, b) => Math.max(a, b), 0)}.`;
    if (document.activeElement !== input('target')) input('target').value = mean.toFixed(1);
  }
}
