/** @file The page of `blt play`: wires its chapters to two workers, one for cutting text while it is typed, one for the model. */
import { LINE_CHART_CSS } from '../../report/line-chart.ts';
import { BackendsPanel } from './backends-panel.ts';
import { followChapters, tryCuts, tryTexts } from './chapters.ts';
import { byId, Sentence } from './dom.ts';
import { droppedFiles, looksLikeCheckpoint } from './dropped-files.ts';
import { GeneratePanel } from './generate-panel.ts';
import { LearningPanel } from './learning-panel.ts';
import { Lessons } from './lessons.ts';
import { PatchesPanel } from './patches-panel.ts';
import { SAMPLE_TEXT } from './sample-text.ts';
import { SeeingPanel } from './seeing-panel.ts';
import { SteppingPanel } from './stepping-panel.ts';
import { SurprisePanel } from './surprise-panel.ts';
import { TrainingPanel } from './training-panel.ts';
import { WorkerClient } from './worker-client.ts';

function start(): void {
  const chartStyle = document.createElement('style');
  chartStyle.textContent = LINE_CHART_CSS;
  document.head.append(chartStyle);
  // What scrolls must be reachable by keyboard.
  for (const id of ['generated', 'definition', 'kernel-source']) byId(id).tabIndex = 0;

  const scorer = new WorkerClient(
    'worker.js',
    () => {},
    (reason) => {
      lessons.lost();
      patches.lost(reason);
    },
  );
  const model = new WorkerClient(
    'worker.js',
    (event) => (event.kind === 'generated' ? generate.hear(event.bytes) : training.hear(event)),
    (reason) => {
      training.lost(reason);
      generate.lost(reason);
    },
  );
  const lessons = new Lessons(scorer);
  new SeeingPanel(lessons);
  new SurprisePanel(lessons);
  new SteppingPanel(lessons);
  new LearningPanel(lessons);
  const patches = new PatchesPanel(scorer, (bytes) => lessons.text(bytes));
  const backends = new BackendsPanel(scorer, model, {
    before: () => training.suspend(),
    after: () => {
      patches.rescore();
      training.resume();
    },
  });
  const generate = new GeneratePanel(model, {
    onEntropyModel: (file, name) => patches.offer('loaded', name, file),
    onLoaded: (slot, files, name) => lessons.offer(slot, name, files),
  });
  const training = new TrainingPanel(model, () => patches.bytes, {
    onCheckpoint(files, entropyModel) {
      generate.trained(files);
      lessons.offer('trained', 'trained on this page', files);
      if (entropyModel) patches.offer('trained', 'trained on this page', entropyModel);
    },
    onSpeed: (bytesPerSecond, kernels) => backends.trained(bytesPerSecond, kernels),
  });

  followChapters();
  tryTexts((text) => patches.setText(text));
  tryCuts();
  acceptDrops(
    (file) => patches.open(file),
    (files) => generate.open(files),
  );
  boot(patches, backends, generate).catch((error) => new Sentence('text-error').say(error));
}

async function boot(patches: PatchesPanel, backends: BackendsPanel, generate: GeneratePanel): Promise<void> {
  patches.setText(SAMPLE_TEXT);
  const file = await fetched('entropy-model.safetensors');
  const entropyModel = new Uint8Array(await file.arrayBuffer());
  await patches.offer('built-in', 'Moby Dick', entropyModel);
  await backends.start(entropyModel);
  const packed = new Uint8Array(await (await fetched('moby-dick.safetensors')).arrayBuffer());
  await generate.loadBuiltIn(packed, entropyModel);
  // The server of `blt play --model DIR` writes the folder's name here.
  const name = document.querySelector<HTMLMetaElement>('meta[name=blt-model]')?.content;
  if (name) {
    const [config, weights] = await Promise.all(['model/config.json', 'model/model.safetensors'].map(fetched));
    await generate.load({ config: await config.blob(), weights: await weights.blob() }, name);
  }
  document.body.dataset.ready = 'true';
}

async function fetched(url: string): Promise<Response> {
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) {
    throw new Error(
      `${url} could not be loaded (${answer ? `status ${answer.status}` : 'the server does not answer'}); is blt play still running?`,
    );
  }
  return answer;
}

/** Files may be dropped anywhere; what they are decides where they go. */
function acceptDrops(
  onText: (file: File) => void,
  onCheckpoint: (files: Awaited<ReturnType<typeof droppedFiles>>) => void,
): void {
  const carriesFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
  let depth = 0;
  const mark = (change: number): void => {
    depth = change === 0 ? 0 : depth + change;
    document.body.classList.toggle('dragging', depth > 0);
  };
  addEventListener('dragenter', (event) => carriesFiles(event) && mark(1));
  addEventListener('dragleave', (event) => carriesFiles(event) && mark(-1));
  addEventListener('dragover', (event) => carriesFiles(event) && event.preventDefault());
  addEventListener('drop', async (event) => {
    mark(0);
    if (!event.dataTransfer || !carriesFiles(event)) return;
    event.preventDefault();
    try {
      const files = await droppedFiles(event.dataTransfer);
      if (files.length > 1 || looksLikeCheckpoint(files)) onCheckpoint(files);
      else if (files.length === 1) onText(files[0].file as File);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      new Sentence('text-error').say(new Error(`what was dropped could not be read: ${why}`));
    }
  });
}

if (location.protocol === 'file:') {
  const place = byId('text-error');
  place.textContent =
    'A page opened from a file may not start workers: run blt play, or put this folder on a web server.';
  place.hidden = false;
} else if (typeof Worker === 'undefined' || typeof WebAssembly === 'undefined') {
  new Sentence('text-error').say('This browser has no Web Workers or no WebAssembly; the page needs both.');
} else {
  start();
}
