/** @file Chapter 9: what computes, how fast, and the source of its kernels beside their definitions. */
import { humanBytes, humanCount } from '../../terminal/human-units.ts';
import type { BackendChoice, BackendFacts, KernelUse } from '../messages.ts';
import { button, byId, Sentence, select } from './dom.ts';
import type { WorkerClient } from './worker-client.ts';

/** kernels.json, as scripts/kernel-texts.mjs writes it. */
interface KernelTexts {
  /** Whether this build has gpu.js. */
  readonly gpu: boolean;
  readonly texts: readonly string[];
  readonly kernels: Readonly<Record<string, KernelText>>;
}

/** Which texts, in order; left out where the definition itself runs. */
interface KernelText {
  /** Its line of the contract. */
  readonly formula: string;
  readonly definition: readonly number[];
  readonly wasm?: readonly number[];
  readonly gpu?: readonly number[];
}

interface Speed {
  scoring: number | null;
  training: number | null;
}

export interface SwitchListener {
  before(): void;
  /** Both workers compute on the backend now in use. */
  after(): void;
}

/** Typing is answered by one thread: it has little to do, and must not wait for others. */
const ofScorer = (choice: BackendChoice): BackendChoice => (choice === 'wasm-threads' ? 'wasm' : choice);

export class BackendsPanel {
  private readonly scorer: WorkerClient;
  private readonly model: WorkerClient;
  private readonly listener: SwitchListener;
  private readonly sentence = new Sentence('backend-error');
  private readonly speeds = new Map<BackendChoice, Speed>();
  private current: BackendChoice = 'wasm';
  private kernels: KernelUse = [];
  private kernelsOf = '';
  /** The work that is timed. */
  private entropyModel: Uint8Array = new Uint8Array(0);
  private source: KernelTexts | null = null;

  constructor(scorer: WorkerClient, model: WorkerClient, listener: SwitchListener) {
    this.scorer = scorer;
    this.model = model;
    this.listener = listener;
    const isolated = globalThis.crossOriginIsolated === true;
    byId('isolation').textContent = isolated
      ? 'This page is cross-origin isolated: threads can share memory.'
      : 'This page is not cross-origin isolated (its host sends no COOP and COEP headers), so there is no SharedArrayBuffer: everything runs on one thread.';
    this.option('wasm-threads').disabled = !isolated;
    this.option('webgpu').disabled = !('gpu' in navigator);
    select('backend').addEventListener('change', () => this.use(select('backend').value as BackendChoice));
    button('measure').addEventListener('click', () => this.measure());
    select('kernel').addEventListener('change', () => this.showKernel());
  }

  /** Reads the kernels' texts and starts the fastest backend that is sure to run here. @param entropyModel what is timed */
  async start(entropyModel: Uint8Array): Promise<void> {
    this.entropyModel = entropyModel;
    const answer = await fetch('kernels.json');
    this.source = (await answer.json()) as KernelTexts;
    for (const name of ['webgpu', 'webgl2', 'webasm']) {
      if (!this.source.gpu) this.option(name).remove();
    }
    // Threads wait for each other at every kernel: on few cores, shared with the browser, one thread is faster.
    const threads = globalThis.crossOriginIsolated === true && navigator.hardwareConcurrency >= 4;
    const choice = threads ? 'wasm-threads' : 'wasm';
    select('backend').value = choice;
    await this.use(choice);
  }

  private option(value: string): HTMLOptionElement {
    return [...select('backend').options].find((one) => one.value === value)!;
  }

  async use(choice: BackendChoice): Promise<void> {
    this.sentence.clear();
    select('backend').disabled = true;
    byId('backend-facts').textContent = 'Starting ...';
    this.listener.before();
    try {
      const [facts] = await Promise.all([
        this.model.call('useBackend', choice),
        this.scorer.call('useBackend', ofScorer(choice)),
      ]);
      this.current = choice;
      this.model.backend = choice;
      this.scorer.backend = ofScorer(choice);
      this.tell(facts);
      this.kernelsOf = '';
      await this.measure();
    } catch (error) {
      select('backend').value = this.current;
      byId('backend-facts').textContent = `Still on ${this.option(this.current).text}.`;
      if ((error as Error).name !== 'LostWorkerError') this.sentence.say(error);
      // One of the two may have changed already.
      for (const worker of [this.model, this.scorer]) {
        const before = worker === this.scorer ? ofScorer(this.current) : this.current;
        await worker.call('useBackend', before).catch(() => {});
      }
    } finally {
      select('backend').disabled = false;
      this.listener.after();
    }
  }

  private tell({ name, description }: BackendFacts): void {
    byId('backend-facts').textContent = `${name}: ${description}.`;
  }

  async measure(): Promise<void> {
    button('measure').disabled = true;
    try {
      const { bytesPerSecond, kernels } = await this.model.call('measure', this.entropyModel);
      this.speed().scoring = bytesPerSecond;
      if (this.kernelsOf !== 'training') this.useKernels(kernels, 'scoring');
      this.drawSpeeds();
    } catch (error) {
      if ((error as Error).name !== 'LostWorkerError') this.sentence.say(error);
    } finally {
      button('measure').disabled = false;
    }
  }

  /** A report of a training step. */
  trained(bytesPerSecond: number, kernels: KernelUse | null): void {
    this.speed().training = bytesPerSecond;
    if (kernels && this.kernelsOf !== 'training') this.useKernels(kernels, 'training');
    this.drawSpeeds();
  }

  private speed(): Speed {
    let speed = this.speeds.get(this.current);
    if (!speed) this.speeds.set(this.current, (speed = { scoring: null, training: null }));
    return speed;
  }

  private drawSpeeds(): void {
    const rate = (bytes: number | null): string => (bytes === null ? '' : `${humanBytes(bytes)}/s`);
    const rows = [...this.speeds].map(([choice, { scoring, training }]) => {
      const row = document.createElement('tr');
      const name = document.createElement('th');
      name.scope = 'row';
      name.textContent = this.option(choice).text;
      const cells = [scoring, training].map((value) => {
        const cell = document.createElement('td');
        cell.className = 'number';
        cell.textContent = rate(value);
        return cell;
      });
      // biome-ignore lint/plugin: one for each backend
      row.append(name, ...cells);
      return row;
    });
    byId('speeds')
      .querySelector('tbody')!
      // biome-ignore lint/plugin: one for each backend
      .replaceChildren(...rows);
    byId('speeds').hidden = false;
  }

  private useKernels(kernels: KernelUse, of: 'scoring' | 'training'): void {
    this.kernelsOf = of;
    this.kernels = kernels;
    const list = select('kernel');
    const chosen = list.value;
    // biome-ignore lint/plugin: one for each kernel
    list.replaceChildren(...kernels.map(({ kernel }) => new Option(kernel, kernel)));
    if (kernels.some(({ kernel }) => kernel === chosen)) list.value = chosen;
    this.showKernel();
  }

  private showKernel(): void {
    const name = select('kernel').value;
    const text = this.source?.kernels[name];
    const use = this.kernels.find(({ kernel }) => kernel === name);
    if (!text || !use) return;
    const step = this.kernelsOf === 'training' ? 'training step' : 'scoring of the text';
    const flops = use.flops > 0 ? `, ${humanCount(use.flops)} floating-point operations` : '';
    byId('kernel-facts').textContent =
      `${text.formula ? `${text.formula}. ` : ''}Run ${use.calls} times in the last ${step}${flops}.`;
    const read = (numbers: readonly number[] | undefined): string | undefined =>
      numbers?.map((i) => this.source!.texts[i]).join('\n\n');
    const definition = read(text.definition) ?? '';
    byId('definition').textContent = definition;
    const gpu = ['webgpu', 'webgl2', 'webasm'].includes(this.current);
    const fast = this.current === 'reference' ? undefined : read(gpu ? text.gpu : text.wasm);
    const kind = gpu ? 'gpu.js kernel' : 'WebAssembly kernel (AssemblyScript)';
    byId('kernel-title').textContent = fast ? `What runs: ${kind}` : 'What runs: the definition itself';
    byId('kernel-source').textContent = fast ?? definition;
  }
}
