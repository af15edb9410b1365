/** @file The passage that the chapters about the whole model read, and the model that reads it. */
import type { CheckpointFiles, ModelSlot, Reading, WorkerCalls } from '../messages.ts';
import { byId, Sentence, select } from './dom.ts';
import type { WorkerClient } from './worker-client.ts';

/** Bytes of the text that these chapters read: as many as the model was trained on at once. */
export const PASSAGE_BYTES = 512;
/** Rest after the last keystroke before the whole model reads. */
const REST_MS = 200;

type Reader = (reading: Reading) => void;

/** Asks the worker for what the chapters show, and tells them when there is a new text or a new model. */
export class Lessons {
  /** The start of the text. */
  passage: Uint8Array = new Uint8Array(0);
  private readonly worker: WorkerClient;
  private readonly sentence = new Sentence('lesson-error');
  private readonly models = new Map<ModelSlot, CheckpointFiles>();
  private readonly readers: Reader[] = [];
  private readonly listeners: (() => void)[] = [];
  /** Settles when the worker has the chosen model; null: it was not given to this worker yet. */
  private given: Promise<void> | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(worker: WorkerClient) {
    this.worker = worker;
    select('lesson-model').addEventListener('change', () => this.useModel());
  }

  /** @param read told of every new reading */
  onReading(read: Reader): void {
    this.readers.push(read);
  }

  /** @param changed told when the model is another */
  onModel(changed: () => void): void {
    this.listeners.push(changed);
  }

  /** Offers a model; the one in use is replaced at once. */
  async offer(slot: ModelSlot, name: string, files: CheckpointFiles): Promise<void> {
    this.models.set(slot, files);
    const list = select('lesson-model');
    let option = [...list.options].find(({ value }) => value === slot);
    if (!option) list.add((option = new Option(name, slot)));
    option.textContent = name;
    if (list.value === slot) await this.useModel();
  }

  /** The text has changed: it is read when the typing rests. */
  text(bytes: Uint8Array): void {
    this.passage = bytes.slice(0, PASSAGE_BYTES);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read(), REST_MS);
  }

  /** The worker is gone; the next call starts another, which needs the model again. */
  lost(): void {
    this.given = null;
  }

  /** A call about the chosen model. Undefined if it failed, which is told, or if another model was chosen meanwhile. */
  async ask<K extends keyof WorkerCalls>(
    name: K,
    ...args: Parameters<WorkerCalls[K]>
  ): Promise<Awaited<ReturnType<WorkerCalls[K]>> | undefined> {
    const files = this.models.get(select('lesson-model').value as ModelSlot);
    if (!files) return undefined;
    this.given ??= this.worker.call('useLessonModel', files);
    const { given } = this;
    try {
      await given;
      if (given !== this.given) return undefined;
      // biome-ignore lint/plugin: the arguments of one call
      const answer = await this.worker.call(name, ...args);
      if (given !== this.given) return undefined;
      this.sentence.clear();
      return answer;
    } catch (error) {
      const told = (error as Error).name === 'LostWorkerError';
      if (!told && given === this.given) this.sentence.say(error);
      return undefined;
    }
  }

  private async useModel(): Promise<void> {
    this.given = null;
    for (const changed of this.listeners) changed();
    await this.read();
  }

  private async read(): Promise<void> {
    const { passage } = this;
    if (passage.length === 0) return;
    const reading = await this.ask('readPassage', passage);
    // What was typed meanwhile comes with the next reading.
    if (!reading || passage !== this.passage) return;
    for (const read of this.readers) read(reading);
    byId('seeing').dataset.readings = String(Number(byId('seeing').dataset.readings ?? 0) + 1);
  }
}
