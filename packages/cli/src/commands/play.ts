import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configFromHuggingFace } from '@blt-ts/blt';
import { reason, UserError } from '../errors.ts';
import { pageFor, type Site, serveSite } from '../play/server.ts';
import { findModel } from '../run-folder.ts';
import { say } from '../terminal.ts';

export interface PlayFlags {
  readonly port?: number;
  readonly model?: string;
  readonly build?: string;
  /** False with --no-open. */
  readonly open: boolean;
}

/** Used where --port is not given; if it is taken, any free one. */
const PORT = 8258;

const MODEL_FILES = ['config.json', 'model.safetensors'];

/** The built page, beside the command. @throws UserError if it has not been built */
function pageFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  // dist/blt.js has it in dist/play; this file, run from source, two folders up.
  const found = [join(here, 'play'), join(here, '../../dist/play')].find((path) => existsSync(join(path, 'main.js')));
  if (!found) throw new UserError('the page has not been built: there is no dist/play; run: node scripts/build.mjs', 1);
  return found;
}

/** The model folder that the page is to load, looked at now so that a wrong one is told here. */
async function modelFolder(path: string): Promise<{ folder: string; name: string }> {
  const folder = await findModel(path);
  const config = join(folder, 'config.json');
  try {
    configFromHuggingFace(JSON.parse(await readFile(config, 'utf8')));
  } catch (error) {
    throw new UserError(`cannot use ${config}: ${reason(error)}`, 1, { cause: error });
  }
  const name = basename(resolve(path));
  return { folder, name: folder === path ? name : `${name}/${basename(folder)}` };
}

/** `blt play`: serves the page until it is interrupted, or writes it to a folder. @returns the exit code */
export async function playCommand(flags: PlayFlags): Promise<number> {
  const page = pageFolder();
  const model = flags.model === undefined ? null : await modelFolder(flags.model);
  const index = await pageFor(join(page, 'index.html'), model?.name ?? null);
  const names = readdirSync(page).filter((name) => name !== 'index.html');
  if (flags.build !== undefined) return writePage(flags.build, page, names, index, model?.folder ?? null);

  const site: Site = new Map<string, { path: string } | { text: string }>([
    ['/index.html', { text: index }],
    ...names.map((name): [string, { path: string }] => [`/${name}`, { path: join(page, name) }]),
    ...(model ? MODEL_FILES : []).map((name): [string, { path: string }] => [
      `/model/${name}`,
      { path: join(model!.folder, name) },
    ]),
  ]);
  const { server, port } = await serveSite(site, flags.port ?? PORT).catch((error) => {
    if (flags.port !== undefined) throw error;
    return serveSite(site, 0);
  });
  const url = `http://127.0.0.1:${port}/`;
  say(`${url}  (this machine only; Ctrl-C ends it)`);
  if (flags.open) openBrowser(url);
  await new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
  });
  server.close();
  server.closeAllConnections();
  return 0;
}

async function writePage(
  folder: string,
  page: string,
  names: readonly string[],
  index: string,
  model: string | null,
): Promise<number> {
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'index.html'), index);
    for (const name of names) await copyFile(join(page, name), join(folder, name));
    if (model) {
      await mkdir(join(folder, 'model'), { recursive: true });
      for (const name of MODEL_FILES) await copyFile(join(model, name), join(folder, 'model', name));
    }
  } catch (error) {
    throw new UserError(`cannot write the page to ${folder}: ${reason(error)}`, 1, { cause: error });
  }
  say(
    `${folder}: put it on any web host. For threads the host must send Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.`,
  );
  return 0;
}

/** Asks the system for a browser; where there is none the printed address has to do. */
function openBrowser(url: string): void {
  const [command, args] =
    process.platform === 'darwin'
      ? ['open', [url]]
      : process.platform === 'win32'
        ? ['cmd', ['/c', 'start', '', url]]
        : ['xdg-open', [url]];
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
}
