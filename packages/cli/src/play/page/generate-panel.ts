/** @file Chapter 8: a checkpoint, trained here or loaded, continues a prompt, byte by byte. */
import { printable, utf8Length } from '../../terminal/byte-labels.ts';
import { counted, humanCount } from '../../terminal/human-units.ts';
import { type FileAt, findCheckpoint } from '../checkpoint-files.ts';
import type { CheckpointFiles, ModelSlot } from '../messages.ts';
import { button, byId, input, numberIn, Sentence, select } from './dom.ts';
import { chosenFiles } from './dropped-files.ts';
import type { WorkerClient } from './worker-client.ts';

/** Told of the models that are loaded here. */
export interface GenerateListener {
  /** The entropy model of a checkpoint that was loaded. */
  onEntropyModel(file: Uint8Array, name: string): void;
  onLoaded(slot: ModelSlot, files: CheckpointFiles, name: string): void;
}

export class GeneratePanel {
  private readonly worker: WorkerClient;
  private readonly listener: GenerateListener;
  private readonly sentence = new Sentence('generate-error');
  private readonly files = new Map<ModelSlot, CheckpointFiles>();
  /** The files that a new worker has to be given first. */
  private readonly missing = new Set<ModelSlot>();
  /** The facts of the checkpoint that is loaded. */
  private loadedFacts = 'No checkpoint is loaded.';
  private made: number[] = [];
  private shown = 0;
  private drawing = false;

  constructor(worker: WorkerClient, listener: GenerateListener) {
    this.worker = worker;
    this.listener = listener;
    for (const id of ['checkpoint-folder', 'checkpoint-files']) {
      input(id).addEventListener('change', () => {
        const files = chosenFiles(input(id).files);
        input(id).value = '';
        if (files.length > 0) this.open(files);
      });
    }
    byId('generate-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.generate();
    });
    button('generate-stop').addEventListener('click', () => this.worker.call('stopGenerating').catch(() => {}));
  }

  /** Loads the checkpoint among these files. */
  async open(files: readonly FileAt[]): Promise<void> {
    try {
      const { config, weights, name } = await findCheckpoint(files);
      await this.load({ config, weights }, name);
    } catch (error) {
      this.failed(error);
    }
  }

  async load(files: CheckpointFiles, name: string): Promise<void> {
    this.sentence.clear();
    byId('checkpoint-facts').textContent = `Reading ${name} ...`;
    try {
      const facts = await this.worker.call('load', 'loaded', files);
      this.files.set('loaded', files);
      this.loadedFacts = `${name}: ${humanCount(facts.parameters)} parameters, patches by ${facts.patching}.`;
      byId('checkpoint-facts').textContent = this.loadedFacts;
      this.enable('loaded');
      select('generate-model').value = 'loaded';
      if (facts.entropyModel) this.listener.onEntropyModel(facts.entropyModel, `of ${name}`);
      this.listener.onLoaded('loaded', files, name);
    } catch (error) {
      byId('checkpoint-facts').textContent = this.loadedFacts;
      this.failedToLoad(error, name);
    }
  }

  /** The model that comes with the page. */
  async loadBuiltIn(packed: Uint8Array, entropyModel: Uint8Array): Promise<void> {
    try {
      const { config, weights } = await this.worker.call('unpack', packed, entropyModel);
      const files = { config: new Blob([config]), weights: new Blob([weights]) };
      await this.worker.call('load', 'built-in', files);
      this.files.set('built-in', files);
      this.enable('built-in');
      this.listener.onLoaded('built-in', files, 'built in, Moby Dick');
    } catch (error) {
      this.failedToLoad(error, 'the built-in model');
    }
  }

  /** The model in training may be chosen. `files` are for the day when its worker is gone. */
  trained(files: CheckpointFiles): void {
    this.files.set('trained', files);
    this.enable('trained');
  }

  lost(reason: string): void {
    for (const slot of this.files.keys()) this.missing.add(slot);
    button('generate-stop').disabled = true;
    button('generate-start').disabled = this.files.size === 0;
    if (byId('generate-status').dataset.busy === 'true') {
      this.sentence.say(`The worker that generates has stopped: ${reason}. Generate again to start another.`);
    }
    byId('generate-status').dataset.busy = 'false';
  }

  /** A model may be chosen from now on. The choice stays as it is, unless there was nothing to choose before. */
  private enable(slot: ModelSlot): void {
    const list = select('generate-model');
    const hadChoice = list.selectedOptions[0]?.disabled === false;
    for (const option of list.options) if (option.value === slot) option.disabled = false;
    if (!hadChoice) list.value = slot;
    button('generate-start').disabled = byId('generate-status').dataset.busy === 'true';
  }

  private async generate(): Promise<void> {
    this.sentence.clear();
    const slot = select('generate-model').value as ModelSlot;
    const prompt = new TextEncoder().encode(input('prompt').value);
    const output = byId('generated');
    output.hidden = false;
    const start = document.createElement('span');
    start.className = 'prompt';
    start.textContent = printable(prompt);
    output.replaceChildren(start, document.createTextNode(''));
    const maxBytes = numberIn(input('max-bytes')) ?? 200;
    this.made = [];
    this.shown = 0;
    button('generate-start').disabled = true;
    button('generate-stop').disabled = false;
    const status = byId('generate-status');
    status.dataset.busy = 'true';
    status.textContent = 'Generating ...';
    try {
      const files = this.files.get(slot);
      if (this.missing.delete(slot) && files) await this.worker.call('load', slot, files);
      const { bytes, seconds, stopped } = await this.worker.call('generate', {
        model: slot,
        prompt,
        maxBytes,
        temperature: numberIn(input('temperature')) ?? 1,
        topK: numberIn(input('top-k')),
        topP: numberIn(input('top-p')),
        seed: numberIn(input('generate-seed')) ?? 0,
      });
      this.draw(true);
      const end = stopped ? 'stopped' : bytes < maxBytes ? 'the model ended the text' : 'done';
      status.textContent = `${counted(bytes, 'byte')} in ${seconds.toFixed(1)} s, ${(bytes / Math.max(seconds, 1e-3)).toFixed(0)} bytes per second; ${end}.`;
    } catch (error) {
      status.textContent = '';
      this.failed(error);
    } finally {
      status.dataset.busy = 'false';
      button('generate-start').disabled = false;
      button('generate-stop').disabled = true;
    }
  }

  /** The loss of a worker is told here too, because nothing else would say why there is no model. */
  private failedToLoad(error: unknown, name: string): void {
    const { name: kind, message } = error as Error;
    const lost = `The worker that was to read ${name} has stopped: ${message}.`;
    this.sentence.say(kind === 'LostWorkerError' ? lost : error);
  }

  private failed(error: unknown): void {
    if ((error as Error).name !== 'LostWorkerError') this.sentence.say(error);
  }

  hear(bytes: Uint8Array): void {
    for (const byte of bytes) this.made.push(byte);
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.draw(false);
    });
  }

  /** Adds what is complete: the first bytes of a character wait for its others, unless nothing more comes. */
  private draw(all: boolean): void {
    let end = this.made.length;
    if (!all) {
      const tail = Uint8Array.from(this.made.slice(-3));
      for (let i = 0; i < tail.length; i++) {
        if (tail[i] >= 0xc2 && tail[i] < 0xf5 && utf8Length(tail, i) === 0) {
          end -= tail.length - i;
          break;
        }
      }
    }
    if (end <= this.shown) return;
    byId('generated').append(printable(Uint8Array.from(this.made.slice(this.shown, end))));
    this.shown = end;
  }
}
